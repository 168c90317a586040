//! SIGTERM and Ctrl-C, without a runtime.

use std::io;
use std::process;
use std::thread;

use signal_hook::consts::TERM_SIGNALS;
use signal_hook::iterator::Signals;

/// Calls `stop`, on a thread of its own, at the first signal that asks the process to
/// end. A second one ends it at once, with exit code 1.
///
/// # Errors
///
/// If the signals cannot be caught or there can be no thread.
pub fn on_stop(stop: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new(TERM_SIGNALS)?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            let mut stop = Some(stop);
            for _ in &mut signals {
                match stop.take() {
                    Some(stop) => stop(),
                    None => process::exit(1),
                }
            }
        })?;
    Ok(())
}

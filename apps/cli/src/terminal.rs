//! The line that is being typed.

use alloc::borrow::ToOwned;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use std::io::{self, IsTerminal, Write};
use std::thread;

use async_channel::Sender;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor, ExternalPrinter, Prompt};

use crate::failure::Failure;
use crate::input::Entered;

/// Prints above the line that is being typed.
pub(crate) struct Printer(Box<dyn ExternalPrinter>);

impl Printer {
    pub(crate) fn print(&mut self, text: String) {
        // The terminal is gone; so will the program be in a moment.
        let _ = self.0.print(text);
    }
}

/// A terminal on which lines are edited; dropped, it is as it was before.
pub(crate) struct Terminal {
    before: Option<Termios>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// There will be no more lines: the prompt is to disappear.
    is_leaving: AtomicBool,
    /// The thread that edits has put the terminal back by itself.
    is_done: AtomicBool,
}

/// Whether somebody types and sees what comes in.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

impl Terminal {
    /// Starts a thread that edits lines and hands them to `entered`; `interrupt` is
    /// called on Ctrl-C.
    pub(crate) fn start(
        entered: Sender<Entered>,
        interrupt: impl FnOnce() + Send + 'static,
    ) -> Result<(Self, Printer), Failure> {
        let failed = |error: ReadlineError| Failure::System {
            what: "use the terminal",
            error: io::Error::other(error),
        };
        let before = tcgetattr(io::stdin()).ok();
        let config = Config::builder().auto_add_history(true).build();
        let mut editor = DefaultEditor::with_config(config).map_err(failed)?;
        let printer = editor.create_external_printer().map_err(failed)?;
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let edit = move || {
            edit(&mut editor, &shared, &entered, interrupt);
            shared.is_done.store(true, Ordering::SeqCst);
        };
        thread::Builder::new()
            .name("terminal".into())
            .spawn(edit)
            .map_err(|error| Failure::System {
                what: "start a thread",
                error,
            })?;
        Ok((Self { before, state }, Printer(Box::new(printer))))
    }

    /// Takes the prompt away, once all that was printed is shown.
    pub(crate) fn leave(self, mut printer: Printer) {
        /// Up a line and down again: nothing, but in the order of what is printed.
        const NOTHING: &str = "\x1b[1A\n";
        self.state.is_leaving.store(true, Ordering::SeqCst);
        // The thread takes one at a time: when it has taken the first of these, it has
        // shown everything that came before.
        for _ in 0..2 {
            if self.state.is_done.load(Ordering::SeqCst) {
                return;
            }
            printer.print(NOTHING.to_owned());
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.state.is_done.load(Ordering::SeqCst) {
            return;
        }
        // Bracketed paste off, and the line of the prompt is the shell's.
        let mut out = io::stdout();
        let _ = out.write_all(b"\x1b[?2004l\r\x1b[K");
        let _ = out.flush();
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

fn edit(
    editor: &mut DefaultEditor,
    state: &State,
    entered: &Sender<Entered>,
    interrupt: impl FnOnce(),
) {
    let prompt = Arrow(state);
    loop {
        match editor.readline(&prompt) {
            Ok(line) => {
                if entered.send_blocking(Entered::Line(line.into())).is_err() {
                    return;
                }
            }
            Err(ReadlineError::Eof) => {
                let _ = entered.send_blocking(Entered::End);
                return;
            }
            // Whatever it is, there will be no more lines.
            Err(_) => return interrupt(),
        }
    }
}

/// Shows that a line can be typed, as long as that is so.
struct Arrow<'a>(&'a State);

impl Prompt for Arrow<'_> {
    fn raw(&self) -> &str {
        if self.0.is_leaving.load(Ordering::SeqCst) {
            ""
        } else {
            "> "
        }
    }
}

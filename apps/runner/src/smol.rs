//! The programs on smol.

use alloc::sync::Arc;
use core::future::pending;
use std::io;
use std::thread;

use async_executor::Executor;
use async_io::block_on;
use sockeye_async_std::smol as adapter;
use sockeye_handler::{OwnedMessage, Service};

use crate::asynchronous::{connect_options, run_client, run_server, serve_options};
use crate::failure::Failure;
use crate::{Args, Ending};

pub(crate) fn serve<S: Service>(args: &Args, service: S, ending: Ending) -> Result<(), Failure> {
    let options = serve_options(args)?;
    let executor = Arc::new(Executor::new());
    start(args.threads, &executor).map_err(|error| Failure::System {
        what: "start a thread",
        error,
    })?;
    let server = run_server(args, ending, async {
        let listener = adapter::listen(&args.listen).await?;
        adapter::serve(listener, service, &options, Arc::clone(&executor))
    });
    block_on(executor.run(server))
}

pub(crate) fn connect(
    args: &Args,
    url: &str,
    subprotocols: &[String],
    answer: impl FnMut(OwnedMessage) -> Option<OwnedMessage>,
) -> Result<(), Failure> {
    let options = connect_options(args, subprotocols)?;
    block_on(run_client(url, adapter::connect(url, &options), answer))
}

/// Starts the threads besides this one. They end with the process.
fn start(threads: Option<u16>, executor: &Arc<Executor<'static>>) -> io::Result<()> {
    let count = match threads {
        Some(count) => count.into(),
        None => thread::available_parallelism()?.get(),
    };
    for number in 1..count {
        let executor = Arc::clone(executor);
        thread::Builder::new()
            .name(format!("smol-{number}"))
            .spawn(move || block_on(executor.run(pending::<()>())))?;
    }
    Ok(())
}

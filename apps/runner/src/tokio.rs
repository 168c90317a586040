//! The programs on tokio.

use sockeye_handler::{OwnedMessage, Service};
use tokio::runtime::{Builder, Runtime};

use crate::asynchronous::{connect_options, run_client, run_server, serve_options};
use crate::failure::Failure;
use crate::{Args, Ending};

pub(crate) fn serve<S: Service>(args: &Args, service: S, ending: Ending) -> Result<(), Failure> {
    let options = serve_options(args)?;
    let mut threads = Builder::new_multi_thread();
    if let Some(count) = args.threads {
        threads.worker_threads(count.into());
    }
    let runtime = start(&mut threads)?;
    let ended = runtime.block_on(run_server(args, ending, async {
        let listener = sockeye_tokio::listen(&args.listen).await?;
        sockeye_tokio::serve(listener, service, &options)
    }));
    runtime.shutdown_background();
    ended
}

pub(crate) fn connect(
    args: &Args,
    url: &str,
    subprotocols: &[String],
    answer: impl FnMut(OwnedMessage) -> Option<OwnedMessage>,
) -> Result<(), Failure> {
    let options = connect_options(args, subprotocols)?;
    // One connection needs one thread, and starts faster with it.
    let runtime = start(&mut Builder::new_current_thread())?;
    let connect = sockeye_tokio::connect(url, &options);
    let ended = runtime.block_on(run_client(url, connect, answer));
    // A look-up of a name that hangs is not waited for.
    runtime.shutdown_background();
    ended
}

fn start(builder: &mut Builder) -> Result<Runtime, Failure> {
    builder
        .enable_all()
        .build()
        .map_err(|error| Failure::System {
            what: "start the runtime",
            error,
        })
}

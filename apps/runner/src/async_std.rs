//! The programs on async-std.

use async_global_executor::GlobalExecutorConfig;
use async_std::task::block_on;
use sockeye_async_std::async_std as adapter;
use sockeye_handler::{OwnedMessage, Service};

use crate::asynchronous::{connect_options, run_client, run_server, serve_options};
use crate::failure::Failure;
use crate::{Args, Ending};

pub(crate) fn serve<S: Service>(args: &Args, service: S, ending: Ending) -> Result<(), Failure> {
    let options = serve_options(args)?;
    start(args.threads);
    block_on(run_server(args, ending, async {
        let listener = adapter::listen(&*args.listen).await?;
        adapter::serve(listener, service, &options)
    }))
}

pub(crate) fn connect(
    args: &Args,
    url: &str,
    subprotocols: &[String],
    answer: impl FnMut(OwnedMessage) -> Option<OwnedMessage>,
) -> Result<(), Failure> {
    let options = connect_options(args, subprotocols)?;
    // One connection needs one thread.
    start(Some(1));
    block_on(run_client(url, adapter::connect(url, &options), answer))
}

/// async-std itself takes the number of threads from the environment only.
fn start(threads: Option<u16>) {
    let mut config = GlobalExecutorConfig::default();
    if let Some(count) = threads {
        config = config
            .with_min_threads(count.into())
            .with_max_threads(count.into());
    }
    async_global_executor::init_with_config(config);
}

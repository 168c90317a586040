//! The programs on tokio.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use std::io;

use sockeye_handler::{CloseCode, OwnedMessage, Service};
use sockeye_tokio::{ConnectOptions, ServeOptions, Shutdown, WebSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::failure::Failure;
use crate::{Args, announce, signals};

pub(crate) fn serve<S: Service>(args: &Args, service: S) -> Result<(), Failure> {
    let mut options = ServeOptions::default();
    options.config = args.config()?;
    options.max_connections = args.max_connections;
    #[cfg(feature = "tls")]
    {
        options.tls = args.tls_server()?;
    }
    let mut threads = Builder::new_multi_thread();
    if let Some(count) = args.threads {
        threads.worker_threads(count.into());
    }
    let runtime = start(&mut threads)?;
    let ended = runtime.block_on(run_server(args, service, &options));
    runtime.shutdown_background();
    ended
}

async fn run_server<S: Service>(
    args: &Args,
    service: S,
    options: &ServeOptions,
) -> Result<(), Failure> {
    let cannot_listen = |error| Failure::Listen {
        address: args.listen.clone(),
        error,
    };
    let stopped = stop_signal()?;
    let listener = sockeye_tokio::listen(&args.listen)
        .await
        .map_err(cannot_listen)?;
    let mut server = sockeye_tokio::serve(listener, service, options).map_err(cannot_listen)?;
    announce(args, server.local_addr());
    stopped.await;
    tracing::info!(connections = server.connections(), "closing");
    let shutdown = Shutdown {
        timeout: args.drain_timeout,
        ..Shutdown::default()
    };
    match server.shut_down(shutdown).await {
        0 => tracing::info!("closed"),
        dropped => tracing::warn!(dropped, "closed, but not in time"),
    }
    Ok(())
}

pub(crate) fn connect(
    args: &Args,
    url: &str,
    subprotocols: &[String],
    answer: impl FnMut(OwnedMessage) -> Option<OwnedMessage>,
) -> Result<(), Failure> {
    let mut options = ConnectOptions::default();
    options.config = args.config()?;
    options.subprotocols = subprotocols.to_vec();
    #[cfg(feature = "tls")]
    {
        options.tls = args.tls_client()?;
    }
    // One connection needs one thread, and starts faster with it.
    let runtime = start(&mut Builder::new_current_thread())?;
    let ended = runtime.block_on(run_client(url, &options, answer));
    // A look-up of a name that hangs is not waited for.
    runtime.shutdown_background();
    ended
}

async fn run_client(
    url: &str,
    options: &ConnectOptions,
    mut answer: impl FnMut(OwnedMessage) -> Option<OwnedMessage>,
) -> Result<(), Failure> {
    let mut stopped = pin!(stop_signal()?);
    let connected = first(&mut stopped, sockeye_tokio::connect(url, options)).await;
    let mut ws = match connected {
        Some(connected) => connected.map_err(Failure::Connect)?,
        None => return Err(Failure::Interrupted { url: url.into() }),
    };
    loop {
        match first(&mut stopped, ws.recv()).await {
            Some(Some(message)) => {
                if let Some(answer) = answer(message) {
                    // If it is too late for this, `recv` will say so.
                    let _ = ws.send(answer).await;
                }
            }
            Some(None) => return how_it_ended(url, &ws),
            None => {
                // The code and the empty reason can be sent.
                let _ = ws.close(CloseCode::GOING_AWAY, "").await;
                return how_it_ended(url, &ws);
            }
        }
    }
}

fn how_it_ended(url: &str, ws: &WebSocket) -> Result<(), Failure> {
    match ws.closed() {
        Some(closed) if !closed.is_clean() => Err(Failure::Ended {
            url: url.into(),
            closed: closed.clone(),
        }),
        _ => Ok(()),
    }
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

/// Ready at the first signal.
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let (stop, stopped) = oneshot::channel();
    let stop = move || {
        // Nobody waits any more if the program is about to end by itself.
        let _ = stop.send(());
    };
    signals::on_stop(stop).map_err(|error: io::Error| Failure::System {
        what: "wait for signals",
        error,
    })?;
    Ok(async {
        // The sender lives as long as the process waits for signals.
        let _ = stopped.await;
    })
}

/// What `work` comes to, or `None` if `stop` is ready first.
async fn first<T>(
    stop: &mut (impl Future<Output = ()> + Unpin),
    work: impl Future<Output = T>,
) -> Option<T> {
    let (mut stop, mut work) = (pin!(stop), pin!(work));
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        stop.as_mut().poll(cx).map(|()| None)
    })
    .await
}

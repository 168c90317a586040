//! What the programs do on every asynchronous runtime.

use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::io;
use std::sync::{Mutex, PoisonError};

use sockeye_async::{
    ConnectError, ConnectOptions, ServeOptions, Server, Timer, Transport, WebSocket,
};
use sockeye_handler::{CloseCode, OwnedMessage};

use crate::failure::Failure;
use crate::{Args, Ending, announce, signals};

pub(crate) fn serve_options(args: &Args) -> Result<ServeOptions, Failure> {
    let mut options = ServeOptions::default();
    options.config = args.config()?;
    options.max_connections = args.max_connections;
    #[cfg(feature = "tls")]
    {
        options.tls = args.tls_server()?;
    }
    Ok(options)
}

pub(crate) fn connect_options(
    args: &Args,
    subprotocols: &[String],
) -> Result<ConnectOptions, Failure> {
    let mut options = ConnectOptions::default();
    options.config = args.config()?;
    options.subprotocols = subprotocols.to_vec();
    #[cfg(feature = "tls")]
    {
        options.tls = args.tls_client()?;
    }
    Ok(options)
}

/// Runs the server that `start` starts, until the program is told to end.
pub(crate) async fn run_server(
    args: &Args,
    ending: Ending,
    start: impl Future<Output = io::Result<Server>>,
) -> Result<(), Failure> {
    let stop = Stop::on_signal()?;
    let mut server = start.await.map_err(|error| Failure::Listen {
        address: args.listen.clone(),
        error,
    })?;
    announce(args, server.local_addr());
    poll_fn(|cx| stop.poll(cx)).await;
    tracing::info!(connections = server.connections(), "closing");
    match server.shut_down(ending.shutdown(args)).await {
        0 => tracing::info!("closed"),
        dropped => tracing::warn!(dropped, "closed, but not in time"),
    }
    Ok(())
}

/// Answers each message of the server that `connect` connects to, until it closes or
/// the program is told to end.
pub(crate) async fn run_client<T: Transport, C: Timer>(
    url: &str,
    connect: impl Future<Output = Result<WebSocket<T, C>, ConnectError>>,
    mut answer: impl FnMut(OwnedMessage) -> Option<OwnedMessage>,
) -> Result<(), Failure> {
    let stop = Stop::on_signal()?;
    let mut ws = match stop.or(connect).await {
        Some(connected) => connected.map_err(Failure::Connect)?,
        None => return Err(Failure::Interrupted { url: url.into() }),
    };
    loop {
        match stop.or(ws.recv()).await {
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

fn how_it_ended<T: Transport, C: Timer>(url: &str, ws: &WebSocket<T, C>) -> Result<(), Failure> {
    match ws.closed() {
        Some(closed) if !closed.is_clean() => Err(Failure::Ended {
            url: url.into(),
            closed: closed.clone(),
        }),
        _ => Ok(()),
    }
}

/// The first signal, for one task to wait for.
struct Stop(Arc<Mutex<Signal>>);

enum Signal {
    Awaited(Waker),
    Given,
}

impl Stop {
    fn on_signal() -> Result<Self, Failure> {
        let signal = Arc::new(Mutex::new(Signal::Awaited(Waker::noop().clone())));
        let stop = Self(Arc::clone(&signal));
        let give = move || {
            let before = core::mem::replace(&mut *lock(&signal), Signal::Given);
            if let Signal::Awaited(waker) = before {
                waker.wake();
            }
        };
        signals::on_stop(give).map_err(|error| Failure::System {
            what: "wait for signals",
            error,
        })?;
        Ok(stop)
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut *lock(&self.0) {
            Signal::Given => Poll::Ready(()),
            Signal::Awaited(waker) => {
                waker.clone_from(cx.waker());
                Poll::Pending
            }
        }
    }

    /// What `work` comes to, or `None` if the signal comes first.
    async fn or<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            self.poll(cx).map(|()| None)
        })
        .await
    }
}

fn lock(signal: &Mutex<Signal>) -> std::sync::MutexGuard<'_, Signal> {
    signal.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A server: a task that accepts, and one for each connection.

use alloc::sync::Arc;
use core::fmt;
use core::future::{Future, poll_fn};
use core::mem;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::io;
use std::sync::{Mutex, PoisonError};

#[cfg(feature = "tls")]
use sockeye_common::tls::{Tls, TlsServer};
use sockeye_common::{ACCEPTS, BACK_OFF, Ending, Phase, Shutdown, is_of_one_connection};
use sockeye_core::{SharedConfig, Time};
use sockeye_handler::{Address, Service};

use crate::secure::MaybeTls;
use crate::serve::{Acceptor, Connection, Control};
use crate::timer::{Alarm, Sleep, Timer};
use crate::transport::Transport;

/// What a server is told besides its service.
///
/// A plain value: change the fields of [`ServeOptions::default`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServeOptions {
    /// Limits and time-outs of each connection.
    pub config: SharedConfig,
    /// Connections at a time; 10,000. Upgrades beyond that are answered with 503.
    pub max_connections: usize,
    /// The certificate and the key to serve `wss` with; without them it is `ws`.
    #[cfg(feature = "tls")]
    pub tls: Option<TlsServer>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            config: SharedConfig::default(),
            max_connections: 10_000,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

/// Where a server's connections come from, and where their tasks run.
pub trait Listener: Unpin {
    /// What is accepted.
    type Transport: Transport + Send + 'static;

    /// The timers of the runtime.
    type Sleep: Sleep;

    /// Accepts a connection.
    fn poll_accept(&mut self, cx: &mut Context<'_>)
    -> Poll<io::Result<(Self::Transport, Address)>>;

    /// Runs a connection beside the others.
    fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static);
}

/// Serves `service` to everybody who connects to `listener`, which listens on
/// `local_addr`.
///
/// The second value is a task that the adapter spawns.
pub fn serve<S: Service, L: Listener>(
    listener: L,
    local_addr: SocketAddr,
    service: S,
    options: &ServeOptions,
) -> (Server, Accepting<S, L>) {
    let acceptor = Acceptor::new(service, options.config.clone(), options.max_connections);
    let (control, end) = (acceptor.control(), Arc::new(End::default()));
    let server = Server {
        local_addr,
        control: control.clone(),
        end: Arc::clone(&end),
    };
    let accepting = Accepting {
        listener: Some(listener),
        acceptor,
        #[cfg(feature = "tls")]
        tls: options.tls.clone(),
        control,
        alarm: Alarm::default(),
        back_off: None,
        ending: Ending::default(),
        end: Ended(end),
    };
    (server, accepting)
}

/// A running server. Dropping it drops its connections.
#[must_use = "a server that is dropped ends"]
pub struct Server {
    local_addr: SocketAddr,
    control: Control,
    end: Arc<End>,
}

impl Server {
    /// Where it listens, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Connections that have not ended yet.
    pub fn connections(&self) -> usize {
        self.control.connections()
    }

    /// Ends the server: after the time that `shutdown` gives the service for it, no more is
    /// accepted, every connection is closed with its code, and what has not ended by its
    /// timeout is dropped.
    ///
    /// Returns how many had to be dropped. Cancel-safe: the server ends all the
    /// same, unless it is dropped. Of several calls the first says how it ends.
    pub async fn shut_down(&mut self, shutdown: Shutdown) -> usize {
        self.control.shut_down(shutdown);
        poll_fn(|cx| self.end.poll(cx)).await;
        self.control.aborted()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control.abort();
    }
}

/// Says that the task of a server is gone, whether it ran to its end or its
/// runtime did not let it.
#[derive(Default)]
struct End(Mutex<Progress>);

#[derive(Default)]
enum Progress {
    #[default]
    Running,
    Awaited(Waker),
    Over,
}

impl End {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut progress = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Progress::Over = *progress {
            return Poll::Ready(());
        }
        *progress = Progress::Awaited(cx.waker().clone());
        Poll::Pending
    }
}

/// Lets the end come when it goes.
struct Ended(Arc<End>);

impl Drop for Ended {
    fn drop(&mut self) {
        let before = {
            let mut progress = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
            mem::replace(&mut *progress, Progress::Over)
        };
        if let Progress::Awaited(waker) = before {
            waker.wake();
        }
    }
}

/// The task of a server: accepts, and keeps the time for all connections.
pub struct Accepting<S: Service, L: Listener> {
    listener: Option<L>,
    /// With the last connection and this the service stops.
    acceptor: Acceptor<S>,
    #[cfg(feature = "tls")]
    tls: Option<TlsServer>,
    control: Control,
    alarm: Alarm<L::Sleep>,
    back_off: Option<Time>,
    ending: Ending,
    /// Goes last: whoever waits for it may listen on the same port at once.
    #[expect(dead_code, reason = "it does its work when it is dropped")]
    end: Ended,
}

impl<S: Service, L: Listener> Future for Accepting<S, L> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            let now = this.alarm.now();
            // First: from here on whatever changes wakes this task.
            let next = this.control.poll_deadlines(now, cx);
            this.acceptor.tell_end();
            let phase = this.control.advance(&mut this.ending, now);
            if !phase.listens() {
                this.listener = None;
            }
            match phase {
                Phase::Serving | Phase::Draining | Phase::Expelling => this.accept(now, cx),
                Phase::Closing if this.control.connections() > 0 => {}
                // Nobody waits for the connections of a server that was dropped.
                Phase::Aborting
                    if this.control.shutdown().is_some() && this.control.connections() > 0 => {}
                Phase::Closing | Phase::Aborting => return Poll::Ready(()),
            }
            let wake_at = [next, this.back_off, this.ending.next(now)]
                .into_iter()
                .flatten()
                .min();
            let Some(wake_at) = wake_at else {
                return Poll::Pending;
            };
            if wake_at > now && this.alarm.poll_until(wake_at, now, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl<S: Service, L: Listener> Accepting<S, L> {
    fn accept(&mut self, now: Time, cx: &mut Context<'_>) {
        if self.back_off.is_some_and(|until| until > now) {
            return;
        }
        self.back_off = None;
        for _ in 0..ACCEPTS {
            if self.control.is_full() {
                return;
            }
            let Some(listener) = &mut self.listener else {
                return;
            };
            match listener.poll_accept(cx) {
                Poll::Ready(Ok((transport, address))) => self.spawn(transport, address),
                Poll::Ready(Err(error)) if is_of_one_connection(&error) => {}
                Poll::Ready(Err(error)) => {
                    self.control.warn_of_accepting(&error, now);
                    self.back_off = Some(now + BACK_OFF);
                    return;
                }
                Poll::Pending => return,
            }
        }
        cx.waker().wake_by_ref();
    }

    fn spawn(&self, transport: L::Transport, address: Address) {
        let (Some(listener), Some(transport)) = (&self.listener, self.secure(transport)) else {
            return;
        };
        let connection: Connection<S, _, <L::Sleep as Sleep>::Clock> =
            self.acceptor.connection(transport, address);
        listener.spawn(connection);
    }

    #[cfg(feature = "tls")]
    fn secure<T>(&self, transport: T) -> Option<MaybeTls<T>> {
        match self.tls.as_ref().map(Tls::server).transpose() {
            Ok(tls) => Some(MaybeTls::new(transport, tls)),
            Err(error) => {
                tracing::error!(%error, "cannot begin TLS");
                None
            }
        }
    }

    #[cfg(not(feature = "tls"))]
    fn secure<T>(&self, transport: T) -> Option<MaybeTls<T>> {
        Some(MaybeTls::plain(transport))
    }
}

/// Nothing in it is pinned.
impl<S: Service, L: Listener> Unpin for Accepting<S, L> {}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("local_addr", &self.local_addr)
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}

impl<S: Service, L: Listener> fmt::Debug for Accepting<S, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepting")
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}

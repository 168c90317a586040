//! A server: a task that accepts, and one for each connection.

use core::fmt;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;

#[cfg(feature = "tls")]
use sockeye_async::tls::{Tls, TlsServer};
use sockeye_async::{
    ACCEPTS, Acceptor, BACK_OFF, Clock, Connection, Control, MaybeTls, Shutdown,
    is_of_one_connection,
};
use sockeye_core::{SharedConfig, Time};
use sockeye_handler::Service;
use tokio::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep};

use crate::clock::TokioClock;
use crate::connect::set_nodelay;
use crate::stream::Stream;

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

/// Listens on an address, with a queue of 4,096 connections.
///
/// `TcpListener::bind` asks for 128; in a burst beyond that clients wait for a
/// second, until they repeat their request.
///
/// # Errors
///
/// Those of the last address tried, if the name has several.
pub async fn listen(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host(address).await? {
        match listen_on(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Elsewhere it would let another program take the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4096)
}

/// Serves `service` to everybody who connects to `listener`.
///
/// Must be called within a tokio runtime. The server runs until the [`Server`] is
/// shut down or dropped.
///
/// # Errors
///
/// If the listener has no address.
pub fn serve<S: Service>(
    listener: TcpListener,
    service: S,
    options: &ServeOptions,
) -> io::Result<Server> {
    let local_addr = listener.local_addr()?;
    let acceptor = Acceptor::new(service, options.config.clone(), options.max_connections);
    let control = acceptor.control();
    let task = tokio::spawn(Accepting {
        listener: Some(listener),
        acceptor,
        #[cfg(feature = "tls")]
        tls: options.tls.clone(),
        control: control.clone(),
        sleep: None,
        back_off: None,
        drop_at: None,
    });
    Ok(Server {
        local_addr,
        control,
        task,
    })
}

/// A running server. Dropping it drops its connections.
#[must_use = "a server that is dropped ends"]
pub struct Server {
    local_addr: SocketAddr,
    control: Control,
    task: JoinHandle<()>,
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

    /// Ends the server: no more is accepted, every connection is closed with the
    /// code of `shutdown`, and what has not ended by its timeout is dropped.
    ///
    /// Returns how many had to be dropped. Cancel-safe: the server ends all the
    /// same, unless it is dropped.
    pub async fn shut_down(&mut self, shutdown: Shutdown) -> usize {
        self.control.shut_down(shutdown);
        // The task neither panics nor is aborted before this value is dropped.
        let _ = (&mut self.task).await;
        self.control.aborted()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control.abort();
        self.task.abort();
    }
}

/// Accepts, and keeps the time for all connections.
struct Accepting<S> {
    listener: Option<TcpListener>,
    acceptor: Acceptor<S>,
    #[cfg(feature = "tls")]
    tls: Option<TlsServer>,
    control: Control,
    sleep: Option<Pin<Box<Sleep>>>,
    back_off: Option<Time>,
    drop_at: Option<Time>,
}

impl<S: Service> Future for Accepting<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            let now = TokioClock::now();
            // First: from here on whatever changes wakes this task.
            let next = this.control.poll_deadlines(now, cx);
            match this.control.shutdown() {
                None => this.accept(now, cx),
                Some(shutdown) => {
                    this.listener = None;
                    let drop_at = *this.drop_at.get_or_insert(now + shutdown.timeout);
                    if drop_at <= now {
                        this.control.abort();
                    }
                    if this.control.connections() == 0 {
                        return Poll::Ready(());
                    }
                }
            }
            let drop_at = this.drop_at.filter(|at| *at > now);
            let wake_at = [next, this.back_off, drop_at].into_iter().flatten().min();
            if this.poll_sleep(wake_at, now, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl<S: Service> Accepting<S> {
    fn accept(&mut self, now: Time, cx: &mut Context<'_>) {
        if self.back_off.is_some_and(|until| until > now) {
            return;
        }
        self.back_off = None;
        for _ in 0..ACCEPTS {
            if self.control.is_full() {
                return;
            }
            let Some(listener) = &self.listener else {
                return;
            };
            match listener.poll_accept(cx) {
                Poll::Ready(Ok((stream, address))) => self.spawn(stream, address),
                Poll::Ready(Err(error)) if is_of_one_connection(&error) => {}
                Poll::Ready(Err(error)) => {
                    tracing::warn!(%error, "cannot accept connections for now");
                    self.back_off = Some(now + BACK_OFF);
                    return;
                }
                Poll::Pending => return,
            }
        }
        cx.waker().wake_by_ref();
    }

    fn spawn(&self, stream: TcpStream, address: SocketAddr) {
        set_nodelay(&stream);
        let Some(transport) = self.transport(Stream::new(stream)) else {
            return;
        };
        let connection: Connection<S, _, TokioClock> =
            self.acceptor.connection(transport, address.into());
        tokio::spawn(connection);
    }

    #[cfg(feature = "tls")]
    fn transport<T>(&self, stream: T) -> Option<MaybeTls<T>> {
        match self.tls.as_ref().map(Tls::server).transpose() {
            Ok(tls) => Some(MaybeTls::new(stream, tls)),
            Err(error) => {
                tracing::error!(%error, "cannot begin TLS");
                None
            }
        }
    }

    #[cfg(not(feature = "tls"))]
    fn transport<T>(&self, stream: T) -> Option<MaybeTls<T>> {
        Some(MaybeTls::plain(stream))
    }

    fn poll_sleep(&mut self, until: Option<Time>, now: Time, cx: &mut Context<'_>) -> Poll<()> {
        let Some(until) = until else {
            return Poll::Pending;
        };
        let rest = until.saturating_since(now);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(rest)));
        sleep.as_mut().reset(Instant::now() + rest);
        sleep.as_mut().poll(cx)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("local_addr", &self.local_addr)
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use sockeye_handler::{
        Context as HandlerContext, Decision, Handler, Message, Opening, Request,
    };

    use super::*;

    struct Nothing;

    impl Service for Nothing {
        type Handler = Self;

        fn on_request(&self, _: &Request<'_>, _: &mut Opening<'_>) -> Decision<Self> {
            Decision::accept(Self)
        }
    }

    impl Handler for Nothing {
        fn on_message(&mut self, _: Message<'_>, _: &mut HandlerContext<'_>) {}
    }

    #[test]
    fn the_state_of_a_connection_fits_its_budget() {
        // With tokio's own 80 bytes the cell of a task is then 384 bytes; it grows
        // in steps of 128.
        let size = size_of::<Connection<Nothing, MaybeTls<Stream<TcpStream>>, TokioClock>>();
        assert!(size <= 280, "{size}");
    }
}

//! A server on tokio.

use core::future::Future;
use core::net::SocketAddr;
use core::task::{Context, Poll, ready};
use std::io;

use sockeye_async::{Listener, ServeOptions, Server};
use sockeye_handler::{Address, Service};
use tokio::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, lookup_host};

use crate::clock::TokioSleep;
use crate::connect::set_nodelay;
use crate::stream::Stream;

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
    let (server, accepting) = sockeye_async::serve(Tcp(listener), local_addr, service, options);
    tokio::spawn(accepting);
    Ok(server)
}

/// A listener whose connections are tasks of tokio.
struct Tcp(TcpListener);

impl Listener for Tcp {
    type Transport = Stream<TcpStream>;
    type Sleep = TokioSleep;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Stream<TcpStream>, Address)>> {
        let (stream, address) = ready!(self.0.poll_accept(cx))?;
        set_nodelay(&stream);
        Poll::Ready(Ok((Stream::new(stream), address.into())))
    }

    fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(connection);
    }
}

#[cfg(test)]
mod tests {
    use sockeye_async::{Connection, MaybeTls};
    use sockeye_handler::{
        Context as HandlerContext, Decision, Handler, Message, Opening, Request,
    };

    use super::*;
    use crate::clock::TokioClock;

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
        // The cell of its task has 96 bytes of tokio's own and grows in steps of 128: with
        // this it is 384 bytes, and would be 256 from 160 on down.
        let size = size_of::<Connection<Nothing, MaybeTls<Stream<TcpStream>>, TokioClock>>();
        assert!(size <= 184, "{size}");
    }
}

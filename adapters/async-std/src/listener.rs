//! Where a server's connections come from.

use alloc::sync::Arc;
use core::future::Future;
use core::net::SocketAddr;
use core::task::{Context, Poll, ready};
use std::io;
use std::net::{TcpListener, TcpStream};

use async_io::Async;
use sockeye_async::Listener;
use sockeye_handler::Address;

use crate::clock::IoSleep;
use crate::stream::Stream;

/// What runs tasks.
pub(crate) trait Spawn: Unpin {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// A listener, and what runs its connections.
pub(crate) struct Tcp<P> {
    pub(crate) listener: Arc<Async<TcpListener>>,
    pub(crate) spawner: P,
}

impl<P: Spawn> Listener for Tcp<P> {
    /// Without the shared pointer that the runtimes' own sockets have around it.
    type Transport = Stream<Async<TcpStream>>;
    type Sleep = IoSleep;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Self::Transport, Address)>> {
        loop {
            match self.listener.get_ref().accept() {
                Ok((stream, address)) => {
                    set_nodelay(&stream);
                    let stream = Stream::new(Async::new(stream)?);
                    return Poll::Ready(Ok((stream, address.into())));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.listener.poll_readable(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        self.spawner.spawn(connection);
    }
}

/// Listens on the first of these addresses that can be listened on.
pub(crate) fn listen(
    addresses: impl IntoIterator<Item = SocketAddr>,
) -> io::Result<Async<TcpListener>> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match listen_on(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn listen_on(address: SocketAddr) -> io::Result<Async<TcpListener>> {
    let listener = Async::<TcpListener>::bind(address)?;
    // Listening again only changes the length of the queue.
    rustix::net::listen(listener.get_ref(), 4096)?;
    Ok(listener)
}

/// Nagle's algorithm waits for more to come; what leaves here is a whole batch.
pub(crate) fn set_nodelay(stream: &TcpStream) {
    // A failure means that the peer is gone, which the first read will tell.
    let _ = stream.set_nodelay(true);
}

#[cfg(test)]
mod tests {
    use sockeye_async::{Connection, MaybeTls};
    use sockeye_handler::{
        Context as HandlerContext, Decision, Handler, Message, Opening, Request, Service,
    };

    use super::*;
    use crate::clock::IoClock;

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
        let size = size_of::<Connection<Nothing, MaybeTls<Stream<Async<TcpStream>>>, IoClock>>();
        assert!(size <= 176, "{size}");
    }
}

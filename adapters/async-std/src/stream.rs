//! Any stream of `futures-io` as the transport of a connection.

use core::any::Any;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};
use std::net::{Shutdown, TcpStream};

use async_io::Async;
use futures_io::{AsyncRead, AsyncWrite};
use sockeye_async::Transport;

/// A stream of `futures-io`.
pub struct Stream<S>(S);

impl<S> Stream<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(stream)
    }

    /// The stream, to look at.
    pub fn get_ref(&self) -> &S {
        &self.0
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Transport for Stream<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.0).poll_close(cx))?;
        Poll::Ready(half_close(&self.0))
    }
}

/// Half-closes a socket.
///
/// `poll_close` of these two only flushes. Without an end of our bytes a client
/// waits for the close deadline (RFC 6455 §7.1.1). Every other stream has done by now
/// what its `poll_close` does.
fn half_close(stream: &dyn Any) -> io::Result<()> {
    if let Some(stream) = stream.downcast_ref::<Async<TcpStream>>() {
        return stream.get_ref().shutdown(Shutdown::Write);
    }
    #[cfg(feature = "async-std")]
    if let Some(stream) = stream.downcast_ref::<async_std::net::TcpStream>() {
        return stream.shutdown(Shutdown::Write);
    }
    Ok(())
}

impl<S> fmt::Debug for Stream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

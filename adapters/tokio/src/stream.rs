//! Any stream of tokio as the transport of a connection.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};

use sockeye_async::Transport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream of tokio.
pub struct Stream<S>(S);

impl<S> Stream<S> {
    /// Over any stream, for a [`WebSocket`](crate::WebSocket) whose handshake was made
    /// elsewhere.
    pub fn new(stream: S) -> Self {
        Self(stream)
    }

    /// The stream, to look at.
    pub fn get_ref(&self) -> &S {
        &self.0
    }
}

/// Reads by `poll_read` and not by `try_read`: after a short read tokio then knows
/// that there is no more, and the next call makes no system call.
impl<S: AsyncRead + AsyncWrite + Unpin> Transport for Stream<S> {
    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    #[inline]
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    #[inline]
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    #[inline]
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl<S> fmt::Debug for Stream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

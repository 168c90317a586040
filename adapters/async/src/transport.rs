//! What moves the bytes.

use core::task::{Context, Poll};
use std::io::{self, IoSlice};

/// A duplex stream of bytes that is polled: a socket, TLS over one, a pipe.
///
/// The methods are those of the usual asynchronous traits. `Pending` means that
/// the task of `cx` is woken when it is worth calling again.
pub trait Transport {
    /// Reads into `buffer`; 0 is the end of the peer's bytes.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes a beginning of `bytes`.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Writes a beginning of `slices`, in order.
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Passes on what the transport itself still holds of what was written.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Shuts the writing direction down.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

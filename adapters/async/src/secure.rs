//! A transport with or without TLS.

use core::fmt;
#[cfg(feature = "tls")]
use core::task::ready;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};
#[cfg(feature = "tls")]
use std::io::{ErrorKind, Read, Write};

#[cfg(feature = "tls")]
use sockeye_common::tls::Tls;

use crate::transport::Transport;

/// A transport, and TLS over it if there is any.
///
/// Without TLS it costs a branch and a pointer; without the feature `tls`, nothing.
pub struct MaybeTls<T> {
    transport: T,
    #[cfg(feature = "tls")]
    tls: Option<Box<Tls>>,
}

impl<T> MaybeTls<T> {
    /// As it is.
    pub fn plain(transport: T) -> Self {
        Self {
            transport,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// With TLS, if there is any.
    #[cfg(feature = "tls")]
    pub fn new(transport: T, tls: Option<Tls>) -> Self {
        Self {
            transport,
            tls: tls.map(Box::new),
        }
    }

    /// The transport below.
    pub fn get_ref(&self) -> &T {
        &self.transport
    }

    /// Whether there is TLS over it.
    pub fn is_secure(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }
}

/// What is done without TLS is inlined, and what is done with it stays out of its way.
impl<T: Transport> Transport for MaybeTls<T> {
    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return Polled(&mut self.transport, cx).read_from(tls, buffer);
        }
        self.transport.poll_read(cx, buffer)
    }

    #[inline]
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return Polled(&mut self.transport, cx).write_to(tls, &[IoSlice::new(bytes)]);
        }
        self.transport.poll_write(cx, bytes)
    }

    #[inline]
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return Polled(&mut self.transport, cx).write_to(tls, slices);
        }
        self.transport.poll_write_vectored(cx, slices)
    }

    #[inline]
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            ready!(Polled(&mut self.transport, cx).flush_from(tls))?;
        }
        self.transport.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            let closed = tls.close(&mut Polled(&mut self.transport, cx));
            ready!(unless_blocked(closed))?;
        }
        self.transport.poll_shutdown(cx)
    }
}

/// A transport that is polled, as a socket that does not block.
#[cfg(feature = "tls")]
struct Polled<'a, 'c, T>(&'a mut T, &'a mut Context<'c>);

#[cfg(feature = "tls")]
impl<T: Transport> Polled<'_, '_, T> {
    #[inline(never)]
    fn read_from(mut self, tls: &mut Tls, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match tls.read(&mut self, buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                self.1.waker().wake_by_ref();
                Poll::Pending
            }
            read => unless_blocked(read),
        }
    }

    #[inline(never)]
    fn write_to(mut self, tls: &mut Tls, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        unless_blocked(tls.write_vectored(&mut self, slices))
    }

    #[inline(never)]
    fn flush_from(mut self, tls: &mut Tls) -> Poll<io::Result<()>> {
        unless_blocked(tls.flush(&mut self))
    }
}

#[cfg(feature = "tls")]
impl<T: Transport> Read for Polled<'_, '_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        or_blocked(self.0.poll_read(self.1, buffer))
    }
}

#[cfg(feature = "tls")]
impl<T: Transport> Write for Polled<'_, '_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_blocked(self.0.poll_write(self.1, bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        or_blocked(self.0.poll_write_vectored(self.1, slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        or_blocked(self.0.poll_flush(self.1))
    }
}

#[cfg(feature = "tls")]
fn or_blocked<R>(polled: Poll<io::Result<R>>) -> io::Result<R> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

#[cfg(feature = "tls")]
fn unless_blocked<R>(result: io::Result<R>) -> Poll<io::Result<R>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

impl<T> fmt::Debug for MaybeTls<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaybeTls")
            .field("is_secure", &self.is_secure())
            .finish_non_exhaustive()
    }
}

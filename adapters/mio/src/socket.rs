//! A socket, with or without TLS.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;
#[cfg(feature = "tls")]
use sockeye_common::tls::Tls;

/// A non-blocking socket, and TLS over it if there is any.
pub(crate) struct Socket {
    stream: TcpStream,
    /// For whoever polls it: there is room for it here, and beside it there would be none.
    pub(crate) ready: Ready,
    #[cfg(feature = "tls")]
    tls: Option<Box<Tls>>,
}

/// What is known of the readiness of a socket.
pub(crate) struct Ready {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer will send no more, and there will be no other edge to say so.
    pub(crate) ended: bool,
}

/// What a new socket is to speak: with the feature `tls`, TLS if there is any.
#[cfg(feature = "tls")]
pub(crate) type Layer = Option<Tls>;
#[cfg(not(feature = "tls"))]
pub(crate) type Layer = Option<core::convert::Infallible>;

impl Socket {
    pub(crate) fn new(stream: TcpStream, layer: Layer) -> Self {
        #[cfg(not(feature = "tls"))]
        let None = layer;
        Self {
            stream,
            // What can be written is written without asking; what can be read will be told.
            ready: Ready {
                readable: false,
                writable: true,
                ended: false,
            },
            #[cfg(feature = "tls")]
            tls: layer.map(Box::new),
        }
    }

    /// Whether there is TLS over it.
    pub(crate) fn is_secure(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Whether something that was written has not left yet.
    pub(crate) fn holds_output(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.as_ref().is_some_and(|tls| tls.wants_write());
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Says that no more will follow. A socket that cannot be shut down is as good as
    /// one that is.
    ///
    /// # Errors
    ///
    /// Only [`WouldBlock`](io::ErrorKind::WouldBlock).
    pub(crate) fn shut_down(&mut self) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls
            && let Err(error) = tls.close(&mut self.stream)
            && error.kind() == io::ErrorKind::WouldBlock
        {
            return Err(error);
        }
        let _ = self.stream.shutdown(Shutdown::Write);
        Ok(())
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return tls.read(&mut self.stream, buffer);
        }
        self.stream.read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return tls.write_vectored(&mut self.stream, &[IoSlice::new(bytes)]);
        }
        self.stream.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return tls.write_vectored(&mut self.stream, slices);
        }
        self.stream.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return tls.flush(&mut self.stream);
        }
        Ok(())
    }
}

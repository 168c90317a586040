//! One side of one TLS connection.

use core::{fmt, mem};
use std::io::{self, ErrorKind, IoSlice, Read, Write};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection, ServerConnection};
use sockeye_core::handshake::Host;

use crate::scratch;

use super::config::{TlsClient, TlsServer};
use super::error::TlsError;

/// Reads of the socket that bring no byte of the application's, in one call; after
/// that the other connections of the thread have their turn.
const SILENT_READS: usize = 16;

/// Bytes of one write that are taken at once.
const OUTPUT_MAX: usize = 64 << 10;

/// Bytes to hand out above which no more are decrypted; rustls takes no more input
/// while it has more than that.
const PLAIN_MAX: usize = 16 << 10;

/// TLS over a socket that does not block, of either role.
///
/// The socket is an argument of each call and says [`ErrorKind::WouldBlock`] where it
/// would block; so do these methods. The handshake is made by whichever is called.
///
/// # Memory
///
/// At most 64 KiB of output waits here: as long as any does, nothing more is taken.
/// Input is read when all that came before was handed out, at most 16 KiB at a time, into
/// a buffer of the thread.
pub struct Tls {
    connection: Connection,
    /// Read from the socket and not decrypted yet.
    held: Vec<u8>,
    /// The last of our output is queued.
    is_closing: bool,
}

impl Tls {
    /// The client's side, of a server of that name.
    ///
    /// # Errors
    ///
    /// A name that no certificate can have.
    pub fn client(config: &TlsClient, host: &Host<'_>) -> Result<Self, TlsError> {
        let name = match *host {
            Host::Name(name) => ServerName::try_from(name)
                .map_err(|_| TlsError::InvalidName)?
                .to_owned(),
            Host::V4(address) => ServerName::from(core::net::IpAddr::V4(address)),
            Host::V6(address) => ServerName::from(core::net::IpAddr::V6(address)),
        };
        Ok(Self::new(
            ClientConnection::new(config.config(), name)?.into(),
        ))
    }

    /// The server's side.
    ///
    /// # Errors
    ///
    /// A configuration of the caller's that cannot be used.
    pub fn server(config: &TlsServer) -> Result<Self, TlsError> {
        Ok(Self::new(ServerConnection::new(config.config())?.into()))
    }

    fn new(connection: Connection) -> Self {
        Self {
            connection,
            held: Vec::new(),
            is_closing: false,
        }
    }

    /// Reads into `buffer`; 0 is the end of the peer's bytes.
    ///
    /// An end of the socket without TLS's own is one, too: HTTP and WebSocket know
    /// where a message ends, and most peers leave that way.
    ///
    /// # Errors
    ///
    /// Those of the socket; [`ErrorKind::Interrupted`] when it is somebody else's turn;
    /// a [`TlsError`], after which there is no more.
    pub fn read<S: Read + Write>(
        &mut self,
        socket: &mut S,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        for _ in 0..SILENT_READS {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            // It may be what the peer is waiting for. A socket that cannot be written
            // to may still have something to read.
            let _ = self.flush(socket);
            let taken = self.take_records(socket);
            // The answer to them, or the alert that tells the peer what was wrong.
            let _ = self.flush(socket);
            if taken? == 0 {
                return Ok(0);
            }
        }
        Err(ErrorKind::Interrupted.into())
    }

    /// Decrypts what was held back, or one read of the socket. 0 is its end.
    fn take_records(&mut self, socket: &mut impl Read) -> io::Result<usize> {
        if !self.held.is_empty() {
            let held = mem::take(&mut self.held);
            return self.decrypt(&held);
        }
        scratch::with_records(|buffer| {
            let n = socket.read(buffer)?;
            self.decrypt(buffer.get(..n).unwrap_or_default())
        })
    }

    /// Decrypts until there is as much to hand out as rustls keeps, and holds the rest.
    fn decrypt(&mut self, mut records: &[u8]) -> io::Result<usize> {
        let len = records.len();
        while !records.is_empty() {
            if self.connection.read_tls(&mut records)? == 0 {
                // What follows a close_notify is not the peer's.
                return Ok(len);
            }
            let state = self.connection.process_new_packets();
            let state = state.map_err(TlsError::from)?;
            if state.plaintext_bytes_to_read() >= PLAIN_MAX {
                self.held = records.to_vec();
                return Ok(len);
            }
        }
        Ok(len)
    }

    /// Takes a beginning of `slices`, and writes what the socket takes of it.
    ///
    /// During the handshake it is kept until that is done.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn write_vectored<S: Write>(
        &mut self,
        socket: &mut S,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        self.flush(socket)?;
        // Nobody would be told that the handshake is done, and before it there is no
        // more to write than the request.
        let is_handshaking = self.connection.is_handshaking();
        let limit = (!is_handshaking).then_some(OUTPUT_MAX);
        self.connection.set_buffer_limit(limit);
        let taken = self.connection.writer().write_vectored(slices)?;
        match self.flush(socket) {
            // It is taken all the same; the next call waits.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(taken),
            flushed => flushed.map(|()| taken),
        }
    }

    /// Writes what waits here.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn flush(&mut self, socket: &mut impl Write) -> io::Result<()> {
        while self.connection.wants_write() {
            match self.connection.write_tls(socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Says that no more will follow; the socket's own end is to come after it.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn close(&mut self, socket: &mut impl Write) -> io::Result<()> {
        if !self.is_closing {
            self.is_closing = true;
            self.connection.send_close_notify();
        }
        self.flush(socket)
    }

    /// Whether something waits for the socket.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("is_handshaking", &self.connection.is_handshaking())
            .finish_non_exhaustive()
    }
}

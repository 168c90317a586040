//! A socket, and what is known of its readiness.

use core::task::Poll;
use std::io::{self, ErrorKind, IoSlice, Read, Write};

use mio::event::Event;
use sockeye_common::{SLICES, gather, scratch};
use sockeye_core::{Endpoint, Output, Time, Transmit};

use crate::socket::Socket;

/// Whether a call that moved less than it could have says as much as one that would have
/// blocked. Elsewhere only the latter has the system tell the next change.
const SHORT_IS_LAST: bool = cfg!(unix);

/// A non-blocking socket that is registered for edges.
///
/// An edge comes once, so what it said is kept until a call finds that it does not
/// hold any more. Whoever stops before that, because of back-pressure or to let others
/// have their turn, goes on later without an edge.
pub(crate) struct Wire {
    socket: Socket,
}

impl Wire {
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket }
    }

    /// Takes over what an edge says. Returns whether it is news.
    pub(crate) fn note(&mut self, event: &Event) -> bool {
        let ended = event.is_read_closed() || event.is_error();
        let readable = event.is_readable() || ended;
        let writable = event.is_writable() || event.is_write_closed() || event.is_error();
        let ready = &mut self.socket.ready;
        let is_news = (readable && !ready.readable) || (writable && !ready.writable);
        ready.readable |= readable;
        ready.writable |= writable;
        ready.ended |= ended;
        is_news
    }

    /// Has the next read look for itself, whatever the edges have said.
    pub(crate) fn suspect_input(&mut self) {
        self.socket.ready.readable = true;
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.socket.ready.readable
    }

    /// Reads once. Call it while it [`is_readable`](Self::is_readable) and the endpoint
    /// wants input.
    pub(crate) fn read<E: Endpoint>(&mut self, endpoint: &mut E, now: Time) -> Option<E::Item> {
        if let Some(target) = endpoint.read_target() {
            let read = self.read_into(target);
            if let Some(n) = progress(endpoint, read, now) {
                endpoint.handle_read(n, now);
            }
            return None;
        }
        let received = scratch::receive(endpoint, now, |buffer| {
            if !self.socket.ready.readable {
                return Poll::Pending;
            }
            match self.read_into(buffer) {
                Err(error) if is_for_later(&error) => Poll::Pending,
                read => Poll::Ready(read),
            }
        });
        match received {
            Poll::Ready(item) => item,
            Poll::Pending => None,
        }
    }

    /// Writes until there is nothing left or the socket takes no more.
    pub(crate) fn write(&mut self, endpoint: &mut impl Endpoint, now: Time) {
        while let Some(transmit) = endpoint.poll_transmit() {
            if !self.socket.ready.writable {
                // What came before may have been taken whole, by TLS: the deadline of
                // what waits behind it begins here.
                if matches!(transmit, Transmit::Write(_)) {
                    endpoint.handle_written(0, now);
                }
                break;
            }
            let written = match transmit {
                Transmit::Write(output) => self.write_once(output),
                Transmit::Shutdown => {
                    match self.socket.shut_down() {
                        Ok(()) => endpoint.handle_shutdown(now),
                        Err(_) => self.socket.ready.writable = false,
                    }
                    continue;
                }
            };
            match written {
                Ok(0) => endpoint.handle_error(now),
                Ok(n) => endpoint.handle_written(n, now),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.socket.ready.writable = false;
                    endpoint.handle_written(0, now);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => endpoint.handle_error(now),
            }
        }
        if self.socket.ready.writable && self.socket.holds_output() {
            match self.socket.flush() {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.socket.ready.writable = false;
                }
                Err(_) => endpoint.handle_error(now),
            }
        }
    }

    /// Whether something that the endpoint has handed over has not left yet.
    pub(crate) fn holds_output(&self) -> bool {
        self.socket.holds_output()
    }

    /// TLS has its own reasons to move less.
    fn is_short_last(&self) -> bool {
        SHORT_IS_LAST && !self.socket.is_secure()
    }

    /// A short read means that there is no more for now, without another call to say
    /// so, unless the end has been announced: that is still to be read. Once it was, it is
    /// what every read says.
    fn read_into(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.socket.read(buffer);
        match &read {
            Ok(n) => {
                let ready = &self.socket.ready;
                let is_more = *n == 0 || *n == buffer.len() || ready.ended || !self.is_short_last();
                self.socket.ready.readable = is_more;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.socket.ready.readable = false;
            }
            Err(_) => {}
        }
        read
    }

    /// One write: of the one slice there usually is, or of several together. A short one
    /// means that there is no more room for now.
    fn write_once(&mut self, output: Output<'_>) -> io::Result<usize> {
        let (written, offered) = if output.is_single() {
            let slice = output.first();
            (self.socket.write(slice), slice.len())
        } else {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let slices = gather(&output, &mut slices);
            let offered = slices.iter().map(|slice| slice.len()).sum();
            (self.socket.write_vectored(slices), offered)
        };
        if let Ok(n) = &written {
            self.socket.ready.writable = *n == offered || !self.is_short_last();
        }
        written
    }
}

/// The bytes of a read, or `None` after telling the endpoint that it was the last.
fn progress(endpoint: &mut impl Endpoint, read: io::Result<usize>, now: Time) -> Option<usize> {
    match read {
        Ok(0) => endpoint.handle_eof(now),
        Ok(n) => return Some(n),
        Err(error) if is_for_later(&error) => {}
        Err(_) => endpoint.handle_error(now),
    }
    None
}

/// Whether it says only that the same call is to be made again.
fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

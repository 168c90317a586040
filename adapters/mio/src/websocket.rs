//! One connection as a value to receive from and send to, for plain threads.

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use sockeye_common::opening::Opened;
use sockeye_common::{Until, begin_close};
use sockeye_core::handshake::Response;
use sockeye_core::{CloseCode, Closed, Frame, Incoming, Outgoing, OwnedMessage, SendError, Sender};

use crate::link::{Link, TimedOut, after};

/// A WebSocket connection, of either role, whose methods block.
///
/// ```text
/// while let Some(message) = ws.recv() {
///     ws.send(message)?;
/// }
/// ```
///
/// There is no thread behind it: bytes move, Pings are answered and deadlines run
/// while a thread is in one of its methods. A program that only receives still answers
/// Pings and closes; one that does something else for long should [`split`](Self::split)
/// it, and leave a thread in [`recv`](RecvHalf::recv).
///
/// # When what is sent leaves
///
/// [`send`](Self::send) writes at once, unless a whole frame that was already read
/// still waits for [`recv`](Self::recv), which most often is the next message: then
/// the answers to all that one read brought leave in one write, when `recv` has
/// nothing more to hand out and would wait. A program that receives and then
/// waits for something else, without `send` having written, calls
/// [`flush`](Self::flush) first; until then or the next `recv` no deadline is looked
/// at either.
///
/// # How it ends
///
/// `recv` returns `None`, however the connection ended, and
/// [`closed`](Self::closed) tells how: a close handshake is no error. Dropping it
/// drops the socket without one; [`close`](Self::close) is the polite way.
pub struct WebSocket {
    link: Link,
    peer: SocketAddr,
    opened: Opened,
    closed: Option<Closed>,
}

impl WebSocket {
    pub(crate) fn new(link: Link, peer: SocketAddr, opened: Opened) -> Self {
        Self {
            link,
            peer,
            opened,
            closed: None,
        }
    }

    /// The next message; `None` once the connection has ended and its last byte
    /// has been written.
    ///
    /// After the peer's Close that takes until it has ended the transport, for
    /// which it has [`close_timeout`](sockeye_core::Config::close_timeout).
    pub fn recv(&mut self) -> Option<OwnedMessage> {
        recv(&self.link, &mut self.closed)
    }

    /// Like [`recv`](Self::recv), for at most this long.
    ///
    /// # Errors
    ///
    /// If no message has come; the next call goes on where this one stopped.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<OwnedMessage>, TimedOut> {
        recv_timeout(&self.link, &mut self.closed, timeout)
    }

    /// Like [`recv`](Self::recv), with the Pings, the Pongs and the end among the
    /// messages.
    pub fn incoming(&mut self) -> Option<Incoming> {
        incoming(&self.link, &mut self.closed)
    }

    /// Sends a message.
    ///
    /// It is queued, and written at once or later: see above. This waits only while
    /// more than the soft mark is queued, at most for
    /// [`write_timeout`](sockeye_core::Config::write_timeout) if nothing leaves.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`] and [`SendError::Closed`] when it is too late, and
    /// the others as in [`Sender::send`].
    pub fn send<'m>(&mut self, message: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        self.sender().send(message)?;
        self.settle()
    }

    /// Sends a frame that was encoded once for many connections.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_frame(&mut self, frame: &Frame) -> Result<(), SendError> {
        self.sender().send_frame(frame)?;
        self.settle()
    }

    /// Sends a Ping of at most 125 bytes; [`incoming`](Self::incoming) gives the Pong.
    ///
    /// # Errors
    ///
    /// As [`Sender::ping`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.sender().ping(payload)?;
        self.settle()
    }

    /// Waits until all that was sent has been handed to the system.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if the connection ended before.
    pub fn flush(&mut self) -> Result<(), SendError> {
        self.link.write(Until::Empty)
    }

    /// Closes: sends a Close frame behind what is queued, and waits for the
    /// peer's and for the end of the transport.
    ///
    /// Messages that still come are dropped: to receive them, give the Close to
    /// [`sender`](Self::sender) and go on with [`recv`](Self::recv). It is no error
    /// if the connection is closing or closed already;
    /// [`closed`](Self::closed) tells how it ended.
    ///
    /// # Errors
    ///
    /// [`SendError::CloseCode`] and [`SendError::TooLong`]; the connection is as
    /// before.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        begin_close(self.sender(), code, reason)?;
        while self.incoming().is_some() {}
        Ok(())
    }

    /// How the connection ended, once [`recv`](Self::recv) has returned `None` or
    /// [`incoming`](Self::incoming) has said so.
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// The subprotocol that was agreed on.
    pub fn subprotocol(&self) -> Option<&str> {
        self.opened.subprotocol.as_deref()
    }

    /// The server's response, on a client.
    pub fn response(&self) -> Option<&Response> {
        self.opened.response.as_ref()
    }

    /// Where the other side is.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// The protocol's own sending half: what is given to it leaves with the next
    /// method that is called, [`flush`](Self::flush) for example.
    ///
    /// Several small messages go out in one write in this way, and large ones in
    /// fragments.
    pub fn sender(&mut self) -> &mut Sender {
        self.link.sender()
    }

    /// Splits it in two that can be used from two threads.
    ///
    /// Each half moves the bytes that it needs by itself, and whichever waits also
    /// keeps the time. Pings are answered while the receiving half waits.
    pub fn split(self) -> (SendHalf, RecvHalf) {
        let link = Arc::new(self.link);
        let send = SendHalf(Arc::clone(&link));
        let closed = self.closed;
        (send, RecvHalf { link, closed })
    }

    /// Writes, unless more answers are to come; waits only above the soft mark.
    fn settle(&self) -> Result<(), SendError> {
        if self.link.may_hold_back() {
            return Ok(());
        }
        self.link.write(Until::BelowMark)
    }
}

/// The sending half of a [`WebSocket`]; each clone sends on the same connection.
#[derive(Clone)]
pub struct SendHalf(Arc<Link>);

impl SendHalf {
    /// As [`WebSocket::send`], but always written at once: the receiving half may be
    /// busy elsewhere.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send<'m>(&self, message: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        self.0.queue(|sender| sender.send(message))?;
        self.0.write(Until::BelowMark)
    }

    /// As [`WebSocket::send_frame`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_frame(&self, frame: &Frame) -> Result<(), SendError> {
        self.0.queue(|sender| sender.send_frame(frame))?;
        self.0.write(Until::BelowMark)
    }

    /// As [`WebSocket::ping`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn ping(&self, payload: &[u8]) -> Result<(), SendError> {
        self.0.queue(|sender| sender.ping(payload))?;
        self.0.write(Until::BelowMark)
    }

    /// As [`WebSocket::flush`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn flush(&self) -> Result<(), SendError> {
        self.0.write(Until::Empty)
    }

    /// Sends a Close frame behind what is queued, and waits until it is written.
    ///
    /// The receiving half goes on until it has the peer's answer. It is no error if
    /// the connection is closing or closed already.
    ///
    /// # Errors
    ///
    /// [`SendError::CloseCode`] and [`SendError::TooLong`]; the connection is as
    /// before.
    pub fn close(&self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.0.queue(|sender| begin_close(sender, code, reason))?;
        match self.flush() {
            Err(SendError::Closed) => Ok(()),
            flushed => flushed,
        }
    }
}

/// The receiving half of a [`WebSocket`].
pub struct RecvHalf {
    link: Arc<Link>,
    closed: Option<Closed>,
}

impl RecvHalf {
    /// As [`WebSocket::recv`].
    pub fn recv(&mut self) -> Option<OwnedMessage> {
        recv(&self.link, &mut self.closed)
    }

    /// As [`WebSocket::recv_timeout`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<OwnedMessage>, TimedOut> {
        recv_timeout(&self.link, &mut self.closed, timeout)
    }

    /// As [`WebSocket::incoming`].
    pub fn incoming(&mut self) -> Option<Incoming> {
        incoming(&self.link, &mut self.closed)
    }

    /// As [`WebSocket::closed`].
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }
}

fn recv(link: &Link, closed: &mut Option<Closed>) -> Option<OwnedMessage> {
    loop {
        if let Incoming::Message(message) = incoming(link, closed)? {
            return Some(message);
        }
    }
}

fn recv_timeout(
    link: &Link,
    closed: &mut Option<Closed>,
    timeout: Duration,
) -> Result<Option<OwnedMessage>, TimedOut> {
    let until = after(timeout);
    loop {
        match note_end(link.incoming(Some(until))?, closed) {
            Some(Incoming::Message(message)) => return Ok(Some(message)),
            Some(_) => {}
            None => return Ok(None),
        }
    }
}

fn incoming(link: &Link, closed: &mut Option<Closed>) -> Option<Incoming> {
    match link.incoming(None) {
        Ok(incoming) => note_end(incoming, closed),
        // There is no time-out to run into.
        Err(TimedOut) => None,
    }
}

fn note_end(incoming: Option<Incoming>, closed: &mut Option<Closed>) -> Option<Incoming> {
    if let Some(Incoming::Closed(how)) = &incoming {
        *closed = Some(how.clone());
    }
    incoming
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("peer", &self.peer)
            .field("opened", &self.opened)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SendHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendHalf").finish_non_exhaustive()
    }
}

impl fmt::Debug for RecvHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvHalf")
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

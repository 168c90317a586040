//! What a handler can do with its connection.

use sockeye_core::{
    CloseCode, Frame, MessageKind, Outgoing, SendError, Sender, SharedConfig, Time,
};

use crate::address::Address;
use crate::own::Own;
use crate::peer::{Peer, PeerError};

/// One connection, as its handler sees it during a call.
pub struct Context<'a> {
    sender: &'a mut Sender,
    own: &'a mut Own,
    outward: Option<&'a mut (dyn Outward + 'a)>,
    now: Time,
}

impl<'a> Context<'a> {
    pub(crate) fn new(sender: &'a mut Sender, own: &'a mut Own, now: Time) -> Self {
        Self {
            sender,
            own,
            outward: None,
            now,
        }
    }

    /// Queues a message; it is written when the handler is done with what one read brought.
    ///
    /// # Errors
    ///
    /// See [`Sender::send`]. The message is dropped. That the connection is closing is
    /// usually nothing to act upon: [`on_close`](crate::Handler::on_close) will tell.
    pub fn send<'m>(&mut self, message: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        match &mut self.outward {
            None => self.sender.send(message),
            Some(outward) => outward.send(message.into(), self.sender, self.own, self.now),
        }
    }

    /// Queues a frame that was encoded once for many connections.
    ///
    /// A layer sees it as a message.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_frame(&mut self, frame: &Frame) -> Result<(), SendError> {
        match &mut self.outward {
            None => self.sender.send_frame(frame),
            Some(outward) => outward.send(frame.into(), self.sender, self.own, self.now),
        }
    }

    /// Queues a frame behind what others have queued at this connection's [`Peer`] so far.
    ///
    /// [`send`](Self::send) goes ahead of that. With this one a handler that answers and is sent
    /// to from elsewhere keeps one order for both, as far as whoever sends agrees with it on a
    /// moment, by a lock for example. Layers do not see it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_in_turn(&mut self, frame: &Frame) -> Result<(), SendError> {
        self.in_turn(frame, Peer::push_behind)
    }

    /// The same for a frame that is kept elsewhere anyway, such as in a history.
    ///
    /// While it waits it costs its place in the queue and not its length, so any number can be
    /// sent at once: what was missed, for example, which may be more than the queue may hold.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), but never because the queue is full.
    pub fn send_kept_in_turn(&mut self, frame: &Frame) -> Result<(), SendError> {
        self.in_turn(frame, Peer::push_kept_behind)
    }

    fn in_turn(
        &mut self,
        frame: &Frame,
        push: impl FnOnce(&Peer, &Frame) -> Result<(), PeerError>,
    ) -> Result<(), SendError> {
        let peer = self.own.peer(self.sender.config().hard_mark);
        if !peer.take_queue(self.sender) && !self.sender.wants_flush() {
            return self.sender.send_frame(frame);
        }
        // The session moves on what is left when there is room for it again.
        push(peer, frame).map_err(|error| match error {
            PeerError::Full => SendError::Full,
            PeerError::Closed => SendError::Closing,
        })
    }

    /// Queues a Ping, ahead of waiting data. At most 125 bytes.
    ///
    /// # Errors
    ///
    /// See [`Sender::ping`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.sender.ping(payload)
    }

    /// Queues a Close frame behind the data that is queued, and begins to close.
    ///
    /// # Errors
    ///
    /// See [`Sender::close`].
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.sender.close(code, reason)
    }

    /// Gives up without a close handshake.
    pub fn abort(&mut self) {
        self.sender.abort();
    }

    /// Begins a message that is sent in fragments. Layers do not see those.
    ///
    /// # Errors
    ///
    /// See [`Sender::begin`].
    pub fn begin(&mut self, kind: MessageKind) -> Result<(), SendError> {
        self.sender.begin(kind)
    }

    /// The same for a message that must not be compressed.
    ///
    /// # Errors
    ///
    /// See [`Sender::begin_uncompressed`].
    pub fn begin_uncompressed(&mut self, kind: MessageKind) -> Result<(), SendError> {
        self.sender.begin_uncompressed(kind)
    }

    /// Sends the next fragment.
    ///
    /// # Errors
    ///
    /// See [`Sender::append`].
    pub fn append(&mut self, fragment: &[u8]) -> Result<(), SendError> {
        self.sender.append(fragment)
    }

    /// Sends the last fragment.
    ///
    /// # Errors
    ///
    /// See [`Sender::finish`].
    pub fn finish(&mut self, fragment: &[u8]) -> Result<(), SendError> {
        self.sender.finish(fragment)
    }

    /// Stops receiving after this call, in the middle of a read if need be.
    ///
    /// What was read is kept, and the peer is slowed down by its transport. Pings are not
    /// answered meanwhile, so resume within the other side's patience.
    pub fn pause(&mut self) {
        self.sender.pause();
    }

    /// Receives again.
    pub fn resume(&mut self) {
        self.sender.resume();
    }

    /// Asks for [`on_timer`](crate::Handler::on_timer) once `at` has come.
    ///
    /// A key has one time, the newest. Adapters may be coarse: expect up to 0.1 s of delay.
    pub fn set_timer(&mut self, key: u64, at: Time) {
        self.own.set_timer(key, at);
    }

    /// Forgets a timer, if it is set.
    pub fn clear_timer(&mut self, key: u64) {
        self.own.clear_timer(key);
    }

    /// This connection's handle for everybody else, made on first use.
    pub fn peer(&mut self) -> Peer {
        self.own.peer(self.sender.config().hard_mark).clone()
    }

    /// Calls `inner` with a context whose sends go through `on_send`.
    ///
    /// This is how a handler that stands around another one sees what that one sends:
    /// `on_send` gets each message and a context that sends one step further out, and may
    /// send something else, several messages, or nothing. What goes through a [`Peer`] or in
    /// fragments is not intercepted.
    pub fn layered<R>(
        &mut self,
        on_send: impl FnMut(Outgoing<'_>, &mut Context<'_>) -> Result<(), SendError>,
        inner: impl FnOnce(&mut Context<'_>) -> R,
    ) -> R {
        let mut step = Step {
            on_send,
            outward: match &mut self.outward {
                Some(outward) => Some(&mut **outward),
                None => None,
            },
        };
        inner(&mut Context {
            sender: self.sender,
            own: self.own,
            outward: Some(&mut step),
            now: self.now,
        })
    }

    /// The time of this call.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Where the peer is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.own.address
    }

    /// The settings of the connection.
    #[must_use]
    pub fn config(&self) -> &SharedConfig {
        self.sender.config()
    }

    /// Bytes of output that are queued and not yet written.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.sender.buffered()
    }

    /// Whether the output queue is at or below the soft mark. If not,
    /// [`on_writable`](crate::Handler::on_writable) will say when it is again.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        !self.sender.wants_flush()
    }

    /// Whether messages can be sent: no Close has been sent or received.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.sender.is_open()
    }
}

/// Where a layered context sends to.
trait Outward {
    fn send(
        &mut self,
        message: Outgoing<'_>,
        sender: &mut Sender,
        own: &mut Own,
        now: Time,
    ) -> Result<(), SendError>;
}

/// One layer, and the next one outward.
struct Step<'a, F> {
    on_send: F,
    outward: Option<&'a mut (dyn Outward + 'a)>,
}

impl<F> Outward for Step<'_, F>
where
    F: FnMut(Outgoing<'_>, &mut Context<'_>) -> Result<(), SendError>,
{
    fn send(
        &mut self,
        message: Outgoing<'_>,
        sender: &mut Sender,
        own: &mut Own,
        now: Time,
    ) -> Result<(), SendError> {
        let mut cx = Context {
            sender,
            own,
            outward: match &mut self.outward {
                Some(outward) => Some(&mut **outward),
                None => None,
            },
            now,
        };
        (self.on_send)(message, &mut cx)
    }
}

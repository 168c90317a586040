//! The sending half of a connection: the queue of output.

use core::fmt;

use crate::close::CloseCode;
use crate::frame::Frame;
use crate::message::{MessageKind, Outgoing};

/// The sending half of a [`Connection`](crate::Connection).
///
/// It comes with every event, so that a message can be answered while its
/// payload is still borrowed.
pub struct Sender {
    _todo: (),
}

impl Sender {
    /// Queues a message.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] if more than [`Config::hard_mark`](crate::Config)
    /// bytes are queued already, [`SendError::Closing`] after [`close`](Self::close),
    /// [`SendError::Closed`] when the connection has ended, [`SendError::Fragmenting`]
    /// between [`begin`](Self::begin) and [`finish`](Self::finish). The message is
    /// dropped.
    pub fn send<'m>(&mut self, message: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        let _ = message.into();
        todo!()
    }
    /// Queues a frame that was encoded once for many connections.
    pub fn send_frame(&mut self, frame: &Frame) -> Result<(), SendError> {
        let _ = frame;
        todo!()
    }
    /// Begins a message that is sent in fragments.
    pub fn begin(&mut self, kind: MessageKind) -> Result<(), SendError> {
        let _ = kind;
        todo!()
    }
    /// Sends the next fragment.
    pub fn append(&mut self, fragment: &[u8]) -> Result<(), SendError> {
        let _ = fragment;
        todo!()
    }
    /// Sends the last fragment.
    pub fn finish(&mut self, fragment: &[u8]) -> Result<(), SendError> {
        let _ = fragment;
        todo!()
    }
    /// Queues a Ping, ahead of waiting data. At most 125 bytes. A ping that is still unsent is replaced.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        let _ = payload;
        todo!()
    }
    /// Queues an unsolicited Pong.
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        let _ = payload;
        todo!()
    }
    /// Queues a Close frame behind the data that is queued, and starts the close handshake.
    ///
    /// [`CloseCode::NO_STATUS`] sends a Close frame without a payload.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        let _ = (code, reason);
        todo!()
    }
    /// Stops receiving: `wants_input()` turns false, and no further event comes.
    pub fn pause(&mut self) {
        todo!()
    }
    /// Receives again.
    pub fn resume(&mut self) {
        todo!()
    }
    /// Gives up without a close handshake.
    pub fn abort(&mut self) {
        todo!()
    }
    /// Bytes of output that are queued and not yet written.
    #[must_use]
    pub fn buffered(&self) -> usize {
        todo!()
    }
    /// Whether messages can be sent: no Close has been sent or received.
    #[must_use]
    pub fn is_open(&self) -> bool {
        todo!()
    }
}

/// Why a call to send was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is closing: our Close is queued.
    Closing,
    /// The connection has ended.
    Closed,
    /// The output queue is above its hard mark.
    Full,
    /// A fragmented message is open, or none is.
    Fragmenting,
    /// A control payload is longer than 125 bytes, or a close reason than 123.
    TooLong,
    /// The close code must not be sent (RFC 6455 §7.4).
    CloseCode,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closing => "the connection is closing",
            Self::Closed => "the connection is closed",
            Self::Full => "the output queue is full",
            Self::Fragmenting => "the call does not fit an open fragmented message",
            Self::TooLong => "a control frame carries at most 125 bytes",
            Self::CloseCode => "this close code must not be sent",
        })
    }
}

impl core::error::Error for SendError {}

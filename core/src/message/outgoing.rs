//! What can be sent.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::owned::{BinaryStorage, Inline, TextStorage};
use super::{Binary, Lent, Message, MessageKind, OwnedBinary, OwnedMessage, OwnedText, Text};
use crate::frame::Frame;

/// A message to send: anything that converts into it.
///
/// Borrowed payloads are copied into the output queue. Owned ones are moved
/// there, without a copy when they are large.
pub struct Outgoing<'a> {
    pub(crate) kind: MessageKind,
    pub(crate) payload: Payload<'a>,
    #[cfg(feature = "deflate")]
    pub(crate) compression: Compression,
}

/// Whether a message may be compressed, where that was agreed on.
#[cfg(feature = "deflate")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Compression {
    #[default]
    Allowed,
    Refused,
}

pub(crate) enum Payload<'a> {
    Lent(&'a [u8]),
    /// Worth keeping by reference.
    Owned(Bytes),
    /// Owned, but too short for that.
    Heap(Vec<u8>),
    /// Shorter still.
    Inline(Inline),
}

impl Payload<'_> {
    #[inline(always)]
    fn take(&mut self) -> Self {
        match self {
            Self::Lent(bytes) => Self::Lent(core::mem::take(bytes)),
            Self::Owned(bytes) => Self::Owned(core::mem::take(bytes)),
            Self::Heap(bytes) => Self::Heap(core::mem::take(bytes)),
            Self::Inline(inline) => Self::Inline(*inline),
        }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Payload::Lent(bytes) => bytes,
            Payload::Owned(bytes) => bytes,
            Payload::Heap(bytes) => bytes,
            Payload::Inline(inline) => inline.as_slice(),
        }
    }
}

impl<'a> Outgoing<'a> {
    /// A text message.
    #[must_use]
    pub const fn text(text: &'a str) -> Self {
        Self::new(MessageKind::Text, Payload::Lent(text.as_bytes()))
    }

    /// A binary message.
    #[must_use]
    pub const fn binary(bytes: &'a [u8]) -> Self {
        Self::new(MessageKind::Binary, Payload::Lent(bytes))
    }

    /// Never compressed, whatever was agreed on with the peer.
    ///
    /// For what holds a secret: compressed together with something that an attacker
    /// chooses, its length would tell what it is (RFC 7692 §8). Without the feature
    /// `deflate` nothing is ever compressed.
    #[must_use]
    pub fn uncompressed(self) -> Self {
        Self {
            #[cfg(feature = "deflate")]
            compression: Compression::Refused,
            ..self
        }
    }

    #[inline]
    const fn new(kind: MessageKind, payload: Payload<'a>) -> Self {
        Self {
            kind,
            payload,
            #[cfg(feature = "deflate")]
            compression: Compression::Allowed,
        }
    }

    /// Text or binary.
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The payload, whichever the kind.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.payload.as_slice()
    }

    /// Takes the message out of where it is, and leaves something that is not to be sent.
    ///
    /// For a future that sends when it is first polled: part by part, where
    /// `Option::take` would read at once what was only just written in parts, and wait.
    #[must_use]
    #[inline(always)]
    pub fn take(&mut self) -> Self {
        Self {
            kind: self.kind,
            payload: self.payload.take(),
            #[cfg(feature = "deflate")]
            compression: self.compression,
        }
    }

    /// Keeps the message: copies what is lent.
    #[must_use]
    pub fn into_owned(self) -> OwnedMessage {
        match (self.kind, self.payload) {
            (MessageKind::Binary, Payload::Owned(bytes)) => bytes.into(),
            (MessageKind::Binary, Payload::Heap(bytes)) => {
                OwnedMessage::Binary(OwnedBinary(BinaryStorage::Heap(bytes)))
            }
            (MessageKind::Binary, payload) => payload.as_slice().into(),
            (MessageKind::Text, payload) => {
                // It was made from a `str`.
                let text = core::str::from_utf8(payload.as_slice()).unwrap_or_default();
                OwnedMessage::Text(text.into())
            }
        }
    }
}

impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("kind", &self.kind)
            .field("len", &self.payload.as_slice().len())
            .finish_non_exhaustive()
    }
}

impl<'a> From<&'a str> for Outgoing<'a> {
    fn from(text: &'a str) -> Self {
        Self::text(text)
    }
}

impl<'a> From<&'a String> for Outgoing<'a> {
    fn from(text: &'a String) -> Self {
        Self::text(text)
    }
}

impl From<String> for Outgoing<'_> {
    fn from(text: String) -> Self {
        Self::new(MessageKind::Text, Payload::Owned(text.into()))
    }
}

impl<'a> From<&'a [u8]> for Outgoing<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::binary(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Outgoing<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::binary(bytes)
    }
}

impl From<Vec<u8>> for Outgoing<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<Bytes> for Outgoing<'_> {
    fn from(bytes: Bytes) -> Self {
        Self::new(MessageKind::Binary, Payload::Owned(bytes))
    }
}

impl<'a> From<Message<'a>> for Outgoing<'a> {
    #[inline]
    fn from(message: Message<'a>) -> Self {
        match message {
            Message::Text(Text(Lent::Input(text))) => Self::text(text),
            Message::Text(Text(Lent::Assembled(text))) => core::mem::take(text).into(),
            Message::Binary(Binary(Lent::Input(bytes))) => Self::binary(bytes),
            Message::Binary(Binary(Lent::Assembled(bytes))) => core::mem::take(bytes).into(),
        }
    }
}

impl<'a> From<&'a Message<'_>> for Outgoing<'a> {
    fn from(message: &'a Message<'_>) -> Self {
        Self::new(message.kind(), Payload::Lent(message.as_bytes()))
    }
}

/// By reference: the payload of an encoded frame.
impl From<&Frame> for Outgoing<'_> {
    fn from(frame: &Frame) -> Self {
        let payload = frame.encoded().slice_ref(frame.payload());
        Self {
            #[cfg(feature = "deflate")]
            compression: frame.compressed().compression(),
            ..Self::new(frame.kind(), Payload::Owned(payload))
        }
    }
}

impl From<OwnedMessage> for Outgoing<'_> {
    #[inline]
    fn from(message: OwnedMessage) -> Self {
        match message {
            OwnedMessage::Text(OwnedText(TextStorage::Inline(inline))) => {
                Self::new(MessageKind::Text, Payload::Inline(inline))
            }
            OwnedMessage::Text(OwnedText(TextStorage::Heap(text))) => text.into(),
            OwnedMessage::Binary(OwnedBinary(BinaryStorage::Inline(inline))) => {
                Self::new(MessageKind::Binary, Payload::Inline(inline))
            }
            OwnedMessage::Binary(OwnedBinary(BinaryStorage::Heap(bytes))) => {
                Self::new(MessageKind::Binary, Payload::Heap(bytes))
            }
            OwnedMessage::Binary(OwnedBinary(BinaryStorage::Shared(bytes))) => bytes.into(),
        }
    }
}

impl<'a> From<&'a OwnedMessage> for Outgoing<'a> {
    fn from(message: &'a OwnedMessage) -> Self {
        Self::new(message.kind(), Payload::Lent(message.as_bytes()))
    }
}

//! Messages as they are received, lent or owned, and what can be sent.

mod outgoing;
mod owned;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use bytes::Bytes;

#[cfg(feature = "deflate")]
pub(crate) use self::outgoing::Compression;
pub use self::outgoing::Outgoing;
pub(crate) use self::outgoing::Payload;
pub(crate) use self::owned::{INLINE, Inline};
pub use self::owned::{OwnedBinary, OwnedMessage, OwnedText};

/// Text or binary (RFC 6455 §5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// UTF-8 text, opcode 1.
    Text,
    /// Arbitrary bytes, opcode 2.
    Binary,
}

/// A received message, lent until the next call.
///
/// A message that lies whole in the caller's read buffer is lent from there. One
/// that was cut is lent from where it was assembled; [`into_owned`] then hands
/// that buffer over without a copy, unless it is text of nothing but ASCII: its
/// buffer serves the next message.
///
/// [`into_owned`]: Message::into_owned
#[derive(Debug)]
pub enum Message<'a> {
    /// Valid UTF-8, checked.
    Text(Text<'a>),
    /// Arbitrary bytes.
    Binary(Binary<'a>),
}

impl Message<'_> {
    /// Text or binary.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        match self {
            Self::Text(_) => MessageKind::Text,
            Self::Binary(_) => MessageKind::Binary,
        }
    }

    /// The payload, whichever the kind.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(binary) => binary,
        }
    }

    /// Keeps the message: copies what is lent, takes what was assembled to be kept.
    #[must_use]
    pub fn into_owned(self) -> OwnedMessage {
        match self {
            Self::Text(text) => OwnedMessage::Text(text.into_owned()),
            Self::Binary(binary) => OwnedMessage::Binary(binary.into_owned()),
        }
    }
}

/// A message that was not received: what a layer gives its inner handler instead.
impl<'a> From<&'a str> for Message<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Text(Lent::Input(text)))
    }
}

/// As from text.
impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(Binary(Lent::Input(bytes)))
    }
}

/// The payload of a received text message. Dereferences to `str`.
pub struct Text<'a>(pub(crate) Lent<'a, str, String>);

/// The payload of a received binary message. Dereferences to `[u8]`.
pub struct Binary<'a>(pub(crate) Lent<'a, [u8], Vec<u8>>);

/// Borrowed, from the input as a rule, or from where it was assembled to be taken.
pub(crate) enum Lent<'a, B: ?Sized, O> {
    Input(&'a B),
    Assembled(&'a mut O),
}

impl<'a> Text<'a> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Lent::Input(text) => text,
            Lent::Assembled(text) => text,
        }
    }

    /// Keeps the text: copies what is lent, takes what was assembled to be kept.
    #[must_use]
    pub fn into_owned(self) -> OwnedText {
        match self.0 {
            Lent::Input(text) => OwnedText::from(text),
            Lent::Assembled(text) => OwnedText::from(core::mem::take(text)),
        }
    }
}

impl Binary<'_> {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Lent::Input(bytes) => bytes,
            Lent::Assembled(bytes) => bytes,
        }
    }

    /// Keeps the bytes: copies what is lent, takes what was assembled.
    #[must_use]
    pub fn into_owned(self) -> OwnedBinary {
        match self.0 {
            Lent::Input(bytes) => OwnedBinary::from(bytes),
            Lent::Assembled(bytes) => OwnedBinary::from(core::mem::take(bytes)),
        }
    }

    /// Keeps the bytes in a buffer that is cheap to clone.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Lent::Input(bytes) => Bytes::copy_from_slice(bytes),
            Lent::Assembled(bytes) => Bytes::from(core::mem::take(bytes)),
        }
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Deref for Binary<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for Binary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_slice(), f)
    }
}

/// A piece of a message's payload, as it arrives ([`Delivery::Chunks`]).
///
/// Where the pieces are cut depends on how the input was cut. Their
/// concatenation does not.
///
/// [`Delivery::Chunks`]: crate::Delivery::Chunks
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// What kind of message it belongs to. Text is checked as it arrives, but a
    /// piece may end inside a character.
    pub kind: MessageKind,
    /// The bytes; empty only for the last piece of a message.
    pub payload: &'a [u8],
    /// Whether the message ends here.
    pub last: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assembled_message_is_kept_without_a_copy() {
        let mut assembled = alloc::vec![1; 1000];
        let address = assembled.as_ptr();
        let bytes = Binary(Lent::Assembled(&mut assembled)).into_bytes();
        assert_eq!(bytes.as_ptr(), address);
    }
}

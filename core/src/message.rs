//! Messages as they are received, lent or owned, and what can be sent.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use bytes::Bytes;

use crate::frame::Frame;

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
/// that buffer over without a copy.
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

    /// Keeps the message: copies what is lent, takes what was assembled.
    #[must_use]
    pub fn into_owned(self) -> OwnedMessage {
        match self {
            Self::Text(text) => OwnedMessage::Text(text.into_owned()),
            Self::Binary(binary) => OwnedMessage::Binary(binary.into_owned()),
        }
    }
}

/// The payload of a received text message. Dereferences to `str`.
pub struct Text<'a>(pub(crate) Lent<'a, str, String>);

/// The payload of a received binary message. Dereferences to `[u8]`.
pub struct Binary<'a>(pub(crate) Lent<'a, [u8], Vec<u8>>);

/// Borrowed from the input, or from where it was assembled, which can be taken.
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

    /// Keeps the text: copies what is lent, takes what was assembled.
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

/// A message that outlives its connection's buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedMessage {
    /// Valid UTF-8.
    Text(OwnedText),
    /// Arbitrary bytes.
    Binary(OwnedBinary),
}

impl OwnedMessage {
    /// Text or binary.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        match self {
            Self::Text(_) => MessageKind::Text,
            Self::Binary(_) => MessageKind::Binary,
        }
    }

    /// The text, if it is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
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
}

impl From<&str> for OwnedMessage {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for OwnedMessage {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&[u8]> for OwnedMessage {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<Vec<u8>> for OwnedMessage {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<Bytes> for OwnedMessage {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes.into())
    }
}

/// Short payloads are stored in place: an allocation costs more than receiving them.
const INLINE: usize = 30;

/// Aligned, so that it moves in whole words: odd loads right behind the copy that
/// filled it would each wait for it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct Inline {
    bytes: [u8; INLINE],
    len: u8,
}

impl Inline {
    fn new(payload: &[u8]) -> Option<Self> {
        let mut bytes = [0; INLINE];
        bytes.get_mut(..payload.len())?.copy_from_slice(payload);
        Some(Self {
            len: payload.len() as u8,
            bytes,
        })
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// The text of an [`OwnedMessage`]. Dereferences to `str`; up to 30 bytes are
/// stored without an allocation.
#[derive(Clone)]
pub struct OwnedText(TextStorage);

#[derive(Clone)]
enum TextStorage {
    /// Copied from a `str`.
    Inline(Inline),
    Heap(String),
}

impl OwnedText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // Always valid; checking these few bytes again is what safe code pays.
            TextStorage::Inline(inline) => {
                core::str::from_utf8(inline.as_slice()).unwrap_or_default()
            }
            TextStorage::Heap(text) => text,
        }
    }

    /// The text's bytes, without the check that `as_str` makes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            TextStorage::Inline(inline) => inline.as_slice(),
            TextStorage::Heap(text) => text.as_bytes(),
        }
    }
}

impl From<&str> for OwnedText {
    fn from(text: &str) -> Self {
        Self(match Inline::new(text.as_bytes()) {
            Some(inline) => TextStorage::Inline(inline),
            None => TextStorage::Heap(String::from(text)),
        })
    }
}

impl From<String> for OwnedText {
    fn from(text: String) -> Self {
        Self(TextStorage::Heap(text))
    }
}

impl From<OwnedText> for String {
    fn from(text: OwnedText) -> Self {
        match text.0 {
            TextStorage::Inline(_) => Self::from(text.as_str()),
            TextStorage::Heap(text) => text,
        }
    }
}

impl Deref for OwnedText {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for OwnedText {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for OwnedText {}

impl fmt::Debug for OwnedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The bytes of an [`OwnedMessage`]. Dereferences to `[u8]`; up to 30 bytes are
/// stored without an allocation.
#[derive(Clone)]
pub struct OwnedBinary(BinaryStorage);

#[derive(Clone)]
enum BinaryStorage {
    Inline(Inline),
    Heap(Bytes),
}

impl OwnedBinary {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            BinaryStorage::Inline(inline) => inline.as_slice(),
            BinaryStorage::Heap(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for OwnedBinary {
    fn from(bytes: &[u8]) -> Self {
        Self(match Inline::new(bytes) {
            Some(inline) => BinaryStorage::Inline(inline),
            None => BinaryStorage::Heap(Bytes::copy_from_slice(bytes)),
        })
    }
}

impl From<Vec<u8>> for OwnedBinary {
    fn from(bytes: Vec<u8>) -> Self {
        Self(BinaryStorage::Heap(bytes.into()))
    }
}

impl From<Bytes> for OwnedBinary {
    fn from(bytes: Bytes) -> Self {
        Self(BinaryStorage::Heap(bytes))
    }
}

impl From<OwnedBinary> for Bytes {
    fn from(binary: OwnedBinary) -> Self {
        match binary.0 {
            BinaryStorage::Inline(inline) => Self::copy_from_slice(inline.as_slice()),
            BinaryStorage::Heap(bytes) => bytes,
        }
    }
}

impl From<OwnedBinary> for Vec<u8> {
    fn from(binary: OwnedBinary) -> Self {
        match binary.0 {
            BinaryStorage::Inline(inline) => inline.as_slice().into(),
            BinaryStorage::Heap(bytes) => bytes.into(),
        }
    }
}

impl Deref for OwnedBinary {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for OwnedBinary {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for OwnedBinary {}

impl fmt::Debug for OwnedBinary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_slice(), f)
    }
}

/// A message to send: anything that converts into it.
///
/// Borrowed payloads are copied into the output queue. Owned ones are moved
/// there, without a copy when they are large.
pub struct Outgoing<'a> {
    pub(crate) kind: MessageKind,
    pub(crate) payload: Payload<'a>,
}

pub(crate) enum Payload<'a> {
    Lent(&'a [u8]),
    /// Worth keeping by reference.
    Owned(Bytes),
    /// Owned, but too short for that.
    Inline(Inline),
}

impl Payload<'_> {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Payload::Lent(bytes) => bytes,
            Payload::Owned(bytes) => bytes,
            Payload::Inline(inline) => inline.as_slice(),
        }
    }
}

impl<'a> Outgoing<'a> {
    /// A text message.
    #[must_use]
    pub const fn text(text: &'a str) -> Self {
        Self {
            kind: MessageKind::Text,
            payload: Payload::Lent(text.as_bytes()),
        }
    }

    /// A binary message.
    #[must_use]
    pub const fn binary(bytes: &'a [u8]) -> Self {
        Self {
            kind: MessageKind::Binary,
            payload: Payload::Lent(bytes),
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

    /// Keeps the message: copies what is lent.
    #[must_use]
    pub fn into_owned(self) -> OwnedMessage {
        match (self.kind, self.payload) {
            (MessageKind::Binary, Payload::Owned(bytes)) => bytes.into(),
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
        Self {
            kind: MessageKind::Text,
            payload: Payload::Owned(text.into()),
        }
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
        Self {
            kind: MessageKind::Binary,
            payload: Payload::Owned(bytes),
        }
    }
}

impl<'a> From<Message<'a>> for Outgoing<'a> {
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
        Self {
            kind: message.kind(),
            payload: Payload::Lent(message.as_bytes()),
        }
    }
}

/// By reference: the payload of an encoded frame.
impl From<&Frame> for Outgoing<'_> {
    fn from(frame: &Frame) -> Self {
        let payload = frame.encoded().slice_ref(frame.payload());
        Self {
            kind: frame.kind(),
            payload: Payload::Owned(payload),
        }
    }
}

impl From<OwnedMessage> for Outgoing<'_> {
    fn from(message: OwnedMessage) -> Self {
        match message {
            OwnedMessage::Text(OwnedText(TextStorage::Inline(inline))) => Self {
                kind: MessageKind::Text,
                payload: Payload::Inline(inline),
            },
            OwnedMessage::Text(OwnedText(TextStorage::Heap(text))) => text.into(),
            OwnedMessage::Binary(OwnedBinary(BinaryStorage::Inline(inline))) => Self {
                kind: MessageKind::Binary,
                payload: Payload::Inline(inline),
            },
            OwnedMessage::Binary(OwnedBinary(BinaryStorage::Heap(bytes))) => bytes.into(),
        }
    }
}

impl<'a> From<&'a OwnedMessage> for Outgoing<'a> {
    fn from(message: &'a OwnedMessage) -> Self {
        Self {
            kind: message.kind(),
            payload: Payload::Lent(message.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_payloads_are_stored_in_place_and_long_ones_are_not() {
        for len in [0, 1, INLINE - 1, INLINE, INLINE + 1, 100] {
            let text: String = "é".repeat(len).chars().take(len / 2).collect();
            let owned = OwnedText::from(&*text);
            assert_eq!(&*owned, text);
            assert_eq!(
                matches!(owned.0, TextStorage::Inline(_)),
                text.len() <= INLINE
            );
            assert_eq!(String::from(owned), text);

            let bytes = alloc::vec![7; len];
            let owned = OwnedBinary::from(&*bytes);
            assert_eq!(&*owned, bytes);
            assert_eq!(matches!(owned.0, BinaryStorage::Inline(_)), len <= INLINE);
            assert_eq!(Vec::from(owned), bytes);
        }
    }

    #[test]
    fn an_assembled_message_is_kept_without_a_copy() {
        let mut assembled = alloc::vec![1; 1000];
        let address = assembled.as_ptr();
        let bytes = Binary(Lent::Assembled(&mut assembled)).into_bytes();
        assert_eq!(bytes.as_ptr(), address);
    }
}

//! Messages that outlive their connection's buffers.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use bytes::Bytes;

use super::MessageKind;
use crate::mask::{self, Key};

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
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(binary) => binary,
        }
    }
}

impl OwnedMessage {
    /// What is stored in place of a short message, the first `len` bytes of `masked`. `None` if
    /// it is not short, if `masked` ends too early, or if it should be text and is not.
    #[inline(always)]
    pub(crate) fn unmasked(
        kind: MessageKind,
        masked: &[u8],
        len: usize,
        key: Key,
    ) -> Option<Inline> {
        let inline = Inline::unmasked(masked, len, key)?;
        if kind == MessageKind::Text {
            simdutf8::basic::from_utf8(inline.as_slice()).ok()?;
        }
        Some(inline)
    }

    /// The short message that [`unmasked`](Self::unmasked) has given.
    #[inline(always)]
    pub(crate) fn short(kind: MessageKind, inline: Inline) -> Self {
        match kind {
            MessageKind::Binary => Self::Binary(OwnedBinary(BinaryStorage::Inline(inline))),
            MessageKind::Text => Self::Text(OwnedText(TextStorage::Inline(inline))),
        }
    }

    /// A binary message of what was copied for it.
    #[inline(always)]
    pub(crate) fn copied(bytes: Vec<u8>) -> Self {
        #[inline(never)]
        fn shared(bytes: Vec<u8>) -> Bytes {
            bytes.into()
        }

        Self::Binary(OwnedBinary(if bytes.len() <= UNSHARED {
            BinaryStorage::Heap(bytes)
        } else {
            BinaryStorage::Shared(shared(bytes))
        }))
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
pub(crate) const INLINE: usize = 31;

/// Aligned, so that it moves in whole words: odd loads right behind the copy that
/// filled it would each wait for it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct Inline {
    /// The last byte is the length.
    words: [[u8; 8]; 4],
}

impl Inline {
    #[inline]
    fn new(payload: &[u8]) -> Option<Self> {
        let mut bytes = [0; INLINE + 1];
        let len = payload.len();
        bytes.get_mut(..len)?.copy_from_slice(payload);
        Self::unmasked(&bytes, len, [0; 4])
    }

    /// The first `len` of `masked`, if they fit, and as many bytes as there is room for
    /// can be read.
    ///
    /// What lies behind them comes along: a copy of a length that the compiler knows
    /// stays in registers, and so does the length that is added.
    #[inline(always)]
    fn unmasked(masked: &[u8], len: usize, key: Key) -> Option<Self> {
        let (window, _) = masked.as_chunks::<8>();
        let mut words = mask::block(window.first_chunk::<4>()?, key);
        if len > INLINE {
            return None;
        }
        words[3] = words[3] << 8 >> 8 | (len as u64) << 56;
        Some(Self {
            words: words.map(u64::to_le_bytes),
        })
    }

    /// The payload and what lies behind it, up to the length.
    #[inline(always)]
    pub(crate) fn words(&self) -> [[u8; 8]; 4] {
        self.words
    }

    /// Bytes of the payload.
    ///
    /// Out of the whole word: who looked at one byte of it would have the compiler store it in
    /// parts, for which whoever loads all of it next has to wait.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        (u64::from_le_bytes(self.words[3]) >> 56) as usize
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[u8] {
        self.words
            .as_flattened()
            .get(..self.len())
            .unwrap_or_default()
    }
}

/// The text of an [`OwnedMessage`]. Dereferences to `str`; up to 31 bytes are
/// stored without an allocation.
#[derive(Clone)]
pub struct OwnedText(pub(super) TextStorage);

#[derive(Clone)]
pub(super) enum TextStorage {
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
    #[inline]
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

/// The bytes of an [`OwnedMessage`]. Dereferences to `[u8]`; up to 31 bytes are
/// stored without an allocation.
///
/// Clones share what they hold if that is more than 4 KiB, or if it came from a `Vec` or
/// [`Bytes`].
#[derive(Clone)]
pub struct OwnedBinary(pub(super) BinaryStorage);

#[derive(Clone)]
pub(super) enum BinaryStorage {
    Inline(Inline),
    /// Too short to be worth what sharing costs.
    Heap(Vec<u8>),
    Shared(Bytes),
}

/// Copies of more than this are stored so that they can be shared.
const UNSHARED: usize = 4 << 10;

impl OwnedBinary {
    /// The bytes.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            BinaryStorage::Inline(inline) => inline.as_slice(),
            BinaryStorage::Heap(bytes) => bytes,
            BinaryStorage::Shared(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for OwnedBinary {
    fn from(bytes: &[u8]) -> Self {
        Self(match Inline::new(bytes) {
            Some(inline) => BinaryStorage::Inline(inline),
            None if bytes.len() <= UNSHARED => BinaryStorage::Heap(bytes.into()),
            None => BinaryStorage::Shared(Bytes::copy_from_slice(bytes)),
        })
    }
}

impl From<Vec<u8>> for OwnedBinary {
    fn from(bytes: Vec<u8>) -> Self {
        Self(BinaryStorage::Shared(bytes.into()))
    }
}

impl From<Bytes> for OwnedBinary {
    fn from(bytes: Bytes) -> Self {
        Self(BinaryStorage::Shared(bytes))
    }
}

impl From<OwnedBinary> for Bytes {
    fn from(binary: OwnedBinary) -> Self {
        match binary.0 {
            BinaryStorage::Inline(inline) => Self::copy_from_slice(inline.as_slice()),
            BinaryStorage::Heap(bytes) => bytes.into(),
            BinaryStorage::Shared(bytes) => bytes,
        }
    }
}

impl From<OwnedBinary> for Vec<u8> {
    fn from(binary: OwnedBinary) -> Self {
        match binary.0 {
            BinaryStorage::Inline(inline) => inline.as_slice().into(),
            BinaryStorage::Heap(bytes) => bytes,
            BinaryStorage::Shared(bytes) => bytes.into(),
        }
    }
}

impl Deref for OwnedBinary {
    type Target = [u8];

    #[inline]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Connection, Endpoint, Incoming, Messages, ReadBuffer, SharedConfig, Time};

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
    fn a_short_payload_is_unmasked_on_its_way_in_and_nothing_behind_it_shows() {
        let key = [1, 2, 3, 4];
        for len in 0..=INLINE + 2 {
            for behind in 0..40 {
                let mut masked: Vec<u8> = (b'a'..)
                    .take(len)
                    .chain(b'A'..)
                    .take(len + behind)
                    .collect();
                let payload = masked[..len].to_vec();
                mask::apply(&mut masked, key);
                for kind in [MessageKind::Text, MessageKind::Binary] {
                    let message = OwnedMessage::unmasked(kind, &masked, len, key)
                        .map(|inline| OwnedMessage::short(kind, inline));
                    let fits = len <= INLINE && masked.len() > INLINE;
                    assert_eq!(message.is_some(), fits, "{len} of {}", masked.len());
                    if let Some(message) = message {
                        assert_eq!((message.kind(), message.as_bytes()), (kind, &*payload));
                    }
                }
            }
        }
        let bad = [&b"\xff"[..], &[b'x'; 40]].concat();
        assert!(OwnedMessage::unmasked(MessageKind::Text, &bad, 1, [0; 4]).is_none());
        assert!(OwnedMessage::unmasked(MessageKind::Binary, &bad, 1, [0; 4]).is_some());
    }

    fn is_in_place(item: Option<Incoming>) -> bool {
        matches!(
            item,
            Some(Incoming::Message(
                OwnedMessage::Binary(OwnedBinary(BinaryStorage::Inline(_)))
                    | OwnedMessage::Text(OwnedText(TextStorage::Inline(_)))
            ))
        )
    }

    #[test]
    fn a_short_message_is_stored_in_place_wherever_a_read_ends() {
        let now = Time::ZERO;
        for opcode in [0x81, 0x82] {
            let frame = [opcode, 0x80 | 3, 0, 0, 0, 0, b'a', b'b', b'c'];
            for messages in [1, 2, 5000] {
                let connection = Connection::server(&SharedConfig::default(), now);
                let mut endpoint = Messages::new(connection, Vec::new());
                let mut buffer = ReadBuffer::default();
                let read = frame.repeat(messages);
                let mut left = &*read;
                while !left.is_empty() {
                    let target = buffer.target_for(&mut endpoint);
                    let n = left.len().min(target.len());
                    target[..n].copy_from_slice(&left[..n]);
                    left = &left[n..];
                    assert!(is_in_place(buffer.give(n, &mut endpoint, now)));
                    while endpoint.holds_input() {
                        let held = endpoint.poll_held().map(Incoming::Message);
                        match held.or_else(|| endpoint.poll_item(now)) {
                            Some(item) => assert!(is_in_place(Some(item))),
                            None => break,
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_last_short_message_of_a_copy_is_taken_like_those_before() {
        let frame = [0x82, 0x80 | 3, 0, 0, 0, 0, b'a', b'b', b'c'];
        let connection = Connection::server(&SharedConfig::default(), Time::ZERO);
        let mut endpoint = Messages::new(connection, Vec::new());
        let first = endpoint.handle_input(&mut frame.repeat(3), Time::ZERO);
        assert!(is_in_place(first));
        for _ in 0..2 {
            assert!(is_in_place(endpoint.poll_held().map(Incoming::Message)));
        }
        assert!(!endpoint.holds_input());
    }
}

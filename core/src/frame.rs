//! Frames on the wire (RFC 6455 §5.2).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::close::Violation;
use crate::connection::Role;
use crate::mask::Key;
use crate::message::{MessageKind, Outgoing};

/// What a frame is (RFC 6455 §11.8). Reserved opcodes have no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of the open message.
    Continuation = 0x0,
    /// Text, or its first fragment.
    Text = 0x1,
    /// Binary, or its first fragment.
    Binary = 0x2,
    /// Close.
    Close = 0x8,
    /// Ping.
    Ping = 0x9,
    /// Pong.
    Pong = 0xa,
}

impl Opcode {
    /// Whether it is a control frame, which may come between fragments (§5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }

    const fn decode(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xa => Some(Self::Pong),
            _ => None,
        }
    }
}

impl From<MessageKind> for Opcode {
    fn from(kind: MessageKind) -> Self {
        match kind {
            MessageKind::Text => Self::Text,
            MessageKind::Binary => Self::Binary,
        }
    }
}

/// The longest payload of a control frame (§5.5).
pub(crate) const MAX_CONTROL: usize = 125;

pub(crate) const FIN: u8 = 0x80;
const RSV: u8 = 0x70;
/// Marks a compressed message (RFC 7692 §6).
const RSV1: u8 = 0x40;
const OPCODE: u8 = 0x0f;
pub(crate) const MASK: u8 = 0x80;
const LENGTH: u8 = 0x7f;

/// What RSV1 means on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rsv1 {
    /// Nothing: it must not be set.
    Reserved,
    /// The message is compressed.
    #[cfg(any(test, feature = "deflate"))]
    Compressed,
}

/// A frame header that is legal for whoever received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether this is the last fragment of its message.
    pub fin: bool,
    /// Whether this begins a compressed message: RSV1 (RFC 7692 §6).
    pub compressed: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key, if the payload is masked.
    pub mask: Option<[u8; 4]>,
    /// Bytes of payload, below 2^63.
    pub len: u64,
}

impl Header {
    /// Bytes of the longest header.
    pub const MAX_ENCODED: usize = 14;

    /// Reads a header that `role` received from the start of `bytes`, and says how
    /// long it is. `None`: more bytes are needed.
    ///
    /// A fault is found as soon as the byte that makes it is there. The rules that
    /// need to know whether a message is open are not checked here.
    ///
    /// # Errors
    ///
    /// Reserved bits and opcodes, masking that is wrong for the role, fragmented or
    /// long control frames, lengths not in their shortest form.
    pub fn decode(bytes: &[u8], role: Role) -> Result<Option<(Self, usize)>, Violation> {
        Self::decode_agreed(bytes, role, Rsv1::Reserved)
    }

    /// The same where it was agreed that messages may be compressed.
    #[inline]
    pub(crate) fn decode_agreed(
        bytes: &[u8],
        role: Role,
        rsv1: Rsv1,
    ) -> Result<Option<(Self, usize)>, Violation> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        // RFC 6455 §5.2: MUST be 0 unless an extension gives them a meaning.
        let reserved = match rsv1 {
            Rsv1::Reserved => RSV,
            #[cfg(any(test, feature = "deflate"))]
            Rsv1::Compressed => RSV & !RSV1,
        };
        if first & reserved != 0 {
            return Err(Violation::ReservedBit);
        }
        let opcode = Opcode::decode(first & OPCODE).ok_or(Violation::ReservedOpcode)?;
        // RFC 7692 §6: only the first frame of a message has it.
        let compressed = first & RSV1 != 0;
        if compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(Violation::ReservedBit);
        }
        let fin = first & FIN != 0;
        if opcode.is_control() && !fin {
            return Err(Violation::FragmentedControl);
        }
        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        // RFC 6455 §5.1: a client masks all frames, a server none.
        let masked = second & MASK != 0;
        if masked != (role == Role::Server) {
            return Err(Violation::Masking);
        }
        let short = second & LENGTH;
        if opcode.is_control() && usize::from(short) > MAX_CONTROL {
            return Err(Violation::ControlTooLong);
        }
        let (len, rest) = match short {
            126 => {
                let Some((&len, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                match u16::from_be_bytes(len) {
                    0..126 => return Err(Violation::LengthEncoding),
                    len => (u64::from(len), rest),
                }
            }
            127 => {
                let Some((&len, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                match u64::from_be_bytes(len) {
                    0x1_0000..0x8000_0000_0000_0000 => (u64::from_be_bytes(len), rest),
                    _ => return Err(Violation::LengthEncoding),
                }
            }
            len => (u64::from(len), rest),
        };
        let (mask, rest) = if masked {
            let Some((&key, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (Some(key), rest)
        } else {
            (None, rest)
        };
        Ok(Some((
            Self {
                fin,
                compressed,
                opcode,
                mask,
                len,
            },
            bytes.len() - rest.len(),
        )))
    }

    /// Appends the header in its shortest form.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.first().encode(self.mask, self.len, out);
    }

    fn first(&self) -> First {
        let rsv1 = if self.compressed { RSV1 } else { 0 };
        First(First::of(self.fin, self.opcode).0 | rsv1)
    }
}

/// The first byte of a header: what the frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct First(u8);

impl First {
    /// A whole message, or a control frame.
    #[inline]
    pub(crate) const fn whole(opcode: Opcode) -> Self {
        Self(FIN | opcode as u8)
    }

    /// A fragment, the last one or not.
    #[inline]
    pub(crate) const fn of(fin: bool, opcode: Opcode) -> Self {
        match fin {
            true => Self::whole(opcode),
            false => Self(opcode as u8),
        }
    }

    /// The same frame, as the beginning of a compressed message.
    #[cfg(feature = "deflate")]
    pub(crate) const fn compressed(self) -> Self {
        Self(self.0 | RSV1)
    }

    /// Appends the header in its shortest form.
    #[inline]
    pub(crate) fn encode(self, mask: Option<Key>, len: u64, out: &mut Vec<u8>) {
        self.parts(mask, len, |part| out.extend_from_slice(part));
    }

    /// The unmasked header of a payload of at most 125 bytes.
    #[inline(always)]
    pub(crate) fn encode_short(self, len: usize, out: &mut Vec<u8>) {
        debug_assert!(len <= 125, "the length has seven bits");
        out.extend_from_slice(&[self.0, len as u8]);
    }

    /// The header in its shortest form, as a value.
    #[inline]
    pub(crate) fn encoded(self, mask: Option<Key>, len: u64) -> EncodedHeader {
        let Self(first) = self;
        // In registers: what is written byte by byte and read as a whole would wait.
        let (short, extended, extended_len) = match len {
            0..126 => (len as u8, 0, 0),
            126..0x1_0000 => (126, u64::from((len as u16).swap_bytes()), 2),
            _ => (127, len.swap_bytes(), 8),
        };
        let (masked, key, key_len) = match mask {
            Some(key) => (MASK, u32::from_le_bytes(key), 4),
            None => (0, 0, 0),
        };
        let before_key = 2 + extended_len;
        let bytes = u128::from(u16::from_le_bytes([first, masked | short]))
            | u128::from(extended) << 16
            | u128::from(key) << (8 * before_key);
        EncodedHeader {
            bytes: bytes.to_le_bytes(),
            len: before_key + key_len,
        }
    }

    /// The header in parts whose lengths the compiler knows.
    #[inline(always)]
    fn parts(self, mask: Option<Key>, len: u64, mut part: impl FnMut(&[u8])) {
        let Self(first) = self;
        let masked = if mask.is_some() { MASK } else { 0 };
        match len {
            0..126 => part(&[first, masked | len as u8]),
            126..0x1_0000 => {
                let [a, b] = (len as u16).to_be_bytes();
                part(&[first, masked | 126, a, b]);
            }
            _ => {
                part(&[first, masked | 127]);
                part(&len.to_be_bytes());
            }
        }
        if let Some(key) = mask {
            part(&key);
        }
    }
}

/// A header as it stands on the wire, or nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EncodedHeader {
    bytes: [u8; 16],
    len: u8,
}

impl EncodedHeader {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        usize::from(self.len)
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len()).unwrap_or_default()
    }
}

/// A message encoded once, for any number of connections: cheap to clone.
///
/// A server's frames carry no mask, so the same bytes go to every client. A
/// client sends a masked copy.
///
/// Connections that may compress share one compressed form as well, as long as none of
/// them refers to earlier messages: the first that sends the frame makes it.
#[derive(Clone)]
pub struct Frame(Arc<Encoded>);

struct Encoded {
    kind: MessageKind,
    payload_at: u8,
    bytes: Bytes,
    #[cfg(feature = "deflate")]
    compressed: crate::deflate::Shared,
}

impl Frame {
    /// Encodes a message.
    #[must_use]
    pub fn new<'m>(message: impl Into<Outgoing<'m>>) -> Self {
        let message = message.into();
        let payload = message.as_bytes();
        let bytes = encode(First::whole(message.kind.into()), payload);
        Self(Arc::new(Encoded {
            kind: message.kind,
            payload_at: (bytes.len() - payload.len()) as u8,
            bytes,
            #[cfg(feature = "deflate")]
            compressed: crate::deflate::Shared::new(message.compression),
        }))
    }

    /// Text or binary.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.0.kind
    }

    /// The frame as a server sends it: header and payload, not compressed.
    #[must_use]
    pub fn encoded(&self) -> &Bytes {
        &self.0.bytes
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.0
            .bytes
            .get(usize::from(self.0.payload_at)..)
            .unwrap_or_default()
    }

    /// What it is compressed to.
    #[cfg(feature = "deflate")]
    pub(crate) fn compressed(&self) -> &crate::deflate::Shared {
        &self.0.compressed
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.encoded() == other.encoded()
    }
}

impl Eq for Frame {}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("kind", &self.kind())
            .field("encoded", self.encoded())
            .finish()
    }
}

/// A whole frame, without a mask.
pub(crate) fn encode(first: First, payload: &[u8]) -> Bytes {
    let header = first.encoded(None, payload.len() as u64);
    // As much as it takes: what has room left would be reallocated, or boxed once more.
    let mut bytes = Vec::with_capacity(header.len() + payload.len());
    bytes.extend_from_slice(header.as_slice());
    extend(&mut bytes, payload);
    bytes.into()
}

/// Appends in pieces that stay clear of memcpy's slow path for long copies.
#[inline]
pub(crate) fn extend(out: &mut Vec<u8>, payload: &[u8]) {
    if payload.len() <= crate::utf8::COPY_PIECE {
        out.extend_from_slice(payload);
    } else {
        out.reserve(payload.len());
        payload
            .chunks(crate::utf8::COPY_PIECE)
            .for_each(|piece| out.extend_from_slice(piece));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn opcode() -> impl Strategy<Value = Opcode> {
        (0..16_u8).prop_filter_map("reserved", Opcode::decode)
    }

    proptest! {
        #[test]
        fn a_header_that_is_encoded_is_decoded_as_it_was(
            fin in any::<bool>(),
            compressed in any::<bool>(),
            opcode in opcode(),
            mask in any::<Option<[u8; 4]>>(),
            len in prop_oneof![0..70_000_u64, 0..1_u64 << 63],
            behind in any::<[u8; 3]>(),
        ) {
            let control = opcode.is_control();
            let compressed = compressed && matches!(opcode, Opcode::Text | Opcode::Binary);
            let len = if control { len % 126 } else { len };
            let header = Header { fin: fin || control, compressed, opcode, mask, len };
            let mut bytes = Vec::new();
            header.encode(&mut bytes);
            let encoded = bytes.len();
            let value = header.first().encoded(header.mask, header.len);
            prop_assert_eq!(value.as_slice(), &bytes);
            // RFC 6455 §5.2: the shortest form.
            let extended = match header.len {
                0..126 => 0,
                126..0x1_0000 => 2,
                _ => 8,
            };
            prop_assert_eq!(encoded, 2 + extended + if mask.is_some() { 4 } else { 0 });
            bytes.extend(behind);
            let role = if mask.is_some() { Role::Server } else { Role::Client };
            let decode = |bytes| Header::decode_agreed(bytes, role, Rsv1::Compressed);
            prop_assert_eq!(decode(&bytes), Ok(Some((header, encoded))));
            for len in 0..encoded {
                prop_assert_eq!(decode(&bytes[..len]), Ok(None));
            }
            let plain = Header::decode(&bytes, role);
            prop_assert_eq!(plain.is_err(), compressed);
        }

        #[test]
        fn what_is_decoded_is_encoded_to_the_same_bytes(
            bytes in any::<[u8; 14]>(),
            server in any::<bool>(),
        ) {
            let role = if server { Role::Server } else { Role::Client };
            if let Ok(Some((header, len))) = Header::decode(&bytes, role) {
                let mut encoded = Vec::new();
                header.encode(&mut encoded);
                prop_assert_eq!(&encoded, &bytes[..len]);
            }
        }
    }
}

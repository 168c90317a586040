//! Frames on the wire (RFC 6455 §5.2).

use alloc::vec::Vec;

use bytes::Bytes;

use crate::close::Violation;
use crate::connection::Role;
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
const OPCODE: u8 = 0x0f;
pub(crate) const MASK: u8 = 0x80;
const LENGTH: u8 = 0x7f;

/// A frame header that is legal for whoever received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether this is the last fragment of its message.
    pub fin: bool,
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
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        // RFC 6455 §5.2: MUST be 0 unless an extension gives them a meaning.
        if first & RSV != 0 {
            return Err(Violation::ReservedBit);
        }
        let opcode = Opcode::decode(first & OPCODE).ok_or(Violation::ReservedOpcode)?;
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
        self.parts(|part| out.extend_from_slice(part));
    }

    /// The header in its shortest form, and how long that is.
    pub(crate) fn encoded(&self) -> ([u8; Self::MAX_ENCODED], usize) {
        let mut encoded = [0; Self::MAX_ENCODED];
        let mut len = 0;
        self.parts(|part| {
            let room = encoded.iter_mut().skip(len);
            room.zip(part).for_each(|(to, from)| *to = *from);
            len += part.len();
        });
        (encoded, len)
    }

    /// The header in parts whose lengths the compiler knows.
    #[inline(always)]
    fn parts(&self, mut part: impl FnMut(&[u8])) {
        let first = if self.fin { FIN } else { 0 } | self.opcode as u8;
        let mask = if self.mask.is_some() { MASK } else { 0 };
        match self.len {
            0..126 => part(&[first, mask | self.len as u8]),
            126..0x1_0000 => {
                let [a, b] = (self.len as u16).to_be_bytes();
                part(&[first, mask | 126, a, b]);
            }
            _ => {
                part(&[first, mask | 127]);
                part(&self.len.to_be_bytes());
            }
        }
        if let Some(key) = self.mask {
            part(&key);
        }
    }
}

/// A message encoded once, for any number of connections: cheap to clone.
///
/// A server's frames carry no mask, so the same bytes go to every client. A
/// client sends a masked copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    kind: MessageKind,
    encoded: Bytes,
    payload_at: u8,
}

impl Frame {
    /// Encodes a message.
    #[must_use]
    pub fn new<'m>(message: impl Into<Outgoing<'m>>) -> Self {
        let Outgoing { kind, payload } = message.into();
        let payload = payload.as_slice();
        let mut encoded = Vec::with_capacity(payload.len() + Header::MAX_ENCODED);
        let header = Header {
            fin: true,
            opcode: kind.into(),
            mask: None,
            len: payload.len() as u64,
        };
        header.encode(&mut encoded);
        let payload_at = encoded.len() as u8;
        extend(&mut encoded, payload);
        Self {
            kind,
            encoded: encoded.into(),
            payload_at,
        }
    }

    /// Text or binary.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The frame as a server sends it: header and payload.
    #[must_use]
    pub fn encoded(&self) -> &Bytes {
        &self.encoded
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.encoded
            .get(usize::from(self.payload_at)..)
            .unwrap_or_default()
    }
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
            opcode in opcode(),
            mask in any::<Option<[u8; 4]>>(),
            len in prop_oneof![0..70_000_u64, 0..1_u64 << 63],
            behind in any::<[u8; 3]>(),
        ) {
            let control = opcode.is_control();
            let header = Header { fin: fin || control, opcode, mask, len: if control { len % 126 } else { len } };
            let mut bytes = Vec::new();
            header.encode(&mut bytes);
            let encoded = bytes.len();
            let (array, len) = header.encoded();
            prop_assert_eq!(&array[..len], &bytes);
            // RFC 6455 §5.2: the shortest form.
            let extended = match header.len {
                0..126 => 0,
                126..0x1_0000 => 2,
                _ => 8,
            };
            prop_assert_eq!(encoded, 2 + extended + if mask.is_some() { 4 } else { 0 });
            bytes.extend(behind);
            let role = if mask.is_some() { Role::Server } else { Role::Client };
            prop_assert_eq!(Header::decode(&bytes, role), Ok(Some((header, encoded))));
            for len in 0..encoded {
                prop_assert_eq!(Header::decode(&bytes[..len], role), Ok(None));
            }
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

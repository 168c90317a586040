//! The shortest path: a message that lies whole in the input, with nothing open.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Receiver, Step};
use crate::connection::{Input, Role};
use crate::frame::MASK;
use crate::mask::{self, Key};
use crate::message::{INLINE, Inline, MessageKind, OwnedMessage};

/// A message that lies whole in the input, in one frame.
#[derive(Clone, Copy)]
pub(crate) struct Plain {
    pub(crate) kind: MessageKind,
    /// Bytes before the payload.
    pub(crate) header: usize,
    /// Zero if the payload is not masked.
    pub(crate) key: Key,
    pub(crate) len: usize,
}

impl Plain {
    /// Bytes of the whole frame.
    #[inline(always)]
    pub(crate) fn whole(&self) -> usize {
        self.header + self.len
    }

    /// Whether a message keeps it in place: an allocation would cost more.
    #[inline(always)]
    pub(crate) fn is_short(&self) -> bool {
        self.len <= INLINE
    }

    /// The message, if it is short and `bytes`, which begin with it, go on for long enough:
    /// it comes in registers then, and is none yet, which would need a place in memory.
    #[inline(always)]
    pub(crate) fn short(&self, bytes: &[u8]) -> Option<Inline> {
        let payload = bytes.get(self.header..)?;
        OwnedMessage::unmasked(self.kind, payload, self.len, self.key)
    }

    /// The payload of a binary message, with which `bytes` begin.
    pub(crate) fn binary(&self, bytes: &[u8]) -> Vec<u8> {
        let payload = bytes.get(self.header..self.whole()).unwrap_or_default();
        mask::to_vec(payload, self.key)
    }

    /// The payload of a text, with which `bytes` begin. None: it is no text, and still there.
    pub(crate) fn text(&self, bytes: &mut [u8]) -> Option<String> {
        let payload = bytes.get_mut(self.header..self.whole())?;
        // What a client receives has no mask.
        let is_masked = self.key != [0; 4];
        if is_masked {
            mask::apply(payload, self.key);
        }
        if let Ok(text) = simdutf8::basic::from_utf8(payload) {
            return Some(text.into());
        }
        // What follows from this violation begins with a deadline.
        if is_masked {
            mask::apply(payload, self.key);
        }
        None
    }
}

impl Receiver {
    /// The shortest path, for the frame that is nearly always next: a whole message
    /// in the input, with nothing open. None: it is something else.
    #[inline(always)]
    pub(crate) fn fast(&self, input: &mut Input<'_>) -> Option<Step> {
        let Plain {
            kind,
            header,
            key,
            len,
        } = self.plain(input.rest()?)?;
        input.take_payload(header, len, key)?;
        Some(Step::lent(kind, len))
    }

    /// The frame at the beginning of `bytes`, if the shortest path is for it.
    #[inline(always)]
    pub(crate) fn plain(&self, bytes: &[u8]) -> Option<Plain> {
        if !self.is_idle() {
            return None;
        }
        let [first, second, rest @ ..] = bytes else {
            return None;
        };
        // FIN and an opcode, no reserved bit.
        let kind = match first {
            0x81 => MessageKind::Text,
            0x82 => MessageKind::Binary,
            _ => return None,
        };
        let (expected, key_len) = match self.role {
            Role::Server => (MASK, 4),
            Role::Client => (0, 0),
        };
        // The mask bit is right if it vanishes here; otherwise this is not a length.
        let (len, header, rest) = match second ^ expected {
            len @ 0..=125 => (u16::from(len), 2, rest),
            126 => {
                let (&len, rest) = rest.split_first_chunk()?;
                (
                    Some(u16::from_be_bytes(len)).filter(|&len| len > 125)?,
                    4,
                    rest,
                )
            }
            _ => return None,
        };
        if len > self.small || rest.len() < usize::from(len) + key_len {
            return None;
        }
        let key = match self.role {
            Role::Server => *rest.first_chunk()?,
            Role::Client => [0; 4],
        };
        Some(Plain {
            kind,
            header: header + key_len,
            key,
            len: usize::from(len),
        })
    }
}

//! A message that is being assembled, and its buffers.

use alloc::string::String;
use alloc::vec::Vec;

use crate::buffers;
use crate::mask::{self, Key};
use crate::message::MessageKind;
use crate::utf8::Utf8;

/// How much must have arrived for a kept buffer that is many times larger.
const TARGET_KEPT: usize = 64 << 10;

/// Bytes by which a buffer may exceed twice what has arrived.
const SLACK: usize = 4 << 10;

/// An open message, its assembly if there is one, and what it has cost so far.
pub(super) struct Message {
    pub(super) kind: MessageKind,
    /// Bytes of payload on the wire.
    pub(super) received: u64,
    pub(super) fragments: u32,
    pub(super) compressed: bool,
    pub(super) utf8: Utf8,
    pub(super) text: String,
    pub(super) binary: Binary,
}

impl Message {
    pub(super) fn new(kind: MessageKind) -> Self {
        Self {
            kind,
            received: 0,
            fragments: 0,
            compressed: false,
            utf8: Utf8::default(),
            text: String::new(),
            binary: Binary::default(),
        }
    }

    /// Whether bytes are put together: also those of a text, while it is compressed.
    #[inline]
    pub(super) fn is_bytes(&self) -> bool {
        self.compressed || self.kind == MessageKind::Binary
    }

    /// Makes room for a piece, and for what is to come as far as what has arrived pays
    /// for it.
    #[inline]
    pub(super) fn reserve_text(&mut self, piece: usize, to_come: usize) {
        let text = &mut self.text;
        // A character that the last piece cut may come on top.
        let needed = text.len() + piece + 3;
        if needed > text.capacity() {
            let paid = 2 * needed + SLACK;
            text.reserve_exact(paid.min(needed.saturating_add(to_come)) - text.len());
        }
    }
}

/// Bytes that are initialised once: the first `filled` have been received, the
/// rest is room to read into.
#[derive(Default)]
pub(super) struct Binary {
    pub(super) bytes: Vec<u8>,
    pub(super) filled: usize,
}

impl Binary {
    /// Appends a masked piece of a message of which at most `to_come` more bytes follow.
    #[inline]
    pub(super) fn push(&mut self, piece: &[u8], key: Key, to_come: usize) {
        let start = self.filled;
        self.filled += piece.len();
        if let Some(room) = self.bytes.get_mut(start..self.filled) {
            return mask::copy(room, piece, key);
        }
        if self.filled > self.bytes.capacity() {
            let paid = 2 * self.filled + SLACK;
            let wanted = paid.min(self.filled.saturating_add(to_come));
            if let Some(kept) = buffers::take(wanted, paid) {
                self.go_on_in(kept, start);
                let room = self.bytes.get_mut(start..self.filled).unwrap_or_default();
                return mask::copy(room, piece, key);
            }
            self.bytes.truncate(start);
            self.bytes.reserve_exact(wanted - start);
        }
        self.bytes.truncate(start);
        mask::append(&mut self.bytes, piece, key);
    }

    /// Initialised room for what is still to come of a frame: at most as much again
    /// as has arrived.
    pub(super) fn target(&mut self, remaining: usize) -> &mut [u8] {
        let room = self.filled.min(remaining);
        if self.filled == self.bytes.len() {
            let end = self.filled + room;
            // There is one of this size per thread, and a whole message paid for it.
            let most = if self.filled >= TARGET_KEPT {
                16 * end
            } else {
                2 * end
            };
            if self.bytes.capacity() < end
                && let Some(kept) = buffers::take(end, most)
            {
                self.go_on_in(kept, self.filled);
            }
            if self.bytes.len() < self.filled + room {
                self.bytes.reserve_exact(room);
                self.bytes.resize(self.filled + room, 0);
            }
        }
        let end = self.bytes.len().min(self.filled + room);
        self.bytes.get_mut(self.filled..end).unwrap_or_default()
    }

    /// Moves the first `len` bytes, which were received, to a kept buffer.
    fn go_on_in(&mut self, mut kept: Vec<u8>, len: usize) {
        let received = self.bytes.get(..len).unwrap_or_default();
        mask::copy(kept.get_mut(..len).unwrap_or_default(), received, [0; 4]);
        self.bytes = kept;
    }

    /// The next `n` bytes of the target, which have been read.
    pub(super) fn fill(&mut self, n: usize) -> &mut [u8] {
        let start = self.filled;
        self.filled = self.bytes.len().min(start + n);
        self.bytes.get_mut(start..self.filled).unwrap_or_default()
    }

    /// The whole, without the room.
    pub(super) fn finish(&mut self) -> &mut Vec<u8> {
        self.bytes.truncate(self.filled);
        &mut self.bytes
    }
}

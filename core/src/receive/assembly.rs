//! A message that is being assembled, and its buffers.

use alloc::string::String;
use alloc::vec::Vec;

use crate::buffers::{self, Loan};
use crate::close::Violation;
use crate::mask::{self, Key};
use crate::message::{Lent, MessageKind};
use crate::utf8::Utf8;

/// How much must have arrived for a kept buffer that is many times larger: a dripped byte
/// is not to take it from those who send.
const MANY: usize = 4 << 10;

/// What is read at once has to lose its mask before it has left the second-level cache.
const TARGET_MOST: usize = 256 << 10;

/// Bytes by which a buffer may exceed twice what has arrived.
const SLACK: usize = 4 << 10;

/// How much is copied at once: where a buffer is new its zeros are then overwritten while
/// they are in the nearest cache. A multiple of a key's length, as the next one is.
const WINDOW: usize = 8 << 10;

/// How much of a piece of text is tried first: what is not ASCII shows early, as a rule.
const ASCII_FIRST: usize = 256;

/// An open message, its assembly if there is one, and what it has cost so far.
pub(super) struct Message {
    pub(super) kind: MessageKind,
    /// Bytes of payload on the wire.
    pub(super) received: u64,
    pub(super) fragments: u32,
    pub(super) compressed: bool,
    pub(super) utf8: Utf8,
    /// Text that is ASCII so far: it is in `buffer`. Otherwise all of it is in `text`.
    is_ascii: bool,
    text: String,
    pub(super) buffer: Buffer,
}

impl Message {
    pub(super) fn new(kind: MessageKind) -> Self {
        Self {
            kind,
            received: 0,
            fragments: 0,
            compressed: false,
            utf8: Utf8::default(),
            is_ascii: kind == MessageKind::Text,
            text: String::new(),
            buffer: Buffer::default(),
        }
    }

    /// Whether bytes are put together: also those of a text, while it is compressed.
    #[inline]
    pub(super) fn is_bytes(&self) -> bool {
        self.compressed || self.kind == MessageKind::Binary
    }

    /// Appends a masked piece of a text of which at most `to_come` more bytes follow.
    ///
    /// ASCII is recognised while it is copied, and validated once, as a whole and where it
    /// lies, when it is lent. Anything else is validated before it is copied, as it takes
    /// several times longer than the copy.
    #[inline]
    pub(super) fn push_text(
        &mut self,
        mut piece: &mut [u8],
        mut key: Key,
        to_come: usize,
    ) -> Result<(), Violation> {
        if self.is_ascii {
            let taken = self.buffer.push_ascii(piece, key, to_come);
            piece = piece.get_mut(taken..).unwrap_or_default();
            if piece.is_empty() {
                return Ok(());
            }
            key = mask::advance(key, taken);
            let ascii = self.buffer.move_out();
            self.text = String::from_utf8(ascii).map_err(|_| Violation::Utf8)?;
            self.is_ascii = false;
        }
        if key != [0; 4] {
            mask::apply(piece, key);
        }
        self.reserve_text(piece.len(), to_come);
        let text = &mut self.text;
        self.utf8.feed(piece, |whole| text.push_str(whole))
    }

    /// The whole text. None: it is none.
    pub(super) fn text(&mut self) -> Option<Lent<'_, str, String>> {
        if self.is_ascii {
            let text = simdutf8::basic::from_utf8(self.buffer.finish());
            return text.ok().map(Lent::Input);
        }
        if self.text.capacity() > paid(self.text.len()) {
            self.text.shrink_to_fit();
        }
        Some(Lent::Assembled(&mut self.text))
    }

    /// What has been put together so far.
    #[cfg(feature = "deflate")]
    pub(super) fn assembled(&self) -> &[u8] {
        match self.kind {
            MessageKind::Text if !self.is_ascii => self.text.as_bytes(),
            MessageKind::Text | MessageKind::Binary => self.buffer.filled(),
        }
    }

    /// Its buffers, to be used again.
    pub(super) fn into_buffers(self) -> [Vec<u8>; 2] {
        [self.buffer.bytes, self.text.into_bytes()]
    }

    /// Bytes that are allocated.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.text.capacity() + self.buffer.bytes.capacity()
    }

    /// Makes room for a piece, and for what is to come as far as what has arrived pays
    /// for it.
    fn reserve_text(&mut self, piece: usize, to_come: usize) {
        let text = &mut self.text;
        // A character that the last piece cut comes on top.
        let needed = text.len() + self.utf8.cut().len() + piece;
        if needed > text.capacity() {
            let wanted = paid(needed).min(needed.saturating_add(to_come));
            text.reserve_exact(wanted - text.len());
        }
    }
}

/// How large the buffer of a message may be of which this much has arrived.
fn paid(arrived: usize) -> usize {
    2 * arrived + SLACK
}

/// Bytes that are initialised once: the first `filled` have been received, the
/// rest is room to read into.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
    /// It is larger than what has arrived pays for.
    loan: Option<Loan>,
}

impl Buffer {
    /// Appends a masked piece of a message of which at most `to_come` more bytes follow.
    #[inline]
    pub(super) fn push(&mut self, piece: &[u8], key: Key, to_come: usize) {
        self.reserve(piece.len(), to_come);
        for piece in piece.chunks(WINDOW) {
            mask::copy(self.room(piece.len()), piece, key);
            self.filled += piece.len();
        }
    }

    /// Appends a masked piece as far as it is seen to be ASCII, and says how far that is.
    #[inline]
    fn push_ascii(&mut self, piece: &[u8], key: Key, to_come: usize) -> usize {
        self.reserve(piece.len(), to_come);
        let (first, rest) = piece.split_at(ASCII_FIRST.min(piece.len()));
        let mut taken = 0;
        for piece in core::iter::once(first).chain(rest.chunks(WINDOW)) {
            if !mask::copy_text(self.room(piece.len()), piece, key) {
                break;
            }
            self.filled += piece.len();
            taken += piece.len();
        }
        taken
    }

    /// Makes sure of the capacity for a piece of which at most `to_come` more bytes follow.
    #[inline]
    fn reserve(&mut self, piece: usize, to_come: usize) {
        let end = self.filled + piece;
        if end > self.bytes.len() {
            self.grow(end, end, end.saturating_add(to_come));
        }
    }

    /// Initialised room for the next `len` bytes.
    #[inline]
    fn room(&mut self, len: usize) -> &mut [u8] {
        let end = self.filled + len;
        if end > self.bytes.len() {
            self.bytes.resize(end, 0);
        }
        self.bytes.get_mut(self.filled..end).unwrap_or_default()
    }

    /// Makes sure of the capacity for `end` bytes of a message of `total` bytes, of which
    /// `arrived` are here.
    #[inline(never)]
    fn grow(&mut self, end: usize, arrived: usize, total: usize) {
        if end > self.bytes.capacity() {
            let paid = paid(arrived);
            let wanted = paid.min(total);
            // More than is paid for: by no more than one message of the thread at a time. Nor
            // more than it will pay for, if that is known: whoever keeps it keeps all of it.
            let lent = match (arrived, total) {
                (0..MANY, _) => 2 * paid,
                (_, usize::MAX) => 8 * paid,
                (_, total) => total.saturating_mul(2),
            };
            let least = |most| if total <= most { total } else { wanted };
            self.loan = None;
            if let Some(kept) = buffers::take(least(paid), paid) {
                return self.go_on_in(kept);
            }
            if let Some((kept, loan)) = buffers::borrow(least(lent), lent) {
                self.loan = Some(loan);
                return self.go_on_in(kept);
            }
            self.bytes.truncate(self.filled);
            self.bytes.reserve_exact(wanted - self.filled);
        }
    }

    /// How many bytes have been received.
    pub(super) fn len(&self) -> usize {
        self.filled
    }

    #[cfg(feature = "deflate")]
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    #[cfg(feature = "deflate")]
    fn filled(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    /// Initialised room for what is still to come of a frame: what there is of it, or else
    /// at most as much again as has arrived.
    pub(super) fn target(&mut self, remaining: usize) -> &mut [u8] {
        if self.filled == self.bytes.len() {
            let room = self.filled.min(remaining);
            self.grow(
                self.filled + room,
                self.filled,
                self.filled.saturating_add(remaining),
            );
            self.room(room);
        }
        let room = remaining.min(TARGET_MOST);
        let end = self.bytes.len().min(self.filled.saturating_add(room));
        self.bytes.get_mut(self.filled..end).unwrap_or_default()
    }

    /// Moves what was received to a kept buffer.
    fn go_on_in(&mut self, mut kept: Vec<u8>) {
        let received = self.bytes.get(..self.filled).unwrap_or_default();
        let place = kept.get_mut(..self.filled).unwrap_or_default();
        mask::copy(place, received, [0; 4]);
        buffers::recycle(core::mem::replace(&mut self.bytes, kept));
    }

    /// The next `n` bytes of the target, which have been read.
    pub(super) fn fill(&mut self, n: usize) -> &mut [u8] {
        let start = self.filled;
        self.filled = self.bytes.len().min(start + n);
        self.bytes.get_mut(start..self.filled).unwrap_or_default()
    }

    /// The whole, without the room, and no larger than is paid for.
    pub(super) fn finish(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() > paid(self.filled) {
            self.go_on_in(alloc::vec![0; self.filled]);
            self.loan = None;
        }
        self.bytes.truncate(self.filled);
        &mut self.bytes
    }

    /// What has been received, to go on elsewhere. It is still this one's loan.
    fn move_out(&mut self) -> Vec<u8> {
        self.bytes.truncate(core::mem::take(&mut self.filled));
        core::mem::take(&mut self.bytes)
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    const KEY: Key = [1, 2, 3, 4];

    fn masked(bytes: &[u8]) -> Vec<u8> {
        let mut masked = bytes.to_vec();
        mask::apply(&mut masked, KEY);
        masked
    }

    #[test]
    fn a_kept_buffer_is_for_a_message_that_has_paid_for_some_of_it() {
        const TOTAL: usize = 20_000;
        buffers::recycle(alloc::vec![9; TOTAL]);
        for (arrived, is_kept) in [(1000, false), (3000, true)] {
            let mut buffer = Buffer::default();
            buffer.push(&alloc::vec![0; arrived], KEY, TOTAL - arrived);
            assert_eq!(buffer.bytes.capacity() >= TOTAL, is_kept, "{arrived}");
        }
    }

    #[test]
    fn of_many_open_messages_one_has_more_than_it_paid_for() {
        const TOTAL: usize = 1 << 20;
        const ARRIVED: usize = 140_000;
        let open = || {
            // As if another message had just paid for it.
            buffers::recycle(alloc::vec![9; TOTAL]);
            let mut buffer = Buffer::default();
            for _ in 0..ARRIVED / 1000 {
                buffer.push(&[0; 1000], KEY, TOTAL - buffer.len() - 1000);
            }
            buffer
        };
        let many: [Buffer; 10] = core::array::from_fn(|_| open());
        let more = |buffer: &&Buffer| buffer.bytes.capacity() > 2 * ARRIVED + SLACK;
        assert_eq!(many.iter().filter(more).count(), 1);
        drop(many);
        assert!(more(&&open()));
    }

    #[test]
    fn text_that_turns_out_not_to_be_ascii_is_still_the_one_that_has_more() {
        let open = || {
            buffers::recycle(alloc::vec![9; 20_100]);
            let mut message = Message::new(MessageKind::Text);
            for piece in ["x".repeat(3000), "é".repeat(10)] {
                let pushed = message.push_text(&mut masked(piece.as_bytes()), KEY, 17_000);
                assert_eq!(pushed, Ok(()));
            }
            message
        };
        let many: [Message; 10] = core::array::from_fn(|_| open());
        let more = |message: &&Message| message.held() > paid(3020);
        assert_eq!(many.iter().filter(more).count(), 1);
        drop(many);
        let mut text = open();
        assert!(more(&&text));
        assert_eq!(text.text().map(|_| ()), Some(()));
        assert!(!more(&&text), "who keeps it keeps no more");
    }

    #[test]
    fn who_keeps_a_message_keeps_no_more_than_it_paid_for() {
        for (total, to_come) in [(20_000, 13_000), (7000, usize::MAX)] {
            buffers::recycle(alloc::vec![9; 90_000]);
            let mut buffer = Buffer::default();
            buffer.push(&[0; 7000], KEY, to_come);
            // With its end unknown it may have much more until then.
            assert_eq!(buffer.bytes.len() == 90_000, to_come == usize::MAX);
            buffer.push(&alloc::vec![0; total - 7000], KEY, 0);
            assert_eq!(buffer.finish().len(), total);
            assert!(buffer.finish().capacity() <= paid(total), "{total}");
            let kept = buffers::take(90_000, 90_000);
            assert!(kept.is_some(), "and the thread has its own back");
        }
    }

    #[test]
    fn what_has_arrived_moves_to_a_kept_buffer_to_the_last_byte() {
        let payload: Vec<u8> = (0..20_003_u32).map(|i| (i * 7) as u8).collect();
        buffers::recycle(alloc::vec![9; payload.len()]);
        let kept = buffers::take(payload.len(), payload.len()).expect("kept");
        let place = kept.as_ptr();
        buffers::recycle(kept);
        let mut buffer = Buffer::default();
        let mut to_come = payload.len();
        let mut key = KEY;
        // Too little for the kept buffer at first, and no multiple of anything.
        for piece in masked(&payload).chunks(1003) {
            to_come -= piece.len();
            buffer.push(piece, key, to_come);
            key = mask::advance(key, piece.len());
        }
        assert_eq!(*buffer.finish(), payload);
        assert_eq!(buffer.bytes.as_ptr(), place);
    }

    #[test]
    fn text_that_is_ascii_to_begin_with_is_whole_and_fails_at_its_first_bad_byte() {
        for ascii in [0, 1, 255, 256, 257, 3000] {
            let text = ["x".repeat(ascii), "é€𝄞y".repeat(50)].concat();
            for step in [1, 7, 300, 1000, 5000] {
                for bad in [None, Some(0), Some(ascii), Some(text.len() - 1)] {
                    let mut bytes = text.clone().into_bytes();
                    if let Some(bad) = bad {
                        bytes[bad] = 0xff;
                    }
                    let mut message = Message::new(MessageKind::Text);
                    let mut key = KEY;
                    let mut start = 0;
                    let failed_in = masked(&bytes).chunks_mut(step).find_map(|piece| {
                        let arrived = start..start + piece.len();
                        start = arrived.end;
                        let next = mask::advance(key, piece.len());
                        let result = message.push_text(piece, key, usize::MAX);
                        key = next;
                        result.is_err().then_some(arrived)
                    });
                    match (bad, failed_in) {
                        (Some(bad), Some(arrived)) => assert!(arrived.contains(&bad)),
                        (None, None) => {
                            let whole = match message.text() {
                                Some(Lent::Input(text)) => text,
                                Some(Lent::Assembled(text)) => text,
                                None => "",
                            };
                            assert_eq!(whole, text);
                        }
                        (bad, failed_in) => panic!("{bad:?} {failed_in:?}"),
                    }
                }
            }
        }
    }
}

//! Where a thread reads to.

use alloc::boxed::Box;
use alloc::vec;
use core::ops::Range;

use super::input::{Cut, Input};
use crate::buffers;
use crate::endpoint::Endpoint;
use crate::time::Time;

/// Where a driver reads to, for any number of connections one after the other.
///
/// It keeps the books of frames that the end of a read cuts: their beginning stays where
/// it is, and the next read goes behind it, so that a message that comes with two reads
/// is lent like any other, and not put together in a buffer of its own.
///
/// Read into [`target_for`](Self::target_for) and [`give`](Self::give) an endpoint what came.
/// While something [`is_kept`](Self::is_kept) the buffer belongs to that endpoint: read again at
/// once, or [`give_rest`](Self::give_rest). Do the latter as well before the end of its bytes
/// or an error, and when it does not want input any more. Before you wait write what it has
/// answered: messages may have come before the beginning that is kept.
///
/// An endpoint of owned messages takes the bytes themselves if much is left of a read behind
/// the first of them, and the thread has them back when all is used up. Meanwhile there are
/// others, if they are needed.
///
/// ```
/// use sockeye_core::{Connection, Messages, ReadBuffer, SharedConfig, Time};
///
/// let connection = Connection::server(&SharedConfig::default(), Time::ZERO);
/// let mut messages = Messages::new(connection, Vec::new());
/// let mut buffer = ReadBuffer::default();
/// // A Ping, in two reads.
/// for read in [&[0x89, 0x82, 0, 0][..], &[0, 0, b'h', b'i']] {
///     buffer.target_for(&mut messages)[..read.len()].copy_from_slice(read);
///     let item = buffer.give(read.len(), &mut messages, Time::ZERO);
///     assert_eq!(item.is_none(), buffer.is_kept());
/// }
/// ```
///
/// For a bare connection there are [`target`](Self::target), [`input`](Self::input),
/// [`keep`](Self::keep), each time with what it has cut, and [`rest`](Self::rest).
#[derive(Debug)]
pub struct ReadBuffer {
    /// None while an endpoint has them.
    bytes: Box<[u8]>,
    /// The beginning of a frame.
    kept: Range<usize>,
    /// The most that is read at once.
    read: usize,
}

/// The beginning of a frame that is longer than this is moved only if it must be: then a
/// shorter read is cheaper than the copy.
const LONG: usize = 4 << 10;

/// Bytes of one read by default: a message of 16 KiB with its header, or a full record of
/// TLS, and a little more, so that the read comes short and needs no other to tell that this
/// was all. A much larger buffer falls out of the first-level cache.
const READ: usize = 17 << 10;

impl Default for ReadBuffer {
    /// For reads of at most 17 KiB.
    fn default() -> Self {
        Self::new(READ)
    }
}

impl ReadBuffer {
    /// A buffer for reads of at most `read` bytes, of twice that length.
    ///
    /// At least one byte: a read into none would look like the end.
    #[must_use]
    pub fn new(read: usize) -> Self {
        let read = read.max(1);
        Self {
            bytes: Box::default(),
            kept: 0..0,
            read,
        }
    }

    /// Where the next read for `endpoint` goes: behind what it holds of a frame that was cut,
    /// if it had taken the bytes of the last one.
    #[must_use]
    #[inline]
    pub fn target_for<E: Endpoint>(&mut self, endpoint: &mut E) -> &mut [u8] {
        if let Some((bytes, end, cut)) = endpoint.give_back() {
            self.take_back(bytes, end, cut);
        }
        self.target()
    }

    /// Where the next read goes, for a bare connection.
    #[must_use]
    #[inline]
    pub fn target(&mut self) -> &mut [u8] {
        if self.bytes.len() != 2 * self.read && !self.is_kept() {
            self.bytes = Self::bytes(2 * self.read);
        }
        let start = self.kept.end;
        let end = self.bytes.len().min(start + self.read);
        self.bytes.get_mut(start..end).unwrap_or_default()
    }

    /// Gives `endpoint` what is kept, with the `n` bytes that were read behind it into
    /// [`target`](Self::target), and keeps what it leaves.
    #[inline]
    pub fn give<E: Endpoint>(&mut self, n: usize, endpoint: &mut E, now: Time) -> Option<E::Item> {
        let mut input = self.input(n).taken();
        let item = endpoint.take_input(&mut input, now);
        match (input.cut(), input.remaining().len()) {
            (None, rest @ 1..) => self.give_up(rest, endpoint),
            (cut, _) => self.keep(cut),
        }
        item
    }

    /// Gives `endpoint` what is kept, if anything is: there is nothing to be read behind it
    /// now.
    pub fn give_rest<E: Endpoint>(&mut self, endpoint: &mut E, now: Time) -> Option<E::Item> {
        if !self.is_kept() {
            return None;
        }
        endpoint.take_input(&mut self.rest(), now)
    }

    /// What is kept, with the `n` bytes that were read behind it into
    /// [`target`](Self::target).
    #[must_use]
    #[inline]
    pub fn input(&mut self, n: usize) -> Input<'_> {
        let longest = self.bytes.len();
        self.kept.end = longest.min(self.kept.end + n);
        Input::continued(
            self.bytes.get_mut(self.kept.clone()).unwrap_or_default(),
            longest,
        )
    }

    /// What is kept, which is not any more: there is nothing to be read behind it now.
    ///
    /// A connection that pauses leaves it, for the caller to hold as anything else that
    /// remains.
    #[must_use]
    pub fn rest(&mut self) -> Input<'_> {
        let kept = core::mem::take(&mut self.kept);
        Input::held(self.bytes.get_mut(kept).unwrap_or_default())
    }

    /// Keeps the beginning of a frame, at which the last input ended, if it is one.
    #[inline]
    pub fn keep(&mut self, cut: Option<Cut>) {
        match cut {
            None => self.kept = 0..0,
            Some(cut) => self.keep_cut(cut),
        }
    }

    /// Whether the beginning of a frame is kept.
    #[must_use]
    #[inline]
    pub fn is_kept(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Has `endpoint` hold the last `rest` bytes.
    #[inline(never)]
    fn give_up<E: Endpoint>(&mut self, rest: usize, endpoint: &mut E) {
        let kept = core::mem::take(&mut self.kept);
        let rest = kept.end.saturating_sub(rest)..kept.end;
        endpoint.hold(&mut self.bytes, rest);
    }

    #[inline(never)]
    fn take_back(&mut self, bytes: Box<[u8]>, end: usize, cut: Cut) {
        let begin = bytes.get(end.saturating_sub(cut.len)..end);
        let begin = begin.unwrap_or_default();
        if begin.len() > self.read {
            // From a buffer for longer reads: there must be room for one behind it all the same.
            self.bytes = [begin, &vec![0; self.read]].concat().into();
            self.kept.end = begin.len();
        } else if bytes.len() == 2 * self.read {
            buffers::recycle_read(core::mem::replace(&mut self.bytes, bytes));
            self.kept.end = end;
        } else {
            // A copy.
            if let Some(place) = self.target().get_mut(..begin.len()) {
                place.copy_from_slice(begin);
            }
            self.kept.end = begin.len();
            buffers::recycle_copy(bytes);
        }
        self.keep_cut(cut);
    }

    #[cold]
    fn bytes(len: usize) -> Box<[u8]> {
        buffers::take_read(len).unwrap_or_else(|| vec![0; len].into_boxed_slice())
    }

    fn keep_cut(&mut self, cut: Cut) {
        let end = self.kept.end;
        let start = end.saturating_sub(cut.len);
        self.kept = start..end;
        let room = self.bytes.len() - end;
        let fits = start.saturating_add(cut.whole) <= self.bytes.len();
        if !fits || (room < self.read && cut.len <= LONG) {
            self.bytes.copy_within(start..end, 0);
            self.kept = 0..end - start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Connection, Incoming, Messages, Seed, SharedConfig};
    use alloc::vec::Vec;

    /// What a read brings, and what is cut then.
    fn read(buffer: &mut ReadBuffer, bytes: &[u8], cut: Option<Cut>) -> Vec<u8> {
        buffer.target()[..bytes.len()].copy_from_slice(bytes);
        let given = buffer.input(bytes.len()).remaining().to_vec();
        buffer.keep(cut);
        given
    }

    #[test]
    fn what_is_kept_comes_before_what_is_read_next() {
        let mut buffer = ReadBuffer::new(8);
        let cut = |len, whole| Some(Cut { len, whole });
        assert_eq!(read(&mut buffer, b"abcdefgh", cut(3, 6)), b"abcdefgh");
        assert_eq!(read(&mut buffer, b"ij", cut(5, 6)), b"fghij");
        assert_eq!(read(&mut buffer, b"k", None), b"fghijk");
        assert_eq!(read(&mut buffer, b"l", None), b"l");
    }

    #[test]
    fn what_would_not_fit_moves_to_the_front() {
        let mut buffer = ReadBuffer::new(LONG + 1);
        let bytes = alloc::vec![7; LONG + 1];
        let long = |whole| {
            Some(Cut {
                len: LONG + 1,
                whole,
            })
        };
        read(&mut buffer, b"x", Some(Cut { len: 0, whole: 9 }));
        read(&mut buffer, &bytes, long(2 * LONG + 1));
        assert_eq!(buffer.kept.start, 1, "it fits, and is long");
        assert_eq!(buffer.target().len(), LONG);
        buffer.keep(long(2 * LONG + 2));
        assert_eq!(buffer.kept, 0..LONG + 1);
        assert_eq!(buffer.rest().remaining(), bytes);
        assert!(buffer.rest().is_empty());
    }

    #[test]
    fn what_is_short_moves_for_a_whole_read() {
        let mut buffer = ReadBuffer::new(8);
        read(&mut buffer, b"abcdefgh", Some(Cut { len: 1, whole: 3 }));
        assert_eq!(buffer.target().len(), 8);
        assert_eq!(
            read(&mut buffer, b"ijklmn", Some(Cut { len: 2, whole: 3 })),
            b"hijklmn"
        );
        assert_eq!(buffer.target().len(), 8);
        assert_eq!(buffer.rest().remaining(), b"mn");
    }

    fn client() -> Messages {
        let connection =
            Connection::client(&SharedConfig::default(), &Seed::new([7; 32]), Time::ZERO);
        Messages::new(connection, Vec::new())
    }

    /// Messages as a server sends them, of 1000 bytes each, and a part of another.
    fn stream(messages: u8, more: usize) -> Vec<u8> {
        let frame = |i| [&[0x82, 126, 3, 232][..], &[i; 1000]].concat();
        let mut bytes: Vec<u8> = (0..=messages).flat_map(frame).collect();
        bytes.truncate(1004 * usize::from(messages) + more);
        bytes
    }

    fn message(i: u8) -> Option<Incoming> {
        Some(Incoming::Message([i; 1000][..].into()))
    }

    fn give(buffer: &mut ReadBuffer, bytes: &[u8], messages: &mut Messages) -> Option<Incoming> {
        buffer.target_for(messages)[..bytes.len()].copy_from_slice(bytes);
        buffer.give(bytes.len(), messages, Time::ZERO)
    }

    #[test]
    fn much_that_is_left_of_a_read_is_held_where_it_is_and_read_on_behind_a_cut() {
        // What is left of the first is more than an eighth of the buffer, of the second less.
        for (whole, is_taken) in [(10, true), (3, false)] {
            let (mut buffer, mut messages) = (ReadBuffer::default(), client());
            let place = buffer.target().as_ptr();
            let read = stream(whole, 300);
            assert_eq!(give(&mut buffer, &read, &mut messages), message(0));
            assert_eq!(buffer.bytes.is_empty(), is_taken);
            for i in 1..whole {
                assert!(messages.holds_input() && !messages.wants_input());
                let held = messages.poll_held().map(Incoming::Message);
                assert_eq!(held, message(i));
            }
            assert_eq!(messages.poll_item(Time::ZERO), None);
            assert!(!messages.holds_input() && messages.wants_input());
            assert_eq!(messages.read_target(), None);

            let target = buffer.target_for(&mut messages).as_ptr();
            let behind = if is_taken { read.len() } else { 300 };
            assert_eq!(target, place.wrapping_add(behind));
            let rest = &stream(whole, 1004)[read.len()..];
            assert_eq!(give(&mut buffer, rest, &mut messages), message(whole));
            assert!(!buffer.is_kept() && messages.wants_input());
        }
    }

    #[test]
    fn a_buffer_that_was_taken_goes_back_to_the_thread() {
        let (mut buffer, mut messages) = (ReadBuffer::default(), client());
        let place = buffer.target().as_ptr();
        assert_eq!(give(&mut buffer, &stream(6, 0), &mut messages), message(0));
        // Another connection reads meanwhile.
        let mut other = client();
        assert_ne!(buffer.target_for(&mut other).as_ptr(), place);
        for i in 1..6 {
            assert_eq!(messages.poll_item(Time::ZERO), message(i));
        }
        let mut next = ReadBuffer::default();
        assert_eq!(next.target().as_ptr(), place);
        assert_eq!(next.target()[..4], stream(1, 4)[..4], "a new one has zeros");
    }

    #[test]
    fn a_copy_that_ends_with_a_cut_goes_back_to_the_thread() {
        // Known again by its end: a new one has zeros.
        let mut spare = buffers::take_copy(1).expect("short");
        spare.fill(7);
        buffers::recycle_copy(spare);
        let (mut buffer, mut messages) = (ReadBuffer::default(), client());
        let read = stream(1, 300);
        assert_eq!(give(&mut buffer, &read, &mut messages), message(0));
        let is_spare = || buffers::take_copy(1).is_some_and(|copy| copy.ends_with(&[7]));
        assert!(!is_spare());
        assert_eq!(messages.poll_item(Time::ZERO), None);
        let rest = &stream(1, 1004)[read.len()..];
        assert_eq!(give(&mut buffer, rest, &mut messages), message(1));
        assert!(is_spare());
    }

    #[test]
    fn a_cut_goes_on_in_a_buffer_for_shorter_reads() {
        for (whole, read) in [
            (10, 100),
            (10, 400),
            (10, 512),
            (3, 100),
            (3, 400),
            (3, 512),
        ] {
            let (mut long, mut messages) = (ReadBuffer::default(), client());
            let bytes = stream(whole, 300);
            assert_eq!(give(&mut long, &bytes, &mut messages), message(0));
            for i in 1..whole {
                assert_eq!(messages.poll_item(Time::ZERO), message(i));
            }
            assert_eq!(messages.poll_item(Time::ZERO), None);

            let mut short = ReadBuffer::new(read);
            let mut items = Vec::new();
            let mut rest = &stream(whole + 2, 0)[bytes.len()..];
            while !rest.is_empty() {
                let room = short.target_for(&mut messages).len();
                let (piece, behind) = rest.split_at(room.min(rest.len()));
                items.extend(give(&mut short, piece, &mut messages));
                items.extend(messages.poll_item(Time::ZERO));
                rest = behind;
            }
            items.extend(short.give_rest(&mut messages, Time::ZERO));
            assert_eq!(items, [whole, whole + 1].map(|i| message(i).expect("some")));
        }
    }

    #[test]
    fn a_cut_that_nobody_asks_for_is_not_lost() {
        let (mut buffer, mut messages) = (ReadBuffer::default(), client());
        let read = stream(2, 300);
        assert_eq!(give(&mut buffer, &read, &mut messages), message(0));
        assert_eq!(messages.poll_item(Time::ZERO), message(1));
        assert_eq!(messages.poll_item(Time::ZERO), None);
        let mut rest = stream(4, 0).split_off(read.len());
        assert_eq!(messages.handle_input(&mut rest, Time::ZERO), message(2));
        assert_eq!(messages.poll_item(Time::ZERO), message(3));
        assert_eq!(messages.poll_item(Time::ZERO), None);
        assert!(messages.wants_input());
    }
}

//! Buffers that a thread lends to whichever connection it is polling.
//!
//! They are taken and put back within one poll. Should a transport poll another
//! connection inside its own `poll_read`, the inner one finds the place empty
//! and makes a buffer of its own; a `RefCell` would panic.

use core::cell::Cell;
use core::task::Poll;
use std::io;
use std::thread::LocalKey;

use sockeye_core::{Endpoint, OutputBuffer, ReadBuffer, Time};

/// Bytes of a full record of TLS, and a little more.
#[cfg(feature = "tls")]
const RECORD: usize = 17 << 10;

/// Reads one behind the other while each cuts a frame; then what was answered has its turn.
const AHEAD: usize = 4;

/// An output buffer that has grown beyond this is not kept for others. What gathers up to the
/// soft mark takes some 80 KiB.
const OUTPUT_MAX: usize = 128 << 10;

thread_local! {
    // Boxed: it is taken and put back with every read, and so that is one word.
    static INPUT_SPARE: Cell<Option<Box<ReadBuffer>>> = const { Cell::new(None) };
    #[cfg(feature = "tls")]
    static RECORDS_SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
    static OUTPUT_SPARE: Cell<Option<OutputBuffer>> = const { Cell::new(None) };
}

/// Calls `read` with this thread's read buffer.
pub fn with_input<R>(read: impl FnOnce(&mut [u8]) -> R) -> R {
    with(&INPUT_SPARE, Box::default, |buffer| read(buffer.target()))
}

/// Reads into this thread's read buffer and gives `endpoint` what came; again, if that ends
/// with the beginning of a frame, as long as `read` has more.
///
/// Answers go into this thread's output buffer, which is to be [taken back](reclaim_output).
/// Call it while the endpoint wants input. Pending only if nothing was read: what was may
/// have been answered, and answers leave before anybody waits, or hears of the end.
pub fn receive<E: Endpoint>(
    endpoint: &mut E,
    now: Time,
    mut read: impl FnMut(&mut [u8]) -> Poll<io::Result<usize>>,
) -> Poll<Option<E::Item>> {
    with(&INPUT_SPARE, Box::default, |buffer| {
        for made in 0..AHEAD {
            let read = read(buffer.target_for(endpoint));
            let Poll::Ready(Ok(n @ 1..)) = read else {
                let item = buffer.give_rest(endpoint, now);
                match read {
                    Poll::Ready(Err(_)) => endpoint.handle_error(now),
                    // The transport will say the same again.
                    _ if made > 0 || item.is_some() => {}
                    Poll::Ready(Ok(_)) => endpoint.handle_eof(now),
                    Poll::Pending => return Poll::Pending,
                }
                return Poll::Ready(item);
            };
            lend_output(endpoint);
            let item = buffer.give(n, endpoint, now);
            if !buffer.is_kept() || !endpoint.wants_input() {
                return Poll::Ready(item.or_else(|| buffer.give_rest(endpoint, now)));
            }
        }
        Poll::Ready(buffer.give_rest(endpoint, now))
    })
}

/// Calls `read` with this thread's buffer for what TLS has yet to decrypt, which it
/// does while [`receive`] has the other.
#[cfg(feature = "tls")]
pub(crate) fn with_records<R>(read: impl FnOnce(&mut [u8]) -> R) -> R {
    let records = || vec![0; RECORD].into_boxed_slice();
    with(&RECORDS_SPARE, records, |buffer| read(buffer))
}

fn with<B, R>(
    spare: &'static LocalKey<Cell<Option<B>>>,
    new: impl FnOnce() -> B,
    read: impl FnOnce(&mut B) -> R,
) -> R {
    // A thread that is ending has no places any more, and does without.
    let taken = spare.try_with(Cell::take).ok().flatten();
    let mut buffer = taken.unwrap_or_else(new);
    let result = read(&mut buffer);
    let _ = spare.try_with(|place| place.set(Some(buffer)));
    result
}

/// Lends this thread's spare output buffer to `endpoint`, if it has none and there is one.
#[inline]
pub fn lend_output(endpoint: &mut impl Endpoint) {
    if endpoint.wants_buffer()
        && let Some(spare) = take_output()
    {
        endpoint.lend(spare);
    }
}

/// Takes the output buffer of `endpoint` back once all has left: who waits owns none.
#[inline]
pub fn reclaim_output(endpoint: &mut impl Endpoint) {
    if let Some(spare) = endpoint.reclaim() {
        put_output(spare);
    }
}

/// This thread's spare output buffer, if it has one at the moment.
pub fn take_output() -> Option<OutputBuffer> {
    OUTPUT_SPARE.try_with(Cell::take).ok().flatten()
}

/// Keeps an output buffer for the next connection: of two the one with more room.
pub fn put_output(buffer: OutputBuffer) {
    let room = buffer.capacity();
    if room <= OUTPUT_MAX {
        let _ = OUTPUT_SPARE.try_with(|place| {
            let kept = place.take().filter(|kept| kept.capacity() > room);
            place.set(Some(kept.unwrap_or(buffer)));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sockeye_core::{CloseCode, Connection, Incoming, Messages, Seed, SharedConfig};

    #[test]
    fn the_read_buffer_is_the_same_one_each_time_and_nesting_does_not_panic() {
        let first = with_input(|outer| {
            with_input(|inner| {
                assert_ne!(outer.as_ptr(), inner.as_ptr());
                assert_eq!(inner.len(), outer.len());
            });
            outer.as_ptr()
        });
        assert_eq!(with_input(|again| again.as_ptr()), first);
    }

    const NOW: Time = Time::from_micros(1);

    fn messages() -> Messages {
        Messages::new(
            Connection::client(&SharedConfig::default(), &Seed::new([7; 32]), NOW),
            Vec::new(),
        )
    }

    /// A message as a server sends it.
    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x82, 126];
        frame.extend((payload.len() as u16).to_be_bytes());
        frame.extend(payload);
        frame
    }

    /// Receives once from reads that bring what is told, and then nothing.
    fn receive_from(messages: &mut Messages, reads: &[&[u8]]) -> (Poll<Option<Incoming>>, usize) {
        let mut left = reads.iter();
        let received = receive(messages, NOW, |buffer| match left.next() {
            None => Poll::Pending,
            Some(bytes) => {
                buffer[..bytes.len()].copy_from_slice(bytes);
                Poll::Ready(Ok(bytes.len()))
            }
        });
        (received, reads.len() - left.len())
    }

    fn ready(payload: &[u8]) -> Poll<Option<Incoming>> {
        Poll::Ready(Some(Incoming::Message(payload.into())))
    }

    #[test]
    fn a_message_that_comes_with_two_reads_is_received_by_one_call() {
        let mut messages = messages();
        let payload = [7; 20_000];
        let frame = frame(&payload);
        let reads = [&frame[..17_000], &frame[17_000..]];
        let received = receive_from(&mut messages, &reads);
        assert_eq!(received, (ready(&payload), 2));
    }

    #[test]
    fn what_nothing_more_comes_behind_stays_with_its_endpoint() {
        let (mut first, mut second) = (messages(), messages());
        let frame = frame(&[7; 1000]);
        let cut = receive_from(&mut first, &[&frame[..900]]);
        assert_eq!(cut, (Poll::Ready(None), 1), "it may have been answered");
        assert_eq!(receive_from(&mut first, &[]), (Poll::Pending, 0));
        // The buffer is another's now.
        let whole = receive_from(&mut second, &[&frame]);
        assert_eq!(whole, (ready(&[7; 1000]), 1));
        let rest = receive_from(&mut first, &[&frame[900..]]);
        assert_eq!(rest, (ready(&[7; 1000]), 1));
    }

    #[test]
    fn what_is_wrong_with_the_beginning_of_a_frame_is_told_if_nothing_more_comes() {
        let mut messages = messages();
        let text = [&[0x81, 126, 3, 232][..], &[0xff; 500]].concat();
        let read = [frame(&[7; 1000]), text].concat();
        assert_eq!(receive_from(&mut messages, &[&read]).0, ready(&[7; 1000]));
        assert_eq!(messages.poll_item(NOW), None);
        assert!(messages.wants_input());
        let (Poll::Ready(Some(Incoming::Closed(closed))), 0) = receive_from(&mut messages, &[])
        else {
            panic!("it goes on");
        };
        assert_eq!(closed.code, CloseCode::INVALID_PAYLOAD);
    }

    #[test]
    fn the_end_behind_the_beginning_of_a_frame_is_the_end() {
        let mut messages = messages();
        let frame = frame(&[7; 1000]);
        let cut = receive_from(&mut messages, &[&frame[..900], b""]);
        assert_eq!(cut, (Poll::Ready(None), 2));
        assert!(messages.wants_input(), "what was answered leaves first");
        assert_eq!(receive_from(&mut messages, &[b""]), (Poll::Ready(None), 1));
        let Some(Incoming::Closed(closed)) = messages.poll_item(NOW) else {
            panic!("it has not ended");
        };
        assert_eq!(closed.code, CloseCode::ABNORMAL);
    }

    #[test]
    fn frames_that_are_always_cut_do_not_keep_others_waiting() {
        let mut messages = messages();
        let frame = frame(&[7; 1000]);
        let mut bytes = frame.chunks(1);
        let single: Vec<&[u8]> = bytes.by_ref().collect();
        let (first, reads) = receive_from(&mut messages, &single);
        assert_eq!((first, reads), (Poll::Ready(None), AHEAD));
        // What was read is not lost.
        let rest = receive_from(&mut messages, &[&frame[AHEAD..]]);
        assert_eq!(rest, (ready(&[7; 1000]), 1));
    }

    #[test]
    fn a_spare_output_buffer_is_lent_once_and_a_grown_one_is_dropped() {
        put_output(OutputBuffer::with_capacity(100));
        assert!(take_output().is_some_and(|buffer| buffer.capacity() >= 100));
        assert!(take_output().is_none());
        put_output(OutputBuffer::with_capacity(OUTPUT_MAX + 1));
        assert!(take_output().is_none());
        for bytes in [100, 300, 200] {
            put_output(OutputBuffer::with_capacity(bytes));
        }
        assert!(take_output().is_some_and(|buffer| buffer.capacity() >= 300));
    }
}

//! Buffers that a thread lends to whichever connection it is polling.
//!
//! They are taken and put back within one poll. Should a transport poll another
//! connection inside its own `poll_read`, the inner one finds the place empty
//! and makes a buffer of its own; a `RefCell` would panic.

use core::cell::Cell;
use std::thread::LocalKey;

use sockeye_core::{Endpoint, OutputBuffer};

/// Bytes of one read: a message of 16 KiB with its header, or a full record of TLS, and a
/// little more, so that the read comes short and needs no other to tell that this was all.
/// A much larger buffer falls out of the first-level cache.
const INPUT: usize = 17 << 10;

/// An output buffer that has grown beyond this is not kept for others.
const OUTPUT_MAX: usize = 64 << 10;

thread_local! {
    static INPUT_SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
    #[cfg(feature = "tls")]
    static RECORDS_SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
    static OUTPUT_SPARE: Cell<Option<OutputBuffer>> = const { Cell::new(None) };
}

/// Calls `read` with this thread's read buffer.
pub fn with_input<R>(read: impl FnOnce(&mut [u8]) -> R) -> R {
    with(&INPUT_SPARE, read)
}

/// Calls `read` with this thread's buffer for what TLS has yet to decrypt, which it
/// does while [`with_input`] has the other.
#[cfg(feature = "tls")]
pub(crate) fn with_records<R>(read: impl FnOnce(&mut [u8]) -> R) -> R {
    with(&RECORDS_SPARE, read)
}

fn with<R>(
    spare: &'static LocalKey<Cell<Option<Box<[u8]>>>>,
    read: impl FnOnce(&mut [u8]) -> R,
) -> R {
    // A thread that is ending has no places any more, and does without.
    let taken = spare.try_with(Cell::take).ok().flatten();
    let mut buffer = taken.unwrap_or_else(|| vec![0; INPUT].into_boxed_slice());
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

/// Keeps an output buffer for the next connection.
pub fn put_output(buffer: OutputBuffer) {
    if buffer.capacity() <= OUTPUT_MAX {
        let _ = OUTPUT_SPARE.try_with(|place| place.set(Some(buffer)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_read_buffer_is_the_same_one_each_time_and_nesting_does_not_panic() {
        let first = with_input(|outer| {
            with_input(|inner| {
                assert_ne!(outer.as_ptr(), inner.as_ptr());
                assert_eq!(inner.len(), INPUT);
            });
            outer.as_ptr()
        });
        assert_eq!(with_input(|again| again.as_ptr()), first);
    }

    #[test]
    fn a_spare_output_buffer_is_lent_once_and_a_grown_one_is_dropped() {
        put_output(OutputBuffer::with_capacity(100));
        assert!(take_output().is_some_and(|buffer| buffer.capacity() >= 100));
        assert!(take_output().is_none());
        put_output(OutputBuffer::with_capacity(OUTPUT_MAX + 1));
        assert!(take_output().is_none());
    }
}

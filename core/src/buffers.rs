//! Large buffers that are kept for the next large message on the same thread.
//!
//! Allocating and zeroing what will be overwritten anyway costs up to a third of the
//! time that a large message takes; a buffer whose bytes are initialised already needs
//! neither. One is kept of each of two sizes. Without `std` there is no thread to keep
//! them for.

use alloc::vec::Vec;

use bytes::Bytes;

/// Smaller buffers are cheaper to allocate than to keep.
pub(crate) const LARGE: usize = 16 << 10;

#[cfg(feature = "std")]
mod cache {
    use super::{LARGE, Vec};
    use core::cell::Cell;
    use std::thread::LocalKey;

    /// From here on a buffer counts as huge.
    const HUGE: usize = 128 << 10;

    /// The longest that is kept. Its capacity may be twice that.
    const LARGEST: usize = 4 << 20;

    type Spare = Cell<Vec<u8>>;

    std::thread_local! {
        static LARGE_ONE: Spare = const { Cell::new(Vec::new()) };
        static HUGE_ONE: Spare = const { Cell::new(Vec::new()) };
    }

    fn place(len: usize) -> Option<&'static LocalKey<Spare>> {
        match len {
            LARGE..HUGE => Some(&LARGE_ONE),
            HUGE..=LARGEST => Some(&HUGE_ONE),
            _ => None,
        }
    }

    pub(super) fn take(least: usize, most: usize) -> Option<Vec<u8>> {
        [place(least)?, &HUGE_ONE].into_iter().find_map(|place| {
            let take = |spare: &Spare| {
                let kept = spare.take();
                if (least..=most).contains(&kept.len()) {
                    return Some(kept);
                }
                spare.set(kept);
                None
            };
            // While the thread ends there is nothing to take.
            place.try_with(take).ok()?
        })
    }

    pub(super) fn put(buffer: Vec<u8>) {
        // One that is mostly room behind what is initialised would hold more than it says.
        if buffer.capacity() <= 2 * buffer.len()
            && let Some(place) = place(buffer.len())
        {
            let _ = place.try_with(|spare| spare.set(buffer));
        }
    }
}

/// A kept buffer of at least `least` and at most `most` initialised bytes.
pub(crate) fn take(least: usize, most: usize) -> Option<Vec<u8>> {
    #[cfg(feature = "std")]
    return cache::take(least, most);
    #[cfg(not(feature = "std"))]
    {
        let _ = (least, most);
        None
    }
}

/// Keeps a buffer of initialised bytes, if it is large.
pub(crate) fn recycle(buffer: Vec<u8>) {
    #[cfg(feature = "std")]
    cache::put(buffer);
    #[cfg(not(feature = "std"))]
    drop(buffer);
}

/// The same for a payload that has been sent, if nobody else holds it.
pub(crate) fn recycle_bytes(bytes: Bytes) {
    if bytes.len() >= LARGE
        && let Ok(bytes) = bytes.try_into_mut()
    {
        recycle(bytes.into());
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn a_large_buffer_comes_back_to_the_thread_that_let_it_go() {
        assert_eq!(take(20_000, 80_000), None);
        let buffer = alloc::vec![1; 50_000];
        let place = buffer.as_ptr();
        recycle(buffer);
        assert_eq!(take(50_001, 80_000), None, "too short");
        assert_eq!(take(20_000, 49_999), None, "more than was paid for");
        assert_eq!(take(20_000, 80_000).map(|kept| kept.as_ptr()), Some(place));
        assert_eq!(take(20_000, 80_000), None, "it was taken");
    }

    #[test]
    fn small_huge_and_roomy_buffers_are_not_kept() {
        recycle(alloc::vec![0; LARGE - 1]);
        recycle(alloc::vec![0; (4 << 20) + 1]);
        let mut roomy = Vec::with_capacity(100_000);
        roomy.resize(LARGE, 0);
        recycle(roomy);
        assert_eq!(take(1, usize::MAX), None);
        assert_eq!(take(LARGE, usize::MAX), None);
        assert_eq!(take(4 << 20, usize::MAX), None);
    }

    #[test]
    fn a_sent_payload_is_kept_unless_somebody_else_holds_it() {
        let payload = Bytes::from(alloc::vec![1; 20_000]);
        let other = payload.clone();
        recycle_bytes(payload);
        assert_eq!(take(20_000, 20_000), None);
        recycle_bytes(other);
        assert!(take(20_000, 20_000).is_some());
    }
}

//! Large buffers that are kept for the next large message on the same thread.
//!
//! Allocating and zeroing what will be overwritten anyway costs up to a third of the
//! time that a large message takes; a buffer whose bytes are initialised already needs
//! neither. One is kept of each of two sizes, and one to read into, which a connection had
//! taken and has used up; and a short one for what a connection copies of a read, as that is
//! let go again with nearly every read. Without `std` there is no thread to keep them for.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

/// While it is there, its thread gives nobody else more than has been paid for.
pub(crate) type Loan = Arc<()>;

/// Smaller buffers are cheaper to allocate than to keep.
pub(crate) const LARGE: usize = 16 << 10;

#[cfg(feature = "std")]
mod cache {
    use super::{Arc, Box, LARGE, Loan, Vec};
    use core::cell::Cell;
    use std::thread::LocalKey;

    /// From here on a buffer counts as huge.
    const HUGE: usize = 128 << 10;

    /// The longest that is kept. Its capacity may be an eighth more.
    const LARGEST: usize = 4 << 20;

    /// Bytes of the one that is kept for copies.
    pub(super) const COPY: usize = 1 << 10;

    type Spare = Cell<Vec<u8>>;

    std::thread_local! {
        static LARGE_ONE: Spare = const { Cell::new(Vec::new()) };
        static HUGE_ONE: Spare = const { Cell::new(Vec::new()) };
        static LOAN: Loan = Arc::new(());
        static READ_ONE: Cell<Box<[u8]>> = Cell::new(Box::default());
        static COPY_ONE: Cell<Option<Box<[u8; COPY]>>> = const { Cell::new(None) };
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
                if kept.len() >= least && kept.capacity() <= most {
                    return Some(kept);
                }
                spare.set(kept);
                None
            };
            // While the thread ends there is nothing to take.
            place.try_with(take).ok()?
        })
    }

    pub(super) fn borrow(least: usize, most: usize) -> Option<(Vec<u8>, Loan)> {
        let free = |loan: &Loan| (Arc::strong_count(loan) == 1).then(|| Arc::clone(loan));
        let loan = LOAN.try_with(free).ok()??;
        Some((take(least, most)?, loan))
    }

    pub(super) fn take_read(len: usize) -> Option<Box<[u8]>> {
        let kept = READ_ONE.try_with(Cell::take).ok()?;
        Some(kept).filter(|kept| kept.len() == len)
    }

    pub(super) fn put_read(buffer: Box<[u8]>) {
        if buffer.len() >= LARGE {
            let _ = READ_ONE.try_with(|spare| spare.set(buffer));
        }
    }

    pub(super) fn take_copy() -> Option<Box<[u8; COPY]>> {
        COPY_ONE.try_with(Cell::take).ok()?
    }

    pub(super) fn put_copy(buffer: Box<[u8; COPY]>) {
        let _ = COPY_ONE.try_with(|spare| spare.set(Some(buffer)));
    }

    pub(super) fn put(buffer: Vec<u8>) {
        // One that is mostly room behind what is initialised would hold more than it says.
        if buffer.capacity() - buffer.len() <= buffer.len() / 8
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

/// The same for a message that has not paid for all of it, if no other of this thread has
/// one in this way.
///
/// However many messages are open, what they hold beyond their share is then one buffer
/// for each thread.
pub(crate) fn borrow(least: usize, most: usize) -> Option<(Vec<u8>, Loan)> {
    #[cfg(feature = "std")]
    return cache::borrow(least, most);
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
    // Asked first: what is given back would go through memory.
    if bytes.len() >= LARGE
        && bytes.is_unique()
        && let Ok(bytes) = bytes.try_into_mut()
    {
        recycle(bytes.into());
    }
}

/// A kept buffer of `len` bytes to read into.
pub(crate) fn take_read(len: usize) -> Option<Box<[u8]>> {
    #[cfg(feature = "std")]
    return cache::take_read(len);
    #[cfg(not(feature = "std"))]
    {
        let _ = len;
        None
    }
}

/// Keeps a buffer to read into for whoever reads next, if it is large.
pub(crate) fn recycle_read(buffer: Box<[u8]>) {
    #[cfg(feature = "std")]
    cache::put_read(buffer);
    #[cfg(not(feature = "std"))]
    drop(buffer);
}

/// Room for a copy of `len` bytes: a whole kept buffer, or a new one like it, unless that would
/// be too short.
#[inline]
pub(crate) fn take_copy(len: usize) -> Option<Box<[u8]>> {
    #[cfg(feature = "std")]
    return (len <= cache::COPY)
        .then(|| cache::take_copy().unwrap_or_else(|| Box::new([0; cache::COPY])) as _);
    #[cfg(not(feature = "std"))]
    {
        let _ = len;
        None
    }
}

/// Keeps what [`take_copy`] gave for the next; anything else goes.
#[inline]
pub(crate) fn recycle_copy(buffer: Box<[u8]>) {
    #[cfg(feature = "std")]
    if let Ok(buffer) = buffer.try_into() {
        cache::put_copy(buffer);
    }
    #[cfg(not(feature = "std"))]
    drop(buffer);
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::cache::COPY;
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
    fn one_message_at_a_time_has_more_than_it_paid_for() {
        let keep = || recycle(alloc::vec![1; 50_000]);
        keep();
        let (first, loan) = borrow(20_000, 80_000).expect("kept");
        keep();
        assert!(borrow(20_000, 80_000).is_none());
        assert!(take(20_000, 80_000).is_some(), "who pays is not concerned");
        // It may end on another thread.
        std::thread::spawn(move || drop(loan))
            .join()
            .expect("ended");
        recycle(first);
        assert!(borrow(20_000, 80_000).is_some());
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
    fn room_for_a_copy_comes_back_to_its_thread() {
        assert_eq!(take_copy(COPY + 1), None);
        // Known again by its end: a new one has zeros.
        let mut first = take_copy(COPY).expect("it fits");
        first.fill(7);
        let second = take_copy(1).expect("a new one");
        assert_eq!(second.len(), COPY);
        drop(second);
        recycle_copy(first);
        recycle_copy(alloc::vec![0; COPY - 1].into());
        assert!(take_copy(1).is_some_and(|kept| kept.ends_with(&[7])));
        assert!(take_copy(1).is_some_and(|new| new.ends_with(&[0])));
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

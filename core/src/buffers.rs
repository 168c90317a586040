//! A large buffer that is kept for the next large message on the same thread.
//!
//! Zeroing what will be overwritten anyway costs a third of the time that a
//! message of a mebibyte takes; a buffer whose bytes are initialised already need
//! not be zeroed again. Without `std` there is no thread to keep it for.

use alloc::vec::Vec;

use bytes::Bytes;

/// Smaller buffers are cheaper to allocate than to keep.
pub(crate) const LARGE: usize = 64 << 10;

#[cfg(feature = "std")]
mod cache {
    use super::{LARGE, Vec};
    use core::cell::Cell;

    /// The most that a thread keeps.
    const LARGEST: usize = 4 << 20;

    std::thread_local! {
        static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }

    pub(super) fn take() -> Vec<u8> {
        // While the thread ends there is nothing to take.
        SPARE.try_with(Cell::take).unwrap_or_default()
    }

    pub(super) fn put(buffer: Vec<u8>) {
        if !(LARGE..=LARGEST).contains(&buffer.len()) || buffer.capacity() > 2 * LARGEST {
            return;
        }
        let _ = SPARE.try_with(|spare| {
            let kept = spare.take();
            spare.set(if kept.len() >= buffer.len() {
                kept
            } else {
                buffer
            });
        });
    }
}

/// A buffer of initialised bytes, empty if none is kept.
pub(crate) fn take() -> Vec<u8> {
    #[cfg(feature = "std")]
    return cache::take();
    #[cfg(not(feature = "std"))]
    Vec::new()
}

/// Keeps a buffer of initialised bytes if it is large and larger than the one kept.
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

//! What later messages may refer to.

use alloc::vec::Vec;

/// The last bytes that one direction received, up to its window.
///
/// It is all that a connection keeps between compressed messages: to give it to a
/// decompressor again takes a hundredth of the time that a message takes, and a tenth of
/// the memory that a decompressor holds.
#[derive(Debug)]
pub(crate) struct History {
    /// Grows up to `size`, then wraps around.
    bytes: Vec<u8>,
    /// Where the oldest byte is, once it has wrapped.
    oldest: usize,
    size: usize,
}

impl History {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            bytes: Vec::new(),
            oldest: 0,
            size,
        }
    }

    /// Adds what came behind.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        let piece = piece
            .get(piece.len().saturating_sub(self.size)..)
            .unwrap_or_default();
        let (growth, rest) = piece.split_at(piece.len().min(self.size - self.bytes.len()));
        if self.bytes.len() + growth.len() > self.bytes.capacity() {
            // Doubled as needed, but never beyond the window.
            let wanted = (self.bytes.len() + growth.len())
                .next_power_of_two()
                .min(self.size);
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend_from_slice(growth);
        let (to_end, from_start) = rest.split_at(rest.len().min(self.size - self.oldest));
        self.overwrite(self.oldest, to_end);
        self.overwrite(0, from_start);
        self.oldest = (self.oldest + rest.len()) % self.size;
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.oldest = 0;
    }

    /// The bytes in order.
    pub(crate) fn slices(&self) -> [&[u8]; 2] {
        let (newer, older) = self.bytes.split_at(self.oldest);
        [older, newer]
    }

    fn overwrite(&mut self, at: usize, piece: &[u8]) {
        if let Some(room) = self.bytes.get_mut(at..at + piece.len()) {
            room.copy_from_slice(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_holds_the_last_bytes_and_no_more(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..700), 0..9),
            bits in 8_usize..10,
        ) {
            let size = 1 << bits;
            let mut history = History::new(size);
            let mut all = Vec::new();
            for piece in pieces {
                history.push(&piece);
                all.extend(piece);
                let last = &all[all.len().saturating_sub(size)..];
                prop_assert_eq!(history.slices().concat(), last);
                prop_assert!(history.bytes.capacity() <= size);
            }
        }
    }
}

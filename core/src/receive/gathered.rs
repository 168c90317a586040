//! Short pieces of the wire that several inputs brought.

/// Bytes up to `N` that were cut by the end of an input.
pub(super) struct Gathered<const N: usize> {
    bytes: [u8; N],
    pub(super) len: usize,
}

impl<const N: usize> Default for Gathered<N> {
    fn default() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }
}

impl<const N: usize> Gathered<N> {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        room.iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        self.len = N.min(self.len + bytes.len());
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

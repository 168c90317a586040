//! The bytes of one read.

use crate::mask::{self, Key};

/// The bytes of one read, and how far they are used up.
///
/// Payloads are unmasked where they lie and lent from there, so the caller's one
/// read buffer serves any number of connections. When receiving is paused what
/// [`remaining`](Self::remaining) says must be kept and given again.
#[derive(Debug)]
pub struct Input<'b> {
    bytes: &'b mut [u8],
    at: usize,
    fresh: bool,
    /// A frame of which the beginning is here may stay, if it is no longer than this.
    longest: usize,
    /// How long the one is that stays.
    whole: usize,
    /// What remains behind an item may stay, too: it is taken with the buffer.
    is_taken: bool,
}

/// The beginning of a frame at the end of an [`Input`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// How many bytes are there.
    pub(super) len: usize,
    /// How many there will be.
    pub(super) whole: usize,
}

impl<'b> Input<'b> {
    /// Bytes that were just read.
    #[must_use]
    #[inline]
    pub fn new(bytes: &'b mut [u8]) -> Self {
        Self::continued(bytes, 0)
    }

    /// The same, if the caller can read more behind them.
    ///
    /// A control frame, or a message of one frame, that is cut by the end of the bytes and
    /// has no more than `longest` bytes with its header is then not copied away:
    /// [`remaining`](Self::remaining) says what is there of it, and [`cut`](Self::cut) that it
    /// is. Write what was answered, read more behind it and give both together as a new input;
    /// or, if there is nothing more for now, give it alone as [`held`](Self::held), before
    /// anything else. [`ReadBuffer`](crate::ReadBuffer) keeps the books.
    #[must_use]
    #[inline]
    pub fn continued(bytes: &'b mut [u8], longest: usize) -> Self {
        let fresh = !bytes.is_empty();
        Self {
            bytes,
            at: 0,
            fresh,
            longest,
            whole: 0,
            is_taken: false,
        }
    }

    /// No bytes: to collect an event that came from elsewhere.
    #[must_use]
    pub fn empty() -> Self {
        Self::held(&mut [])
    }

    /// Bytes that were given before, and were held while receiving paused.
    #[must_use]
    pub fn held(bytes: &'b mut [u8]) -> Self {
        Self {
            fresh: false,
            ..Self::new(bytes)
        }
    }

    /// The same, of which a cut frame may stay that is no longer than this.
    #[inline]
    pub(crate) fn within(self, longest: usize) -> Self {
        Self { longest, ..self }
    }

    /// The same, of which [`Endpoint::hold`](crate::Endpoint::hold) takes the rest.
    #[inline]
    pub(super) fn taken(self) -> Self {
        Self {
            is_taken: true,
            ..self
        }
    }

    /// Whether what remains behind an item may stay: it is taken with its buffer.
    #[inline]
    pub(crate) fn is_taken(&self) -> bool {
        self.is_taken
    }

    /// What is not used up.
    #[must_use]
    #[inline]
    pub fn remaining(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The same where it is known to be some: a branch, and not a choice between two slices
    /// for which what follows would wait.
    #[inline(always)]
    pub(crate) fn rest(&self) -> Option<&[u8]> {
        self.bytes.get(self.at..)
    }

    /// The same, to be unmasked.
    #[inline]
    pub(crate) fn rest_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.at..).unwrap_or_default()
    }

    /// Whether all is used up.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The beginning of a frame that was left, if that is what remains.
    #[must_use]
    #[inline]
    pub fn cut(&self) -> Option<Cut> {
        let len = self.bytes.len() - self.at;
        let whole = self.whole;
        (whole > 0 && len > 0).then_some(Cut { len, whole })
    }

    /// Leaves a cut frame that begins at `start` and will have `whole` bytes, if it may
    /// stay.
    pub(crate) fn leave(&mut self, start: usize, whole: u64) -> bool {
        let stays = whole <= self.longest as u64;
        if stays {
            self.whole = whole as usize;
            self.at = start;
        }
        stays
    }

    /// How much is used up.
    #[must_use]
    #[inline]
    pub fn consumed(&self) -> usize {
        self.at
    }

    /// Whether this is the first look at these bytes.
    #[inline]
    pub(crate) fn take_fresh(&mut self) -> bool {
        let is_fresh = self.fresh;
        // Seldom: what is written would be read again with the next message.
        if is_fresh {
            self.fresh = false;
        }
        is_fresh
    }

    /// Uses up the next `n` bytes, which are not this connection's.
    #[inline]
    pub fn skip(&mut self, n: usize) {
        self.at += n.min(self.bytes.len() - self.at);
    }

    /// Uses up to `n` bytes.
    pub(crate) fn take(&mut self, n: usize) -> &[u8] {
        let start = self.at;
        self.skip(n);
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// Uses up to `n` bytes and removes their mask.
    #[inline(always)]
    pub(crate) fn take_unmasked(&mut self, n: usize, key: Key) {
        let start = self.at;
        self.skip(n);
        if key != [0; 4]
            && let Some(payload) = self.bytes.get_mut(start..self.at)
        {
            mask::apply(payload, key);
        }
    }

    /// Uses a header and the payload behind it, which are known to be there, and removes the
    /// mask.
    #[inline(always)]
    pub(crate) fn take_payload(&mut self, header: usize, len: usize, key: Key) -> Option<()> {
        let start = self.at + header;
        let end = start + len;
        let payload = self.bytes.get_mut(start..end)?;
        if key != [0; 4] {
            mask::apply(payload, key);
        }
        self.at = end;
        Some(())
    }

    /// Removes the mask from the bytes from `from` to `to` of what is not used up.
    #[cfg(feature = "deflate")]
    pub(crate) fn unmask(&mut self, from: usize, to: usize, key: Key) {
        if let Some(payload) = self.bytes.get_mut(self.at + from..self.at + to) {
            mask::apply(payload, key);
        }
    }

    /// The last `n` bytes that were used.
    #[inline]
    pub(crate) fn last(&self, n: usize) -> &[u8] {
        // Without a start there is no such slice.
        self.bytes
            .get(self.at.wrapping_sub(n)..self.at)
            .unwrap_or_default()
    }

    /// The same, to change them.
    #[inline]
    pub(crate) fn last_mut(&mut self, n: usize) -> &mut [u8] {
        self.bytes
            .get_mut(self.at.saturating_sub(n)..self.at)
            .unwrap_or_default()
    }

    /// Uses up everything.
    #[inline]
    pub fn discard(&mut self) {
        self.at = self.bytes.len();
    }
}

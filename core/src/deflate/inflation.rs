//! One compressed message on its way in.

use super::Pool;
use super::codec::Inflater;
use crate::close::Violation;

/// What a sender left out, and then an empty final block: only where a message was whole
/// does the stream end behind it, exactly.
const END: [u8; 9] = [0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff];

/// Final blocks within a message that its bytes need not pay for; one more is allowed for
/// every 64 bytes. Each costs as much as a copy of the window.
const FREE_RESTARTS: u64 = 16;

/// A message that is being decompressed.
pub(crate) struct Inflation {
    codec: Inflater,
    /// A final block has ended, and nothing came since.
    ended: bool,
    consumed: u64,
    restarts: u64,
}

/// What became of a piece of input.
pub(crate) struct Inflated {
    pub(crate) consumed: usize,
    pub(crate) produced: usize,
    pub(crate) status: Status,
}

/// What is to be done next, once what was produced is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// There is more in the input.
    GoesOn,
    /// The input is used up, and all that is in it is out.
    Exhausted,
    /// What follows is no compressed data: [`Violation::Deflate`].
    Broken,
}

impl Inflation {
    /// Begins a message that may refer to `dictionary`.
    pub(crate) fn new<'d>(
        dictionary: impl IntoIterator<Item = &'d [u8]>,
    ) -> Result<Self, Violation> {
        let mut codec = Pool::with(Pool::inflater);
        codec.reset(dictionary)?;
        Ok(Self {
            codec,
            ended: false,
            consumed: 0,
            restarts: 0,
        })
    }

    /// Decompresses as much of `input` as there is room for.
    ///
    /// Where a stream ends and another begins, as RFC 7692 §7.2.1 allows anywhere,
    /// `so_far` is what that may refer to.
    pub(crate) fn inflate<'d, D: IntoIterator<Item = &'d [u8]>>(
        &mut self,
        input: &[u8],
        output: &mut [u8],
        so_far: impl FnOnce() -> D,
    ) -> Result<Inflated, Violation> {
        if self.ended {
            if input.is_empty() {
                return Ok(Inflated {
                    consumed: 0,
                    produced: 0,
                    status: Status::Exhausted,
                });
            }
            self.restarts += 1;
            if self.restarts > FREE_RESTARTS + self.consumed / 64 {
                return Err(Violation::Deflate);
            }
            self.codec.reset(so_far())?;
        }
        let progress = self.codec.inflate(input, output);
        let has_moved = progress.consumed + progress.produced > 0 || progress.ended;
        self.ended = progress.ended;
        self.consumed += progress.consumed as u64;
        let is_exhausted = progress.consumed == input.len()
            && (progress.produced < output.len() || progress.ended);
        let status = if progress.is_broken || !(has_moved || input.is_empty()) {
            Status::Broken
        } else if is_exhausted {
            Status::Exhausted
        } else {
            Status::GoesOn
        };
        Ok(Inflated {
            consumed: progress.consumed,
            produced: progress.produced,
            status,
        })
    }

    /// The message ends here: checks that it does, and lets the decompressor go.
    pub(crate) fn finish(mut self) -> Result<(), Violation> {
        // Nothing at all is taken for an empty message: a second flush of zlib gives just that.
        if self.consumed > 0 && !self.ended {
            let mut none = [0; 16];
            let progress = self.codec.inflate(&END, &mut none);
            if !progress.ended || progress.consumed < END.len() || progress.produced > 0 {
                return Err(Violation::Deflate);
            }
        }
        Pool::with(|pool| pool.put_inflater(self.codec));
        Ok(())
    }
}

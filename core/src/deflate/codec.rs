//! The compressor and the decompressor, as RFC 7692 uses them.

use alloc::vec::Vec;

use zlib_rs::{DeflateConfig, DeflateFlush, InflateFlush, Status};

use super::{Deflate, Window};
use crate::close::Violation;
use crate::message::Payload;

/// What a sync flush ends with, and what is left out on the wire (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// An empty block without compression but for [`TAIL`], which follows it.
const EMPTY: &[u8] = &[0x00];

/// Memory for symbols and output: 14 KiB, as much as Python's `websockets` takes. More
/// makes nothing faster here, and messages above 16 KiB 1 % shorter.
const MEM_LEVEL: i32 = 5;

/// A compressor. It holds 150 KiB and six times its window.
pub(crate) struct Deflater {
    codec: zlib_rs::Deflate,
    kind: (u8, u8),
    /// Nothing was compressed since it was made or reset.
    is_fresh: bool,
}

/// Whether a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Message,
    Fragment,
}

impl Deflater {
    pub(super) fn new(kind: (u8, u8)) -> Self {
        let (bits, level) = kind;
        let config = DeflateConfig {
            level: i32::from(level),
            // Negative: without the header of zlib.
            window_bits: -i32::from(bits),
            mem_level: MEM_LEVEL,
            ..DeflateConfig::default()
        };
        Self {
            codec: zlib_rs::Deflate::new_with_config(config),
            kind,
            is_fresh: true,
        }
    }

    /// What distinguishes one from another.
    pub(super) fn kind_of(window: Window, level: u8) -> (u8, u8) {
        // zlib has no window of 8 bits. That of 9 is as good: it never refers further back
        // than 2^9 less 262 bytes, its longest lookahead.
        (window.bits.clamp(Deflate::LEAST_SEND, Window::MOST), level)
    }

    pub(super) fn kind(&self) -> (u8, u8) {
        self.kind
    }

    /// Begins anew: no reference to anything before.
    pub(super) fn reset(&mut self) {
        if !self.is_fresh {
            self.codec.reset();
            self.is_fresh = true;
        }
    }

    /// Compresses the next piece of a message, all of it: into `room`, or where that is too
    /// small into memory of its own.
    ///
    /// `None`: the compressor is broken, which cannot be with a window and a level that
    /// it has.
    pub(crate) fn compress<'o>(
        &mut self,
        mut input: &[u8],
        end: End,
        room: &'o mut [u8],
    ) -> Option<Payload<'o>> {
        self.is_fresh = false;
        let mut before = Vec::new();
        let last = loop {
            let (taken, made) = (self.codec.total_in(), self.codec.total_out());
            self.codec
                .compress(input, room, DeflateFlush::SyncFlush)
                .ok()?;
            let taken = (self.codec.total_in() - taken) as usize;
            let made = (self.codec.total_out() - made) as usize;
            input = input.get(taken..)?;
            // Room is left: all that was to come has come.
            if made < room.len() && input.is_empty() {
                break made;
            }
            before.extend_from_slice(room.get(..made)?);
        };
        if before.is_empty() {
            let made = room.get(..last)?;
            return Some(Payload::Lent(match end {
                End::Fragment => made,
                End::Message if made.is_empty() => EMPTY,
                End::Message => made.strip_suffix(&TAIL)?,
            }));
        }
        before.extend_from_slice(room.get(..last)?);
        if end == End::Message {
            before.ends_with(&TAIL).then_some(())?;
            before.truncate(before.len() - TAIL.len());
        }
        before.shrink_to_fit();
        Some(Payload::Owned(before.into()))
    }
}

/// A decompressor. It holds 40 KiB, whatever the window.
pub(crate) struct Inflater(zlib_rs::Inflate);

/// What one call to an inflater did.
pub(super) struct Progress {
    pub(super) consumed: usize,
    pub(super) produced: usize,
    /// A final block has ended; what follows is another stream.
    pub(super) ended: bool,
    /// What follows is no compressed data.
    pub(super) is_broken: bool,
}

impl Inflater {
    pub(super) fn new() -> Self {
        Self(zlib_rs::Inflate::new(false, Window::MOST))
    }

    /// Begins anew, with what may be referred to.
    pub(super) fn reset<'d>(
        &mut self,
        dictionary: impl IntoIterator<Item = &'d [u8]>,
    ) -> Result<(), Violation> {
        self.0.reset(false);
        for piece in dictionary {
            if !piece.is_empty() {
                self.0
                    .set_dictionary(piece)
                    .map_err(|_| Violation::Deflate)?;
            }
        }
        Ok(())
    }

    pub(super) fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Progress {
        let (consumed, produced) = (self.0.total_in(), self.0.total_out());
        let status = self.0.decompress(input, output, InflateFlush::SyncFlush);
        Progress {
            consumed: (self.0.total_in() - consumed) as usize,
            produced: (self.0.total_out() - produced) as usize,
            ended: matches!(status, Ok(Status::StreamEnd)),
            is_broken: status.is_err(),
        }
    }
}

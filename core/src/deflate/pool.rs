//! The codecs of a thread: what is made once and used by all its connections.

use alloc::vec::Vec;
use core::cell::Cell;

use super::codec::{Deflater, Inflater};
use super::{Deflate, Window};

/// Codecs that are kept while nobody uses them, as many for each direction. A message takes
/// one when it is whole and gives it back at once; only delivery or sending in pieces, and
/// settings that differ, need several.
const KEPT: usize = 4;

/// What is compressed or decompressed goes through here, in pieces of this size: a quarter
/// of a cache.
const PIECE: usize = 16 << 10;

/// The idle codecs of a thread.
#[derive(Default)]
pub(crate) struct Pool {
    inflaters: Vec<Inflater>,
    deflaters: Vec<Deflater>,
    piece: Vec<u8>,
}

std::thread_local! {
    static POOL: Cell<Pool> = const { Cell::new(Pool::new()) };
}

impl Pool {
    const fn new() -> Self {
        Self {
            inflaters: Vec::new(),
            deflaters: Vec::new(),
            piece: Vec::new(),
        }
    }

    /// The pool of this thread; an empty one within `run`, and while the thread ends.
    pub(crate) fn with<R>(run: impl FnOnce(&mut Self) -> R) -> R {
        let mut pool = POOL.try_with(Cell::take).unwrap_or_default();
        let result = run(&mut pool);
        let _ = POOL.try_with(|place| place.set(pool));
        result
    }

    /// A decompressor in whatever state its last message left it.
    pub(crate) fn inflater(&mut self) -> Inflater {
        self.inflaters.pop().unwrap_or_else(Inflater::new)
    }

    pub(crate) fn put_inflater(&mut self, inflater: Inflater) {
        if self.inflaters.len() < KEPT {
            self.inflaters.push(inflater);
        }
    }

    /// A compressor that begins anew.
    pub(crate) fn deflater(&mut self, window: Window, config: &Deflate) -> Deflater {
        let kind = Deflater::kind_of(window, config.level);
        let known = self.deflaters.iter().position(|idle| idle.kind() == kind);
        match known {
            Some(at) => {
                let mut deflater = self.deflaters.swap_remove(at);
                deflater.reset();
                deflater
            }
            None => Deflater::new(kind),
        }
    }

    pub(crate) fn put_deflater(&mut self, deflater: Deflater) {
        if self.deflaters.len() >= KEPT {
            // Kinds that are not used any more make room.
            self.deflaters.remove(0);
        }
        self.deflaters.push(deflater);
    }

    /// Room to work in.
    pub(crate) fn piece(&mut self) -> &mut [u8] {
        if self.piece.is_empty() {
            self.piece.resize(PIECE, 0);
        }
        &mut self.piece
    }
}

#[cfg(test)]
impl Pool {
    /// How many codecs wait for use: those that decompress, and those that compress.
    pub(crate) fn idle(&self) -> (usize, usize) {
        (self.inflaters.len(), self.deflaters.len())
    }
}

//! The body of a response that refused the handshake.

use super::{Response, request::parse_length};
use alloc::vec::Vec;
use core::mem;

/// Collects a body up to a limit: what exceeds it is not waited for.
///
/// The body is for people to read in an error; one whose framing is broken ends where it breaks.
#[derive(Debug)]
pub(super) struct Body {
    content: Vec<u8>,
    limit: usize,
    framing: Framing,
}

/// What the next byte is.
#[derive(Clone, Copy, Debug)]
enum Framing {
    /// Content, of which this much is missing.
    Length(u64),
    /// Content, until the end of the input.
    UntilEof,
    /// RFC 9112 §7.1: a digit of the size of a chunk, or what follows these.
    ChunkSize { size: u64, digits: u8 },
    /// An extension of the chunk's size, to be ignored.
    ChunkExtension { size: u64 },
    /// The LF after the chunk's size.
    ChunkSizeEnd { size: u64 },
    /// Content of a chunk, of which this much is missing.
    ChunkData(u64),
    /// The CR after a chunk.
    ChunkEnd,
    /// The LF after a chunk.
    ChunkEndLineFeed,
    /// Nothing more.
    Over,
}

impl Body {
    /// The body that follows a response with these fields (RFC 9112 §6.3).
    pub(super) fn new(head: &Response, limit: usize) -> Self {
        let framing = match (
            head.value("Transfer-Encoding"),
            head.value("Content-Length"),
        ) {
            _ if matches!(head.status(), 204 | 304) => Framing::Over,
            (Some(coding), _) if coding.eq_ignore_ascii_case(b"chunked") => Framing::CHUNK,
            (Some(_), _) | (None, None) => Framing::UntilEof,
            (None, Some(digits)) => match parse_length(digits) {
                Some(length) => Framing::Length(length),
                None => Framing::UntilEof,
            },
        };
        Self {
            content: Vec::new(),
            limit,
            framing,
        }
    }

    /// Takes more of the body.
    pub(super) fn push(&mut self, mut input: &[u8]) {
        while !self.is_whole() {
            let Some((&first, rest)) = input.split_first() else {
                return;
            };
            input = match self.framing {
                Framing::Length(missing) => self.take(input, missing, Framing::Length),
                Framing::UntilEof => self.take(input, u64::MAX, |_| Framing::UntilEof),
                Framing::ChunkData(missing) => self.take(input, missing, |missing| match missing {
                    0 => Framing::ChunkEnd,
                    _ => Framing::ChunkData(missing),
                }),
                framing => {
                    self.framing = framing.after(first);
                    rest
                }
            };
        }
    }

    /// Whether nothing more is needed.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.framing, Framing::Over | Framing::Length(0))
            || self.content.len() >= self.limit
    }

    /// What has been collected.
    pub(super) fn take_content(&mut self) -> Vec<u8> {
        mem::take(&mut self.content)
    }

    /// Takes content, of which `missing` bytes are to come, and returns what follows it.
    fn take<'a>(
        &mut self,
        input: &'a [u8],
        missing: u64,
        then: impl Fn(u64) -> Framing,
    ) -> &'a [u8] {
        let room = self.limit.saturating_sub(self.content.len());
        let missing_here = usize::try_from(missing).unwrap_or(usize::MAX);
        let (part, rest) = input.split_at(input.len().min(missing_here).min(room));
        self.content.extend_from_slice(part);
        // A slice is no longer than u64::MAX, nor than what was missing.
        self.framing = then(missing.saturating_sub(part.len() as u64));
        rest
    }
}

impl Framing {
    const CHUNK: Self = Self::ChunkSize { size: 0, digits: 0 };

    /// What follows one byte that is not content.
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::ChunkSize { size, digits }, _) => match char::from(byte).to_digit(16) {
                // 15 digits are 60 bits.
                Some(digit) if digits < 15 => Self::ChunkSize {
                    size: size << 4 | u64::from(digit),
                    digits: digits + 1,
                },
                None if digits > 0 => Self::ChunkExtension { size }.after(byte),
                _ => Self::Over,
            },
            (Self::ChunkExtension { size }, b'\r') => Self::ChunkSizeEnd { size },
            (Self::ChunkExtension { size }, _) => Self::ChunkExtension { size },
            (Self::ChunkSizeEnd { size: size @ 1.. }, b'\n') => Self::ChunkData(size),
            (Self::ChunkEnd, b'\r') => Self::ChunkEndLineFeed,
            (Self::ChunkEndLineFeed, b'\n') => Self::CHUNK,
            _ => Self::Over,
        }
    }
}

//! Compressed sending (RFC 7692 §7.2.1).

use super::{DEFLATE, SendError, Sender, Stream};
use crate::deflate::{Deflate, Deflater, End, Pool, Window};
use crate::frame::{First, Frame, Opcode};
use crate::message::{Compression, Outgoing};

impl Sender {
    /// Messages may be compressed from here on.
    pub(crate) fn set_deflate(&mut self, window: Window) {
        self.flags |= DEFLATE;
        self.stream.0 = window.bits & Stream::WINDOW;
        if window.takeover {
            self.stream.0 |= Stream::TAKEOVER;
        }
    }

    /// Queues a message on a connection that may compress.
    #[cold]
    pub(super) fn send_compressed(&mut self, message: Outgoing<'_>) -> Result<(), SendError> {
        self.admit()?;
        let first = First::whole(message.kind.into());
        let payload = message.payload;
        let len = payload.as_slice().len();
        let Some(config) = self.compressing(message.compression, len) else {
            self.put(first, payload);
            return Ok(());
        };
        let window = self.stream.window();
        Pool::with(|pool| {
            let mut deflater = self.take_deflater(window, &config, pool);
            match deflater.compress(payload.as_slice(), End::Message, pool.piece()) {
                // With takeover the compressor counts on it that the peer has seen this.
                Some(compressed) if window.takeover || compressed.as_slice().len() < len => {
                    self.put(first.compressed(), compressed);
                }
                Some(_) => self.put(first, payload),
                None => return self.put(first, payload),
            }
            self.keep_deflater(deflater, window, pool);
        });
        Ok(())
    }

    /// The same for a frame that goes to many connections.
    #[cold]
    pub(super) fn send_compressed_frame(&mut self, frame: &Frame) -> Result<(), SendError> {
        self.admit()?;
        let window = self.stream.window();
        if window.takeover {
            return self.send_compressed(frame.into());
        }
        let payload = frame.payload();
        let shared = frame.compressed();
        let compressed = self
            .compressing(shared.compression(), payload.len())
            .and_then(|config| shared.get(frame.kind(), payload, window, &config));
        self.put_encoded(compressed.as_ref().unwrap_or(frame.encoded()));
        Ok(())
    }

    /// The message that was just begun is compressed, if that was agreed on.
    pub(super) fn begin_compressed(&mut self) {
        if self.flags & DEFLATE != 0 {
            self.stream.0 |= Stream::COMPRESSED;
        }
    }

    /// Queues a fragment. RFC 7692 §6.1: RSV1 stands on the first.
    pub(super) fn put_compressed_fragment(&mut self, fin: bool, opcode: Opcode, fragment: &[u8]) {
        let config = self.config.deflate.unwrap_or_default();
        let window = self.stream.window();
        let first = match opcode {
            Opcode::Continuation => First::of(fin, opcode),
            _ => First::of(fin, opcode).compressed(),
        };
        Pool::with(|pool| {
            let mut deflater = self.take_deflater(window, &config, pool);
            let end = if fin { End::Message } else { End::Fragment };
            match deflater.compress(fragment, end, pool.piece()) {
                Some(compressed) => self.put(first, compressed),
                // What is begun cannot go on without it.
                None => return self.abort(),
            }
            if fin {
                self.keep_deflater(deflater, window, pool);
            } else {
                self.rare.get_or_insert_default().deflater = Some(deflater);
            }
        });
        if fin {
            self.stream.0 &= !Stream::COMPRESSED;
        }
    }

    /// Lets go of a message that was begun and will not be finished.
    pub(super) fn end_compression(&mut self) {
        self.stream.0 &= !Stream::COMPRESSED;
        if let Some(rare) = &mut self.rare {
            rare.deflater = None;
        }
    }

    /// How a message of this length is compressed, if it is.
    fn compressing(&self, compression: Compression, len: usize) -> Option<Deflate> {
        // Who agreed by other settings than the connection's has not said how.
        let config = self.config.deflate.unwrap_or_default();
        // There is nothing to gain below one byte.
        let is_long = len >= config.min_size.max(1);
        (is_long && compression == Compression::Allowed).then_some(config)
    }

    fn take_deflater(&mut self, window: Window, config: &Deflate, pool: &mut Pool) -> Deflater {
        let kept = self.rare.as_mut().and_then(|rare| rare.deflater.take());
        kept.unwrap_or_else(|| pool.deflater(window, config))
    }

    fn keep_deflater(&mut self, deflater: Deflater, window: Window, pool: &mut Pool) {
        if window.takeover {
            self.rare.get_or_insert_default().deflater = Some(deflater);
        } else {
            self.rare
                .take_if(|rare| rare.keys.is_none() && rare.outcome.is_none());
            pool.put_deflater(deflater);
        }
    }
}

impl Stream {
    /// The window to compress with.
    fn window(self) -> Window {
        Window {
            bits: self.0 & Self::WINDOW,
            takeover: self.0 & Self::TAKEOVER != 0,
        }
    }
}

#[cfg(test)]
impl Sender {
    pub(crate) fn holds_deflater(&self) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| rare.deflater.is_some())
    }
}

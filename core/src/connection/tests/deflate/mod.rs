//! RFC 7692: compressed messages, both ways.

mod bounds;
mod invariance;
mod receiving;
mod sending;
mod windows;

use zlib_rs::{DeflateConfig, DeflateFlush, InflateFlush};

use super::*;
use crate::deflate::{Agreed, Window};
use crate::{Delivery, Extensions};

const NO_TAKEOVER: Window = Window {
    bits: 15,
    takeover: false,
};
const TAKEOVER: Window = Window {
    bits: 15,
    takeover: true,
};

/// A connection on which both directions have this window.
fn bench(role: Role, window: Window, change: impl FnOnce(&mut Config)) -> Bench {
    let agreed = Agreed {
        send: window,
        receive: window,
    };
    Bench::extended(role, Extensions::with_deflate(agreed), |config| {
        config.deflate = Some(crate::Deflate {
            min_size: 0,
            ..crate::Deflate::default()
        });
        change(config);
    })
}

impl Bench {
    /// The first frame of a compressed message.
    fn compressed(&self, fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        let mut frame = self.frame(fin, opcode, payload);
        frame[0] |= 0x40;
        frame
    }

    /// Takes all output, as frames with their first byte and without their masks.
    fn raw_frames(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut out = self.output();
        let mut firsts = Vec::new();
        let mut at = 0;
        while at < out.len() {
            firsts.push(out[at]);
            out[at] &= !0x40;
            let receiver = match self.role {
                Role::Server => Role::Client,
                Role::Client => Role::Server,
            };
            let (header, len) = Header::decode(&out[at..], receiver)
                .expect("legal")
                .expect("whole");
            at += len + header.len as usize;
        }
        let frames = decode(self.role, &out);
        firsts
            .into_iter()
            .zip(frames)
            .map(|(first, (_, payload))| (first, payload))
            .collect()
    }
}

/// A peer that compresses and decompresses with zlib in the most ordinary way.
struct Zlib {
    deflate: zlib_rs::Deflate,
    inflate: zlib_rs::Inflate,
    window: Window,
}

impl Zlib {
    fn new(window: Window) -> Self {
        Self {
            deflate: zlib_rs::Deflate::new_with_config(DeflateConfig {
                level: 6,
                window_bits: -i32::from(window.bits.max(9)),
                ..DeflateConfig::default()
            }),
            inflate: zlib_rs::Inflate::new(false, 15),
            window,
        }
    }

    fn compress(&mut self, message: &[u8]) -> Vec<u8> {
        let before = self.deflate.total_out() as usize;
        let mut out = alloc::vec![0; message.len() * 2 + 100];
        self.deflate
            .compress(message, &mut out, DeflateFlush::SyncFlush)
            .expect("room");
        out.truncate(self.deflate.total_out() as usize - before);
        if !self.window.takeover {
            self.deflate.reset();
        }
        // A second flush in a row gives nothing at all.
        let tail: &[u8] = if out.is_empty() { b"" } else { b"\0\0\xff\xff" };
        out.strip_suffix(tail).expect("a flush").to_vec()
    }

    fn decompress(&mut self, payload: &[u8]) -> Vec<u8> {
        let payload = [payload, &[0, 0, 0xff, 0xff]].concat();
        let before = self.inflate.total_out() as usize;
        let mut out = alloc::vec![0; 1 << 21];
        self.inflate
            .decompress(&payload, &mut out, InflateFlush::SyncFlush)
            .expect("compressed data");
        out.truncate(self.inflate.total_out() as usize - before);
        if !self.window.takeover {
            self.inflate.reset(false);
        }
        out
    }
}

fn compress(message: &[u8]) -> Vec<u8> {
    Zlib::new(NO_TAKEOVER).compress(message)
}

/// Text that compresses, but not to nothing.
fn prose(len: usize) -> String {
    let mut number = 1_u32;
    let mut text = String::new();
    while text.len() < len {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text += ["sockeye ", "salmon ", "river ", "é ", "upstream, "][number as usize >> 16 & 3];
        text += &alloc::format!("{} ", number >> 24);
    }
    let fits = |at: &usize| text.is_char_boundary(*at);
    text.truncate((0..=len).rev().find(fits).unwrap_or_default());
    text
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

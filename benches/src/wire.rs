//! Frames to the letter of RFC 6455 §5.2, independent of everything that is measured.

use std::io;

/// Text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text = 1,
    Binary = 2,
}

/// Appends one whole message in one frame.
pub fn encode(kind: Kind, key: Option<[u8; 4]>, payload: &[u8], out: &mut Vec<u8>) {
    head(0x80 | kind as u8, key, payload.len(), out);
    match key {
        Some(key) => out.extend(payload.iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b)),
        None => out.extend_from_slice(payload),
    }
}

/// Appends the header of a frame.
pub fn head(first: u8, key: Option<[u8; 4]>, len: usize, out: &mut Vec<u8>) {
    out.push(first);
    let mask = if key.is_some() { 0x80 } else { 0 };
    match len {
        0..=125 => out.push(mask | len as u8),
        126..=0xffff => {
            out.push(mask | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend(key.into_iter().flatten());
}

/// A masked data frame, at the beginning of some bytes.
pub struct Frame<'a> {
    /// The first byte: the kind, and whether it is the last of its message.
    pub first: u8,
    pub key: [u8; 4],
    pub payload: &'a [u8],
    /// Bytes of header and payload.
    pub len: usize,
}

impl<'a> Frame<'a> {
    /// `None` if it is not whole; an error if it is none of data.
    pub fn parse(bytes: &'a [u8]) -> io::Result<Option<Self>> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        if !matches!(first & 0x7f, 0..=2) || second & 0x80 == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let split = match second & 0x7f {
            126 => rest
                .split_first_chunk()
                .map(|(len, rest)| (usize::from(u16::from_be_bytes(*len)), rest)),
            127 => rest
                .split_first_chunk()
                .map(|(len, rest)| (u64::from_be_bytes(*len) as usize, rest)),
            len => Some((usize::from(len), rest)),
        };
        let Some((len, rest)) = split else {
            return Ok(None);
        };
        let Some((key, rest)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        Ok(rest.get(..len).map(|payload| Self {
            first: *first,
            key: *key,
            payload,
            len: bytes.len() - rest.len() + len,
        }))
    }
}

/// Reads the messages of `bytes` back, each in one frame, masked or not.
///
/// # Panics
///
/// If this is something else, or the last frame is not whole.
pub fn decode(mut bytes: &[u8]) -> Vec<(Kind, Vec<u8>)> {
    let mut messages = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let kind = match first {
            0x81 => Kind::Text,
            0x82 => Kind::Binary,
            _ => panic!("not a whole message: {first:#x}"),
        };
        let (len, mut rest) = match second & 0x7f {
            126 => {
                let (len, rest) = rest.split_first_chunk().expect("a length");
                (usize::from(u16::from_be_bytes(*len)), rest)
            }
            127 => {
                let (len, rest) = rest.split_first_chunk().expect("a length");
                (u64::from_be_bytes(*len) as usize, rest)
            }
            len => (usize::from(len), rest),
        };
        let mut key = [0; 4];
        if second & 0x80 != 0 {
            (key, rest) = rest
                .split_first_chunk()
                .map(|(key, rest)| (*key, rest))
                .expect("a key");
        }
        let (payload, behind) = rest.split_at(len);
        let payload = payload.iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b);
        messages.push((kind, payload.collect()));
        bytes = behind;
    }
    assert!(bytes.is_empty(), "a frame was cut");
    messages
}

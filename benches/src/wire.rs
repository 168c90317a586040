//! Frames to the letter of RFC 6455 §5.2, independent of everything that is measured.

/// Text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text = 1,
    Binary = 2,
}

/// Appends one whole message in one frame.
pub fn encode(kind: Kind, key: Option<[u8; 4]>, payload: &[u8], out: &mut Vec<u8>) {
    out.push(0x80 | kind as u8);
    let mask = if key.is_some() { 0x80 } else { 0 };
    match payload.len() {
        len @ 0..=125 => out.push(mask | len as u8),
        len @ 126..=0xffff => {
            out.push(mask | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(mask | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    match key {
        Some(key) => {
            out.extend_from_slice(&key);
            out.extend(payload.iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b));
        }
        None => out.extend_from_slice(payload),
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

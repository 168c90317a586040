//! `--deflate` and its parameters.

use core::str::FromStr;

use sockeye_core::Deflate;

use crate::value::Bytes;

/// Whether and how messages are compressed.
///
/// A list of `takeover`, `window=BITS`, `level=N` and `min=BYTES`, separated by commas.
/// The first two may stand for one direction only: `send-takeover`, `receive-window=10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression(pub Deflate);

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut deflate = Deflate::default();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (part, None),
            };
            let (direction, name) = match name.split_once('-') {
                Some((direction, name)) => (Some(direction), name),
                None => (None, name),
            };
            let windows = match direction {
                None => [Some(&mut deflate.send), Some(&mut deflate.receive)],
                Some("send") => [Some(&mut deflate.send), None],
                Some("receive") => [Some(&mut deflate.receive), None],
                Some(_) => return Err(unknown(part)),
            };
            let windows = windows.into_iter().flatten();
            match (name, value, direction) {
                ("takeover", None, _) => windows.for_each(|window| window.takeover = true),
                ("window", Some(bits), _) => {
                    let bits = number(bits, 8..=15)?;
                    windows.for_each(|window| window.bits = bits);
                }
                ("level", Some(level), None) => deflate.level = number(level, 1..=9)?,
                ("min", Some(size), None) => deflate.min_size = Bytes::from_str(size)?.0,
                _ => return Err(unknown(part)),
            }
        }
        Ok(Self(deflate))
    }
}

fn number(text: &str, range: core::ops::RangeInclusive<u8>) -> Result<u8, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        let (least, most) = (range.start(), range.end());
        format!("'{text}' is not a number from {least} to {most}")
    })
}

fn unknown(part: &str) -> String {
    format!(
        "'{part}' is none of takeover, window=BITS, level=N and min=BYTES, the first two with \
         or without send- or receive- before them"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_are_those_of_the_library() {
        let parse = |text: &str| text.parse::<Compression>().map(|given| given.0);
        assert_eq!(parse(""), Ok(Deflate::default()));
        let all = parse("takeover, window=15,level=6,min=1KiB").expect("valid");
        for window in [all.send, all.receive] {
            assert_eq!((window.bits, window.takeover), (15, true));
        }
        assert_eq!((all.level, all.min_size), (6, 1024));
        let some = parse("send-takeover,receive-window=9").expect("valid");
        assert_eq!((some.send.bits, some.send.takeover), (12, true));
        assert_eq!((some.receive.bits, some.receive.takeover), (9, false));
        for text in [
            "fast",
            "window",
            "window=7",
            "window=16",
            "level=0",
            "takeover=1",
            "send-level=1",
            "back-window=9",
            "min=x",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

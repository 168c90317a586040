//! Sizes and times as they are written in flags.

use core::str::FromStr;
use core::time::Duration;

use parse_size::Config;

/// A number of bytes: `512`, `16KiB`, `1MiB`, or `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub usize);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unlimited" {
            return Ok(Self(sockeye_handler::Config::UNLIMITED));
        }
        let bytes = Config::new().with_binary().parse_size(text);
        bytes
            .ok()
            .and_then(|bytes| usize::try_from(bytes).ok())
            .map(Self)
            .ok_or_else(|| String::from("not a size such as 512, 16KiB or 1MiB"))
    }
}

/// A time, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(pub Option<Duration>);

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            text => duration(text).map(|duration| Self(Some(duration))),
        }
    }
}

/// A time such as `250ms`, `10s` or `1m 30s`, for the flags of a program.
///
/// # Errors
///
/// Says what a time looks like.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| String::from("not a time such as 250ms, 10s or 1m30s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_two_with_or_without_the_i() {
        for (text, bytes) in [
            ("512", 512),
            ("16KiB", 16 << 10),
            ("16k", 16 << 10),
            ("1 MiB", 1 << 20),
            ("unlimited", usize::MAX),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "-1", "1XB", "99999999999999999999", "lots"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!("off".parse(), Ok(Interval(None)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        for text in ["", "10", "-1s", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}

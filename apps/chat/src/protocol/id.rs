//! What a client calls its requests by.

use core::fmt;

use serde::{Serialize, Serializer};

/// The `id` of a request: a text of 1 to 64 characters, or an integer.
///
/// `"1"` and `1` are two; their [`Display`](fmt::Display) tells them apart, as `t1` and `i1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    /// A text.
    Text(Box<str>),
    /// An integer from −2^63 to 2^64 − 1.
    Integer(i128),
}

impl Id {
    /// The longest text, in characters.
    const MAX: usize = 64;

    /// An `id` that is a text; `None` if there can be none like this.
    #[must_use]
    pub fn text(text: &str) -> Option<Self> {
        let len = text.chars().take(Self::MAX + 1).count();
        (1..=Self::MAX)
            .contains(&len)
            .then(|| Self::Text(text.into()))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "t{text}"),
            Self::Integer(integer) => write!(f, "i{integer}"),
        }
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Integer(integer) => match u64::try_from(*integer) {
                Ok(positive) => serializer.serialize_u64(positive),
                // It was read as one.
                Err(_) => serializer.serialize_i64(i64::try_from(*integer).unwrap_or(i64::MIN)),
            },
        }
    }
}

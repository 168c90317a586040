//! Header fields: what may stand in one, and a list of them as it goes on the wire.

use alloc::vec::Vec;
use core::fmt;

/// Fields that have passed [`push`](Self::push), one after another, each ending in CRLF.
///
/// One allocation for all of them; since no name holds a colon and no value a CR or LF, they can
/// be read back without ambiguity.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Fields(Vec<u8>);

impl Fields {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// `bytes` is what the fields are going to take: names, values, and 4 for each.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Adds a field, unless it could be read as something else than itself.
    pub(super) fn push(&mut self, name: &str, value: &[u8]) -> Result<(), InvalidField> {
        if !is_token(name.as_bytes()) {
            return Err(InvalidField::Name);
        }
        if !is_value(value) {
            return Err(InvalidField::Value);
        }
        self.push_known(name, value);
        Ok(())
    }

    /// Adds a field whose name is known to be a token and whose value to be one.
    pub(super) fn push_known(&mut self, name: &str, value: &[u8]) {
        debug_assert!(is_token(name.as_bytes()) && is_value(value));
        self.0.reserve(name.len() + value.len() + 4);
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        self.0.extend_from_slice(value);
        self.0.extend_from_slice(b"\r\n");
    }

    pub(super) fn append(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// Removes all fields of this name, in any case.
    pub(super) fn remove(&mut self, name: &str) {
        if self.get(name).is_none() {
            return;
        }
        let mut kept = Self::with_capacity(self.0.len());
        for (other, value) in self.iter() {
            if !other.eq_ignore_ascii_case(name) {
                kept.push_known(other, value);
            }
        }
        *self = kept;
    }

    /// The first value of this name, in any case.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        let mut fields = self.iter();
        fields.find_map(|(other, value)| other.eq_ignore_ascii_case(name).then_some(value))
    }

    pub(super) fn iter(&self) -> Iter<'_> {
        Iter(&self.0)
    }

    /// The fields as they go on the wire.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_fields(f, self.iter())
    }
}

/// Names and values for a `Debug` output, without those that are somebody's password.
pub(super) fn debug_fields<'a>(
    f: &mut fmt::Formatter<'_>,
    fields: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> fmt::Result {
    const SECRET: [&str; 4] = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
    ];
    let mut map = f.debug_map();
    for (name, value) in fields {
        if SECRET
            .iter()
            .any(|secret| name.eq_ignore_ascii_case(secret))
        {
            map.entry(&name, &format_args!("…"));
        } else {
            map.entry(&name, &format_args!("\"{}\"", value.escape_ascii()));
        }
    }
    map.finish()
}

/// The fields of a [`Fields`], in order.
#[derive(Clone)]
pub(super) struct Iter<'a>(&'a [u8]);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let colon = self.0.iter().position(|byte| *byte == b':')?;
        let end = self.0.iter().position(|byte| *byte == b'\r')?;
        let name = core::str::from_utf8(self.0.get(..colon)?).ok()?;
        let value = self.0.get(colon + 2..end)?;
        self.0 = self.0.get(end + 2..)?;
        Some((name, value))
    }
}

/// A header field that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidField {
    /// The name is not a token (RFC 9110 §5.6.2).
    Name,
    /// The value holds a control character such as CR, LF or NUL, or begins or ends with a
    /// space; or it is none of those that this field can have.
    Value,
    /// The field belongs to the handshake, which writes it by itself.
    Reserved,
    /// The subprotocol was offered already (RFC 6455 §4.1, item 10).
    Duplicate,
}

impl fmt::Display for InvalidField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the name of the header field is not a token",
            Self::Value => "the value of the header field holds a character that it must not",
            Self::Reserved => "the header field is written by the handshake itself",
            Self::Duplicate => "the subprotocol is offered twice",
        })
    }
}

impl core::error::Error for InvalidField {}

/// Whether the field says how a message is delimited or what becomes of the connection.
pub(super) fn is_framing(name: &str) -> bool {
    const FRAMING: [&str; 3] = ["connection", "content-length", "transfer-encoding"];
    FRAMING
        .iter()
        .any(|framing| name.eq_ignore_ascii_case(framing))
}

/// Whether the field is part of the opening handshake.
pub(super) fn is_handshake(name: &str) -> bool {
    const PREFIX: &str = "sec-websocket-";
    let prefix = name.get(..PREFIX.len());
    name.eq_ignore_ascii_case("upgrade")
        || prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX))
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// RFC 9110 §5.5: visible characters and those above ASCII, with spaces and tabs only between.
fn is_value(bytes: &[u8]) -> bool {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let inside = bytes
        .iter()
        .all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..));
    inside && !is_space(bytes.first()) && !is_space(bytes.last())
}

/// The elements of a comma-separated list (RFC 9110 §5.6.1), without the empty ones.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// Whether the comma-separated list names `token`, in any case.
pub(super) fn names(value: &[u8], token: &str) -> bool {
    elements(value).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

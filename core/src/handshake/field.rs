use core::fmt;

/// A header field that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidField {
    /// The name is not a token (RFC 9110 §5.6.2).
    Name,
    /// The value holds a control character such as CR, LF or NUL, or begins or ends with a
    /// space; or, where a token is needed, it is not one.
    Value,
    /// The field belongs to the handshake itself, which writes it where it is needed.
    Reserved,
    /// A subprotocol that was added already.
    Duplicate,
}

impl fmt::Display for InvalidField {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl core::error::Error for InvalidField {}

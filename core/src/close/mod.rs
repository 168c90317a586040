//! Close codes, the payload of a Close frame, and how a connection ended.

pub(crate) mod machine;

use alloc::boxed::Box;
use core::fmt;

/// A close code (RFC 6455 §7.4).
///
/// A newtype rather than an enum: the space is open, and each value that the RFC
/// allows on the wire is kept as it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: done.
    pub const NORMAL: Self = Self(1000);
    /// 1001: a server going down, or a page navigated away from.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: a violation of the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a type of data that cannot be accepted.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1005: a Close frame without a code. Never on the wire.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: no Close frame at all. Never on the wire.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: data not consistent with its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: against the receiver's policy.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: too long to process.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: an extension that the client needs was not negotiated.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: the server met something unexpected.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: overloaded, try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway had a bad answer from behind it.
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: the TLS handshake failed. Never on the wire.
    pub const TLS_HANDSHAKE: Self = Self(1015);

    /// Any number, on the wire or not.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The number.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// Whether an endpoint may put it into a Close frame.
    ///
    /// RFC 6455 §7.4: 1000 to 1003, 1007 to 1014 (1012 to 1014 were registered
    /// with IANA since), and 3000 to 4999.
    #[must_use]
    pub const fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

/// How a connection ended: the last event, given exactly once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// The code of the peer's Close frame; what we sent if the peer was at
    /// fault; [`CloseCode::NO_STATUS`] for a Close frame without one, and
    /// [`CloseCode::ABNORMAL`] if there was no Close frame.
    pub code: CloseCode,
    /// The reason that came with the code, at most 123 bytes.
    pub reason: Box<str>,
    /// Who began.
    pub initiator: Initiator,
    /// What happened.
    pub cause: Cause,
}

impl Closed {
    /// Whether both sides exchanged Close frames (RFC 6455 §7.1.4).
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.cause == Cause::Handshake
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Handshake => write!(
                f,
                "closed by the {} with code {}",
                self.initiator, self.code
            )?,
            Cause::Eof => return f.write_str("the transport ended without a close handshake"),
            Cause::Transport => return f.write_str("the transport failed"),
            Cause::Timeout(timeout) => return write!(f, "{timeout}"),
            Cause::Aborted => return f.write_str("aborted"),
            Cause::Violation(violation) => {
                return write!(f, "closed with code {}: {violation}", self.code);
            }
        }
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason)?;
        }
        Ok(())
    }
}

/// Who began to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// This side, by a call, a time-out or because the peer violated the protocol.
    Local,
    /// The peer, by its Close frame.
    Peer,
    /// Neither: the bytes stopped.
    Transport,
}

impl fmt::Display for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local side",
            Self::Peer => "peer",
            Self::Transport => "transport",
        })
    }
}

/// What ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Close frames went both ways.
    Handshake,
    /// The peer's bytes ended before its Close frame.
    Eof,
    /// The transport reported an error.
    Transport,
    /// The peer was too slow.
    Timeout(Timeout),
    /// The peer broke the protocol or a limit.
    Violation(Violation),
    /// This side gave up without a close handshake.
    Aborted,
}

/// Which deadline a peer missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timeout {
    /// Nothing came within [`Config::pong_timeout`](crate::Config) of a Ping.
    Pong,
    /// No message went either way for [`Config::idle_timeout`](crate::Config).
    Idle,
    /// Our Close was not answered within [`Config::close_timeout`](crate::Config).
    Close,
    /// No output was taken for [`Config::write_timeout`](crate::Config).
    Write,
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pong => "the peer did not answer a ping in time",
            Self::Idle => "no message in either direction for too long",
            Self::Close => "the peer did not answer the close in time",
            Self::Write => "the peer did not take any output in time",
        })
    }
}

/// What a peer did that fails the connection (RFC 6455 §7.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A reserved bit is set without an extension that gives it a meaning.
    ReservedBit,
    /// An opcode that is not defined.
    ReservedOpcode,
    /// A client's frame without a mask, or a server's with one (§5.1).
    Masking,
    /// A length not in its shortest form, or with its highest bit set (§5.2).
    LengthEncoding,
    /// A control frame without FIN (§5.5).
    FragmentedControl,
    /// A control frame longer than 125 bytes (§5.5).
    ControlTooLong,
    /// A continuation frame while no message is open (§5.4).
    UnexpectedContinuation,
    /// A new message inside a fragmented one (§5.4).
    ExpectedContinuation,
    /// A Close frame with one byte of payload (§5.5.1).
    ClosePayload,
    /// A Close frame with a code that must not be sent (§7.4).
    CloseCode,
    /// Text or a close reason that is not UTF-8 (§8.1).
    Utf8,
    /// Longer than a limit.
    TooBig,
    /// More fragments than the payload in them pays for.
    TooManyFragments,
    /// A compressed message that does not decompress (RFC 7692 §7.2.2).
    Deflate,
}

impl Violation {
    /// The code that the Close frame says it with.
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::Utf8 | Self::Deflate => CloseCode::INVALID_PAYLOAD,
            Self::TooBig => CloseCode::MESSAGE_TOO_BIG,
            Self::TooManyFragments => CloseCode::POLICY_VIOLATION,
            Self::ReservedBit
            | Self::ReservedOpcode
            | Self::Masking
            | Self::LengthEncoding
            | Self::FragmentedControl
            | Self::ControlTooLong
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation
            | Self::ClosePayload
            | Self::CloseCode => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// The reason that the Close frame gives.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ReservedBit => "reserved bit set",
            Self::ReservedOpcode => "reserved opcode",
            Self::Masking => "wrong masking for this role",
            Self::LengthEncoding => "length not in its shortest form",
            Self::FragmentedControl => "fragmented control frame",
            Self::ControlTooLong => "control frame longer than 125 bytes",
            Self::UnexpectedContinuation => "continuation without a message",
            Self::ExpectedContinuation => "new message inside a fragmented one",
            Self::ClosePayload => "close payload of one byte",
            Self::CloseCode => "close code that must not be sent",
            Self::Utf8 => "invalid UTF-8",
            Self::TooBig => "message too big",
            Self::TooManyFragments => "too many small fragments",
            Self::Deflate => "invalid compressed data",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl core::error::Error for Violation {}

/// The payload of a Close frame: a code with its reason, or nothing (§5.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClosePayload<'a> {
    pub(crate) code: CloseCode,
    pub(crate) reason: &'a str,
}

impl<'a> ClosePayload<'a> {
    pub(crate) fn decode(payload: &'a [u8]) -> Result<Self, Violation> {
        match payload {
            [] => Ok(Self {
                code: CloseCode::NO_STATUS,
                reason: "",
            }),
            [_] => Err(Violation::ClosePayload),
            [high, low, reason @ ..] => {
                let code = CloseCode(u16::from_be_bytes([*high, *low]));
                if !code.is_sendable() {
                    return Err(Violation::CloseCode);
                }
                let reason = core::str::from_utf8(reason).map_err(|_| Violation::Utf8)?;
                Ok(Self { code, reason })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_close_code_is_accepted_or_refused_as_section_7_4_says() {
        for number in 0..=u16::MAX {
            // RFC 6455 §7.4.1 and §7.4.2, with the IANA registry's 1012 to 1014.
            let legal = match number {
                0..1000 => false,
                1004..=1006 | 1015 => false,
                1000..=1014 => true,
                1016..3000 => false,
                3000..5000 => true,
                5000.. => false,
            };
            let [high, low] = number.to_be_bytes();
            let decoded = ClosePayload::decode(&[high, low, b'x']).map(|payload| payload.code);
            let expected = if legal {
                Ok(CloseCode::new(number))
            } else {
                Err(Violation::CloseCode)
            };
            assert_eq!(decoded, expected, "{number}");
        }
    }

    #[test]
    fn a_close_payload_is_empty_or_holds_a_code_and_a_reason() {
        let decode = ClosePayload::decode;
        assert_eq!(
            decode(b""),
            Ok(ClosePayload {
                code: CloseCode::NO_STATUS,
                reason: ""
            })
        );
        assert_eq!(decode(b"\x03"), Err(Violation::ClosePayload));
        assert_eq!(
            decode(b"\x03\xe8"),
            Ok(ClosePayload {
                code: CloseCode::NORMAL,
                reason: ""
            })
        );
        assert_eq!(
            decode(b"\x03\xe8bye"),
            Ok(ClosePayload {
                code: CloseCode::NORMAL,
                reason: "bye"
            })
        );
        assert_eq!(decode(b"\x03\xe8\xff"), Err(Violation::Utf8));
    }
}

//! What can happen to a connection, read from the fuzzer's bytes.
//!
//! Everything is taken from the front, a byte or two at a time, so that a seed can be written by
//! hand and a changed byte changes one thing.

use arbitrary::{Arbitrary, Result, Unstructured};
use sockeye_core::{MessageKind, Opcode};

/// One thing that the peer, the application, the transport or the clock does.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// The peer sends bytes, whatever they are.
    Bytes(Vec<u8>),
    /// The peer sends a frame with a legal header.
    Frame {
        fin: bool,
        /// With RSV1, whatever was agreed on and whatever the payload is.
        compressed: bool,
        opcode: Opcode,
        payload: Vec<u8>,
    },
    /// The peer sends a message the way that was agreed on: compressed, if it was; in
    /// fragments of so many bytes, if any.
    Message {
        payload: Vec<u8>,
        fragment: u8,
    },
    /// The application sends a message, from its own buffer or as an owned one.
    Send {
        kind: MessageKind,
        payload: Vec<u8>,
        by: Sending,
    },
    /// The application begins a message in fragments.
    Begin(MessageKind),
    /// It goes on with it.
    Append(Vec<u8>),
    /// It ends it.
    Finish(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close {
        code: u16,
        reason: String,
    },
    Pause,
    Resume,
    Abort,
    /// The transport takes up to so many bytes, perhaps none.
    Write(usize),
    /// The peer's bytes end.
    Eof,
    /// The transport fails.
    Error,
    /// So many milliseconds pass.
    Pass(u16),
    /// Time passes until the next deadline.
    PassToDeadline,
    /// A time-out is handled before there is one.
    SpuriousTimeout,
    /// The output buffer is exchanged.
    Lend,
}

/// Which way a message is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sending {
    Lent,
    Owned,
    Frame,
}

impl Arbitrary<'_> for Operation {
    fn arbitrary(u: &mut Unstructured<'_>) -> Result<Self> {
        Ok(match u.arbitrary::<u8>()? % 26 {
            0 | 1 => Self::Bytes(short(u)?),
            2..=5 => frame(u, short)?,
            6 => frame(u, long)?,
            7 | 8 => send(u, short)?,
            9 => send(u, long)?,
            10 => Self::Begin(kind(u)?),
            11 => Self::Append(ascii(short(u)?)),
            12 => Self::Finish(ascii(short(u)?)),
            13 => Self::Ping(short(u)?),
            14 => Self::Pong(short(u)?),
            15 => Self::Close {
                code: u16::from_be_bytes(u.arbitrary()?),
                reason: String::from_utf8_lossy(&short(u)?).into_owned(),
            },
            16 => Self::Pause,
            17 => Self::Resume,
            18 => match u.arbitrary::<u8>()? % 4 {
                0 => Self::Abort,
                1 => Self::Error,
                2 => Self::Eof,
                _ => Self::Lend,
            },
            19 => Self::Write(u.arbitrary::<u8>()?.into()),
            20 => Self::Write(usize::MAX),
            21 => Self::Pass(u16::from_be_bytes(u.arbitrary()?)),
            22 => Self::PassToDeadline,
            23 => Self::SpuriousTimeout,
            24 => message(u, short)?,
            _ => message(u, long)?,
        })
    }
}

fn frame(u: &mut Unstructured<'_>, payload: Payload) -> Result<Operation> {
    let first = u.arbitrary::<u8>()?;
    let opcode = match first & 0x0f {
        0x0..=0x2 => Opcode::Continuation,
        0x3..=0x6 => Opcode::Text,
        0x7..=0xa => Opcode::Binary,
        0xb | 0xc => Opcode::Ping,
        0xd | 0xe => Opcode::Pong,
        _ => Opcode::Close,
    };
    let mut payload = payload(u)?;
    if opcode.is_control() {
        payload.truncate(125);
    }
    Ok(Operation::Frame {
        fin: first & 0x80 != 0 || opcode.is_control(),
        compressed: first & 0x40 != 0,
        opcode,
        payload,
    })
}

fn message(u: &mut Unstructured<'_>, payload: Payload) -> Result<Operation> {
    Ok(Operation::Message {
        fragment: u.arbitrary()?,
        payload: payload(u)?,
    })
}

fn send(u: &mut Unstructured<'_>, payload: Payload) -> Result<Operation> {
    let by = match u.arbitrary::<u8>()? % 3 {
        0 => Sending::Lent,
        1 => Sending::Owned,
        _ => Sending::Frame,
    };
    let kind = kind(u)?;
    let mut payload = payload(u)?;
    if kind == MessageKind::Text {
        payload = ascii(payload);
    }
    Ok(Operation::Send { kind, payload, by })
}

fn kind(u: &mut Unstructured<'_>) -> Result<MessageKind> {
    Ok(match u.arbitrary::<u8>()? % 2 {
        0 => MessageKind::Text,
        _ => MessageKind::Binary,
    })
}

type Payload = fn(&mut Unstructured<'_>) -> Result<Vec<u8>>;

/// A length in one byte, and as many bytes as there are of it.
fn short(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let len = usize::from(u.arbitrary::<u8>()?).min(u.len());
    Ok(u.bytes(len)?.to_vec())
}

/// A length in two bytes, up to 40,000, and the one byte that is repeated: two such fragments
/// meet every threshold.
fn long(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let len = usize::from(u16::from_be_bytes(u.arbitrary()?)) % 40_000;
    Ok(vec![u.arbitrary()?; len])
}

fn ascii(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.iter_mut().for_each(|byte| *byte &= 0x7f);
    bytes
}

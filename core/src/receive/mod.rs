//! The receiving half: from bytes to messages, and the limits on what is assembled.

mod assembly;
mod gathered;
#[cfg(feature = "deflate")]
mod inflate;
mod plain;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use self::assembly::Message;
use self::gathered::Gathered;
#[cfg(feature = "deflate")]
use self::inflate::Inflating;
pub(crate) use self::plain::Plain;
use crate::buffers;
use crate::close::{Closed, Violation};
use crate::config::{Config, Delivery};
use crate::connection::{Input, Role};
#[cfg(feature = "deflate")]
use crate::deflate::Window;
use crate::frame::{Header, MAX_CONTROL, Opcode, Rsv1};
use crate::mask::{self, Key};
use crate::message::{Lent, MessageKind};

/// What one step over the input found.
///
/// Small enough for two registers: an event that went through memory on its way to
/// the application would cost as much as all the rest of the shortest path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) what: What,
    /// How long it is, if it lies in the input: it ends where the input is used up.
    pub(crate) len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The input is used up, or must wait.
    Nothing,
    /// A message that lies whole in the input; text is still to be validated.
    Text,
    Binary,
    /// A message that was assembled.
    AssembledText,
    AssembledBinary,
    /// A piece of a message, in the input.
    Chunk {
        kind: MessageKind,
        last: bool,
    },
    /// A piece of a compressed message.
    #[cfg(feature = "deflate")]
    InflatedChunk {
        kind: MessageKind,
        last: bool,
    },
    /// A control frame that lies whole in the input.
    Control(Opcode),
    /// A control frame that was put together.
    AssembledControl(Opcode),
    /// The end.
    Closed,
}

impl Step {
    pub(crate) const NOTHING: Self = Self {
        what: What::Nothing,
        len: 0,
    };
    pub(crate) const CLOSED: Self = Self {
        what: What::Closed,
        len: 0,
    };

    #[inline(always)]
    fn lent(kind: MessageKind, len: usize) -> Self {
        let what = match kind {
            MessageKind::Text => What::Text,
            MessageKind::Binary => What::Binary,
        };
        Self { what, len }
    }

    fn assembled(kind: MessageKind) -> Self {
        let what = match kind {
            MessageKind::Text => What::AssembledText,
            MessageKind::Binary => What::AssembledBinary,
        };
        Self { what, len: 0 }
    }
}

/// How much of a large message must have arrived before the caller may read
/// straight into its buffer: a dripped byte must not own more than it paid for.
const TARGET_FROM: usize = 16 << 10;

/// Reads shorter than this are not worth a system call of their own.
const TARGET_LEAST: u64 = 4 << 10;

/// What is being received; nothing between whole frames.
pub(crate) struct Receiver {
    role: Role,
    /// Payloads up to this length need no look at the limits.
    small: u16,
    /// What the peer compresses with, if messages may be compressed.
    #[cfg(feature = "deflate")]
    deflate: Option<Window>,
    open: Option<Box<Open>>,
}

/// What a frame or a message that is not whole needs.
#[derive(Default)]
struct Open {
    /// A frame header that the end of the input cut.
    header: Gathered<{ Header::MAX_ENCODED }>,
    /// The frame whose payload is under way.
    frame: Option<Payload>,
    /// The message that is open.
    message: Option<Message>,
    /// The payload of a control frame that was cut.
    control: Gathered<MAX_CONTROL>,
    /// What later compressed messages may refer to, and what those in pieces need.
    #[cfg(feature = "deflate")]
    inflating: Option<Box<Inflating>>,
    /// What was handed out with the last step, to be let go with the next.
    spent: Spent,
    /// How the connection has ended; nothing else is left then.
    closed: Option<Closed>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Spent {
    #[default]
    Nothing,
    Message,
    Control,
}

/// A data frame that may be received.
struct Admitted {
    kind: MessageKind,
    /// The message consists of this frame.
    is_lone: bool,
    is_compressed: bool,
}

struct Payload {
    opcode: Opcode,
    fin: bool,
    /// It belongs to a compressed message.
    #[cfg_attr(
        not(feature = "deflate"),
        expect(dead_code, reason = "without the feature there is none")
    )]
    compressed: bool,
    remaining: u64,
    /// Rotated to the next byte; zero if the payload is not masked.
    key: Key,
}

impl Receiver {
    pub(crate) fn new(role: Role, config: &Config) -> Self {
        let small = config
            .max_frame
            .min(config.max_message as u64)
            .min(u64::from(u16::MAX));
        Self {
            role,
            small: small as u16,
            #[cfg(feature = "deflate")]
            deflate: None,
            open: None,
        }
    }

    /// Messages may be compressed from here on.
    #[cfg(feature = "deflate")]
    pub(crate) fn set_deflate(&mut self, window: Window) {
        self.deflate = Some(window);
    }

    /// What RSV1 means here.
    fn rsv1(&self) -> Rsv1 {
        #[cfg(feature = "deflate")]
        if self.deflate.is_some() {
            return Rsv1::Compressed;
        }
        Rsv1::Reserved
    }

    /// Whether nothing is open.
    #[inline(always)]
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_none()
    }

    /// Whether `bytes` begin with a whole frame, as far as that can be told without
    /// consuming them: they do not only if they are the beginning of one.
    pub(crate) fn may_be_whole(&self, bytes: &[u8]) -> bool {
        let within = |open: &Open| open.frame.is_some() || !open.header.as_slice().is_empty();
        if self.open.as_deref().is_some_and(within) {
            return true;
        }
        match Header::decode(bytes, self.role) {
            Ok(Some((header, len))) => (bytes.len() - len) as u64 >= header.len,
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// Lets go of everything, when no more is received.
    pub(crate) fn clear(&mut self) {
        self.open = None;
    }

    /// Keeps how the connection has ended while the event is looked at.
    #[cold]
    pub(crate) fn end(&mut self, closed: Closed) -> &Closed {
        let open = self.open.get_or_insert_default();
        open.closed.insert(closed)
    }

    /// Goes on until something is found or the input is used up.
    pub(crate) fn step(
        &mut self,
        input: &mut Input<'_>,
        config: &Config,
    ) -> Result<Step, Violation> {
        self.retire();
        loop {
            if self.open.as_ref().is_some_and(|open| open.frame.is_some()) {
                match self.payload(input, config)? {
                    Some(step) => return Ok(step),
                    None => continue,
                }
            }
            let start = self.holds_none_of_a_header().then(|| input.consumed());
            let Some(header) = self.header(input)? else {
                return Ok(Step::NOTHING);
            };
            if let Some(step) = self.begin(&header, start, input, config)? {
                return Ok(step);
            }
        }
    }

    /// The text that [`What::AssembledText`] stands for.
    pub(crate) fn text(&mut self) -> Option<Lent<'_, str, String>> {
        self.open.as_mut()?.message.as_mut()?.text()
    }

    /// The bytes that [`What::AssembledBinary`] stands for.
    pub(crate) fn binary(&mut self) -> Option<&mut Vec<u8>> {
        Some(self.open.as_mut()?.message.as_mut()?.buffer.finish())
    }

    /// The payload that [`What::AssembledControl`] stands for.
    pub(crate) fn control(&self) -> &[u8] {
        self.open
            .as_ref()
            .map_or(&[], |open| open.control.as_slice())
    }

    /// Where the caller may read the rest of a large binary frame to.
    pub(crate) fn read_target(&mut self, config: &Config) -> Option<&mut [u8]> {
        if config.delivery == Delivery::Chunks {
            return None;
        }
        let open = self.open.as_mut()?;
        let frame = open
            .frame
            .as_ref()
            .filter(|frame| !frame.opcode.is_control())?;
        let message = open.message.as_mut().filter(|message| message.is_bytes())?;
        if message.buffer.len() < TARGET_FROM || frame.remaining < TARGET_LEAST {
            return None;
        }
        Some(message.buffer.target(clamp(frame.remaining)))
    }

    /// `n` bytes were read into the target.
    pub(crate) fn handle_read(&mut self, n: usize) {
        let Some(open) = self.open.as_mut() else {
            return;
        };
        let (Some(frame), Some(message)) = (&mut open.frame, &mut open.message) else {
            return;
        };
        let n = n.min(clamp(frame.remaining));
        let piece = message.buffer.fill(n);
        mask::apply(piece, frame.key);
        frame.key = mask::advance(frame.key, piece.len());
        frame.remaining -= piece.len() as u64;
        message.received += piece.len() as u64;
    }

    /// Lets go of what the last step handed out, and of what nothing needs any more.
    fn retire(&mut self) {
        let Some(open) = &mut self.open else { return };
        match open.spent {
            Spent::Nothing => {}
            Spent::Control => open.control.len = 0,
            Spent::Message => {
                if let Some(message) = open.message.take() {
                    message
                        .into_buffers()
                        .into_iter()
                        .for_each(buffers::recycle);
                }
                #[cfg(feature = "deflate")]
                open.inflating.take_if(|inflating| inflating.is_over());
            }
        }
        open.spent = Spent::Nothing;
        self.open.take_if(|open| open.is_idle());
    }

    /// Takes a header from the input, after what an earlier input left of one.
    fn header(&mut self, input: &mut Input<'_>) -> Result<Option<Header>, Violation> {
        let rsv1 = self.rsv1();
        if let Some(open) = self.open.as_mut().filter(|open| open.header.len > 0) {
            // One byte at a time, so that nothing behind the header is taken.
            while let Some(byte) = input.take(1).first() {
                open.header.push(&[*byte]);
                let header = open.header.as_slice();
                if let Some((header, _)) = Header::decode_agreed(header, self.role, rsv1)? {
                    open.header.len = 0;
                    return Ok(Some(header));
                }
            }
            return Ok(None);
        }
        if let Some((header, len)) = Header::decode_agreed(input.remaining(), self.role, rsv1)? {
            input.take(len);
            return Ok(Some(header));
        }
        if !input.is_empty() && !input.leave(input.consumed(), Header::MAX_ENCODED as u64) {
            let open = self.open.get_or_insert_default();
            open.header.push(input.take(usize::MAX));
        }
        Ok(None)
    }

    fn holds_none_of_a_header(&self) -> bool {
        self.open.as_ref().is_none_or(|open| open.header.len == 0)
    }

    /// Checks a frame against the open message and the limits. Gives what is whole
    /// already, and keeps what is not, unless it may stay in the input, where it begins
    /// at `start` if all of its header lies there.
    fn begin(
        &mut self,
        header: &Header,
        start: Option<usize>,
        input: &mut Input<'_>,
        config: &Config,
    ) -> Result<Option<Step>, Violation> {
        let key = header.mask.unwrap_or_default();
        let whole = header.len <= input.remaining().len() as u64;
        let leave = |input: &mut Input<'_>| {
            let Some(start) = start.filter(|_| !whole) else {
                return false;
            };
            let len = (input.consumed() - start) as u64;
            input.leave(start, header.len.saturating_add(len))
        };
        let mut compressed = false;
        if header.opcode.is_control() {
            if whole {
                let len = clamp(header.len);
                input.take_unmasked(len, key);
                return Ok(Some(Step {
                    what: What::Control(header.opcode),
                    len,
                }));
            }
            if leave(input) {
                return Ok(Some(Step::NOTHING));
            }
        } else {
            let admitted = self.admit(header, config)?;
            compressed = admitted.is_compressed;
            if whole && admitted.is_lone && !compressed && config.delivery == Delivery::Messages {
                let len = clamp(header.len);
                input.take_unmasked(len, key);
                return Ok(Some(Step::lent(admitted.kind, len)));
            }
            if admitted.is_lone && config.delivery == Delivery::Messages && leave(input) {
                return Ok(Some(Step::NOTHING));
            }
            let open = self.open.get_or_insert_default();
            let message = open
                .message
                .get_or_insert_with(|| Message::new(admitted.kind));
            message.fragments = message.fragments.saturating_add(1);
            message.compressed = compressed;
            #[cfg(feature = "deflate")]
            if let (true, Some(window)) = (header.compressed, self.deflate) {
                match config.delivery {
                    Delivery::Messages if whole && admitted.is_lone => {
                        let len = clamp(header.len);
                        input.take_unmasked(len, key);
                        open.inflate(input.last(len), window, config.max_message)?;
                        return Ok(Some(Step::assembled(admitted.kind)));
                    }
                    Delivery::Messages => {}
                    Delivery::Chunks => {
                        open.inflating
                            .get_or_insert_with(|| Box::new(Inflating::new(window)));
                    }
                }
            }
        }
        self.open.get_or_insert_default().frame = Some(Payload {
            opcode: header.opcode,
            fin: header.fin,
            compressed,
            remaining: header.len,
            key,
        });
        Ok(None)
    }

    /// Checks a data frame against the open message and the limits.
    fn admit(&self, header: &Header, config: &Config) -> Result<Admitted, Violation> {
        let open = self.open.as_ref().and_then(|open| open.message.as_ref());
        let kind = match (header.opcode, open) {
            (Opcode::Continuation, Some(message)) => message.kind,
            (Opcode::Continuation, None) => return Err(Violation::UnexpectedContinuation),
            (_, Some(_)) => return Err(Violation::ExpectedContinuation),
            (Opcode::Text, None) => MessageKind::Text,
            (_, None) => MessageKind::Binary,
        };
        let (received, fragments) =
            open.map_or((0, 0), |message| (message.received, message.fragments));
        if header.len > config.max_frame {
            return Err(Violation::TooBig);
        }
        let is_compressed = cfg!(feature = "deflate")
            && (header.compressed || open.is_some_and(|message| message.compressed));
        let most = match config.delivery {
            Delivery::Messages if is_compressed => wire_limit(config, fragments),
            Delivery::Messages => config.max_message as u64,
            Delivery::Chunks => u64::MAX,
        };
        if received.saturating_add(header.len) > most {
            return Err(Violation::TooBig);
        }
        // The payload so far pays for further fragments.
        if u64::from(fragments) >= u64::from(config.max_fragments) + received / 32 {
            return Err(Violation::TooManyFragments);
        }
        Ok(Admitted {
            kind,
            is_lone: header.fin && open.is_none(),
            is_compressed,
        })
    }

    /// Takes payload of the frame under way. None: the frame is complete, and more
    /// is to be found behind it.
    fn payload(
        &mut self,
        input: &mut Input<'_>,
        config: &Config,
    ) -> Result<Option<Step>, Violation> {
        let Some(open) = &mut self.open else {
            return Ok(None);
        };
        let Some(frame) = &mut open.frame else {
            return Ok(None);
        };
        #[cfg(feature = "deflate")]
        if frame.compressed && config.delivery == Delivery::Chunks {
            return open.inflate_chunk(input);
        }
        let available = input.remaining().len();
        if frame.remaining > 0 && available == 0 {
            return Ok(Some(Step::NOTHING));
        }
        let len = clamp(frame.remaining).min(available);
        let key = frame.key;
        // A message loses its mask on the way into its buffer, all else here.
        let into_buffer = !frame.opcode.is_control() && config.delivery == Delivery::Messages;
        if into_buffer {
            input.skip(len);
        } else {
            input.take_unmasked(len, key);
        }
        let piece = input.last_mut(len);
        frame.key = mask::advance(key, len);
        frame.remaining -= len as u64;
        let (opcode, remaining) = (frame.opcode, frame.remaining);
        let last = remaining == 0 && frame.fin;
        // Without FIN there is no telling: buffers then grow in proportion.
        let to_come = if frame.fin {
            clamp(remaining)
        } else {
            usize::MAX
        };
        if remaining == 0 {
            open.frame = None;
        }

        if opcode.is_control() {
            open.control.push(piece);
            if remaining > 0 {
                return Ok(Some(Step::NOTHING));
            }
            open.spent = Spent::Control;
            return Ok(Some(Step {
                what: What::AssembledControl(opcode),
                len: 0,
            }));
        }

        let Some(message) = &mut open.message else {
            return Ok(None);
        };
        message.received += len as u64;
        let kind = message.kind;
        match (message.is_bytes(), config.delivery) {
            (false, Delivery::Messages) => message.push_text(piece, key, to_come)?,
            (false, Delivery::Chunks) => message.utf8.feed(piece, |_| ())?,
            (true, Delivery::Messages) => message.buffer.push(piece, key, to_come),
            (true, Delivery::Chunks) => {}
        }
        if last {
            #[cfg(feature = "deflate")]
            if let (true, Some(window)) = (message.compressed, self.deflate) {
                open.inflate_assembled(window, config.max_message)?;
                return Ok(Some(Step::assembled(kind)));
            }
            if !message.utf8.is_boundary() {
                return Err(Violation::Utf8);
            }
            open.spent = Spent::Message;
        }
        match config.delivery {
            Delivery::Messages if last => Ok(Some(Step::assembled(kind))),
            Delivery::Chunks if last || len > 0 => Ok(Some(Step {
                what: What::Chunk { kind, last },
                len,
            })),
            _ => Ok(None),
        }
    }
}

impl Open {
    fn is_idle(&self) -> bool {
        #[cfg(feature = "deflate")]
        if self.inflating.is_some() {
            return false;
        }
        self.header.len == 0 && self.frame.is_none() && self.message.is_none()
    }
}

/// The most that a compressed message may be on the wire: it must not be free to inflate to
/// nothing without end. The excess is what data takes that does not get shorter.
fn wire_limit(config: &Config, fragments: u32) -> u64 {
    let most = config.max_message as u64;
    let fragments = 1 + u64::from(fragments);
    most.saturating_add(most / 16 + 1024 + 5 * fragments)
}

/// A length that may not fit: as much of it as there can be.
fn clamp(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

#[cfg(test)]
impl Receiver {
    /// Bytes of payload that are allocated.
    pub(crate) fn held(&self) -> usize {
        let message = self.open.as_ref().and_then(|open| open.message.as_ref());
        let assembled = message.map_or(0, Message::held);
        #[cfg(feature = "deflate")]
        let assembled = assembled + self.open.as_ref().map_or(0, |open| open.held_in_pieces());
        assembled
    }
}

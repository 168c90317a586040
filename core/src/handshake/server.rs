use super::{
    BodyLength, HandshakeError, HttpLimits, Request, field::is_token_byte, head::HeadScanner,
};
use crate::time::Time;
use alloc::vec::Vec;
use core::mem;

/// A server's connection until its first, and only, request is there.
///
/// It holds what has arrived of the request, and nothing if that came whole.
#[derive(Debug)]
pub struct ServerHandshake {
    buffer: Vec<u8>,
    scanner: HeadScanner,
    stage: Stage,
    limits: HttpLimits,
    deadline: Time,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Head,
    /// The buffer begins with a head of `head` bytes, and is to hold `total` with the body.
    Body {
        head: usize,
        total: usize,
    },
    Done,
}

/// A whole request.
#[derive(Debug)]
pub struct Received<'a> {
    /// The request, with its body if it is plain HTTP.
    pub request: Request<'a>,
    /// How many bytes of the input that was given last belong to it. What follows an upgrade is
    /// the connection's; what follows anything else is to be discarded.
    pub consumed: usize,
}

impl ServerHandshake {
    /// Waits for a request until `deadline`, which no input extends.
    pub fn new(limits: HttpLimits, deadline: Time) -> Self {
        Self {
            buffer: Vec::new(),
            scanner: HeadScanner::default(),
            stage: Stage::Head,
            limits,
            deadline,
        }
    }

    /// Takes the bytes of one read.
    ///
    /// `None`: all of them were taken, and more are needed. An upgrade is returned, valid or
    /// not, as soon as its head is there; a plain request with its body. After one request, or
    /// an error, further input is discarded: there is no second request on a connection.
    pub fn handle_input<'a>(
        &'a mut self,
        input: &'a [u8],
    ) -> Result<Option<Received<'a>>, HandshakeError> {
        match mem::replace(&mut self.stage, Stage::Done) {
            Stage::Head => self.handle_head(input),
            Stage::Body { head, total } => self.handle_body(input, 0, head, total),
            Stage::Done => {
                self.buffer = Vec::new();
                Ok(None)
            }
        }
    }

    /// The peer will send nothing more.
    ///
    /// An error if it had begun a request; `Ok` if there is nobody to answer.
    pub fn handle_eof(&mut self) -> Result<(), HandshakeError> {
        let stage = mem::replace(&mut self.stage, Stage::Done);
        match stage {
            Stage::Head if self.scanner.scanned() == 0 => Ok(()),
            Stage::Head | Stage::Body { .. } => Err(HandshakeError::Eof),
            Stage::Done => Ok(()),
        }
    }

    /// Ends the handshake if its deadline has come. Spurious calls do nothing.
    pub fn handle_timeout(&mut self, now: Time) -> Result<(), HandshakeError> {
        match self.poll_timeout() {
            Some(deadline) if now >= deadline => {
                self.stage = Stage::Done;
                Err(HandshakeError::TimedOut)
            }
            _ => Ok(()),
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout): at the deadline, until the request
    /// is there.
    pub fn poll_timeout(&self) -> Option<Time> {
        match self.stage {
            Stage::Head | Stage::Body { .. } => Some(self.deadline),
            Stage::Done => None,
        }
    }

    /// How many bytes this handshake keeps allocated for input.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.buffer.capacity()
    }

    fn handle_head<'a>(
        &'a mut self,
        input: &'a [u8],
    ) -> Result<Option<Received<'a>>, HandshakeError> {
        if self.scanner.scanned() == 0 && !input.first().is_none_or(|byte| may_begin(*byte)) {
            return Err(HandshakeError::NotHttp);
        }
        let Some(end) = self.scanner.scan(input, &self.limits)? else {
            self.buffer.extend_from_slice(input);
            self.stage = Stage::Head;
            return Ok(None);
        };
        let (head, rest) = input.split_at(end);
        if !self.buffer.is_empty() {
            self.buffer.extend_from_slice(head);
            let request = Request::parse_scanned(&self.buffer, self.scanner.fields())?;
            let body = body_length(&request, &self.limits)?;
            let head = self.buffer.len();
            return self.handle_body(rest, end, head, head.saturating_add(body));
        }
        let request = Request::parse_scanned(head, self.scanner.fields())?;
        let body = body_length(&request, &self.limits)?;
        if let Some(body) = rest.get(..body) {
            return Ok(Some(Received {
                request: request.with_body(body),
                consumed: end + body.len(),
            }));
        }
        self.buffer.extend_from_slice(input);
        self.stage = Stage::Body {
            head: end,
            total: end.saturating_add(body),
        };
        Ok(None)
    }

    /// `consumed` bytes of the input preceded `input`.
    fn handle_body(
        &mut self,
        input: &[u8],
        consumed: usize,
        head: usize,
        total: usize,
    ) -> Result<Option<Received<'_>>, HandshakeError> {
        let missing = total - self.buffer.len();
        let part = input.get(..missing).unwrap_or(input);
        self.buffer.extend_from_slice(part);
        if self.buffer.len() < total {
            self.stage = Stage::Body { head, total };
            return Ok(None);
        }
        let (head, body) = self.buffer.split_at(head);
        let request = Request::parse_scanned(head, self.scanner.fields())?;
        Ok(Some(Received {
            request: request.with_body(body),
            consumed: consumed + part.len(),
        }))
    }
}

/// Whether an HTTP request can begin so: a TLS greeting, for example, does not, and would
/// otherwise be waited for until the deadline.
fn may_begin(first: u8) -> bool {
    is_token_byte(first) || matches!(first, b'\r' | b'\n')
}

/// How many bytes of body to wait for.
fn body_length(request: &Request<'_>, limits: &HttpLimits) -> Result<usize, HandshakeError> {
    if request.is_upgrade() {
        return Ok(0);
    }
    match request.body_length()? {
        BodyLength::None => Ok(0),
        BodyLength::Bytes(length) => match usize::try_from(length) {
            // RFC 9110 §10.1.1: such a request MUST get a 100 or a final answer. Only the latter
            // is given here, whether or not the body has come all the same.
            Ok(1..) if request.asks_to_continue() => Err(HandshakeError::Expectation),
            Ok(length) if length <= limits.body => Ok(length),
            _ => Err(HandshakeError::BodyTooLong),
        },
    }
}

//! Plain HTTP: one response, then the end.

use core::time::Duration;

use sockeye_core::handshake::Response;
use sockeye_core::{Config, Deadline, Time, Transmit};

/// A response up to this size leaves in one piece with its head.
const WHOLE: usize = 16 << 10;

/// A peer must take this much within the write timeout, or the rest of it: a deadline that
/// single bytes extend would let it hold a page for days.
const PROGRESS: usize = 4 << 10;

/// A response on its way out.
pub(super) struct Answer {
    /// The head, and the content too if that is short.
    head: Vec<u8>,
    /// What has the content, if that goes out by itself.
    response: Option<Response>,
    /// Bytes of the present part that are out.
    written: usize,
    /// Bytes since the deadline was moved.
    progress: usize,
    stage: Stage,
    /// The peer's bytes have ended.
    eof: bool,
    deadline: Deadline,
    write_timeout: Duration,
    linger: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Content,
    /// All is written; the transport is to shut its writing direction down.
    ShutDown,
    /// Input is discarded until the peer has read the answer: unread input at the end would
    /// become a reset that destroys it.
    Lingering,
    Done,
}

/// Whether the content goes out, or was not asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Sent,
    /// RFC 9110 §9.3.2: the answer to HEAD has none.
    Omitted,
}

impl Answer {
    pub(super) fn new(response: Response, content: Content, config: &Config, now: Time) -> Self {
        let mut answer = Self::silence(config, now);
        answer.stage = Stage::Head;
        match content {
            Content::Sent if response.content().len() <= WHOLE => {
                response.encode(&mut answer.head);
            }
            Content::Sent => {
                response.encode_head(&mut answer.head);
                answer.response = Some(response);
            }
            Content::Omitted => response.encode_head(&mut answer.head),
        }
        answer
    }

    /// The end without an answer: there is nobody who has asked.
    pub(super) fn silence(config: &Config, now: Time) -> Self {
        Self {
            head: Vec::new(),
            response: None,
            written: 0,
            progress: 0,
            stage: Stage::ShutDown,
            eof: false,
            deadline: Deadline::after(config.write_timeout, now),
            write_timeout: config.write_timeout,
            linger: config.linger,
        }
    }

    pub(super) fn poll_transmit(&self) -> Option<Transmit<'_>> {
        match self.stage {
            Stage::Head | Stage::Content => Some(Transmit::Write(self.unwritten().into())),
            Stage::ShutDown => Some(Transmit::Shutdown),
            Stage::Lingering | Stage::Done => None,
        }
    }

    pub(super) fn handle_written(&mut self, n: usize, now: Time) {
        self.written += n;
        self.progress += n;
        if self.unwritten().is_empty() {
            self.written = 0;
            self.stage = match self.stage {
                Stage::Head if self.response.is_some() => Stage::Content,
                Stage::Head | Stage::Content => Stage::ShutDown,
                later => later,
            };
        }
        if self.progress >= PROGRESS || self.stage == Stage::ShutDown {
            self.progress = 0;
            self.deadline = Deadline::after(self.write_timeout, now);
        }
    }

    pub(super) fn handle_shutdown(&mut self, now: Time) {
        if self.stage == Stage::ShutDown {
            self.stage = if self.eof {
                Stage::Done
            } else {
                Stage::Lingering
            };
            self.deadline = Deadline::after(self.linger, now);
        }
    }

    /// The peer's bytes have ended. It may still read, so the answer goes out.
    pub(super) fn handle_eof(&mut self) {
        self.eof = true;
        if self.stage == Stage::Lingering {
            self.stage = Stage::Done;
        }
    }

    pub(super) fn handle_error(&mut self) {
        self.stage = Stage::Done;
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        if self.deadline.is_due(now) {
            self.stage = Stage::Done;
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        match self.stage {
            Stage::Done => None,
            _ => self.deadline.time(),
        }
    }

    pub(super) fn wants_input(&self) -> bool {
        !self.eof && !self.is_done()
    }

    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// What is left of the present part; empty when there is none.
    fn unwritten(&self) -> &[u8] {
        let part = match (self.stage, &self.response) {
            (Stage::Head, _) => &self.head,
            (Stage::Content, Some(response)) => &**response.content(),
            _ => &[],
        };
        part.get(self.written..).unwrap_or_default()
    }
}

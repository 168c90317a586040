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

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(len: usize) -> Answer {
        let response = Response::text(200, "x".repeat(len));
        Answer::new(response, Content::Sent, &Config::default(), Time::ZERO)
    }

    /// Takes `bytes` every second, and says for how many seconds there was something to take.
    fn read_slowly(mut answer: Answer, bytes: usize) -> u32 {
        for second in 0.. {
            let now = Time::ZERO + Duration::from_secs(u64::from(second));
            answer.handle_timeout(now);
            let Some(Transmit::Write(output)) = answer.poll_transmit() else {
                return second;
            };
            let taken = output.first().len().min(bytes);
            answer.handle_written(taken, now);
        }
        unreachable!("it ends");
    }

    #[test]
    fn a_slow_reader_gets_its_page_and_one_that_drips_does_not_hold_it() {
        assert_eq!(read_slowly(answer(100_000), 1000), 101);
        assert!(matches!(read_slowly(answer(100_000), 100), 10..=12));
        assert!(matches!(read_slowly(answer(10_000), 100), 10..=12));
        assert!(matches!(read_slowly(answer(10_000), 0), 10..=12));
    }

    #[test]
    fn the_end_of_the_input_does_not_cut_the_answer_off() {
        let mut answer = answer(10);
        answer.handle_eof();
        assert!(!answer.wants_input());
        assert!(answer.poll_transmit().is_some());
        answer.handle_written(usize::MAX / 2, Time::ZERO);
        assert!(matches!(answer.poll_transmit(), Some(Transmit::Shutdown)));
        answer.handle_shutdown(Time::ZERO);
        assert!(answer.is_done());
    }
}

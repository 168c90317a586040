//! What a session is at, and what it wants of a driver before and after it is open.

use sockeye_core::{Time, Transmit};

use super::answer::Answer;
use super::decide::Deciding;
use super::head::Waiting;
use super::open::Open;

pub(super) enum Phase<H> {
    /// Waiting for the request.
    Head(Waiting),
    /// Waiting for the application's decision.
    Deciding(Box<Deciding<H>>),
    /// Answering with plain HTTP.
    Answering(Box<Answer>),
    /// After the upgrade.
    Open(Open<H>),
    /// Nothing is left to do.
    Over,
}

/// Of every phase but [`Phase::Open`].
///
/// Drivers ask these several times for each message, and mostly of open connections: with the
/// others out of the way that is one comparison instead of a jump by a table.
impl<H> Phase<H> {
    #[cold]
    pub(super) fn wants_input(&self) -> bool {
        match self {
            Self::Head(_) => true,
            Self::Answering(answer) => answer.wants_input(),
            Self::Deciding(_) | Self::Open(_) | Self::Over => false,
        }
    }

    #[cold]
    pub(super) fn has_output(&self) -> bool {
        match self {
            Self::Answering(answer) => answer.poll_transmit().is_some(),
            Self::Head(_) | Self::Deciding(_) | Self::Open(_) | Self::Over => false,
        }
    }

    #[cold]
    pub(super) fn poll_transmit(&self) -> Option<Transmit<'_>> {
        match self {
            Self::Answering(answer) => answer.poll_transmit(),
            Self::Head(_) | Self::Deciding(_) | Self::Open(_) | Self::Over => None,
        }
    }

    #[cold]
    pub(super) fn handle_written(&mut self, n: usize, now: Time) {
        match self {
            Self::Answering(answer) => answer.handle_written(n, now),
            Self::Head(_) | Self::Deciding(_) | Self::Open(_) | Self::Over => {}
        }
    }

    #[cold]
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        match self {
            Self::Head(waiting) => Some(waiting.deadline),
            Self::Deciding(deciding) => Some(deciding.deadline),
            Self::Answering(answer) => answer.poll_timeout(),
            Self::Open(_) | Self::Over => None,
        }
    }

    #[cold]
    pub(super) fn is_drained(&self) -> bool {
        match self {
            Self::Answering(answer) => answer.is_done(),
            Self::Over => true,
            Self::Head(_) | Self::Deciding(_) | Self::Open(_) => false,
        }
    }
}

//! The close state machine, the same for both roles.
//!
//! ```text
//!         local close               Close received, violation, EOF
//!  Open ---------------> Closing -----------------------------------+
//!    |                                                              |
//!    +--- Close received, violation ------------> Draining ---> Drained
//! ```
//!
//! *Draining* means that the outcome is known and the application has been told;
//! the transport lives on until our last bytes are out and the peer's have ended.

/// Where a connection is between its opening and the end of its transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Neither side has sent a Close frame.
    Open,
    /// Our Close frame is queued or sent, the peer's has not come.
    Closing,
    /// The outcome is known, the transport still has work.
    Draining,
    /// Nothing is left to do: the transport can be dropped.
    Drained,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occurrence {
    /// The application closes.
    LocalClose,
    /// A Close frame came.
    PeerClose,
    /// The peer must be failed: it violated the protocol, or missed a deadline
    /// that still leaves it a Close frame.
    Failure,
    /// A data message came.
    Message,
    /// The transport ended or broke.
    Lost,
    /// Output is written and the peer's bytes have ended, or lingering is over.
    Finished,
    /// Output does not move, or the application gives up.
    Abort,
    /// The close deadline passed.
    CloseTimer,
}

/// What to do about it, beside the new state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing.
    Ignore,
    /// Hand the message to the application.
    Deliver,
    /// Queue our Close frame and start the close deadline.
    SendClose,
    /// Queue the answer to the peer's Close frame; tell the application that the
    /// peer closed cleanly.
    AnswerClose,
    /// Tell the application that our close was answered.
    Complete,
    /// Queue a Close frame with the fault's code; tell the application.
    FailWithClose,
    /// Our Close frame is out already: tell the application.
    Fail,
    /// Tell the application, nothing more can be sent.
    End,
    /// Refuse the call: already closing.
    RefuseClosing,
    /// Refuse the call: already closed.
    RefuseClosed,
}

impl State {
    /// The transition for `occurrence`.
    pub(crate) const fn on(self, occurrence: Occurrence) -> (Self, Action) {
        use Action::*;
        use Occurrence::*;
        use State::*;
        match (self, occurrence) {
            (Open, LocalClose) => (Closing, SendClose),
            (Closing, LocalClose) => (Closing, RefuseClosing),
            (Draining | Drained, LocalClose) => (self, RefuseClosed),

            (Open, PeerClose) => (Draining, AnswerClose),
            (Closing, PeerClose) => (Draining, Complete),

            (Open, Failure) => (Draining, FailWithClose),
            (Closing, Failure) => (Draining, Fail),

            // RFC 6455 §1.4: data that was under way when we closed is still received.
            (Open | Closing, Message) => (self, Deliver),

            (Open | Closing, Lost | Abort | CloseTimer) => (Drained, End),

            // Nothing has ended yet that could be finished.
            (Open | Closing, Finished) => (self, Ignore),

            (Draining, PeerClose | Failure | Message) => (Draining, Ignore),
            (Draining, Lost | Finished | Abort | CloseTimer) => (Drained, Ignore),

            (Drained, PeerClose | Failure | Message | Lost | Finished | Abort | CloseTimer) => {
                (Drained, Ignore)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Occurrence, State};

    const STATES: [State; 4] = [State::Open, State::Closing, State::Draining, State::Drained];
    const OCCURRENCES: [Occurrence; 8] = [
        Occurrence::LocalClose,
        Occurrence::PeerClose,
        Occurrence::Failure,
        Occurrence::Message,
        Occurrence::Lost,
        Occurrence::Finished,
        Occurrence::Abort,
        Occurrence::CloseTimer,
    ];

    #[test]
    fn every_transition_is_the_one_in_the_table() {
        use Action::*;
        use State::*;
        // A row for each occurrence, a column for each state, in the order above.
        let table = [
            [
                (Closing, SendClose),
                (Closing, RefuseClosing),
                (Draining, RefuseClosed),
                (Drained, RefuseClosed),
            ],
            [
                (Draining, AnswerClose),
                (Draining, Complete),
                (Draining, Ignore),
                (Drained, Ignore),
            ],
            [
                (Draining, FailWithClose),
                (Draining, Fail),
                (Draining, Ignore),
                (Drained, Ignore),
            ],
            [
                (Open, Deliver),
                (Closing, Deliver),
                (Draining, Ignore),
                (Drained, Ignore),
            ],
            [
                (Drained, End),
                (Drained, End),
                (Drained, Ignore),
                (Drained, Ignore),
            ],
            [
                (Open, Ignore),
                (Closing, Ignore),
                (Drained, Ignore),
                (Drained, Ignore),
            ],
            [
                (Drained, End),
                (Drained, End),
                (Drained, Ignore),
                (Drained, Ignore),
            ],
            [
                (Drained, End),
                (Drained, End),
                (Drained, Ignore),
                (Drained, Ignore),
            ],
        ];
        for (occurrence, row) in OCCURRENCES.into_iter().zip(table) {
            for (state, expected) in STATES.into_iter().zip(row) {
                assert_eq!(
                    state.on(occurrence),
                    expected,
                    "{occurrence:?} while {state:?}"
                );
            }
        }
    }

    #[test]
    fn the_application_is_told_exactly_once_on_every_path() {
        fn tells(action: Action) -> bool {
            match action {
                Action::AnswerClose
                | Action::Complete
                | Action::FailWithClose
                | Action::Fail
                | Action::End => true,
                Action::Ignore
                | Action::Deliver
                | Action::SendClose
                | Action::RefuseClosing
                | Action::RefuseClosed => false,
            }
        }
        // Three steps reach every state by every route; the fourth checks it.
        let ended = |state| matches!(state, State::Draining | State::Drained);
        for path in 0..OCCURRENCES.len().pow(4) {
            let mut state = State::Open;
            let mut told = 0;
            for step in 0..4 {
                let occurrence =
                    OCCURRENCES[path / OCCURRENCES.len().pow(step) % OCCURRENCES.len()];
                let (next, action) = state.on(occurrence);
                told += u32::from(tells(action));
                assert!(
                    !ended(state) || ended(next),
                    "{state:?} came back to {next:?}"
                );
                state = next;
            }
            assert_eq!(told, u32::from(ended(state)), "path {path}");
        }
    }
}

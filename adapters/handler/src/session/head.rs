//! Waiting for the request.

use sockeye_core::handshake::{HandshakeError, ServerHandshake};
use sockeye_core::{SharedConfig, Time};

/// A connection from which no whole request has come. If all of one comes at once, which it
/// nearly always does, there is never more to it than this.
pub(super) struct Waiting {
    pub(super) config: SharedConfig,
    pub(super) deadline: Time,
    begun: Option<Box<ServerHandshake>>,
}

impl Waiting {
    pub(super) fn new(config: SharedConfig, now: Time) -> Self {
        Self {
            deadline: now + config.handshake_timeout,
            config,
            begun: None,
        }
    }

    /// What has come of the request so far.
    pub(super) fn begun(&mut self) -> ServerHandshake {
        match self.begun.take() {
            Some(begun) => *begun,
            None => ServerHandshake::new(self.config.head, self.deadline),
        }
    }

    /// There is more to come.
    pub(super) fn go_on(&mut self, begun: ServerHandshake) {
        self.begun = Some(Box::new(begun));
    }

    /// The peer will send nothing more; an error if there is somebody to answer.
    pub(super) fn handle_eof(&mut self) -> Result<(), HandshakeError> {
        match &mut self.begun {
            Some(begun) => begun.handle_eof(),
            None => Ok(()),
        }
    }

    pub(super) fn handle_timeout(&self, now: Time) -> Result<(), HandshakeError> {
        if now < self.deadline {
            return Ok(());
        }
        Err(HandshakeError::TimedOut)
    }
}

//! What is the same for all that sends.

use sockeye_core::{CloseCode, SendError, Sender};

/// How much of the output is to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// So much that what is left is not above the soft mark.
    BelowMark,
    /// All of it.
    Empty,
}

/// Queues a Close frame. It is no error to close what is closing or closed.
///
/// # Errors
///
/// A code or a reason that cannot be sent.
pub fn begin_close(sender: &mut Sender, code: CloseCode, reason: &str) -> Result<(), SendError> {
    match sender.close(code, reason) {
        Err(SendError::Closing | SendError::Closed) => Ok(()),
        other => other,
    }
}

//! What everybody who accepts connections has to know.

use core::time::Duration;
use std::io;

/// How long to wait when the system has no room for another socket.
pub const BACK_OFF: Duration = Duration::from_millis(100);

/// Connections that are accepted in a row; then the others have their turn.
pub const ACCEPTS: usize = 64;

/// Whether it was the connection that failed, before it was accepted. The listener is
/// as good as before.
#[must_use]
pub fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

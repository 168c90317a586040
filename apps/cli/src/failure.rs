//! Why the program ends with another exit code than 0.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use sockeye_async::ConnectError;
use sockeye_async::tls::TlsConfigError;
use sockeye_core::handshake::{InvalidField, InvalidUrl};
use sockeye_core::{Closed, ConfigError};
use sockeye_runner::{Escaped, duration};

use crate::command::InvalidCommand;

/// One sentence and an exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The URL is not one for WebSocket.
    Url { url: String, error: InvalidUrl },
    /// A header field or a subprotocol cannot be sent.
    Field(InvalidField),
    /// A line in a file of header fields is none.
    FieldLine { file: PathBuf, number: usize },
    /// The limits make no sense.
    Config(ConfigError),
    /// Whom to trust is not clear.
    Trust(TlsConfigError),
    /// A file, or the input, cannot be read.
    Read { file: PathBuf, error: io::Error },
    /// A line of the input is wrong.
    Line { number: usize, fault: LineFault },
    /// Something that the operating system should have given.
    System {
        what: &'static str,
        error: io::Error,
    },
    /// There is no connection; the error says with whom.
    Connect(ConnectError),
    /// A signal came before there was a connection.
    Interrupted,
    /// The connection ended badly. The output has told how.
    Ended(Closed),
    /// The time for all of it was over.
    TimedOut,
    /// It ended with fewer messages than were asked for.
    TooFew { asked_for: u64, received: u64 },
    /// A script had waited for long enough.
    Overdue { number: usize, awaited: String },
    /// A script got something else.
    Unexpected {
        number: usize,
        awaited: String,
        came: String,
    },
}

/// What is wrong with a line of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LineFault {
    /// It is not UTF-8, and was to be sent as text.
    Utf8,
    /// It is not an event in JSON.
    Json(String),
    /// It is no command.
    Command(InvalidCommand),
    /// It cannot be sent.
    Send(sockeye_core::SendError),
}

impl Failure {
    pub(crate) fn read(file: &Path, error: io::Error) -> Self {
        let file = file.into();
        Self::Read { file, error }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Ended(_) => 1,
            Self::Interrupted
            | Self::Url { .. }
            | Self::Field(_)
            | Self::FieldLine { .. }
            | Self::Config(_)
            | Self::Trust(_)
            | Self::Read { .. }
            | Self::Line { .. }
            | Self::System { .. }
            | Self::Connect(_) => 2,
            Self::TimedOut | Self::Overdue { .. } => 3,
            Self::TooFew { .. } | Self::Unexpected { .. } => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url, error } => {
                write!(f, "cannot connect to {}: {error}", Escaped(url))
            }
            Self::Field(error) => write!(f, "cannot make the request: {error}"),
            Self::FieldLine { file, number } => {
                let file = file.display();
                write!(f, "line {number} of {file} is not of the form NAME: VALUE")
            }
            Self::Config(error) => error.fmt(f),
            Self::Trust(error) => error.fmt(f),
            Self::Read { file, error } => write!(f, "cannot read {}: {error}", file.display()),
            Self::Line { number, fault } => write!(f, "line {number} of the input {fault}"),
            Self::System { what, error } => write!(f, "cannot {what}: {error}"),
            Self::Connect(error) => error.fmt(f),
            Self::Interrupted => f.write_str("interrupted before there was a connection"),
            Self::Ended(closed) => write!(f, "the connection ended badly: {}", End(closed)),
            Self::TimedOut => f.write_str("the time that --timeout gives was over"),
            Self::TooFew {
                asked_for,
                received,
            } => write!(f, "it ended after {received} of {asked_for} messages"),
            Self::Overdue { number, awaited } => {
                write!(
                    f,
                    "line {number} of the script: there was no {awaited} in time"
                )
            }
            Self::Unexpected {
                number,
                awaited,
                came,
            } => write!(
                f,
                "line {number} of the script: {came} instead of {awaited}"
            ),
        }
    }
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Utf8 => f.write_str("is not UTF-8; --binary sends it as it is"),
            Self::Json(error) => write!(f, "is not an event in JSON: {error}"),
            Self::Command(error) => error.fmt(f),
            Self::Send(error) => write!(f, "cannot be sent: {error}"),
        }
    }
}

/// How a connection ended, from where the client stands.
pub(crate) struct End<'a>(pub(crate) &'a Closed);

impl fmt::Display for End<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use sockeye_core::{Cause, CloseCode, Initiator};
        let Self(closed) = self;
        if closed.cause != Cause::Handshake {
            return write!(f, "{}", Escaped(&closed.to_string()));
        }
        f.write_str(match closed.initiator {
            Initiator::Peer => "closed by the server",
            Initiator::Local | Initiator::Transport => "closed",
        })?;
        match closed.code {
            CloseCode::NO_STATUS => f.write_str(" without a code")?,
            code => write!(f, " with code {code}")?,
        }
        if !closed.reason.is_empty() {
            write!(f, ": {}", Escaped(&closed.reason))?;
        }
        Ok(())
    }
}

/// A time that a flag or a command gives.
pub(crate) fn parse_time(text: &str) -> Option<core::time::Duration> {
    duration(text).ok()
}

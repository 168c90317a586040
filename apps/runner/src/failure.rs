//! Why a program ends with another exit code than 0.

use core::fmt;
use std::io;
use std::process::ExitCode;

use sockeye_core::{Closed, ConfigError};

/// One sentence and an exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The limits make no sense.
    Config(ConfigError),
    /// The address cannot be listened on.
    Listen { address: String, error: io::Error },
    /// Something that the operating system should have given.
    System {
        what: &'static str,
        error: io::Error,
    },
    /// A client has no connection; the adapter's error says whom to.
    #[cfg(feature = "tokio")]
    Connect(sockeye_tokio::ConnectError),
    /// A client's connection ended badly.
    Ended { url: String, closed: Closed },
    /// A signal came before a client had its connection.
    Interrupted { url: String },
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Listen { .. } | Self::System { .. } => ExitCode::from(2),
            #[cfg(feature = "tokio")]
            Self::Connect(
                sockeye_tokio::ConnectError::Url { .. } | sockeye_tokio::ConnectError::Tls { .. },
            ) => ExitCode::from(2),
            #[cfg(feature = "tokio")]
            Self::Connect(_) => ExitCode::FAILURE,
            Self::Ended { .. } | Self::Interrupted { .. } => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Listen { address, error } => write!(f, "cannot listen on {address}: {error}"),
            Self::System { what, error } => write!(f, "cannot {what}: {error}"),
            #[cfg(feature = "tokio")]
            Self::Connect(error) => error.fmt(f),
            Self::Ended { url, closed } => {
                write!(f, "the connection to {url} ended badly: ")?;
                // The peer's text, which may hold anything.
                for c in closed.to_string().chars() {
                    if c.is_control() {
                        write!(f, "{}", c.escape_default())?;
                    } else {
                        write!(f, "{c}")?;
                    }
                }
                Ok(())
            }
            Self::Interrupted { url } => write!(f, "interrupted before {url} had answered"),
        }
    }
}

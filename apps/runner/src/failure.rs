//! Why a program ends with another exit code than 0.

use core::fmt;
use std::io;
use std::process::ExitCode;

use sockeye_common::ConnectError;
#[cfg(feature = "tls")]
use sockeye_common::tls::TlsConfigError;
use sockeye_core::{Closed, ConfigError};

use crate::escape::Escaped;

/// One sentence and an exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The limits make no sense.
    Config(ConfigError),
    /// A certificate, a key or roots cannot be used.
    #[cfg(feature = "tls")]
    Tls(TlsConfigError),
    /// The address cannot be listened on.
    Listen { address: String, error: io::Error },
    /// Something that the operating system should have given.
    System {
        what: &'static str,
        error: io::Error,
    },
    /// The program itself will not start.
    Refused { reason: String },
    /// A client has no connection; the adapter's error says whom to.
    Connect(ConnectError),
    /// A client's connection ended badly.
    Ended { url: String, closed: Closed },
    /// A signal came before a client had its connection.
    Interrupted { url: String },
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(_) => ExitCode::from(2),
            Self::Config(_) | Self::Listen { .. } | Self::System { .. } | Self::Refused { .. } => {
                ExitCode::from(2)
            }
            Self::Connect(ConnectError::Url { .. } | ConnectError::Tls { .. }) => ExitCode::from(2),
            Self::Connect(_) | Self::Ended { .. } | Self::Interrupted { .. } => ExitCode::FAILURE,
        }
    }
}

impl Failure {
    /// What stands below the sentence: the answer of a server that refused.
    pub(crate) fn details(&self) -> Vec<String> {
        const LINES: usize = 100;
        if let Self::Connect(ConnectError::Rejected { response, .. }) = self {
            let body = String::from_utf8_lossy(response.content());
            let fields = response
                .fields()
                .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)));
            return fields
                .chain([String::new()])
                .chain(body.lines().map(String::from))
                .take(LINES)
                .map(|line| Escaped(&line).to_string())
                .collect();
        }
        Vec::new()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            #[cfg(feature = "tls")]
            Self::Tls(error) => error.fmt(f),
            Self::Listen { address, error } => write!(f, "cannot listen on {address}: {error}"),
            Self::System { what, error } => write!(f, "cannot {what}: {error}"),
            Self::Refused { reason } => Escaped(reason).fmt(f),
            Self::Connect(error) => error.fmt(f),
            Self::Ended { url, closed } => {
                let how = closed.to_string();
                write!(f, "the connection to {url} ended badly: {}", Escaped(&how))
            }
            Self::Interrupted { url } => write!(f, "interrupted before {url} had answered"),
        }
    }
}

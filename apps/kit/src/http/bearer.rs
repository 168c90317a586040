//! Who may ask, told by a token that is written down on both sides.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use sockeye_handler::{Request, Response};

use super::{error, sendable};
use crate::secret::Secret;

/// The one token that opens a door (RFC 6750), such as that of `--publish-token`.
#[derive(Clone, Debug)]
pub struct Bearer(Secret);

impl Bearer {
    /// What stands in a file, less one final line feed.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is nothing that can stand behind `Authorization: Bearer`.
    pub fn read(path: &Path) -> Result<Self, BearerError> {
        let secret = Secret::read(path).map_err(|error| BearerError::Read {
            path: path.into(),
            error,
        })?;
        let token = secret.expose();
        if token.is_empty() {
            return Err(BearerError::Empty { path: path.into() });
        }
        if !token.iter().copied().all(is_token68) {
            return Err(BearerError::Token { path: path.into() });
        }
        Ok(Self(secret))
    }

    /// Whether this is the token; it takes as long for a wrong one.
    #[must_use]
    pub fn matches(&self, token: &[u8]) -> bool {
        self.0.matches(token)
    }

    /// Whether the request names the token.
    ///
    /// # Errors
    ///
    /// The answer to one that does not: 401.
    pub fn check(&self, request: &Request<'_>) -> Result<(), Response> {
        let mut values = request.values("Authorization");
        let authorized = match (values.next(), values.next()) {
            (Some(value), None) => credentials(value).is_some_and(|token| self.matches(token)),
            _ => false,
        };
        if authorized {
            return Ok(());
        }
        let response = error(401, "unauthorized", "a bearer token is needed");
        Err(sendable(response.field("WWW-Authenticate", "Bearer")))
    }
}

/// RFC 9110 §11.4: the scheme in any case, spaces, the token.
fn credentials(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii_start())
}

/// RFC 9110 §11.2.
fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

/// Why there is no token to compare with.
#[derive(Debug)]
pub enum BearerError {
    /// The file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is nothing in the file.
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// There is something in it that cannot be sent.
    Token {
        /// The file.
        path: PathBuf,
    },
}

impl fmt::Display for BearerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, error } => {
                write!(f, "cannot read the token {}: {error}", path.display())
            }
            Self::Empty { path } => write!(f, "there is no token in {}", path.display()),
            Self::Token { path } => write!(
                f,
                "the token in {} is not made of letters, digits and - . _ ~ + / =",
                path.display()
            ),
        }
    }
}

impl core::error::Error for BearerError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Read { error, .. } => Some(error),
            Self::Empty { .. } | Self::Token { .. } => None,
        }
    }
}

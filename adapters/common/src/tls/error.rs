//! What can be wrong with TLS.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem;
use rustls::{AlertDescription, CertificateError, Error};

/// Why a certificate, a key or roots cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// A file cannot be read.
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is not in PEM.
    Pem {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        error: pem::Error,
    },
    /// There is no certificate in a file.
    NoCertificate {
        /// The file.
        file: PathBuf,
    },
    /// There is no private key in a file.
    NoKey {
        /// The file.
        file: PathBuf,
    },
    /// The key is not that of the certificate.
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// A certificate cannot be used.
    Certificate {
        /// Its file.
        file: PathBuf,
        /// What is wrong with it.
        error: Error,
    },
    /// A private key cannot be used.
    Key {
        /// Its file.
        file: PathBuf,
        /// What is wrong with it.
        error: Error,
    },
    /// The platform trusts nobody.
    NoPlatformRoots,
    /// The cryptography that was built in supports no version of TLS.
    Unusable(Error),
}

impl TlsConfigError {
    pub(super) fn pem(file: &Path, error: pem::Error) -> Self {
        let file = file.into();
        match error {
            pem::Error::Io(error) => Self::Read { file, error },
            error => Self::Pem { file, error },
        }
    }

    pub(super) fn pair(certificate: &Path, key: &Path, error: Error) -> Self {
        match error {
            Error::InconsistentKeys(_) => Self::Mismatch {
                certificate: certificate.into(),
                key: key.into(),
            },
            Error::InvalidCertificate(_) => Self::Certificate {
                file: certificate.into(),
                error,
            },
            error => Self::Key {
                file: key.into(),
                error,
            },
        }
    }
}

impl fmt::Display for TlsConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { file, error } => write!(f, "cannot read {}: {error}", file.display()),
            Self::Pem { file, error } => write!(f, "{} is not in PEM: {error}", file.display()),
            Self::NoCertificate { file } => {
                write!(f, "there is no certificate in {}", file.display())
            }
            Self::NoKey { file } => write!(f, "there is no private key in {}", file.display()),
            Self::Mismatch { certificate, key } => write!(
                f,
                "the key in {} is not that of the certificate in {}",
                key.display(),
                certificate.display()
            ),
            Self::Certificate { file, error } => {
                let file = file.display();
                write!(f, "the certificate in {file} cannot be used: {error}")
            }
            Self::Key { file, error } => {
                write!(f, "the key in {} cannot be used: {error}", file.display())
            }
            Self::NoPlatformRoots => f.write_str("this platform has no trusted certificates"),
            Self::Unusable(error) => write!(f, "TLS cannot be used: {error}"),
        }
    }
}

impl core::error::Error for TlsConfigError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Read { error, .. } => Some(error),
            Self::Pem { error, .. } => Some(error),
            Self::Certificate { error, .. } | Self::Key { error, .. } | Self::Unusable(error) => {
                Some(error)
            }
            _ => None,
        }
    }
}

/// Why there is no TLS with a peer. The message follows its name.
///
/// Inside the [`io::Error`] of a transport, of the kind
/// [`InvalidData`](io::ErrorKind::InvalidData).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TlsError {
    /// What it sent is not TLS.
    NotTls,
    /// Its certificate was not issued by anybody who is trusted.
    UnknownIssuer,
    /// Its certificate is for somebody else.
    WrongName,
    /// The time of its certificate is over, or its issuer's.
    Expired,
    /// The time of its certificate is still to come, or its issuer's.
    NotYetValid,
    /// Something else is wrong with its certificate.
    Certificate(CertificateError),
    /// It refused, for this reason.
    Refused(AlertDescription),
    /// Its name is none that a certificate could have.
    InvalidName,
    /// Anything else.
    Protocol(Error),
}

impl From<Error> for TlsError {
    fn from(error: Error) -> Self {
        use CertificateError as E;
        match error {
            Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => Self::NotTls,
            Error::InvalidCertificate(error) => match error {
                E::UnknownIssuer => Self::UnknownIssuer,
                // Somebody who is trusted has the issuer's name, but not its kind of key.
                E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Self::UnknownIssuer,
                E::NotValidForName | E::NotValidForNameContext { .. } => Self::WrongName,
                E::Expired | E::ExpiredContext { .. } => Self::Expired,
                E::NotValidYet | E::NotValidYetContext { .. } => Self::NotYetValid,
                error => Self::Certificate(error),
            },
            Error::AlertReceived(alert) => Self::Refused(alert),
            error => Self::Protocol(error),
        }
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTls => f.write_str("it does not speak TLS"),
            Self::UnknownIssuer => {
                f.write_str("its certificate was not issued by anybody who is trusted")
            }
            Self::WrongName => f.write_str("its certificate is for another name"),
            Self::Expired => f.write_str("its certificate has expired"),
            Self::NotYetValid => f.write_str("its certificate is not valid yet"),
            Self::Certificate(error) => write!(f, "its certificate is not valid: {error}"),
            Self::Refused(alert) => write!(f, "it refused TLS: {alert:?}"),
            Self::InvalidName => f.write_str("no certificate can be for such a name"),
            Self::Protocol(error) => write!(f, "TLS failed: {error}"),
        }
    }
}

impl core::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Protocol(error) => Some(error),
            _ => None,
        }
    }
}

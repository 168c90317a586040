//! The key of the tokens, as the flags give it.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use jsonwebtoken::{AlgorithmFamily, DecodingKey, EncodingKey};

use super::{Signer, Terms, Verifier};
use crate::secret::Secret;

/// How tokens are signed (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "verbatim")]
#[expect(missing_docs, reason = "the names are those of the standards")]
pub enum Algorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::HS256 => Self::HS256,
            Algorithm::HS384 => Self::HS384,
            Algorithm::HS512 => Self::HS512,
            Algorithm::RS256 => Self::RS256,
            Algorithm::RS384 => Self::RS384,
            Algorithm::RS512 => Self::RS512,
            Algorithm::PS256 => Self::PS256,
            Algorithm::PS384 => Self::PS384,
            Algorithm::PS512 => Self::PS512,
            Algorithm::ES256 => Self::ES256,
            Algorithm::ES384 => Self::ES384,
            Algorithm::EdDSA => Self::EdDSA,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The flags about tokens; flatten them into a program's own.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct KeyArgs {
    /// Key that tokens are verified with: for HS256, HS384 and HS512 the secret, at least
    /// 32 bytes; for all others the public key in PEM. One line feed at its end does not
    /// count.
    #[arg(long, value_name = "FILE", help_heading = "Tokens")]
    pub jwt_key: Option<PathBuf>,

    /// The one algorithm that tokens may be signed with; HS256 if not given.
    #[arg(
        long,
        value_name = "ALG",
        value_enum,
        requires = "jwt_key",
        help_heading = "Tokens"
    )]
    pub jwt_alg: Option<Algorithm>,

    /// Audience that each token must be for; not looked at if not given.
    #[arg(
        long,
        value_name = "NAME",
        requires = "jwt_key",
        help_heading = "Tokens"
    )]
    pub jwt_aud: Option<String>,

    /// Issuer that each token must be from; not looked at if not given.
    #[arg(
        long,
        value_name = "NAME",
        requires = "jwt_key",
        help_heading = "Tokens"
    )]
    pub jwt_iss: Option<String>,
}

impl KeyArgs {
    /// What tokens are verified with; `None` without `--jwt-key`.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or holds no key for the algorithm.
    pub fn verifier(&self) -> Result<Option<Verifier>, KeyError> {
        self.read(|secret, algorithm, terms| verifier(secret, algorithm, &terms))
    }

    /// What tokens are made with, if the file holds the private key; `None` without
    /// `--jwt-key`.
    ///
    /// # Errors
    ///
    /// As [`verifier`](Self::verifier).
    pub fn signer(&self) -> Result<Option<Signer>, KeyError> {
        self.read(signer)
    }

    fn read<T>(
        &self,
        make: impl FnOnce(&[u8], Algorithm, Terms) -> Result<T, KeyFault>,
    ) -> Result<Option<T>, KeyError> {
        let Some(path) = &self.jwt_key else {
            return Ok(None);
        };
        let secret = Secret::read(path).map_err(|error| KeyError::Read {
            path: path.clone(),
            error,
        })?;
        let algorithm = self.jwt_alg.unwrap_or(Algorithm::HS256);
        let terms = Terms {
            aud: self.jwt_aud.clone(),
            iss: self.jwt_iss.clone(),
        };
        match make(secret.expose(), algorithm, terms) {
            Ok(made) => Ok(Some(made)),
            Err(fault) => Err(KeyError::Unfit {
                path: path.clone(),
                algorithm,
                fault,
            }),
        }
    }
}

/// A verifier with this key: a secret, or a public key in PEM.
pub(super) fn verifier(
    key: &[u8],
    algorithm: Algorithm,
    terms: &Terms,
) -> Result<Verifier, KeyFault> {
    let unfit = |_| KeyFault::NotOfItsKind;
    let checked = match family(algorithm) {
        AlgorithmFamily::Hmac => DecodingKey::from_secret(long_enough(key)?),
        AlgorithmFamily::Rsa => {
            expect_pem(key, Part::Public)?;
            let read = DecodingKey::from_rsa_pem(key).map_err(unfit)?;
            let der = read.try_get_as_bytes().map_err(unfit)?;
            // Otherwise it would only be parsed with the first token.
            (DEFAULT_PROVIDER
                .key_utils
                .rsa_pub_components_from_public_key)(der)
            .map_err(unfit)?;
            read
        }
        AlgorithmFamily::Ec => {
            expect_pem(key, Part::Public)?;
            DecodingKey::from_ec_pem(key).map_err(unfit)?
        }
        AlgorithmFamily::Ed => {
            expect_pem(key, Part::Public)?;
            let read = DecodingKey::from_ed_pem(key).map_err(unfit)?;
            // RFC 8032 §5.1.5.
            if read.try_get_as_bytes().map_err(unfit)?.len() != 32 {
                return Err(KeyFault::NotOfItsKind);
            }
            read
        }
    };
    // The curve too has to be the algorithm's.
    (DEFAULT_PROVIDER.verifier_factory)(&algorithm.into(), &checked).map_err(unfit)?;
    Ok(Verifier::new(checked, algorithm, terms))
}

/// A signer with this key: a secret, or a private key in PEM.
pub(super) fn signer(key: &[u8], algorithm: Algorithm, terms: Terms) -> Result<Signer, KeyFault> {
    let unfit = |_| KeyFault::NotOfItsKind;
    let read = match family(algorithm) {
        AlgorithmFamily::Hmac => EncodingKey::from_secret(long_enough(key)?),
        AlgorithmFamily::Rsa => {
            expect_pem(key, Part::Private)?;
            EncodingKey::from_rsa_pem(key).map_err(unfit)?
        }
        AlgorithmFamily::Ec => {
            expect_pem(key, Part::Private)?;
            EncodingKey::from_ec_pem(key).map_err(unfit)?
        }
        AlgorithmFamily::Ed => {
            expect_pem(key, Part::Private)?;
            EncodingKey::from_ed_pem(key).map_err(unfit)?
        }
    };
    Signer::new(read, algorithm, terms).map_err(unfit)
}

fn family(algorithm: Algorithm) -> AlgorithmFamily {
    match algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => AlgorithmFamily::Hmac,
        Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => AlgorithmFamily::Rsa,
        Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => AlgorithmFamily::Rsa,
        Algorithm::ES256 | Algorithm::ES384 => AlgorithmFamily::Ec,
        Algorithm::EdDSA => AlgorithmFamily::Ed,
    }
}

/// RFC 7518 §3.2 asks for as many bytes as HS256 hashes to.
fn long_enough(secret: &[u8]) -> Result<&[u8], KeyFault> {
    if secret.len() < 32 {
        return Err(KeyFault::TooShort {
            bytes: secret.len(),
        });
    }
    if begins_pem(secret) {
        // A public key as a secret: everybody could sign.
        return Err(KeyFault::Pem);
    }
    Ok(secret)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Public,
    Private,
}

/// Whether the file says that it is the half that is needed.
fn expect_pem(key: &[u8], part: Part) -> Result<(), KeyFault> {
    if !begins_pem(key) {
        return Err(KeyFault::NotPem);
    }
    let says = |label: &[u8]| key.windows(label.len()).any(|window| window == label);
    let private = says(b"PRIVATE KEY-----");
    let public = says(b"PUBLIC KEY-----");
    match part {
        Part::Public if private => Err(KeyFault::Private),
        Part::Private if public && !private => Err(KeyFault::Public),
        Part::Public if public => Ok(()),
        Part::Private if private => Ok(()),
        _ => Err(KeyFault::NotPem),
    }
}

fn begins_pem(key: &[u8]) -> bool {
    key.trim_ascii_start().starts_with(b"-----BEGIN ")
}

/// Why there is no key to verify or make tokens with.
#[derive(Debug)]
pub enum KeyError {
    /// The file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What is in the file cannot be used.
    Unfit {
        /// The file.
        path: PathBuf,
        /// What it should be used for.
        algorithm: Algorithm,
        /// What is wrong with it.
        fault: KeyFault,
    },
    /// The system has no randomness for a key of its own.
    Random(io::Error),
    /// A key of the program's own cannot be used.
    Generated(KeyFault),
}

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// A secret of so few bytes can be guessed.
    TooShort {
        /// How many there are.
        bytes: usize,
    },
    /// A key in PEM where a secret should be.
    Pem,
    /// No key in PEM.
    NotPem,
    /// The private key where the public one belongs.
    Private,
    /// The public key where the private one belongs.
    Public,
    /// It is broken, or for other algorithms.
    NotOfItsKind,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, error } => {
                write!(f, "cannot read the key {}: {error}", path.display())
            }
            Self::Unfit {
                path,
                algorithm,
                fault,
            } => unfit(f, path, *algorithm, *fault),
            Self::Random(error) => write!(f, "cannot make a random key: {error}"),
            Self::Generated(_) => f.write_str("cannot use the random key"),
        }
    }
}

fn unfit(
    f: &mut fmt::Formatter<'_>,
    path: &Path,
    algorithm: Algorithm,
    fault: KeyFault,
) -> fmt::Result {
    let path = path.display();
    match fault {
        KeyFault::TooShort { bytes } => write!(
            f,
            "the secret in {path} has {bytes} bytes; {algorithm} needs at least 32"
        ),
        KeyFault::Pem => write!(
            f,
            "{path} holds a key in PEM, and {algorithm} needs a secret; name the algorithm with --jwt-alg"
        ),
        KeyFault::NotPem => write!(f, "{path} holds no key in PEM, which {algorithm} needs"),
        KeyFault::Private => write!(
            f,
            "{path} holds a private key; tokens are verified with the public one"
        ),
        KeyFault::Public => write!(
            f,
            "{path} holds a public key; tokens are made with the private one"
        ),
        KeyFault::NotOfItsKind => write!(f, "the key in {path} is not one for {algorithm}"),
    }
}

impl core::error::Error for KeyError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Read { error, .. } | Self::Random(error) => Some(error),
            Self::Unfit { .. } | Self::Generated(_) => None,
        }
    }
}

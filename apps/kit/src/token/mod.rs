//! JSON Web Tokens (RFC 7519): who somebody is, and until when.
//!
//! One algorithm is pinned with the key; what the token says about its own only has to agree.
//! `exp` and `nbf` are checked here, against the time that the caller gives and without leeway;
//! signatures, `aud` and `iss` by `jsonwebtoken`.

mod key;

use core::fmt;
use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Deserializer, Serialize};

use crate::name::Name;
use crate::secret::Secret;

pub use key::{Algorithm, KeyArgs, KeyError, KeyFault};

/// What a valid token says.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// Whose it is.
    pub id: Name,
    /// The moment from which on it is refused, in seconds since 1970 in UTC.
    pub exp: f64,
}

impl Claims {
    /// How long the token is still good, rounded up to the millisecond so that a timer which is
    /// set by it is not early. Zero from the moment of `exp` on.
    #[must_use]
    pub fn left(&self, now: SystemTime) -> Duration {
        let millis = ((self.exp - seconds(now)) * 1000.0).ceil();
        // What is negative has ended; what is too long to be counted does not end. (`as`
        // saturates.)
        Duration::from_millis(millis as u64)
    }
}

/// Says whether a token is valid.
#[derive(Clone, Debug)]
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    /// No token is longer; nothing longer is looked at.
    const MAX_TOKEN: usize = 8192;

    /// For tokens with this audience and issuer, if they are given; else those do not matter.
    fn new(key: DecodingKey, algorithm: Algorithm, terms: &Terms) -> Self {
        let mut validation = Validation::new(algorithm.into());
        // Those are checked below, without rounding.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        validation.validate_aud = terms.aud.is_some();
        for (name, value) in [("aud", &terms.aud), ("iss", &terms.iss)] {
            if value.is_some() {
                validation.required_spec_claims.insert(name.into());
            }
        }
        validation.aud = terms.aud.clone().map(|aud| [aud].into());
        validation.iss = terms.iss.clone().map(|iss| [iss].into());
        Self { key, validation }
    }

    /// Checks signature, time, audience, issuer and name.
    ///
    /// # Errors
    ///
    /// [`TokenError::Expired`] if everything else is right, [`TokenError::Invalid`] otherwise.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Claims, TokenError> {
        if token.len() > Self::MAX_TOKEN {
            return Err(TokenError::Invalid);
        }
        let decoded = jsonwebtoken::decode::<Received>(token, &self.key, &self.validation)
            .map_err(|_| TokenError::Invalid)?;
        // RFC 7515 §4.1.11: what is critical and not understood makes the token invalid.
        if decoded.header.crit.is_some() {
            return Err(TokenError::Invalid);
        }
        let Received { id, exp, nbf } = decoded.claims;
        let id = Name::parse(&id).map_err(|_| TokenError::Invalid)?;
        let now = seconds(now);
        if nbf.is_some_and(|nbf| nbf > now) {
            return Err(TokenError::Invalid);
        }
        if exp <= now {
            return Err(TokenError::Expired);
        }
        Ok(Claims { id, exp })
    }
}

/// The claims that are looked at; a repeated one is an error.
#[derive(Deserialize)]
struct Received {
    id: String,
    exp: f64,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<f64>,
}

/// A claim that is there is a number: `null` is none.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    f64::deserialize(deserializer).map(Some)
}

/// Makes tokens: for trying out, and for the programs' own subcommands.
#[derive(Clone, Debug)]
pub struct Signer {
    key: EncodingKey,
    header: Header,
    terms: Terms,
}

impl Signer {
    /// Signs once, so that a key that cannot is found out at once.
    fn new(
        key: EncodingKey,
        algorithm: Algorithm,
        terms: Terms,
    ) -> jsonwebtoken::errors::Result<Self> {
        let signer = Self {
            key,
            header: Header::new(algorithm.into()),
            terms,
        };
        signer.encode("", 0.0)?;
        Ok(signer)
    }

    /// A token for `id` that expires in `ttl`.
    ///
    /// Other services may read no fractions, so `exp` is a whole second, the next, unless
    /// `ttl` itself has a fraction.
    #[must_use]
    pub fn sign(&self, id: &Name, ttl: Duration, now: SystemTime) -> String {
        let exp = seconds(now + ttl);
        let exp = if ttl.subsec_nanos() == 0 {
            exp.ceil()
        } else {
            exp
        };
        self.encode(id, exp)
            .expect("`new` has signed with this key")
    }

    fn encode(&self, id: &str, exp: f64) -> jsonwebtoken::errors::Result<String> {
        let claims = Signed {
            id,
            exp: match exp.fract() {
                0.0 => Seconds::Whole(exp as u64),
                _ => Seconds::Fraction(exp),
            },
            terms: &self.terms,
        };
        jsonwebtoken::encode(&self.header, &claims, &self.key)
    }
}

#[derive(Serialize)]
struct Signed<'a> {
    id: &'a str,
    exp: Seconds,
    #[serde(flatten)]
    terms: &'a Terms,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Seconds {
    Whole(u64),
    Fraction(f64),
}

/// For whom tokens are, and from whom.
#[derive(Clone, Debug, Default, Serialize)]
struct Terms {
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
}

/// A pair with a random key, for a server that nobody has given one.
///
/// # Errors
///
/// The system has no randomness to give.
pub fn demo() -> Result<(Verifier, Signer), KeyError> {
    let secret = Secret::random::<32>().map_err(KeyError::Random)?;
    let verifier = key::verifier(secret.expose(), Algorithm::HS256, &Terms::default());
    let signer = key::signer(secret.expose(), Algorithm::HS256, Terms::default());
    match (verifier, signer) {
        (Ok(verifier), Ok(signer)) => Ok((verifier, signer)),
        (Err(fault), _) | (_, Err(fault)) => Err(KeyError::Generated(fault)),
    }
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> f64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

/// Why a token is refused. What was in it is not said: it is in nobody's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// It was good once.
    Expired,
    /// It is none, is signed with another key or algorithm, is for others, is not good yet, or
    /// names nobody.
    Invalid,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "the token has expired",
            Self::Invalid => "the token is not valid",
        })
    }
}

impl core::error::Error for TokenError {}

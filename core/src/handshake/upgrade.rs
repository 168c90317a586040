use super::{
    InvalidField, Response,
    field::{Fields, is_framing, is_handshake, is_token},
    response::SWITCHING_PROTOCOLS,
};
#[cfg(feature = "deflate")]
use crate::deflate::{self, Offers};
use crate::{config::Config, extensions::Extensions};
#[cfg(feature = "deflate")]
use alloc::string::ToString;
use alloc::{boxed::Box, string::String};
use base64::{Engine, engine::general_purpose::STANDARD};
use core::fmt;
use sha1::{Digest, Sha1};

/// The proof that a request was a valid upgrade, with what the answer to it needs.
///
/// It borrows nothing, so the decision can be taken later.
#[derive(Clone, Debug)]
pub struct Upgrade {
    /// `None` over HTTP/2, where there is no key to answer.
    accept: Option<AcceptKey>,
    offered: Subprotocols,
    #[cfg(feature = "deflate")]
    deflate: Offers,
}

impl Upgrade {
    pub(super) fn new(accept: Option<AcceptKey>, offered: Offered) -> Self {
        Self {
            accept,
            offered: offered.subprotocols,
            #[cfg(feature = "deflate")]
            deflate: offered.deflate,
        }
    }

    /// The response that accepts, with the extensions that the client offers and `config`
    /// allows.
    ///
    /// The connection is to be made with both:
    /// `Connection::server(&config, now).with_extensions(accepted.extensions)`.
    /// An error if `accept` names a subprotocol that the client did not offer.
    pub fn accept(&self, accept: &Accept, config: &Config) -> Result<Accepted, NotOffered> {
        let mut accepted = Accepted {
            response: self.response(accept)?,
            extensions: Extensions::NONE,
        };
        if !accept.without_extensions {
            self.extend(&mut accepted, config);
        }
        Ok(accepted)
    }

    /// Adds the extensions.
    #[cfg(feature = "deflate")]
    fn extend(&self, accepted: &mut Accepted, config: &Config) {
        let Some(config) = &config.deflate else {
            return;
        };
        if let Some((answer, agreed)) = deflate::accept(&self.deflate, config) {
            let answer = answer.to_string();
            accepted
                .response
                .push_known("Sec-WebSocket-Extensions", answer.as_bytes());
            accepted.extensions = Extensions::with_deflate(agreed);
        }
    }

    /// There are none.
    #[cfg(not(feature = "deflate"))]
    fn extend(&self, _: &mut Accepted, _: &Config) {}

    /// The response that accepts (RFC 6455 §4.2.2): 101, or 200 to an extended `CONNECT`.
    /// It accepts no extensions.
    ///
    /// An error if `accept` names a subprotocol that the client did not offer.
    pub fn response(&self, accept: &Accept) -> Result<Response, NotOffered> {
        if accept
            .chosen()
            .is_some_and(|name| !self.offered.contains(name))
        {
            return Err(NotOffered);
        }
        let mut fields = Fields::with_capacity(192 + accept.fields.as_bytes().len());
        let status = match &self.accept {
            Some(key) => {
                fields.push_known("Upgrade", b"websocket");
                fields.push_known("Connection", b"Upgrade");
                fields.push_known("Sec-WebSocket-Accept", key);
                SWITCHING_PROTOCOLS
            }
            None => 200,
        };
        if let Some(name) = accept.chosen() {
            fields.push_known("Sec-WebSocket-Protocol", name.as_bytes());
        }
        fields.append(&accept.fields);
        Ok(Response::with_fields(status, fields))
    }

    /// The subprotocols that the client offers, in its order of preference.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.offered.iter()
    }
}

/// What a client offers.
#[derive(Default)]
pub(super) struct Offered {
    pub(super) subprotocols: Subprotocols,
    #[cfg(feature = "deflate")]
    pub(super) deflate: Offers,
}

/// An upgrade that a server accepts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Accepted {
    /// What to answer.
    pub response: Response,
    /// What that agrees to, for [`Connection::with_extensions`](crate::Connection).
    pub extensions: Extensions,
}

/// What a server says when it accepts an upgrade.
#[derive(Clone, Debug, Default)]
pub struct Accept {
    subprotocol: Option<Box<str>>,
    fields: Fields,
    without_extensions: bool,
}

impl Accept {
    /// Accepts without a subprotocol and without further fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses a subprotocol, which must be one that the client offers.
    pub fn subprotocol(mut self, name: &str) -> Result<Self, InvalidField> {
        if !is_token(name.as_bytes()) {
            return Err(InvalidField::Value);
        }
        self.subprotocol = Some(name.into());
        Ok(self)
    }

    /// Adds a field, `Set-Cookie` for example.
    ///
    /// Those of the handshake (`Sec-WebSocket-…`, `Upgrade`, `Connection`) and of framing are
    /// reserved.
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidField> {
        if is_framing(name) || is_handshake(name) {
            return Err(InvalidField::Reserved);
        }
        self.fields.push(name, value.as_ref())?;
        Ok(self)
    }

    /// Accepts no extensions on this connection, whatever its settings allow: no
    /// compression where secrets go back and forth, for example.
    #[must_use]
    pub fn without_extensions(self) -> Self {
        Self {
            without_extensions: true,
            ..self
        }
    }

    /// The subprotocol that was chosen.
    pub fn chosen(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }
}

/// A subprotocol was chosen that the client does not offer (RFC 6455 §4.2.2, item 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOffered;

impl fmt::Display for NotOffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the chosen subprotocol is not one that the client offers")
    }
}

impl core::error::Error for NotOffered {}

/// Tokens in order of preference, as the field value that offers them.
#[derive(Clone, Debug, Default)]
pub(super) struct Subprotocols(String);

impl Subprotocols {
    /// Adds `name`, which is a token.
    pub(super) fn push(&mut self, name: &str) {
        if !self.0.is_empty() {
            self.0.push_str(", ");
        }
        self.0.push_str(name);
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.iter().any(|offered| offered == name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(", ").filter(|name| !name.is_empty())
    }

    /// The value for `Sec-WebSocket-Protocol`; empty if there are none.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A `Sec-WebSocket-Accept`: 20 bytes in base64.
pub(super) type AcceptKey = [u8; 28];

/// RFC 6455 §4.2.2, item 5: the answer to a `Sec-WebSocket-Key`.
pub(super) fn accept_key(key: &[u8]) -> AcceptKey {
    let digest = Sha1::new()
        .chain_update(key)
        .chain_update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .finalize();
    let mut accept = [0; 28];
    encode_base64(&digest, &mut accept);
    accept
}

/// A `Sec-WebSocket-Key`: 16 bytes in base64.
pub(super) fn key(nonce: [u8; 16]) -> [u8; 24] {
    let mut key = [0; 24];
    encode_base64(&nonce, &mut key);
    key
}

/// `out` is as long as the encoding of `bytes`.
fn encode_base64(bytes: &[u8], out: &mut [u8]) {
    let written = STANDARD.encode_slice(bytes, out);
    debug_assert!(written.is_ok());
}

/// Whether this could encode 16 bytes: RFC 6455 §4.2.1 needs no more, and no server decodes it.
pub(super) fn is_key(value: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    match value.split_last_chunk::<2>() {
        Some((digits, b"==")) => digits.len() == 22 && digits.iter().all(is_base64),
        _ => false,
    }
}

use super::{InvalidField, Response};
use alloc::boxed::Box;
use core::fmt;

/// The proof that a request was a valid upgrade, and what its answer needs.
///
/// It borrows nothing, so the decision can be taken later.
#[derive(Clone, Debug)]
pub struct Upgrade {
    accept: [u8; 28],
    offered: Option<Box<str>>,
}

impl Upgrade {
    /// The response that accepts: 101 (RFC 6455 §4.2.2).
    pub fn response(&self, accept: &Accept) -> Result<Response, NotOffered> {
        let _ = (accept, &self.accept, &self.offered);
        todo!()
    }
    /// The subprotocols that the client offers, in its order of preference.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        core::iter::empty()
    }
}

/// What a server adds when it accepts an upgrade.
#[derive(Clone, Debug, Default)]
pub struct Accept {
    subprotocol: Option<Box<str>>,
}

impl Accept {
    /// Accepts without a subprotocol or further fields.
    pub fn new() -> Self {
        Self::default()
    }
    /// Chooses a subprotocol, which must be one that the client offers.
    pub fn subprotocol(self, name: &str) -> Result<Self, InvalidField> {
        let _ = (name, &self.subprotocol);
        todo!()
    }
    /// Adds a field to the response, a cookie for example.
    pub fn field(self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidField> {
        let _ = (name, value);
        todo!()
    }
    /// The subprotocol that was chosen.
    pub fn chosen(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }
}

/// A subprotocol was chosen that the client did not offer (RFC 6455 §4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOffered;

impl fmt::Display for NotOffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the chosen subprotocol was not offered by the client")
    }
}

impl core::error::Error for NotOffered {}

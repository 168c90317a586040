//! A request, and what a service can do while it decides about it.

use alloc::borrow::Cow;
use core::ops::Deref;

use sockeye_core::Time;
use sockeye_core::handshake::{self, InvalidField};

use crate::address::Address;
use crate::peer::Peer;

/// A request, with the parameters of its path. Dereferences to [`handshake::Request`].
pub struct Request<'a> {
    request: &'a handshake::Request<'a>,
    params: Params<'a>,
}

impl<'a> Request<'a> {
    /// Without parameters.
    #[must_use]
    pub fn new(request: &'a handshake::Request<'a>) -> Self {
        Self {
            request,
            params: Params::default(),
        }
    }
    /// The named parts of the path, as the [`Router`](crate::Router) found them.
    #[must_use]
    pub fn params(&self) -> &Params<'a> {
        &self.params
    }
    /// The first value of this name in the query, decoded.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<Cow<'a, str>> {
        let _ = name;
        todo!()
    }
}

impl<'a> Deref for Request<'a> {
    type Target = handshake::Request<'a>;
    fn deref(&self) -> &Self::Target {
        self.request
    }
}

/// The named parts of a path.
#[derive(Clone, Debug, Default)]
pub struct Params<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Params<'a> {
    /// As it stands in the path, percent-encoded.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
    }
    /// Percent-decoded; `None` also if that is not UTF-8.
    #[must_use]
    pub fn decoded(&self, name: &str) -> Option<Cow<'a, str>> {
        let _ = self.get(name);
        todo!()
    }
}

/// What a service can do while it decides.
pub struct Opening<'a> {
    address: &'a Address,
    now: Time,
}

impl Opening<'_> {
    /// Where the peer is.
    #[must_use]
    pub fn address(&self) -> &Address {
        self.address
    }
    /// The connection's handle, made on first use.
    pub fn peer(&mut self) -> Peer {
        todo!()
    }
    /// The time of this call.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }
    /// Adds a field to the answer, whatever it will be.
    pub fn field(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), InvalidField> {
        let _ = (name, value.as_ref());
        todo!()
    }
    /// Leaves a value for those who come later: an inner layer, or the handler's [`Scope`].
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        let _ = value;
        todo!()
    }
    /// A value that a layer has left.
    #[must_use]
    pub fn get<T: 'static>(&self) -> Option<&T> {
        todo!()
    }
}

/// A request that outlives its connection's opening, with what layers have added.
#[derive(Clone)]
pub struct Scope {
    _todo: (),
}

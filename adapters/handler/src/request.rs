//! A request, and what a service can do while it decides about it.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use core::any::Any;
use core::fmt;
use core::ops::Deref;

use sockeye_core::Time;
use sockeye_core::handshake::{self, InvalidField, Response};

use crate::address::Address;
use crate::own::Own;
use crate::peer::Peer;

/// A request, with the parameters of its path. Dereferences to [`handshake::Request`].
#[derive(Clone, Debug)]
pub struct Request<'a> {
    request: &'a handshake::Request<'a>,
    params: Params<'a>,
}

impl<'a> Request<'a> {
    /// A request whose path has no parameters.
    #[must_use]
    pub fn new(request: &'a handshake::Request<'a>) -> Self {
        Self {
            request,
            params: Params::default(),
        }
    }

    /// The same request with these parameters: what a router hands on.
    #[must_use]
    pub fn with_params(&self, params: Params<'a>) -> Self {
        Self {
            request: self.request,
            params,
        }
    }

    /// The named parts of the path, as the [`Router`](crate::Router) found them.
    #[must_use]
    pub fn params(&self) -> &Params<'a> {
        &self.params
    }

    /// The first value of this name in the query, decoded as forms are: `+` is a space.
    ///
    /// `None` also if it does not decode to UTF-8.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<Cow<'a, str>> {
        query_value(self.request.query()?, name)
    }
}

impl<'a> Deref for Request<'a> {
    type Target = handshake::Request<'a>;

    fn deref(&self) -> &Self::Target {
        self.request
    }
}

/// The named parts of a path, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Params<'a> {
    /// The part of this name as it stands in the path, percent-encoded.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, part)| part)
    }

    /// The part of this name, percent-decoded. `None` also if that is not UTF-8.
    #[must_use]
    pub fn decoded(&self, name: &str) -> Option<Cow<'a, str>> {
        decode(self.get(name)?, Plus::Literal)
    }

    /// All names and parts.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().copied()
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Params<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(params: I) -> Self {
        Self(params.into_iter().collect())
    }
}

/// What a service can do while it decides.
pub struct Opening<'a> {
    own: &'a mut Own,
    /// Of the queue of its peer.
    hard_mark: usize,
    extensions: Extensions,
    fields: Option<Response>,
    now: Time,
}

/// Values of different types that layers have left, newest last.
type Extensions = Vec<Arc<dyn Any + Send + Sync>>;

impl<'a> Opening<'a> {
    pub(crate) fn new(own: &'a mut Own, hard_mark: usize, now: Time) -> Self {
        Self {
            own,
            hard_mark,
            extensions: Vec::new(),
            fields: None,
            now,
        }
    }

    /// Adds a field to the answer, whatever it will be: a cookie, for example.
    ///
    /// # Errors
    ///
    /// As for [`Response::field`], and for what only the handshake may say.
    pub fn field(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), InvalidField> {
        let value = value.as_ref();
        // Both kinds of answer must be able to carry it.
        handshake::Accept::new().field(name, value)?;
        let fields = self.fields.take().unwrap_or_else(|| Response::new(200));
        self.fields = Some(fields.clone());
        self.fields = Some(fields.field(name, value)?);
        Ok(())
    }

    /// Leaves a value for those who come later: an inner layer, or the [`Scope`].
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.extensions.push(Arc::new(value));
    }

    /// The newest value of this type that was left.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        find(&self.extensions)
    }

    /// The connection's handle for everybody else, made on first use.
    pub fn peer(&mut self) -> Peer {
        self.own.peer(self.hard_mark).clone()
    }

    /// Where the peer is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.own.address
    }

    /// The time of this call.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// The fields that were added, in a response that is otherwise empty.
    pub(crate) fn into_fields(self) -> Option<Response> {
        self.fields
    }
}

/// What opened a connection, to keep: the request, and what layers have added. Cheap to clone.
#[derive(Clone)]
pub struct Scope(Arc<ScopeData>);

struct ScopeData {
    target: Box<str>,
    params: Vec<(Box<str>, Box<str>)>,
    fields: Vec<(Box<str>, Box<[u8]>)>,
    extensions: Extensions,
    address: Address,
}

impl Scope {
    /// Keeps a request, with the values that layers have left so far.
    #[must_use]
    pub fn new(request: &Request<'_>, opening: &Opening<'_>) -> Self {
        let params = request.params().iter();
        let fields = request.fields();
        Self(Arc::new(ScopeData {
            target: request.target().into(),
            params: params
                .map(|(name, part)| (name.into(), part.into()))
                .collect(),
            fields: fields
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            extensions: opening.extensions.clone(),
            address: opening.own.address.clone(),
        }))
    }

    /// The request again, with all that can be asked of it. The method is `GET`.
    pub fn with_request<R>(&self, ask: impl FnOnce(&Request<'_>) -> R) -> R {
        let fields = self
            .0
            .fields
            .iter()
            .map(|(name, value)| (&**name, &**value));
        let request = handshake::Request::from_parts("GET", &self.0.target, fields);
        let params = self.0.params.iter().map(|(name, part)| (&**name, &**part));
        ask(&Request {
            request: &request,
            params: params.collect(),
        })
    }

    /// The request target: path and query, as they were sent.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.0.target
    }

    /// A named part of the path, percent-encoded.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        let mut params = self.0.params.iter();
        params.find(|(n, _)| **n == *name).map(|(_, part)| &**part)
    }

    /// The first value of this name in the query, decoded.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<Cow<'_, str>> {
        query_value(self.0.target.split_once('?')?.1, name)
    }

    /// The value of the first field of this name, in any case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        let mut fields = self.0.fields.iter();
        let field = fields.find(|(n, _)| n.eq_ignore_ascii_case(name));
        field.map(|(_, value)| &**value)
    }

    /// The newest value of this type that a layer has left.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        find(&self.0.extensions)
    }

    /// Where the peer is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.0.address
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The target and the fields may hold secrets.
        f.debug_struct("Scope")
            .field("address", &self.0.address)
            .finish_non_exhaustive()
    }
}

fn find<T: 'static>(extensions: &Extensions) -> Option<&T> {
    extensions
        .iter()
        .rev()
        .find_map(|value| value.downcast_ref())
}

/// What `+` means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    /// Itself: in a path.
    Literal,
    /// A space: in a query that a form has written.
    Space,
}

fn query_value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key, Plus::Space)? == name).then(|| decode(value, Plus::Space))?
    })
}

/// Percent-decoding (RFC 3986 §2.1). `None` if an escape is broken or the bytes are not UTF-8.
fn decode(text: &str, plus: Plus) -> Option<Cow<'_, str>> {
    let is_special = |byte| byte == b'%' || (byte == b'+' && plus == Plus::Space);
    if !text.bytes().any(is_special) {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? << 4 | digit()?) as u8
            }
            b'+' if plus == Plus::Space => b' ',
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_are_decoded() {
        let path = |text| decode(text, Plus::Literal);
        assert_eq!(path("plain+text").as_deref(), Some("plain+text"));
        assert_eq!(path("a%20b%2Fc").as_deref(), Some("a b/c"));
        assert_eq!(path("%C3%A9").as_deref(), Some("é"));
        for broken in ["%", "%4", "%zz", "%C3", "a%ff", "%+1"] {
            assert_eq!(path(broken), None, "{broken}");
        }

        let query = "a=1&b=x+y&c&a=2&%64=%26";
        assert_eq!(query_value(query, "a").as_deref(), Some("1"));
        assert_eq!(query_value(query, "b").as_deref(), Some("x y"));
        assert_eq!(query_value(query, "c").as_deref(), Some(""));
        assert_eq!(query_value(query, "d").as_deref(), Some("&"));
        assert_eq!(query_value(query, "e"), None);
    }
}

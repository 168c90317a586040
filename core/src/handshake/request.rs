use super::{HandshakeError, HttpLimits, Upgrade};
use alloc::vec::Vec;

/// The head of a request, borrowed from the caller's buffer, and its body if it has one.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    method: &'a str,
    target: &'a str,
    fields: Vec<httparse::Header<'a>>,
    body: &'a [u8],
}

/// How the body of a plain HTTP request is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is no body.
    None,
    /// `Content-Length` announces this many bytes.
    Bytes(u64),
}

impl<'a> Request<'a> {
    /// Parses one whole head, up to and including the empty line that ends it.
    pub fn parse(head: &'a [u8], limits: &HttpLimits) -> Result<Self, HandshakeError> {
        let _ = (head, limits);
        todo!()
    }

    /// A request that an external HTTP stack has parsed already, over HTTP/1.1 or later.
    pub fn from_parts(
        method: &'a str,
        target: &'a str,
        fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Self {
        let fields = fields
            .into_iter()
            .map(|(name, value)| httparse::Header { name, value })
            .collect();
        Self {
            method,
            target,
            fields,
            body: b"",
        }
    }

    /// The method, case-sensitive.
    pub fn method(&self) -> &'a str {
        self.method
    }
    /// The request target as it was sent.
    pub fn target(&self) -> &'a str {
        self.target
    }
    /// The path of the target, percent-encoded as it was sent.
    pub fn path(&self) -> &'a str {
        todo!()
    }
    /// What follows the first `?` of the target.
    pub fn query(&self) -> Option<&'a str> {
        todo!()
    }
    /// The body; empty for an upgrade.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }
    /// The value of the first field of this name (in any case).
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        let _ = name;
        todo!()
    }
    /// Every field, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.fields.iter().map(|field| (field.name, field.value))
    }
    /// The values of all fields of this name (in any case), in order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }
    /// Like [`field`](Self::field), for a value that is UTF-8.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let _ = name;
        todo!()
    }
    /// The `Host` field: what the client believes to talk to, with a port where it is not the default.
    pub fn host(&self) -> Option<&'a str> {
        todo!()
    }
    /// The `Origin` field, which every browser sends with an upgrade.
    pub fn origin(&self) -> Option<&'a str> {
        todo!()
    }
    /// The cookies, in order, as name and value.
    pub fn cookies(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        core::iter::empty()
    }
    /// The value of the first cookie of this name (case-sensitive).
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        let _ = name;
        todo!()
    }
    /// The subprotocols that the client offers, in its order of preference.
    pub fn subprotocols(&self) -> impl Iterator<Item = &'a str> {
        core::iter::empty()
    }
    /// Whether this asks for an upgrade to WebSocket at all, well-formed or not.
    ///
    /// If not, it is plain HTTP. If so, [`upgrade`](Self::upgrade) decides.
    pub fn is_upgrade(&self) -> bool {
        todo!()
    }
    /// Checks the whole of RFC 6455 §4.2.1.
    pub fn upgrade(&self) -> Result<Upgrade, HandshakeError> {
        todo!()
    }
    /// How the body of this plain HTTP request is delimited.
    pub fn body_length(&self) -> Result<BodyLength, HandshakeError> {
        todo!()
    }
}

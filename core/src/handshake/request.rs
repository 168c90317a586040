use super::{
    HandshakeError, HttpLimits, Upgrade,
    authority::Authority,
    field::{debug_fields, elements, is_token, names},
    head::HeadScanner,
    upgrade::{Offered, accept_key, is_key},
};
use alloc::{vec, vec::Vec};
use core::{fmt, str};

/// A request, borrowed from the caller's buffer: its head and, if it is plain HTTP, its body.
///
/// Its `Debug` output leaves out the query and what stands in `Cookie` and `Authorization`.
#[derive(Clone)]
pub struct Request<'a> {
    method: &'a str,
    target: &'a str,
    version: Version,
    fields: Vec<httparse::Header<'a>>,
    body: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http10,
    /// HTTP/1.1 or, behind an external HTTP stack, later.
    Http11,
}

/// How the body of a plain HTTP request is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is no body.
    None,
    /// This many bytes follow the head.
    Bytes(u64),
}

impl<'a> Request<'a> {
    /// Parses one whole head, from the request line to the empty line that ends it.
    ///
    /// An error if it breaks a limit, a rule of HTTP/1.1 (RFC 9112), or if anything follows it.
    /// Whether it is a valid upgrade is for [`upgrade`](Self::upgrade) to say.
    pub fn parse(head: &'a [u8], limits: &HttpLimits) -> Result<Self, HandshakeError> {
        let mut scanner = HeadScanner::default();
        match scanner.scan(head, limits)? {
            Some(end) if end == head.len() => Self::parse_scanned(head, scanner.fields()),
            Some(_) => Err(HandshakeError::Field),
            None => Err(HandshakeError::Eof),
        }
    }

    /// Parses a head in whose lines the scanner has found nothing wrong, and this many fields.
    pub(super) fn parse_scanned(head: &'a [u8], fields: usize) -> Result<Self, HandshakeError> {
        let mut fields = vec![httparse::EMPTY_HEADER; fields];
        let mut parsed = httparse::Request::new(&mut fields);
        let (method, target, version) = match parsed.parse(head) {
            Ok(httparse::Status::Complete(end)) if end == head.len() => {
                (parsed.method, parsed.path, parsed.version)
            }
            // Two opinions on where a head ends are what request smuggling is made of.
            Ok(_) => return Err(HandshakeError::Field),
            Err(error) => return Err(explain(error, head)),
        };
        let request = Self {
            method: method.ok_or(HandshakeError::RequestLine)?,
            target: target.ok_or(HandshakeError::RequestLine)?,
            version: match version {
                Some(1) => Version::Http11,
                _ => Version::Http10,
            },
            fields,
            body: b"",
        };
        request.check_host_and_target()?;
        Ok(request)
    }

    /// A request over HTTP/1.1 or later that an external HTTP stack has parsed already.
    pub fn from_parts(
        method: &'a str,
        target: &'a str,
        fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Self {
        let fields = fields.into_iter();
        Self {
            method,
            target,
            version: Version::Http11,
            fields: fields
                .map(|(name, value)| httparse::Header { name, value })
                .collect(),
            body: b"",
        }
    }

    pub(super) fn with_body(self, body: &'a [u8]) -> Self {
        Self { body, ..self }
    }

    /// The method, which is case-sensitive.
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// The request target as it was sent.
    pub fn target(&self) -> &'a str {
        self.target
    }

    /// The path of the target, percent-encoded as it was sent.
    pub fn path(&self) -> &'a str {
        let resource = self.resource();
        let end = resource.find('?').unwrap_or(resource.len());
        match &resource[..end] {
            "" => "/",
            path => path,
        }
    }

    /// What follows the first `?` of the target.
    pub fn query(&self) -> Option<&'a str> {
        Some(self.resource().split_once('?')?.1)
    }

    /// The body: empty for an upgrade, and unless [`ServerHandshake`](super::ServerHandshake)
    /// has received the request.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The value of the first field of this name, in any case.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.values(name).next()
    }

    /// The fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.fields.iter().map(|field| (field.name, field.value))
    }

    /// The values of all fields of this name, in any case, in order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.fields.iter();
        fields
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    /// Like [`field`](Self::field); `None` also if the value is not UTF-8.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        str::from_utf8(self.field(name)?).ok()
    }

    /// The `Host` field: whom the client means to talk to, with a port unless it is the default.
    pub fn host(&self) -> Option<&'a str> {
        self.text("Host")
    }

    /// The `Origin` field, which browsers send with every upgrade: whose page is talking.
    pub fn origin(&self) -> Option<&'a str> {
        self.text("Origin")
    }

    /// The cookies (RFC 6265 §4.2), in order, as name and value.
    pub fn cookies(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.values("Cookie")
            .filter_map(|value| str::from_utf8(value).ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.trim_ascii(), value.trim_ascii()))
    }

    /// The value of the first cookie of this name, which is case-sensitive.
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        self.cookies()
            .find_map(|(other, value)| (other == name).then_some(value))
    }

    /// The subprotocols that the client offers, in its order of preference.
    pub fn subprotocols(&self) -> impl Iterator<Item = &'a str> {
        self.values("Sec-WebSocket-Protocol")
            .flat_map(elements)
            .filter(|element| is_token(element))
            .filter_map(|token| str::from_utf8(token).ok())
    }

    /// Whether this asks for an upgrade to WebSocket at all, well-formed or not.
    ///
    /// If so, [`upgrade`](Self::upgrade) decides; if not, this is plain HTTP. A request with a
    /// `Sec-WebSocket-Key` does ask: what it lacks was often lost in a proxy, and the answer
    /// should say so.
    pub fn is_upgrade(&self) -> bool {
        self.field("Sec-WebSocket-Key").is_some()
            || self
                .values("Upgrade")
                .any(|value| names(value, "websocket"))
    }

    /// Checks that this is an upgrade that a server can accept: RFC 6455 §4.2.1 in full.
    pub fn upgrade(&self) -> Result<Upgrade, HandshakeError> {
        let handshake = Handshake::collect(&self.fields);
        if !self.is_upgrade() {
            return Err(HandshakeError::NotUpgrade);
        }
        if self.method != "GET" {
            return Err(HandshakeError::Method);
        }
        if self.version == Version::Http10 {
            return Err(HandshakeError::HttpVersion);
        }
        match handshake.host {
            Once::One(host) if is_authority(host) => {}
            _ => return Err(HandshakeError::Host),
        }
        if handshake.has_body {
            return Err(HandshakeError::UpgradeBody);
        }
        if !handshake.upgrade {
            return Err(HandshakeError::NotUpgrade);
        }
        if !handshake.connection {
            return Err(HandshakeError::Connection);
        }
        handshake.check_version()?;
        let Once::One(key) = handshake.key else {
            return Err(HandshakeError::Key);
        };
        if !is_key(key) {
            return Err(HandshakeError::Key);
        }
        Ok(Upgrade::new(Some(accept_key(key)), handshake.finish()?))
    }

    /// Checks that this is an extended `CONNECT` for WebSocket over HTTP/2 or 3 (RFC 8441 §5),
    /// `protocol` being its `:protocol`.
    pub fn extended_connect(&self, protocol: &str) -> Result<Upgrade, HandshakeError> {
        let handshake = Handshake::collect(&self.fields);
        if protocol != "websocket" {
            return Err(HandshakeError::NotUpgrade);
        }
        if self.method != "CONNECT" {
            return Err(HandshakeError::Method);
        }
        if handshake.has_body {
            return Err(HandshakeError::UpgradeBody);
        }
        handshake.check_version()?;
        Ok(Upgrade::new(None, handshake.finish()?))
    }

    /// How the body of this plain HTTP request is delimited (RFC 9112 §6.3).
    pub fn body_length(&self) -> Result<BodyLength, HandshakeError> {
        let mut lengths = self.values("Content-Length");
        let length = lengths.next();
        if lengths.next().is_some() {
            return Err(HandshakeError::ContentLength);
        }
        match (length, self.field("Transfer-Encoding")) {
            (None, None) => Ok(BodyLength::None),
            (None, Some(_)) => Err(HandshakeError::LengthRequired),
            (Some(_), Some(_)) => Err(HandshakeError::ContentLength),
            (Some(digits), None) => match parse_length(digits) {
                Some(length) => Ok(BodyLength::Bytes(length)),
                None => Err(HandshakeError::ContentLength),
            },
        }
    }

    /// Whether the client asks before it sends the body (RFC 9110 §10.1.1; in HTTP/1.0 it means
    /// nothing).
    pub(super) fn asks_to_continue(&self) -> bool {
        self.version == Version::Http11
            && self
                .values("Expect")
                .any(|value| names(value, "100-continue"))
    }

    /// The target from its path on.
    fn resource(&self) -> &'a str {
        if self.target.starts_with('/') {
            return self.target;
        }
        match self.target.split_once("://") {
            Some((_, rest)) => rest.find(['/', '?']).map_or("", |at| &rest[at..]),
            None => self.target,
        }
    }

    /// RFC 9112 §3.2: the host is named once, and the target is of a form that fits the method.
    fn check_host_and_target(&self) -> Result<(), HandshakeError> {
        let mut hosts = self.values("Host");
        let host = hosts.next();
        match host {
            Some(host) if is_authority(host) && hosts.next().is_none() => {}
            None if self.version == Version::Http10 => {}
            _ => return Err(HandshakeError::Host),
        }
        let is_uri = self
            .target
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let is_known = match self.target.split_once("://") {
            _ if self.target.starts_with('/') => true,
            Some((scheme, rest)) => {
                let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
                is_scheme(scheme)
                    && host.is_some_and(|host| host.eq_ignore_ascii_case(authority.as_bytes()))
            }
            None => self.target == "*" && self.method == "OPTIONS",
        };
        if is_uri && is_known {
            Ok(())
        } else {
            Err(HandshakeError::Target)
        }
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Fields<'r, 'a>(&'r Request<'a>);
        impl fmt::Debug for Fields<'_, '_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                debug_fields(f, self.0.fields())
            }
        }
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path())
            .field("fields", &Fields(self))
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What the fields of an upgrade say, collected in one pass.
#[derive(Default)]
struct Handshake<'a> {
    host: Once<'a>,
    key: Once<'a>,
    version: Once<'a>,
    origin: Once<'a>,
    upgrade: bool,
    connection: bool,
    has_body: bool,
    offered: Offered,
    has_other_than_tokens: bool,
}

impl<'a> Handshake<'a> {
    fn collect(fields: &[httparse::Header<'a>]) -> Self {
        let mut seen = Self::default();
        for &httparse::Header { name, value } in fields {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            if is("Host") {
                seen.host.see(value);
            } else if is("Sec-WebSocket-Key") {
                seen.key.see(value);
            } else if is("Sec-WebSocket-Version") {
                seen.version.see(value);
            } else if is("Origin") {
                seen.origin.see(value);
            } else if is("Upgrade") {
                seen.upgrade |= names(value, "websocket");
            } else if is("Connection") {
                seen.connection |= names(value, "upgrade");
            } else if is("Content-Length") || is("Transfer-Encoding") {
                seen.has_body = true;
            } else if is("Sec-WebSocket-Protocol") {
                seen.see_subprotocols(value);
            }
            #[cfg(feature = "deflate")]
            if is("Sec-WebSocket-Extensions") {
                seen.offered.deflate.read(value);
            }
        }
        seen
    }

    fn see_subprotocols(&mut self, value: &[u8]) {
        for element in elements(value) {
            match str::from_utf8(element) {
                Ok(name) if is_token(element) => self.offered.subprotocols.push(name),
                _ => self.has_other_than_tokens = true,
            }
        }
    }

    /// RFC 6455 §4.4.
    fn check_version(&self) -> Result<(), HandshakeError> {
        match self.version {
            Once::One(b"13") => Ok(()),
            Once::One(_) | Once::Never => Err(HandshakeError::Version),
            Once::Again => Err(HandshakeError::DuplicateVersion),
        }
    }

    /// What is asked of every handshake, over any version of HTTP.
    fn finish(self) -> Result<Offered, HandshakeError> {
        if matches!(self.origin, Once::Again) {
            return Err(HandshakeError::DuplicateOrigin);
        }
        if self.has_other_than_tokens {
            return Err(HandshakeError::Subprotocol);
        }
        Ok(self.offered)
    }
}

/// A field that must not be repeated.
#[derive(Default)]
enum Once<'a> {
    #[default]
    Never,
    One(&'a [u8]),
    Again,
}

impl<'a> Once<'a> {
    fn see(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::Never => Self::One(value),
            Self::One(_) | Self::Again => Self::Again,
        };
    }
}

fn is_authority(value: &[u8]) -> bool {
    str::from_utf8(value).is_ok_and(|text| Authority::parse(text).is_ok())
}

/// RFC 6455 §4.2.1, item 1, knows `http` and `https`; some clients send their own scheme.
fn is_scheme(scheme: &str) -> bool {
    ["http", "https", "ws", "wss"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
}

/// RFC 9110 §8.6: digits and nothing else.
pub(super) fn parse_length(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

fn explain(error: httparse::Error, head: &[u8]) -> HandshakeError {
    match error {
        httparse::Error::HeaderName | httparse::Error::HeaderValue => HandshakeError::Field,
        httparse::Error::TooManyHeaders => HandshakeError::TooManyFields,
        httparse::Error::Version if names_other_version(head) => HandshakeError::HttpVersion,
        httparse::Error::NewLine
        | httparse::Error::Status
        | httparse::Error::Token
        | httparse::Error::Version => HandshakeError::RequestLine,
    }
}

/// Whether the request line is well-formed but for its version, which is another than ours.
fn names_other_version(head: &[u8]) -> bool {
    let mut lines = head
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii_end);
    let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ').skip(2);
    let (version, end) = (words.next(), words.next());
    match version {
        Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]) => {
            end.is_none() && major.is_ascii_digit() && minor.is_ascii_digit()
        }
        _ => false,
    }
}

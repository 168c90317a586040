use super::{
    Request, Response,
    authority::{Authority, Host},
};
use alloc::{boxed::Box, string::ToString, vec::Vec};
use core::{fmt, str};

/// Which web pages may open a connection, and under which names this server may be called.
///
/// A browser lets any page open a WebSocket to any server and sends the user's cookies along;
/// only the server can refuse (RFC 6455 §10.2). By default the page has to come from the host
/// that the request itself names, over `http` or `https`, since TLS may end at a proxy before
/// this server. A request without `Origin` is accepted: it comes from no browser.
///
/// A server that only its own machine or network can reach needs [`host`](Self::host) too: a
/// page can make its own name resolve to that server (DNS rebinding).
#[derive(Clone, Debug, Default)]
pub struct OriginPolicy {
    any_origin: bool,
    origins: Vec<Box<str>>,
    hosts: Vec<Box<str>>,
    /// Beside `hosts`, if there are any.
    addresses: bool,
}

impl OriginPolicy {
    /// Pages of the request's own host, whichever that is.
    pub fn same_host() -> Self {
        Self::default()
    }

    /// Pages from anywhere: for a server that gives everybody the same.
    pub fn any_origin() -> Self {
        Self {
            any_origin: true,
            ..Self::default()
        }
    }

    /// Also accepts pages of this origin, such as `https://app.example`.
    ///
    /// Scheme, host and port must be the same; a page of a subdomain is of another origin.
    pub fn origin(mut self, origin: &str) -> Result<Self, InvalidOrigin> {
        Origin::parse(origin).ok_or(InvalidOrigin)?;
        self.origins.push(origin.into());
        Ok(self)
    }

    /// Answers only to this name, and others given so; by default to any.
    ///
    /// The port does not matter.
    pub fn host(mut self, host: &str) -> Result<Self, InvalidOrigin> {
        match Authority::parse(host) {
            Ok(Authority { port: None, .. }) => self.hosts.push(host.into()),
            Ok(_) | Err(_) => return Err(InvalidOrigin),
        }
        Ok(self)
    }

    /// Answers to every IP address, too, beside the names of [`host`](Self::host).
    ///
    /// No page can make an address of its own lead elsewhere.
    pub fn addresses(mut self) -> Self {
        self.addresses = true;
        self
    }

    /// Decides on an upgrade.
    pub fn check(&self, request: &Request<'_>) -> Result<(), Forbidden> {
        self.check_host(request.host())?;
        self.check_origin(request, request.host())
    }

    /// Decides whether the server answers to this name, the value of `Host`: what there is to
    /// check of a request that is no upgrade.
    pub fn check_host(&self, host: Option<&str>) -> Result<(), Forbidden> {
        if self.hosts.is_empty() {
            return Ok(());
        }
        match host.and_then(|host| Authority::parse(host).ok()) {
            Some(host) if self.answers_to(host.host) => Ok(()),
            Some(_) | None => Err(Forbidden::Host),
        }
    }

    /// Decides whether the page may connect, given the name that it knows the server by: the
    /// request's own, or what a proxy has replaced.
    pub fn check_origin(&self, request: &Request<'_>, host: Option<&str>) -> Result<(), Forbidden> {
        let host = host.and_then(|host| Authority::parse(host).ok());
        let mut origins = request.values("Origin");
        let Some(origin) = origins.next() else {
            return Ok(());
        };
        if self.any_origin {
            return Ok(());
        }
        if origins.next().is_some() {
            return Err(Forbidden::Origin);
        }
        let origin = str::from_utf8(origin).ok().and_then(Origin::parse);
        match origin {
            Some(origin) if origin.is_of(host) || self.lists(origin) => Ok(()),
            // `null` too, which any page can send from a sandboxed frame.
            Some(_) | None => Err(Forbidden::Origin),
        }
    }

    fn answers_to(&self, host: Host<'_>) -> bool {
        if self.addresses && host.ip().is_some() {
            return true;
        }
        let mut listed = self
            .hosts
            .iter()
            .filter_map(|listed| Authority::parse(listed).ok());
        listed.any(|listed| is_same(listed.host, host))
    }

    fn lists(&self, origin: Origin<'_>) -> bool {
        let mut listed = self
            .origins
            .iter()
            .filter_map(|listed| Origin::parse(listed));
        listed.any(|listed| listed.is_same_as(origin))
    }
}

/// A serialized origin (RFC 6454 §6.2).
#[derive(Clone, Copy)]
struct Origin<'a> {
    scheme: &'a str,
    host: Host<'a>,
    port: Option<u16>,
}

impl<'a> Origin<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let is_scheme =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
            return None;
        }
        let Authority { host, port } = Authority::parse(authority).ok()?;
        let port = port.or(default_port(scheme));
        Some(Self { scheme, host, port })
    }

    fn is_same_as(self, other: Self) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && is_same(self.host, other.host)
            && self.port == other.port
    }

    /// Whether this is the origin of pages that `host` itself serves.
    fn is_of(self, host: Option<Authority<'_>>) -> bool {
        let default = default_port(self.scheme);
        match host {
            Some(Authority { host, port }) => {
                default.is_some() && is_same(self.host, host) && self.port == port.or(default)
            }
            None => false,
        }
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        _ if scheme.eq_ignore_ascii_case("http") => Some(80),
        _ if scheme.eq_ignore_ascii_case("https") => Some(443),
        _ => None,
    }
}

fn is_same(one: Host<'_>, other: Host<'_>) -> bool {
    match (one, other) {
        (Host::Name(one), Host::Name(other)) => one.eq_ignore_ascii_case(other),
        _ => one == other,
    }
}

/// Why an [`OriginPolicy`] refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// The page comes from elsewhere: 403.
    Origin,
    /// The server is not called so: 421.
    Host,
}

impl Forbidden {
    /// The answer to send.
    pub fn response(&self) -> Response {
        let status = match self {
            Self::Origin => 403,
            Self::Host => 421,
        };
        Response::text(status, self.to_string())
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Origin => "pages of this origin may not connect",
            Self::Host => "this server does not answer to this host name",
        })
    }
}

impl core::error::Error for Forbidden {}

/// This is not an origin (`scheme://host[:port]`), or not a host without a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidOrigin;

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is not an origin like https://app.example, or not a host name")
    }
}

impl core::error::Error for InvalidOrigin {}

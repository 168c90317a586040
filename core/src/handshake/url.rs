use super::authority::{Authority, Host, InvalidAuthority};
use core::fmt;

/// A WebSocket URL (RFC 6455 §3): `ws://host[:port]/path?query`, or `wss` for TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    scheme: Scheme,
    authority: Authority<'a>,
    resource: &'a str,
}

/// The schemes of WebSocket URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Over TCP; port 80 unless another is given.
    Ws,
    /// Over TLS; port 443 unless another is given.
    Wss,
}

impl<'a> Url<'a> {
    /// Parses a URL, which must be plain ASCII: other characters are to be percent-encoded.
    pub fn parse(url: &'a str) -> Result<Self, InvalidUrl> {
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidUrl::Character);
        }
        let (scheme, rest) = url.split_once("://").ok_or(InvalidUrl::Scheme)?;
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case("ws") => Scheme::Ws,
            _ if scheme.eq_ignore_ascii_case("wss") => Scheme::Wss,
            _ => return Err(InvalidUrl::Scheme),
        };
        // RFC 6455 §3: fragments are meaningless here and MUST NOT be used.
        if rest.contains('#') {
            return Err(InvalidUrl::Fragment);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, resource) = rest.split_at(end);
        if authority.contains('@') {
            return Err(InvalidUrl::UserInfo);
        }
        let authority = Authority::parse(authority)?;
        Ok(Self {
            scheme,
            authority,
            resource,
        })
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host to connect to.
    pub fn host(&self) -> Host<'a> {
        self.authority.host
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.authority.port.unwrap_or(self.scheme.default_port())
    }

    /// The path; `/` if the URL has none.
    pub fn path(&self) -> &'a str {
        let end = self.resource.find('?').unwrap_or(self.resource.len());
        match &self.resource[..end] {
            "" => "/",
            path => path,
        }
    }

    /// What follows the first `?`.
    pub fn query(&self) -> Option<&'a str> {
        Some(self.resource.split_once('?')?.1)
    }
}

impl fmt::Display for Url<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.host())?;
        if self.port() != self.scheme.default_port() {
            write!(f, ":{}", self.port())?;
        }
        f.write_str(self.path())?;
        match self.query() {
            Some(query) => write!(f, "?{query}"),
            None => Ok(()),
        }
    }
}

impl Scheme {
    /// `ws` or `wss`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// 80 or 443.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

/// What is wrong with a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidUrl {
    /// The scheme is missing, or neither `ws` nor `wss`.
    Scheme,
    /// There is no host.
    EmptyHost,
    /// The host is neither a name, nor an IPv4 address, nor an IPv6 address in brackets.
    Host,
    /// The port is not a number from 1 to 65535.
    Port,
    /// There is a user name or a password.
    UserInfo,
    /// There is a fragment.
    Fragment,
    /// There is a space, a control character, or one outside ASCII.
    Character,
}

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "the URL begins with neither ws:// nor wss://",
            Self::EmptyHost => "the URL has no host",
            Self::Host => {
                "the host of the URL is neither a name nor an IP address (IPv6 needs brackets)"
            }
            Self::Port => "the port of the URL is not a number from 1 to 65535",
            Self::UserInfo => "the URL has a user name, which WebSocket URLs do not have",
            Self::Fragment => "the URL has a fragment (#), which WebSocket URLs do not have",
            Self::Character => {
                "the URL has a space or another character that is to be percent-encoded"
            }
        })
    }
}

impl core::error::Error for InvalidUrl {}

impl From<InvalidAuthority> for InvalidUrl {
    fn from(invalid: InvalidAuthority) -> Self {
        match invalid {
            InvalidAuthority::EmptyHost => Self::EmptyHost,
            InvalidAuthority::Host => Self::Host,
            InvalidAuthority::Port => Self::Port,
        }
    }
}

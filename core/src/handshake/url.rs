use core::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

/// A WebSocket URL (RFC 6455 §3): `ws://host[:port]/path?query`, or `wss` for TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    scheme: Scheme,
    host: Host<'a>,
    port: u16,
    resource: &'a str,
}

/// The two schemes of WebSocket URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Over TCP, port 80 unless another is given.
    Ws,
    /// Over TLS, port 443 unless another is given.
    Wss,
}

/// A host by its name or its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// A name for the resolver.
    Name(&'a str),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, which stands in brackets.
    V6(Ipv6Addr),
}

impl<'a> Url<'a> {
    /// Parses a URL.
    pub fn parse(url: &'a str) -> Result<Self, InvalidUrl> {
        let _ = url;
        todo!()
    }
    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }
    /// The host to connect to.
    pub fn host(&self) -> Host<'a> {
        self.host
    }
    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }
    /// The path; `/` if the URL has none.
    pub fn path(&self) -> &'a str {
        let _ = self.resource;
        todo!()
    }
    /// What follows the first `?`.
    pub fn query(&self) -> Option<&'a str> {
        todo!()
    }
}

impl Scheme {
    /// 80 or 443.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
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
    /// The host is neither a name nor an IPv4 address nor an IPv6 address in brackets.
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
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
impl core::error::Error for InvalidUrl {}

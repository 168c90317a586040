//! `host[:port]`, as in a URL and in the `Host` field.

use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// A host, by its name or by its address.
///
/// It is shown as in a URL: an IPv6 address in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// A name for the resolver.
    Name(&'a str),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
}

impl Host<'_> {
    /// The address, if the host is one: nothing needs to be resolved.
    pub fn ip(&self) -> Option<IpAddr> {
        match *self {
            Self::Name(_) => None,
            Self::V4(address) => Some(IpAddr::V4(address)),
            Self::V6(address) => Some(IpAddr::V6(address)),
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => write!(f, "{address}"),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

/// A host and, where one is given, a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    pub(super) host: Host<'a>,
    pub(super) port: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvalidAuthority {
    EmptyHost,
    Host,
    Port,
}

impl<'a> Authority<'a> {
    /// Parses `host[:port]` without user information.
    pub(super) fn parse(text: &'a str) -> Result<Self, InvalidAuthority> {
        let (host, port) = match text.strip_prefix('[') {
            Some(bracketed) => {
                let (address, port) = bracketed.split_once(']').ok_or(InvalidAuthority::Host)?;
                let address = address.parse().map_err(|_| InvalidAuthority::Host)?;
                (Host::V6(address), port)
            }
            None => {
                let end = text.find(':').unwrap_or(text.len());
                let (name, port) = text.split_at(end);
                (parse_name(name)?, port)
            }
        };
        let port = match port.strip_prefix(':') {
            Some(digits) => parse_port(digits)?,
            None if port.is_empty() => None,
            None => return Err(InvalidAuthority::Host),
        };
        Ok(Self { host, port })
    }
}

/// A name of letters, digits, `-`, `.`, `_` and `~`, or an IPv4 address.
///
/// RFC 3986 would allow more in a name, percent-encoded NULs for example, that no resolver knows.
fn parse_name(name: &str) -> Result<Host<'_>, InvalidAuthority> {
    if name.is_empty() {
        return Err(InvalidAuthority::EmptyHost);
    }
    let is_unreserved =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if !name.bytes().all(is_unreserved) {
        return Err(InvalidAuthority::Host);
    }
    // Programs do not agree on what 127.1 and 0x7f.1 are; no name of the DNS ends in a number.
    let last = name.rsplit('.').find(|label| !label.is_empty());
    if last.is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit())) {
        let address = name.parse().map_err(|_| InvalidAuthority::Host)?;
        return Ok(Host::V4(address));
    }
    Ok(Host::Name(name))
}

/// RFC 3986 §3.2.3 lets the digits be missing.
fn parse_port(digits: &str) -> Result<Option<u16>, InvalidAuthority> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidAuthority::Port);
    }
    match digits.parse() {
        Ok(0) => Err(InvalidAuthority::Port),
        Ok(port) => Ok(Some(port)),
        Err(_) if digits.is_empty() => Ok(None),
        Err(_) => Err(InvalidAuthority::Port),
    }
}

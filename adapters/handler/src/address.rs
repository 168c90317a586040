//! Where the other side of a connection is.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// The address of a peer, in 24 bytes.
///
/// Its `Display` is a plain string that tells the kind of transport:
/// `tcp4:127.0.0.1:1234`, `tcp6:[::1]:1234`, `unix:/run/app.sock`, `other:…`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address(Kind);

/// Smaller than `SocketAddr` and a path side by side: every connection holds one.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Kind {
    Tcp4 { ip: Ipv4Addr, port: u16 },
    Tcp6 { ip: Ipv6Addr, port: u16, scope: u32 },
    Unix(Box<str>),
    Other(Box<str>),
}

impl Address {
    /// A Unix domain socket; clients usually have no path: then it is empty.
    #[must_use]
    pub fn unix(path: &str) -> Self {
        Self(Kind::Unix(path.into()))
    }

    /// Any other transport, described by a name.
    #[must_use]
    pub fn other(name: &str) -> Self {
        Self(Kind::Other(name.into()))
    }

    /// The socket address, if the transport is TCP.
    #[must_use]
    pub fn socket(&self) -> Option<SocketAddr> {
        match self.0 {
            Kind::Tcp4 { ip, port } => Some(SocketAddrV4::new(ip, port).into()),
            Kind::Tcp6 { ip, port, scope } => Some(SocketAddrV6::new(ip, port, 0, scope).into()),
            Kind::Unix(_) | Kind::Other(_) => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let port = address.port();
        Self(match address {
            SocketAddr::V4(v4) => Kind::Tcp4 { ip: *v4.ip(), port },
            SocketAddr::V6(v6) => Kind::Tcp6 {
                ip: *v6.ip(),
                port,
                scope: v6.scope_id(),
            },
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0, self.socket()) {
            (Kind::Tcp4 { .. }, Some(socket)) => write!(f, "tcp4:{socket}"),
            (_, Some(socket)) => write!(f, "tcp6:{socket}"),
            (Kind::Unix(path), _) => write!(f, "unix:{path}"),
            (Kind::Other(name), _) => write!(f, "other:{name}"),
            (Kind::Tcp4 { .. } | Kind::Tcp6 { .. }, None) => Ok(()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_its_transport() {
        let tcp = |text: &str| Address::from(text.parse::<SocketAddr>().expect("an address"));
        assert_eq!(tcp("127.0.0.1:1234").to_string(), "tcp4:127.0.0.1:1234");
        assert_eq!(tcp("[::1]:1234").to_string(), "tcp6:[::1]:1234");
        assert_eq!(Address::unix("/run/a").to_string(), "unix:/run/a");
        assert_eq!(Address::other("test").to_string(), "other:test");
        assert_eq!(size_of::<Address>(), 24);
    }
}

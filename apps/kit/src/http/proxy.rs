//! Who asks, behind a proxy that is trusted.

use core::net::{IpAddr, SocketAddr};
use core::str;

use ipnet::IpNet;
use sockeye_handler::{Address, Opening, Request};

/// The address of the client: the peer's own, or what a trusted proxy says.
///
/// `None` if the transport has none. Where no [`Site`](super::Site) stands around, proxies are
/// not known.
#[must_use]
pub fn client_ip(cx: &Opening<'_>) -> Option<IpAddr> {
    match cx.get::<ClientIp>() {
        Some(ClientIp(ip)) => *ip,
        None => peer_ip(cx.address()),
    }
}

/// What a `Site` has found out, left for those within.
pub(super) struct ClientIp(pub(super) Option<IpAddr>);

/// A request as the proxy before this server has seen it.
pub(super) struct Seen<'a> {
    pub(super) client: Option<IpAddr>,
    pub(super) host: Option<&'a str>,
}

/// Looks behind the proxies in these ranges.
///
/// Each proxy appends the address that it was called from to `X-Forwarded-For`: the last that
/// is no proxy of ours is the client, and what stands before it anybody may have written.
pub(super) fn see<'a>(request: &Request<'a>, peer: &Address, proxies: &[IpNet]) -> Seen<'a> {
    let trusts = |ip: &IpAddr| proxies.iter().any(|range| range.contains(ip));
    let peer = peer_ip(peer);
    let mut seen = Seen {
        client: peer,
        host: request.host(),
    };
    if !peer.as_ref().is_some_and(trusts) {
        return seen;
    }
    let hops: Vec<_> = request.values("X-Forwarded-For").collect();
    let hops = hops
        .iter()
        .rev()
        .flat_map(|value| value.rsplit(|byte| *byte == b','));
    for hop in hops {
        let Some(ip) = parse(hop) else {
            break;
        };
        seen.client = Some(ip);
        if !trusts(&ip) {
            break;
        }
    }
    let hosts = request.values("X-Forwarded-Host").last();
    let host = hosts.and_then(|value| value.rsplit(|byte| *byte == b',').next());
    if let Some(host) = host {
        seen.host = str::from_utf8(host.trim_ascii()).ok();
    }
    seen
}

fn peer_ip(address: &Address) -> Option<IpAddr> {
    // A listener for both families sees IPv4 as IPv6.
    Some(address.socket()?.ip().to_canonical())
}

/// An address, with or without a port; some proxies add it.
fn parse(hop: &[u8]) -> Option<IpAddr> {
    let hop = str::from_utf8(hop).ok()?.trim();
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']'));
    let ip = match bare.unwrap_or(hop).parse::<IpAddr>() {
        Ok(ip) => ip,
        Err(_) => hop.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(ip.to_canonical())
}

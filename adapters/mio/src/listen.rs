//! A listener for each thread.

use core::net::SocketAddr;
use std::io;

use mio::net::TcpListener;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Connections that wait to be accepted. `TcpListener::bind` asks for 128; in a burst
/// beyond that clients wait for a second, until they repeat their request.
const BACKLOG: i32 = 4096;

/// `count` listeners on the address of `first`, among which the system spreads new
/// connections (`SO_REUSEPORT`).
///
/// `first` was bound alone, so a port that is in use was found out; only now may others
/// of the same user join it. Where the system does not let them, all threads listen on
/// the one socket.
pub(crate) fn listeners(
    first: std::net::TcpListener,
    count: usize,
) -> io::Result<Vec<TcpListener>> {
    first.set_nonblocking(true)?;
    // Once more, for a longer queue; where that cannot be, the short one has to do.
    let _ = SockRef::from(&first).listen(BACKLOG);
    let address = first.local_addr()?;
    let may_share = count > 1 && share_port(SockRef::from(&first)).is_ok();
    let mut listeners = Vec::with_capacity(count);
    for _ in 1..count {
        let own = if may_share {
            listen(address)
        } else {
            Err(io::ErrorKind::Unsupported.into())
        };
        let listener = own.or_else(|_| first.try_clone())?;
        listeners.push(TcpListener::from_std(listener));
    }
    listeners.push(TcpListener::from_std(first));
    Ok(listeners)
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    share_port(SockRef::from(&socket))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(unix)]
fn share_port(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(unix))]
fn share_port(_socket: SockRef<'_>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

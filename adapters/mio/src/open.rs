//! Opening blocking connections, in both roles.

use core::net::SocketAddr;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;

use sockeye_common::opening::{Answer, ClientOpening, Opened, ServerOpening, Target};
#[cfg(feature = "tls")]
use sockeye_common::tls::{Tls, TlsServer};
use sockeye_common::{AcceptError, ConnectError, ConnectOptions, scratch};
use sockeye_core::handshake::{Accept, ClientRequest, Host, Request, Response};
use sockeye_core::{Connection, SharedConfig, Time};

use crate::clock::now;
use crate::link::{Link, Waiter};
use crate::socket::{Layer, Socket};
use crate::websocket::WebSocket;

/// Opens a connection to a `ws://` URL, or to a `wss://` URL with the feature `tls`.
///
/// The name is looked up and its addresses are tried in turn; all of it, with the
/// handshake, ends within
/// [`handshake_timeout`](sockeye_core::Config::handshake_timeout). A look-up that takes
/// longer than that is left behind on a thread of its own.
///
/// # Errors
///
/// Each in one sentence that names the host; a server that refuses is
/// [`ConnectError::Rejected`], with the whole of its answer.
pub fn connect(url: &str, options: &ConnectOptions) -> Result<WebSocket, ConnectError> {
    let deadline = now() + options.config.handshake_timeout;
    #[cfg(feature = "tls")]
    let (Target { url, request, host }, layer) = Target::with_tls(url, options)?;
    #[cfg(not(feature = "tls"))]
    let (Target { url, request, host }, layer) = (Target::new(url, options)?, None);
    let addresses = match url.host() {
        Host::V4(address) => vec![SocketAddr::from((address, url.port()))],
        Host::V6(address) => vec![SocketAddr::from((address, url.port()))],
        Host::Name(name) => resolve(name, url.port(), &host, deadline)?,
    };
    let stream = reach(&addresses, &host, deadline)?;
    open(stream, layer, &request, &options.config, &host, deadline)
}

/// Opens a connection as a client over a socket that is connected already, through a
/// proxy for example.
///
/// `host` names the server in errors. The socket becomes non-blocking.
///
/// # Errors
///
/// As [`connect`], after the socket was connected.
pub fn connect_over(
    stream: TcpStream,
    request: &ClientRequest,
    config: &SharedConfig,
    host: &str,
) -> Result<WebSocket, ConnectError> {
    let deadline = now() + config.handshake_timeout;
    open(stream, Layer::default(), request, config, host, deadline)
}

/// Accepts a connection as a server, on a socket from which nothing was read yet.
///
/// `decide` sees the request, a valid upgrade, and accepts it, with a subprotocol
/// and fields if it wants, or answers with something else. What is refused, by it
/// or by the protocol, has been answered when this returns; all of it ends within
/// [`handshake_timeout`](sockeye_core::Config::handshake_timeout). The socket becomes
/// non-blocking.
///
/// # Errors
///
/// There is no connection; the client has been told why.
pub fn accept(
    stream: TcpStream,
    config: &SharedConfig,
    decide: impl FnOnce(&Request<'_>) -> Result<Accept, Response>,
) -> Result<WebSocket, AcceptError> {
    accept_over(stream, Layer::default(), config, decide)
}

/// Accepts a connection as a server, over a socket below TLS.
///
/// As [`accept`]; the handshake of TLS is the first part of all of it.
///
/// # Errors
///
/// Those of [`accept`]; what was wrong with TLS is the source of an
/// [`AcceptError::Io`], and a client that spoke it has had its alert.
#[cfg(feature = "tls")]
pub fn accept_tls(
    stream: TcpStream,
    tls: &TlsServer,
    config: &SharedConfig,
    decide: impl FnOnce(&Request<'_>) -> Result<Accept, Response>,
) -> Result<WebSocket, AcceptError> {
    let tls = Tls::server(tls).map_err(io::Error::from)?;
    accept_over(stream, Some(tls), config, decide)
}

fn accept_over(
    stream: TcpStream,
    layer: Layer,
    config: &SharedConfig,
    decide: impl FnOnce(&Request<'_>) -> Result<Accept, Response>,
) -> Result<WebSocket, AcceptError> {
    let deadline = now() + config.handshake_timeout;
    let mut line = Line::new(stream, layer)?;
    let answer = receive(&mut line, ServerOpening::new(config, decide, deadline))?;
    let mut out = Vec::new();
    answer.response().encode(&mut out);
    line.write(&out, deadline)?;
    match answer {
        Answer::Accept {
            opened, left_over, ..
        } => {
            let connection = Connection::server(config, now()).with_extensions(opened.extensions);
            Ok(line.into_websocket(connection, left_over, opened)?)
        }
        Answer::Refuse { error, .. } => {
            line.linger(now() + config.linger);
            Err(error)
        }
    }
}

/// Looks a name up on another thread, since the system knows no deadline for it.
fn resolve(
    name: &str,
    port: u16,
    host: &str,
    deadline: Time,
) -> Result<Vec<SocketAddr>, ConnectError> {
    let (found, answer) = channel();
    let place = (name.to_owned(), port);
    let cannot_resolve = |error| ConnectError::Resolve {
        host: host.into(),
        error,
    };
    thread::Builder::new()
        .name("resolve".into())
        .spawn(move || {
            let addresses = place.to_socket_addrs().map(Iterator::collect::<Vec<_>>);
            // Nobody waits any more if it took too long.
            let _ = found.send(addresses);
        })
        .map_err(cannot_resolve)?;
    match answer.recv_timeout(deadline.saturating_since(now())) {
        Ok(addresses) => addresses.map_err(cannot_resolve),
        Err(RecvTimeoutError::Timeout) => Err(ConnectError::TimedOut { host: host.into() }),
        Err(RecvTimeoutError::Disconnected) => {
            Err(cannot_resolve(io::Error::other("the look-up has failed")))
        }
    }
}

/// Connects to the first address where there is somebody.
fn reach(addresses: &[SocketAddr], host: &str, deadline: Time) -> Result<TcpStream, ConnectError> {
    let mut failure = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        let rest = deadline.saturating_since(now());
        if rest.is_zero() {
            return Err(ConnectError::TimedOut { host: host.into() });
        }
        match TcpStream::connect_timeout(address, rest) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(if deadline <= now() {
        ConnectError::TimedOut { host: host.into() }
    } else {
        ConnectError::Connect {
            host: host.into(),
            error: failure,
        }
    })
}

fn open(
    stream: TcpStream,
    layer: Layer,
    request: &ClientRequest,
    config: &SharedConfig,
    host: &str,
    deadline: Time,
) -> Result<WebSocket, ConnectError> {
    let mut opening = ClientOpening::new(request, config, host, deadline)?;
    let mut line = Line::new(stream, layer).map_err(|error| opening.failed(error))?;
    let (opened, left_over) = ask(&mut line, &mut opening)?;
    let connection = opening.connection(&opened, now());
    line.into_websocket(connection, left_over, opened)
        .map_err(|error| opening.failed(error))
}

/// Writes the request and reads the response, which may come before all is written.
fn ask(line: &mut Line, opening: &mut ClientOpening) -> Result<(Opened, Vec<u8>), ConnectError> {
    loop {
        if let Some(bytes) = opening.poll_transmit() {
            match line.try_write(bytes) {
                Ok(Some(n)) => {
                    opening.handle_transmitted(n);
                    continue;
                }
                Ok(None) => {}
                Err(error) => return Err(opening.failed(error)),
            }
        }
        let read = scratch::with_input(|buffer| match line.try_read(buffer) {
            Ok(Some(bytes)) => opening.handle_input(bytes).map(Progress::of),
            Ok(None) => Ok(Progress::Blocked),
            Err(error) => Err(opening.failed(error)),
        });
        match read? {
            Progress::Done(opened) => return Ok(opened),
            Progress::Some => {}
            Progress::Blocked => {
                opening.handle_timeout(now())?;
                line.wait(opening.poll_timeout())
                    .map_err(|error| opening.failed(error))?;
            }
        }
    }
}

/// Reads the request.
fn receive(
    line: &mut Line,
    mut opening: ServerOpening<impl FnOnce(&Request<'_>) -> Result<Accept, Response>>,
) -> Result<Answer, AcceptError> {
    loop {
        let read = scratch::with_input(|buffer| match line.try_read(buffer)? {
            Some(bytes) => opening.handle_input(bytes).map(Progress::of),
            None => Ok(Progress::Blocked),
        });
        match read? {
            Progress::Done(answer) => return Ok(answer),
            Progress::Some => {}
            Progress::Blocked => {
                if let Some(answer) = opening.handle_timeout(now()) {
                    return Ok(answer);
                }
                line.wait(opening.poll_timeout())?;
            }
        }
    }
}

/// What a read has come to.
enum Progress<T> {
    /// All that was to be read.
    Done(T),
    /// Something.
    Some,
    /// There is nothing to read yet.
    Blocked,
}

impl<T> Progress<T> {
    fn of(done: Option<T>) -> Self {
        done.map_or(Self::Some, Self::Done)
    }
}

/// A socket during its handshake.
struct Line {
    socket: Socket,
    peer: SocketAddr,
    waiter: Waiter,
    /// There may be more to read, which no edge will tell.
    is_due: bool,
}

impl Line {
    fn new(stream: TcpStream, layer: Layer) -> io::Result<Self> {
        let peer = stream.peer_addr()?;
        stream.set_nonblocking(true)?;
        // Nagle's algorithm waits for more to come; what leaves here is a whole batch.
        // A failure means that the peer is gone, which the first read will tell.
        let _ = stream.set_nodelay(true);
        let mut stream = mio::net::TcpStream::from_std(stream);
        let waiter = Waiter::new(&mut stream)?;
        Ok(Self {
            socket: Socket::new(stream, layer),
            peer,
            waiter,
            is_due: false,
        })
    }

    /// `None` if there is nothing yet.
    fn try_read<'b>(&mut self, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
        match self.socket.read(buffer) {
            Ok(n) => Ok(buffer.get(..n)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                self.is_due = true;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// `None` if the socket takes nothing now.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        match unless_blocked(|| self.socket.write(bytes))? {
            Some(0) => Err(ErrorKind::WriteZero.into()),
            written => Ok(written),
        }
    }

    fn write(&mut self, mut bytes: &[u8], deadline: Time) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.try_write(bytes)? {
                Some(n) => bytes = bytes.get(n..).unwrap_or_default(),
                None if deadline <= now() => return Err(ErrorKind::TimedOut.into()),
                None => self.wait(Some(deadline))?,
            }
        }
        Ok(())
    }

    /// Discards what still comes, for a while: unread input at the end would turn into
    /// a reset that destroys the answer.
    fn linger(&mut self, until: Time) {
        let _ = self.socket.shut_down();
        while now() < until {
            let read = scratch::with_input(|buffer| {
                let read = self.try_read(buffer);
                read.map(|bytes| bytes.map(<[u8]>::len))
            });
            match read {
                Ok(Some(0)) | Err(_) => return,
                Ok(Some(_)) => {}
                Ok(None) if self.wait(Some(until)).is_err() => return,
                Ok(None) => {}
            }
        }
    }

    /// Waits for an edge or until a time has come.
    fn wait(&mut self, until: Option<Time>) -> io::Result<()> {
        if core::mem::take(&mut self.is_due) {
            return Ok(());
        }
        self.waiter.wait(until)
    }

    fn into_websocket(
        self,
        connection: Connection,
        left_over: Vec<u8>,
        opened: Opened,
    ) -> io::Result<WebSocket> {
        let link = Link::new(connection, left_over, self.socket, self.waiter)?;
        Ok(WebSocket::new(link, self.peer, opened))
    }
}

/// `None` if the call would have blocked.
fn unless_blocked<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<Option<T>> {
    loop {
        match call() {
            Ok(done) => return Ok(Some(done)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

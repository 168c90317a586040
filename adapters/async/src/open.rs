//! The opening handshake over a transport, in both roles.

use core::future::poll_fn;
use core::task::{Context, Poll, ready};
use std::io;

use sockeye_core::handshake::{
    Accept, ClientHandshake, ClientRequest, HandshakeError, InvalidField, Request, Response,
    ServerHandshake, Url,
};
use sockeye_core::{Connection, Seed, SharedConfig, Time};

use crate::error::{AcceptError, ConnectError};
use crate::scratch;
use crate::timer::Timer;
use crate::transport::Transport;
use crate::websocket::{Opened, WebSocket};

/// What a client asks for besides the URL.
///
/// A plain value: change the fields of [`ConnectOptions::default`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// Limits and time-outs.
    pub config: SharedConfig,
    /// Subprotocols to offer, the preferred one first.
    pub subprotocols: Vec<String>,
    /// Header fields to send, `Cookie` or `Authorization` for example.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The `Origin` to send; none by default, as programs that are no browsers do.
    pub origin: Option<String>,
    /// The `Host` to send instead of the URL's.
    pub host: Option<String>,
}

impl ConnectOptions {
    /// The request for `url`.
    ///
    /// # Errors
    ///
    /// What cannot be sent in a header.
    pub fn request(&self, url: &Url<'_>) -> Result<ClientRequest, InvalidField> {
        let mut request = ClientRequest::new(url);
        for name in &self.subprotocols {
            request = request.subprotocol(name)?;
        }
        for (name, value) in &self.fields {
            request = request.field(name, value)?;
        }
        if let Some(origin) = &self.origin {
            request = request.origin(origin)?;
        }
        if let Some(host) = &self.host {
            request = request.host(host)?;
        }
        Ok(request)
    }
}

/// Opens a connection as a client, over a transport that is connected already.
///
/// `host` names the server in errors. All of it ends by `deadline`.
///
/// # Errors
///
/// Everything but what has to do with finding and reaching the server.
pub async fn connect<T: Transport, C: Timer>(
    mut transport: T,
    mut timer: C,
    request: &ClientRequest,
    config: &SharedConfig,
    host: &str,
    deadline: Time,
) -> Result<WebSocket<T, C>, ConnectError> {
    let mut nonce = [0; 16];
    let mut seed = [0; 32];
    for random in [&mut nonce[..], &mut seed[..]] {
        getrandom::fill(random).map_err(|error| ConnectError::Random(error.into()))?;
    }
    let mut handshake = ClientHandshake::new(request, nonce, config.head, deadline);
    let (opened, left_over) =
        poll_fn(|cx| poll_connect(&mut handshake, &mut transport, &mut timer, cx))
            .await
            .map_err(|failure| match failure {
                Failure::Handshake(error) => ConnectError::handshake(host, error),
                Failure::Io(error) => ConnectError::Io {
                    host: host.into(),
                    error,
                },
            })?;
    let connection = Connection::client(config, &Seed::new(seed), timer.now());
    Ok(WebSocket::new(connection, left_over, transport, timer).with_opened(opened))
}

enum Failure {
    Handshake(sockeye_core::handshake::ConnectError),
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<sockeye_core::handshake::ConnectError> for Failure {
    fn from(error: sockeye_core::handshake::ConnectError) -> Self {
        Self::Handshake(error)
    }
}

fn poll_connect(
    handshake: &mut ClientHandshake,
    transport: &mut impl Transport,
    timer: &mut impl Timer,
    cx: &mut Context<'_>,
) -> Poll<Result<(Opened, Vec<u8>), Failure>> {
    while let Some(bytes) = handshake.poll_transmit() {
        match transport.poll_write(cx, bytes)? {
            Poll::Ready(0) => {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into()));
            }
            Poll::Ready(n) => handshake.handle_transmitted(n),
            Poll::Pending => break,
        }
    }
    let _ = transport.poll_flush(cx)?;
    loop {
        let read = scratch::with_input(|buffer| {
            let n = match transport.poll_read(cx, buffer)? {
                Poll::Ready(n) => n,
                Poll::Pending => return Ok(Poll::Pending),
            };
            let input = buffer.get(..n).unwrap_or_default();
            if input.is_empty() {
                return Err(handshake.handle_eof().into());
            }
            let opened = handshake.handle_input(input)?.map(|opened| {
                let left_over = input.get(opened.consumed..).unwrap_or_default().to_vec();
                let opened = Opened {
                    subprotocol: opened.subprotocol,
                    response: Some(opened.response),
                };
                (opened, left_over)
            });
            Ok::<_, Failure>(Poll::Ready(opened))
        });
        match read? {
            Poll::Ready(Some(opened)) => return Poll::Ready(Ok(opened)),
            Poll::Ready(None) => {}
            Poll::Pending => {
                let now = ready!(poll_deadline(timer, handshake.poll_timeout(), cx));
                handshake.handle_timeout(now)?;
            }
        }
    }
}

/// Accepts a connection as a server, over a transport on which nothing was read yet.
///
/// `decide` sees the request, which is a valid upgrade, and accepts it or answers
/// with something else. What is refused, by it or by the protocol, is answered
/// before this returns.
///
/// # Errors
///
/// There is no connection; the client has been told why.
pub async fn accept<T: Transport, C: Timer>(
    mut transport: T,
    mut timer: C,
    config: &SharedConfig,
    decide: impl FnOnce(&Request<'_>) -> Result<Accept, Response>,
) -> Result<WebSocket<T, C>, AcceptError> {
    let deadline = timer.now() + config.handshake_timeout;
    let mut handshake = ServerHandshake::new(config.head, deadline);
    let mut decide = Some(decide);
    let answer =
        poll_fn(|cx| poll_request(&mut handshake, &mut decide, &mut transport, &mut timer, cx))
            .await?;
    let mut out = Vec::new();
    answer.response().encode(&mut out);
    let mut unsent = &out[..];
    poll_fn(|cx| poll_answer(&mut unsent, &mut transport, &mut timer, deadline, cx)).await?;
    match answer {
        Answer::Accept {
            opened, left_over, ..
        } => {
            let connection = Connection::server(config, timer.now());
            Ok(WebSocket::new(connection, left_over, transport, timer).with_opened(opened))
        }
        Answer::Refuse { error, .. } => {
            let until = timer.now() + config.linger;
            poll_fn(|cx| poll_linger(&mut transport, &mut timer, until, cx)).await;
            Err(error)
        }
    }
}

enum Answer {
    Accept {
        response: Response,
        opened: Opened,
        left_over: Vec<u8>,
    },
    Refuse {
        response: Response,
        error: AcceptError,
    },
}

impl Answer {
    fn response(&self) -> &Response {
        match self {
            Self::Accept { response, .. } | Self::Refuse { response, .. } => response,
        }
    }
}

impl From<HandshakeError> for Answer {
    fn from(error: HandshakeError) -> Self {
        Self::Refuse {
            response: error.response(),
            error: AcceptError::Handshake(error),
        }
    }
}

fn poll_request(
    handshake: &mut ServerHandshake,
    decide: &mut Option<impl FnOnce(&Request<'_>) -> Result<Accept, Response>>,
    transport: &mut impl Transport,
    timer: &mut impl Timer,
    cx: &mut Context<'_>,
) -> Poll<Result<Answer, AcceptError>> {
    loop {
        let read = scratch::with_input(|buffer| {
            let n = ready!(transport.poll_read(cx, buffer))?;
            let input = buffer.get(..n).unwrap_or_default();
            if input.is_empty() {
                return Poll::Ready(match handshake.handle_eof() {
                    Ok(()) => Err(AcceptError::Eof),
                    Err(error) => Ok(Some(error.into())),
                });
            }
            Poll::Ready(Ok(match handshake.handle_input(input) {
                Ok(None) => None,
                Ok(Some(received)) => {
                    let left_over = input.get(received.consumed..).unwrap_or_default();
                    Some(answer(&received.request, left_over, decide))
                }
                Err(error) => Some(error.into()),
            }))
        });
        match read? {
            Poll::Ready(Some(answer)) => return Poll::Ready(Ok(answer)),
            Poll::Ready(None) => {}
            Poll::Pending => {
                let now = ready!(poll_deadline(timer, handshake.poll_timeout(), cx));
                if let Err(error) = handshake.handle_timeout(now) {
                    return Poll::Ready(Ok(error.into()));
                }
            }
        }
    }
}

fn answer(
    request: &Request<'_>,
    left_over: &[u8],
    decide: &mut Option<impl FnOnce(&Request<'_>) -> Result<Accept, Response>>,
) -> Answer {
    let upgrade = match request.upgrade() {
        Ok(upgrade) => upgrade,
        Err(error) => return error.into(),
    };
    // There is one request on a connection, so it is there to be taken.
    let decision = match decide.take() {
        Some(decide) => decide(request),
        None => Err(Response::new(500)),
    };
    let accepted = decision.and_then(|accept| {
        let response = upgrade.response(&accept);
        // Choosing what was not offered is a fault of the server.
        let response = response.map_err(|_| Response::new(500))?;
        Ok((response, accept.chosen().map(Box::from)))
    });
    match accepted {
        Ok((response, subprotocol)) => Answer::Accept {
            response,
            opened: Opened {
                subprotocol,
                response: None,
            },
            left_over: left_over.into(),
        },
        Err(response) => Answer::Refuse {
            error: AcceptError::Refused(response.clone()),
            response,
        },
    }
}

fn poll_answer(
    unsent: &mut &[u8],
    transport: &mut impl Transport,
    timer: &mut impl Timer,
    deadline: Time,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    if let Poll::Ready(written) = poll_write_all(unsent, transport, cx) {
        return Poll::Ready(written);
    }
    ready!(poll_deadline(timer, Some(deadline), cx));
    Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
}

fn poll_write_all(
    unsent: &mut &[u8],
    transport: &mut impl Transport,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while !unsent.is_empty() {
        match ready!(transport.poll_write(cx, unsent))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            n => *unsent = unsent.get(n..).unwrap_or_default(),
        }
    }
    transport.poll_flush(cx)
}

/// Discards what still comes, for a while: unread input at the end would turn
/// into a reset that destroys the answer.
fn poll_linger(
    transport: &mut impl Transport,
    timer: &mut impl Timer,
    until: Time,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let _ = transport.poll_shutdown(cx);
    while timer.now() < until {
        let read = scratch::with_input(|buffer| transport.poll_read(cx, buffer));
        match read {
            Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
            Poll::Ready(Ok(_)) => {}
            Poll::Pending => {
                ready!(poll_deadline(timer, Some(until), cx));
            }
        }
    }
    Poll::Ready(())
}

fn poll_deadline(
    timer: &mut impl Timer,
    deadline: Option<Time>,
    cx: &mut Context<'_>,
) -> Poll<Time> {
    let Some(deadline) = deadline else {
        return Poll::Pending;
    };
    let now = timer.now();
    if deadline <= now {
        return Poll::Ready(now);
    }
    timer.poll_until(deadline, now, cx).map(|()| deadline)
}

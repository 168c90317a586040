//! The opening handshake over a transport, in both roles.

use core::future::poll_fn;
use core::task::{Context, Poll, ready};
use std::io;

use sockeye_common::opening::{Answer, ClientOpening, Opened, ServerOpening};
use sockeye_common::{AcceptError, ConnectError, scratch};
use sockeye_core::handshake::{Accept, ClientRequest, Request, Response};
use sockeye_core::{Connection, SharedConfig, Time};

use crate::timer::Timer;
use crate::transport::Transport;
use crate::websocket::WebSocket;

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
    let mut opening = ClientOpening::new(request, config, host, deadline)?;
    let (opened, left_over) =
        poll_fn(|cx| poll_connect(&mut opening, &mut transport, &mut timer, cx)).await?;
    let connection = opening.connection(&opened, timer.now());
    Ok(WebSocket::new(connection, left_over, transport, timer).with_opened(opened))
}

fn poll_connect(
    opening: &mut ClientOpening,
    transport: &mut impl Transport,
    timer: &mut impl Timer,
    cx: &mut Context<'_>,
) -> Poll<Result<(Opened, Vec<u8>), ConnectError>> {
    if let Poll::Ready(Err(error)) = poll_ask(opening, transport, cx) {
        return Poll::Ready(Err(opening.failed(error)));
    }
    loop {
        let read = scratch::with_input(|buffer| {
            Poll::Ready(match ready!(transport.poll_read(cx, buffer)) {
                Ok(n) => opening.handle_input(buffer.get(..n).unwrap_or_default()),
                Err(error) => Err(opening.failed(error)),
            })
        });
        match read? {
            Poll::Ready(Some(opened)) => return Poll::Ready(Ok(opened)),
            Poll::Ready(None) => {}
            Poll::Pending => {
                let now = ready!(poll_deadline(timer, opening.poll_timeout(), cx));
                opening.handle_timeout(now)?;
            }
        }
    }
}

/// Writes the request.
fn poll_ask(
    opening: &mut ClientOpening,
    transport: &mut impl Transport,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while let Some(bytes) = opening.poll_transmit() {
        match ready!(transport.poll_write(cx, bytes))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            n => opening.handle_transmitted(n),
        }
    }
    transport.poll_flush(cx)
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
    let mut opening = ServerOpening::new(config, decide, deadline);
    let answer = poll_fn(|cx| poll_request(&mut opening, &mut transport, &mut timer, cx)).await?;
    let mut out = Vec::new();
    answer.response().encode(&mut out);
    let mut unsent = &out[..];
    poll_fn(|cx| poll_answer(&mut unsent, &mut transport, &mut timer, deadline, cx)).await?;
    match answer {
        Answer::Accept {
            opened, left_over, ..
        } => {
            let connection =
                Connection::server(config, timer.now()).with_extensions(opened.extensions);
            Ok(WebSocket::new(connection, left_over, transport, timer).with_opened(opened))
        }
        Answer::Refuse { error, .. } => {
            let until = timer.now() + config.linger;
            poll_fn(|cx| poll_linger(&mut transport, &mut timer, until, cx)).await;
            Err(error)
        }
    }
}

fn poll_request(
    opening: &mut ServerOpening<impl FnOnce(&Request<'_>) -> Result<Accept, Response>>,
    transport: &mut impl Transport,
    timer: &mut impl Timer,
    cx: &mut Context<'_>,
) -> Poll<Result<Answer, AcceptError>> {
    loop {
        let read = scratch::with_input(|buffer| {
            let n = ready!(transport.poll_read(cx, buffer))?;
            Poll::Ready(opening.handle_input(buffer.get(..n).unwrap_or_default()))
        });
        match read? {
            Poll::Ready(Some(answer)) => return Poll::Ready(Ok(answer)),
            Poll::Ready(None) => {}
            Poll::Pending => {
                let now = ready!(poll_deadline(timer, opening.poll_timeout(), cx));
                if let Some(answer) = opening.handle_timeout(now) {
                    return Poll::Ready(Ok(answer));
                }
            }
        }
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

//! Finding a server and reaching it.

use core::future::{Future, poll_fn};
use core::net::SocketAddr;
use core::pin::pin;
use core::task::Poll;
use std::io;

use sockeye_common::opening::Target;
use sockeye_common::{ConnectError, ConnectOptions};
use sockeye_core::Time;
use sockeye_core::handshake::{Host, Url};

use crate::open;
use crate::secure::MaybeTls;
use crate::timer::{Alarm, Clock, Sleep, Timer};
use crate::transport::Transport;
use crate::websocket::WebSocket;

/// How a runtime reaches a server.
pub trait Dial {
    /// What a connection is.
    type Transport: Transport;

    /// The timers of the runtime.
    type Sleep: Sleep;

    /// The addresses of a host.
    fn resolve(host: String, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>>;

    /// Connects to an address.
    fn connect(address: SocketAddr) -> impl Future<Output = io::Result<Self::Transport>>;
}

/// Opens a connection to a `ws://` URL, or to a `wss://` URL with the feature `tls`.
///
/// The name is looked up and its addresses are tried in turn; all of it, with the
/// handshake, ends within
/// [`handshake_timeout`](sockeye_core::Config::handshake_timeout).
///
/// # Errors
///
/// Each in one sentence that names the host; a server that refuses is
/// [`ConnectError::Rejected`], with the whole of its answer.
pub async fn connect_to<D: Dial>(
    url: &str,
    options: &ConnectOptions,
) -> Result<WebSocket<MaybeTls<D::Transport>, Alarm<D::Sleep>>, ConnectError> {
    let deadline = <D::Sleep as Sleep>::Clock::now() + options.config.handshake_timeout;
    #[cfg(feature = "tls")]
    let (Target { url, request, host }, tls) = Target::with_tls(url, options)?;
    #[cfg(not(feature = "tls"))]
    let Target { url, request, host } = Target::new(url, options)?;
    let mut alarm = Alarm::default();
    let transport = match within(&mut alarm, deadline, reach::<D>(&url, &host)).await {
        Some(reached) => reached?,
        None => return Err(ConnectError::TimedOut { host: host.into() }),
    };
    #[cfg(feature = "tls")]
    let transport = MaybeTls::new(transport, tls);
    #[cfg(not(feature = "tls"))]
    let transport = MaybeTls::plain(transport);
    open::connect(transport, alarm, &request, &options.config, &host, deadline).await
}

async fn reach<D: Dial>(url: &Url<'_>, host: &str) -> Result<D::Transport, ConnectError> {
    let name = match url.host() {
        Host::Name(name) => name.to_owned(),
        Host::V4(address) => address.to_string(),
        Host::V6(address) => address.to_string(),
    };
    let addresses = D::resolve(name, url.port())
        .await
        .map_err(|error| ConnectError::Resolve {
            host: host.into(),
            error,
        })?;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match D::connect(address).await {
            Ok(transport) => return Ok(transport),
            Err(error) => failure = error,
        }
    }
    Err(ConnectError::Connect {
        host: host.into(),
        error: failure,
    })
}

/// What `work` comes to, or `None` if it has not by `deadline`.
async fn within<T>(
    timer: &mut impl Timer,
    deadline: Time,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        let now = timer.now();
        if deadline <= now {
            return Poll::Ready(None);
        }
        timer.poll_until(deadline, now, cx).map(|()| None)
    })
    .await
}

//! The opening handshake without I/O, in both roles.

use core::fmt;

use sockeye_core::handshake::{
    Accept, ClientHandshake, ClientRequest, HandshakeError, InvalidField, Request, Response,
    Scheme, ServerHandshake, Url,
};
use sockeye_core::{Config, Connection, Extensions, Seed, SharedConfig, Time};

use crate::error::{AcceptError, ConnectError};
#[cfg(feature = "tls")]
use crate::tls::{Tls, TlsClient};

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
    /// Whom to trust behind `wss` URLs; if not given, whom the platform trusts.
    #[cfg(feature = "tls")]
    pub tls: Option<TlsClient>,
}

impl ConnectOptions {
    /// The request for `url`.
    ///
    /// # Errors
    ///
    /// What cannot be sent in a header.
    pub fn request(&self, url: &Url<'_>) -> Result<ClientRequest, InvalidField> {
        let mut request = ClientRequest::new(url).offer(&self.config);
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

/// Whom a client connects to, and what it asks for there.
#[derive(Debug)]
pub struct Target<'a> {
    /// The URL.
    pub url: Url<'a>,
    /// The request for it.
    pub request: ClientRequest,
    /// Host and port, as errors name them.
    pub host: String,
}

impl<'a> Target<'a> {
    /// Of a `ws` URL.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL or the options.
    pub fn new(url: &'a str, options: &ConnectOptions) -> Result<Self, ConnectError> {
        let target = Self::parse(url, options)?;
        if target.url.scheme() == Scheme::Wss {
            let host = target.host.into();
            return Err(ConnectError::Tls { host });
        }
        Ok(target)
    }

    /// Of a `ws` or `wss` URL, with the TLS that it takes.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL or the options.
    #[cfg(feature = "tls")]
    pub fn with_tls(
        url: &'a str,
        options: &ConnectOptions,
    ) -> Result<(Self, Option<Tls>), ConnectError> {
        let target = Self::parse(url, options)?;
        if target.url.scheme() != Scheme::Wss {
            return Ok((target, None));
        }
        let trusted = match &options.tls {
            Some(given) => given.clone(),
            None => TlsClient::platform().map_err(ConnectError::Trust)?,
        };
        match Tls::client(&trusted, &target.url.host()) {
            Ok(tls) => Ok((target, Some(tls))),
            Err(error) => Err(ConnectError::TlsFailed {
                host: target.host.into(),
                error,
            }),
        }
    }

    fn parse(url: &'a str, options: &ConnectOptions) -> Result<Self, ConnectError> {
        let url = Url::parse(url).map_err(|error| ConnectError::Url {
            url: url.into(),
            error,
        })?;
        let request = options.request(&url).map_err(ConnectError::Request)?;
        let host = format!("{}:{}", url.host(), url.port());
        Ok(Self { url, request, host })
    }
}

/// What the handshake brought.
#[derive(Debug)]
pub struct Opened {
    /// The subprotocol that was agreed on.
    pub subprotocol: Option<Box<str>>,
    /// The server's response, on a client.
    pub response: Option<Response>,
    /// The extensions that were agreed on.
    pub extensions: Extensions,
}

/// A client's side of the handshake.
pub struct ClientOpening {
    handshake: ClientHandshake,
    config: SharedConfig,
    seed: Seed,
    host: Box<str>,
}

impl ClientOpening {
    /// For a transport that is connected already. `host` names the server in errors.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Random`].
    pub fn new(
        request: &ClientRequest,
        config: &SharedConfig,
        host: &str,
        deadline: Time,
    ) -> Result<Self, ConnectError> {
        let mut nonce = [0; 16];
        let mut seed = [0; 32];
        for random in [&mut nonce[..], &mut seed[..]] {
            getrandom::fill(random).map_err(|error| ConnectError::Random(error.into()))?;
        }
        Ok(Self {
            handshake: ClientHandshake::new(request, nonce, config.head, deadline),
            config: config.clone(),
            seed: Seed::new(seed),
            host: host.into(),
        })
    }

    /// What is left of the request.
    pub fn poll_transmit(&mut self) -> Option<&[u8]> {
        self.handshake.poll_transmit()
    }

    /// `n` bytes of the last [`poll_transmit`](Self::poll_transmit) were written.
    pub fn handle_transmitted(&mut self, n: usize) {
        self.handshake.handle_transmitted(n);
    }

    /// The bytes of a read; none are the end of them. Returns what the handshake
    /// brought and what was read behind it, once it is done.
    ///
    /// # Errors
    ///
    /// What the server answered instead of accepting.
    pub fn handle_input(
        &mut self,
        input: &[u8],
    ) -> Result<Option<(Opened, Vec<u8>)>, ConnectError> {
        let handled = if input.is_empty() {
            Err(self.handshake.handle_eof())
        } else {
            self.handshake.handle_input(input)
        };
        let opened = handled.map_err(|error| ConnectError::handshake(&self.host, error))?;
        Ok(opened.map(|opened| {
            let left_over = input.get(opened.consumed..).unwrap_or_default().to_vec();
            let opened = Opened {
                subprotocol: opened.subprotocol,
                response: Some(opened.response),
                extensions: opened.extensions,
            };
            (opened, left_over)
        }))
    }

    /// Time has passed.
    ///
    /// # Errors
    ///
    /// If it is too late.
    pub fn handle_timeout(&mut self, now: Time) -> Result<(), ConnectError> {
        let handled = self.handshake.handle_timeout(now);
        handled.map_err(|error| ConnectError::handshake(&self.host, error))
    }

    /// When it will be too late.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.handshake.poll_timeout()
    }

    /// The transport failed.
    #[must_use]
    pub fn failed(&self, error: std::io::Error) -> ConnectError {
        ConnectError::io(&self.host, error)
    }

    /// The connection that follows.
    #[must_use]
    pub fn connection(&self, opened: &Opened, now: Time) -> Connection {
        Connection::client(&self.config, &self.seed, now).with_extensions(opened.extensions)
    }
}

/// A server's side of the handshake, with whoever decides about the request.
pub struct ServerOpening<F> {
    handshake: ServerHandshake,
    config: SharedConfig,
    decide: Option<F>,
}

/// How a server answers: in either case the response has to be written first.
#[derive(Debug)]
pub enum Answer {
    /// A connection follows.
    Accept {
        /// What to write.
        response: Response,
        /// What was agreed on.
        opened: Opened,
        /// What was read behind the request.
        left_over: Vec<u8>,
    },
    /// There is no connection.
    Refuse {
        /// What to write.
        response: Response,
        /// Why.
        error: AcceptError,
    },
}

impl<F: FnOnce(&Request<'_>) -> Result<Accept, Response>> ServerOpening<F> {
    /// For a transport on which nothing was read yet.
    pub fn new(config: &SharedConfig, decide: F, deadline: Time) -> Self {
        Self {
            handshake: ServerHandshake::new(config.head, deadline),
            config: config.clone(),
            decide: Some(decide),
        }
    }

    /// The bytes of a read; none are the end of them. Returns the answer, once the
    /// request is there.
    ///
    /// # Errors
    ///
    /// If there is nobody to answer.
    pub fn handle_input(&mut self, input: &[u8]) -> Result<Option<Answer>, AcceptError> {
        if input.is_empty() {
            return match self.handshake.handle_eof() {
                Ok(()) => Err(AcceptError::Eof),
                Err(error) => Ok(Some(error.into())),
            };
        }
        Ok(match self.handshake.handle_input(input) {
            Ok(None) => None,
            Ok(Some(received)) => {
                let left_over = input.get(received.consumed..).unwrap_or_default();
                let decide = &mut self.decide;
                Some(answer(&received.request, left_over, &self.config, decide))
            }
            Err(error) => Some(error.into()),
        })
    }

    /// Time has passed. Returns the answer, if it is too late.
    pub fn handle_timeout(&mut self, now: Time) -> Option<Answer> {
        self.handshake.handle_timeout(now).err().map(Answer::from)
    }

    /// When it will be too late.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.handshake.poll_timeout()
    }
}

impl Answer {
    /// What to write.
    #[must_use]
    pub fn response(&self) -> &Response {
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

fn answer(
    request: &Request<'_>,
    left_over: &[u8],
    config: &Config,
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
        let accepted = upgrade.accept(&accept, config);
        // Choosing what was not offered is a fault of the server.
        let accepted = accepted.map_err(|_| Response::new(500))?;
        Ok((accepted, accept.chosen().map(Box::from)))
    });
    match accepted {
        Ok((accepted, subprotocol)) => Answer::Accept {
            response: accepted.response,
            opened: Opened {
                subprotocol,
                response: None,
                extensions: accepted.extensions,
            },
            left_over: left_over.into(),
        },
        Err(response) => Answer::Refuse {
            error: AcceptError::Refused(response.clone()),
            response,
        },
    }
}

impl fmt::Debug for ClientOpening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOpening")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for ServerOpening<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOpening").finish_non_exhaustive()
    }
}

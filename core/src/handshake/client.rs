use super::{
    HttpLimits, InvalidField, Response, Url,
    authority::Authority,
    body::Body,
    field::{Fields, is_framing, is_handshake, is_token, names},
    head::{HeadFault, HeadScanner},
    response::SWITCHING_PROTOCOLS,
    upgrade::{AcceptKey, Subprotocols, accept_key, key},
};
#[cfg(feature = "deflate")]
use crate::deflate::{self, Deflate, Offer};
use crate::{config::Config, extensions::Extensions, time::Time};
use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::{fmt, mem};

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct ClientRequest {
    host: String,
    target: String,
    subprotocols: Subprotocols,
    fields: Fields,
    #[cfg(feature = "deflate")]
    deflate: Option<Deflate>,
}

impl ClientRequest {
    /// Asks for the resource of `url`, without subprotocols or further fields.
    pub fn new(url: &Url<'_>) -> Self {
        let mut host = url.host().to_string();
        if url.port() != url.scheme().default_port() {
            host.push(':');
            host.push_str(&url.port().to_string());
        }
        let mut target = String::from(url.path());
        if let Some(query) = url.query() {
            target.push('?');
            target.push_str(query);
        }
        Self {
            host,
            target,
            subprotocols: Subprotocols::default(),
            fields: Fields::new(),
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }

    /// Offers the extensions that `config` allows; none if this is not called.
    #[must_use]
    pub fn offer(self, config: &Config) -> Self {
        let Config { .. } = config;
        Self {
            #[cfg(feature = "deflate")]
            deflate: config.deflate,
            ..self
        }
    }

    /// Offers a subprotocol; those that were offered before are preferred to it.
    pub fn subprotocol(mut self, name: &str) -> Result<Self, InvalidField> {
        if !is_token(name.as_bytes()) {
            return Err(InvalidField::Value);
        }
        if self.subprotocols.contains(name) {
            return Err(InvalidField::Duplicate);
        }
        self.subprotocols.push(name);
        Ok(self)
    }

    /// Sends this `Origin`, as a browser would, instead of none.
    pub fn origin(mut self, origin: &str) -> Result<Self, InvalidField> {
        self.fields.remove("Origin");
        self.fields.push("Origin", origin.as_bytes())?;
        Ok(self)
    }

    /// Sends this `Host`, with a port if need be, instead of the URL's.
    pub fn host(mut self, host: &str) -> Result<Self, InvalidField> {
        Authority::parse(host).map_err(|_| InvalidField::Value)?;
        self.host = host.into();
        Ok(self)
    }

    /// Adds a field, `Cookie` or `Authorization` for example.
    ///
    /// `Host`, those of the handshake (`Sec-WebSocket-…`, `Upgrade`, `Connection`) and of framing
    /// are reserved.
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidField> {
        if is_framing(name) || is_handshake(name) || name.eq_ignore_ascii_case("Host") {
            return Err(InvalidField::Reserved);
        }
        self.fields.push(name, value.as_ref())?;
        Ok(self)
    }

    /// The request as it goes on the wire (RFC 6455 §4.1).
    fn encode(&self, key: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + self.target.len() + self.fields.as_bytes().len());
        let mut write = |parts: &[&[u8]]| parts.iter().for_each(|part| out.extend_from_slice(part));
        write(&[b"GET ", self.target.as_bytes(), b" HTTP/1.1\r\n"]);
        write(&[b"Host: ", self.host.as_bytes(), b"\r\n"]);
        write(&[b"Upgrade: websocket\r\nConnection: Upgrade\r\n"]);
        write(&[b"Sec-WebSocket-Key: ", key, b"\r\n"]);
        write(&[b"Sec-WebSocket-Version: 13\r\n"]);
        if !self.subprotocols.as_str().is_empty() {
            let offer = self.subprotocols.as_str().as_bytes();
            write(&[b"Sec-WebSocket-Protocol: ", offer, b"\r\n"]);
        }
        #[cfg(feature = "deflate")]
        for offer in self.deflate.iter().flat_map(Offer::all) {
            let offer = offer.to_string();
            write(&[b"Sec-WebSocket-Extensions: ", offer.as_bytes(), b"\r\n"]);
        }
        write(&[self.fields.as_bytes(), b"\r\n"]);
        out
    }
}

/// A client's connection until the server has accepted or refused.
///
/// Send what [`poll_transmit`](Self::poll_transmit) gives, and hand over what arrives. After an
/// error, or after [`Opened`], there is nothing more to do here.
#[derive(Debug)]
pub struct ClientHandshake {
    unsent: Vec<u8>,
    sent: usize,
    expected: AcceptKey,
    offered: Subprotocols,
    #[cfg(feature = "deflate")]
    deflate: Option<Deflate>,
    buffer: Vec<u8>,
    scanner: HeadScanner,
    stage: Stage,
    limits: HttpLimits,
    deadline: Time,
}

#[derive(Debug)]
enum Stage {
    Head,
    /// The server has refused; its reasons are still arriving.
    Refusal(Box<(Response, Body)>),
    Done,
}

/// The server has accepted.
#[derive(Debug)]
pub struct Opened {
    /// The server's response, with its fields.
    pub response: Response,
    /// The subprotocol that the server chose, one of those offered.
    pub subprotocol: Option<Box<str>>,
    /// The extensions that the server accepted, for
    /// [`Connection::with_extensions`](crate::Connection).
    pub extensions: Extensions,
    /// How many bytes of the input that was given last belong to the response; what follows is
    /// the connection's.
    pub consumed: usize,
}

impl ClientHandshake {
    /// Begins a handshake that ends by `deadline`, which no input extends.
    ///
    /// `nonce` must be random, and new for each connection (RFC 6455 §4.1, item 7).
    pub fn new(
        request: &ClientRequest,
        nonce: [u8; 16],
        limits: HttpLimits,
        deadline: Time,
    ) -> Self {
        let key = key(nonce);
        Self {
            unsent: request.encode(&key),
            sent: 0,
            expected: accept_key(&key),
            offered: request.subprotocols.clone(),
            #[cfg(feature = "deflate")]
            deflate: request.deflate,
            buffer: Vec::new(),
            scanner: HeadScanner::default(),
            stage: Stage::Head,
            limits,
            deadline,
        }
    }

    /// What is to be sent and was not reported as sent yet.
    pub fn poll_transmit(&self) -> Option<&[u8]> {
        match self.unsent.get(self.sent..) {
            None | Some([]) => None,
            unsent => unsent,
        }
    }

    /// The first `count` bytes of [`poll_transmit`](Self::poll_transmit) were sent.
    pub fn handle_transmitted(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count);
        if self.sent >= self.unsent.len() {
            self.unsent = Vec::new();
        }
    }

    /// Takes the bytes of one read. `None`: all of them were taken, and more are needed.
    ///
    /// If the server refuses, its body is waited for, up to [`HttpLimits::body`].
    pub fn handle_input(&mut self, input: &[u8]) -> Result<Option<Opened>, ConnectError> {
        match mem::replace(&mut self.stage, Stage::Done) {
            Stage::Head => self.handle_head(input),
            Stage::Refusal(refusal) => self.handle_refusal(refusal, input).map(|()| None),
            Stage::Done => Ok(None),
        }
    }

    /// The server will send nothing more: the error to report.
    pub fn handle_eof(&mut self) -> ConnectError {
        self.give_up(ConnectError::Eof)
    }

    /// Ends the handshake if its deadline has come. Spurious calls do nothing.
    pub fn handle_timeout(&mut self, now: Time) -> Result<(), ConnectError> {
        match self.poll_timeout() {
            Some(deadline) if now >= deadline => Err(self.give_up(ConnectError::TimedOut)),
            _ => Ok(()),
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout): at the deadline, until the server
    /// has answered.
    pub fn poll_timeout(&self) -> Option<Time> {
        match self.stage {
            Stage::Head | Stage::Refusal(_) => Some(self.deadline),
            Stage::Done => None,
        }
    }

    fn handle_head(&mut self, input: &[u8]) -> Result<Option<Opened>, ConnectError> {
        let mut consumed = 0;
        loop {
            let rest = &input[consumed..];
            self.check_beginning(rest)?;
            let Some(end) = self.scanner.scan(rest, &self.limits)? else {
                self.buffer.extend_from_slice(rest);
                self.stage = Stage::Head;
                return Ok(None);
            };
            let (head, rest) = rest.split_at(end);
            consumed += end;
            let fields = self.scanner.fields();
            let response = if self.buffer.is_empty() {
                parse(head, fields)?
            } else {
                self.buffer.extend_from_slice(head);
                parse(&mem::take(&mut self.buffer), fields)?
            };
            match response.status() {
                SWITCHING_PROTOCOLS => return self.open(response, consumed).map(Some),
                // RFC 9110 §15.2: any number of other interim responses may precede the final
                // one. Together they share the limit of one head.
                100..=199 => self.scanner.next_head(),
                _ => {
                    let body = Body::new(&response, self.limits.body);
                    return self
                        .handle_refusal(Box::new((response, body)), rest)
                        .map(|()| None);
                }
            }
        }
    }

    /// Fails at once if this is no HTTP server: many such wait for the client to go on.
    fn check_beginning(&self, input: &[u8]) -> Result<(), InvalidResponse> {
        const BEGINNING: &[u8] = b"HTTP/";
        let at = self.buffer.len();
        let expected = BEGINNING.get(at..).unwrap_or_default();
        if expected
            .iter()
            .zip(input)
            .all(|(expected, byte)| expected == byte)
        {
            Ok(())
        } else {
            Err(InvalidResponse::NotHttp)
        }
    }

    fn handle_refusal(
        &mut self,
        mut refusal: Box<(Response, Body)>,
        input: &[u8],
    ) -> Result<(), ConnectError> {
        refusal.1.push(input);
        if refusal.1.is_whole() {
            return Err(rejected(*refusal));
        }
        self.stage = Stage::Refusal(refusal);
        Ok(())
    }

    /// What was refused stays refused, even if the reasons did not arrive in full.
    fn give_up(&mut self, error: ConnectError) -> ConnectError {
        match mem::replace(&mut self.stage, Stage::Done) {
            Stage::Refusal(refusal) => rejected(*refusal),
            Stage::Head | Stage::Done => error,
        }
    }

    /// RFC 6455 §4.1, what the client checks in the server's response.
    fn open(&self, response: Response, consumed: usize) -> Result<Opened, ConnectError> {
        let one = |name, invalid| match Values::of(&response, name) {
            Values::One(value) => Ok(value),
            Values::None | Values::Several => Err(invalid),
        };
        let upgrade = one("Upgrade", InvalidResponse::Upgrade)?;
        if !upgrade.eq_ignore_ascii_case(b"websocket") {
            return Err(InvalidResponse::Upgrade.into());
        }
        if !response
            .values("Connection")
            .any(|value| names(value, "upgrade"))
        {
            return Err(InvalidResponse::Connection.into());
        }
        if one("Sec-WebSocket-Accept", InvalidResponse::Accept)? != self.expected {
            return Err(InvalidResponse::Accept.into());
        }
        let extensions = self.extensions(&response)?;
        let subprotocol = match Values::of(&response, "Sec-WebSocket-Protocol") {
            Values::None => None,
            Values::One(value) => Some(self.chosen(value).ok_or(InvalidResponse::Subprotocol)?),
            Values::Several => return Err(InvalidResponse::Subprotocol.into()),
        };
        Ok(Opened {
            response,
            subprotocol,
            extensions,
            consumed,
        })
    }

    /// RFC 6455 §4.1, item 5 of what a client checks: nothing that was not offered.
    fn extensions(&self, response: &Response) -> Result<Extensions, InvalidResponse> {
        #[cfg(feature = "deflate")]
        {
            let answer = response.values("Sec-WebSocket-Extensions");
            let agreed = deflate::check(answer, self.deflate.as_ref());
            let agreed = agreed.map_err(|_| InvalidResponse::Extension)?;
            Ok(agreed.map_or(Extensions::NONE, Extensions::with_deflate))
        }
        #[cfg(not(feature = "deflate"))]
        match response.value("Sec-WebSocket-Extensions") {
            Some(_) => Err(InvalidResponse::Extension),
            None => Ok(Extensions::NONE),
        }
    }

    fn chosen(&self, value: &[u8]) -> Option<Box<str>> {
        let mut offered = self.offered.iter();
        offered.find(|name| name.as_bytes() == value).map(Box::from)
    }
}

/// The fields of one name in a response.
enum Values<'a> {
    None,
    One(&'a [u8]),
    Several,
}

impl<'a> Values<'a> {
    fn of(response: &'a Response, name: &str) -> Self {
        response
            .values(name)
            .fold(Self::None, |seen, value| match seen {
                Self::None => Self::One(value),
                Self::One(_) | Self::Several => Self::Several,
            })
    }
}

fn parse(head: &[u8], fields: usize) -> Result<Response, InvalidResponse> {
    let mut fields = vec![httparse::EMPTY_HEADER; fields];
    let mut parsed = httparse::Response::new(&mut fields);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(end)) if end == head.len() => {}
        Ok(_) => return Err(InvalidResponse::Field),
        Err(httparse::Error::Version) => return Err(InvalidResponse::NotHttp),
        Err(httparse::Error::Status | httparse::Error::Token) => {
            return Err(InvalidResponse::StatusLine);
        }
        Err(
            httparse::Error::HeaderName
            | httparse::Error::HeaderValue
            | httparse::Error::NewLine
            | httparse::Error::TooManyHeaders,
        ) => return Err(InvalidResponse::Field),
    }
    // RFC 9110 §7.8: there is no upgrade in HTTP/1.0.
    if parsed.version == Some(0) && parsed.code == Some(SWITCHING_PROTOCOLS) {
        return Err(InvalidResponse::NotHttp);
    }
    Ok(Response::received(&parsed))
}

fn rejected((mut response, mut body): (Response, Body)) -> ConnectError {
    response.set_content(body.take_content().into());
    ConnectError::Rejected(response)
}

/// Why a client's handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server answered something else than 101: a refusal, a redirect, a page.
    Rejected(Response),
    /// The server's answer is none that RFC 6455 §4.1 lets a client accept.
    InvalidResponse(InvalidResponse),
    /// The server's answer was not complete at the deadline.
    TimedOut,
    /// The server closed before its answer was complete.
    Eof,
}

/// What is wrong with a server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidResponse {
    /// It is not HTTP/1.1.
    NotHttp,
    /// The status line is malformed.
    StatusLine,
    /// A header field is malformed, or a line ends in LF without CR.
    Field,
    /// The head is longer, or has more fields, than [`HttpLimits`] allow.
    TooLong,
    /// `Upgrade` is missing, repeated, or not exactly `websocket`.
    Upgrade,
    /// `Connection` does not name `upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` is missing, repeated, or not the answer to this request.
    Accept,
    /// `Sec-WebSocket-Protocol` is repeated, or not one of those offered.
    Subprotocol,
    /// `Sec-WebSocket-Extensions` is there though none was offered, or does not fit what was.
    Extension,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(response) => {
                write!(f, "the server answered {}", response.status())?;
                match response.reason() {
                    "" => Ok(()),
                    reason => write!(f, " {reason}"),
                }
            }
            Self::InvalidResponse(invalid) => write!(f, "{invalid}"),
            Self::TimedOut => f.write_str("the server did not answer in time"),
            Self::Eof => f.write_str("the server closed the connection before it answered"),
        }
    }
}

impl core::error::Error for ConnectError {}

impl fmt::Display for InvalidResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHttp => "the server's answer is not HTTP/1.1",
            Self::StatusLine => "the status line of the server's answer is malformed",
            Self::Field => "a header field of the server's answer is malformed",
            Self::TooLong => "the head of the server's answer is too long",
            Self::Upgrade => "the server's answer does not say Upgrade: websocket",
            Self::Connection => "the server's answer does not say Connection: Upgrade",
            Self::Accept => "the Sec-WebSocket-Accept of the server does not fit the request",
            Self::Subprotocol => "the server chose a subprotocol that was not offered",
            Self::Extension => "the server accepted an extension that was not offered",
        })
    }
}

impl core::error::Error for InvalidResponse {}

impl From<InvalidResponse> for ConnectError {
    fn from(invalid: InvalidResponse) -> Self {
        Self::InvalidResponse(invalid)
    }
}

impl From<HeadFault> for ConnectError {
    fn from(fault: HeadFault) -> Self {
        Self::InvalidResponse(match fault {
            HeadFault::BareLineFeed => InvalidResponse::Field,
            HeadFault::LineTooLong | HeadFault::TooManyFields | HeadFault::TooLong => {
                InvalidResponse::TooLong
            }
        })
    }
}

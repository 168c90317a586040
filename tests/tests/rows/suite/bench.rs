//! What most rows need: a server on a free port, and clients of it.

use core::net::SocketAddr;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;
use sockeye_async::{ConnectOptions, ServeOptions};
use sockeye_handler::{Closed, Config, OwnedMessage, RouteError, Router, Service};
use sockeye_tests::adapter::{Adapter as _, Failure, Running, Socket};
use sockeye_tests::wire::PATIENCE;

use super::Adapter;

/// A server of the adapter.
pub(super) type Server = <Adapter as sockeye_tests::adapter::Adapter>::Server;
/// A client of the adapter.
pub(super) type Client = <Adapter as sockeye_tests::adapter::Adapter>::WebSocket;

pub(super) fn serve(service: impl Service) -> Server {
    serve_with(service, |_| {})
}

pub(super) fn serve_with(service: impl Service, configure: impl FnOnce(&mut Config)) -> Server {
    let mut config = Config::default();
    configure(&mut config);
    let mut options = ServeOptions::default();
    options.config = config.share().expect("valid limits");
    Adapter::serve(service, &options)
}

/// Serves what the closure makes of a router.
pub(super) fn routes(make: impl FnOnce(Router) -> Result<Router, RouteError>) -> Server {
    serve(make(Router::new()).expect("good routes"))
}

pub(super) fn connect(server: &Server, path: &str) -> Client {
    try_connect(server, path, |_| {}).expect("accepted")
}

pub(super) fn try_connect(
    server: &Server,
    path: &str,
    configure: impl FnOnce(&mut ConnectOptions),
) -> Result<Client, Failure> {
    let mut options = ConnectOptions::default();
    configure(&mut options);
    Adapter::connect(&format!("ws://{}{path}", server.address()), &options)
}

/// The status with which an upgrade is refused.
pub(super) fn refusal(server: &Server, path: &str) -> u16 {
    let Err(failure) = try_connect(server, path, |_| {}) else {
        panic!("{path} is accepted");
    };
    failure.response.expect("an answer").status()
}

/// The next message; `None` after the end.
pub(super) fn recv(client: &mut Client) -> Option<OwnedMessage> {
    client.recv_within(PATIENCE).expect("in time")
}

/// The next message, which is text.
pub(super) fn text(client: &mut Client) -> String {
    let message = recv(client).expect("open");
    message.as_text().expect("text").to_owned()
}

/// The next message, which is JSON.
pub(super) fn json(client: &mut Client) -> Value {
    serde_json::from_str(&text(client)).expect("JSON")
}

/// Says something and hears the answer.
pub(super) fn ask(client: &mut Client, message: &str) -> String {
    client.send(message).expect("open");
    text(client)
}

/// How the connection ends. There is no message before.
pub(super) fn end(client: &mut Client) -> Closed {
    assert_eq!(recv(client), None);
    client.closed().expect("it has ended").clone()
}

/// Code and reason of the Close frame with which it ends.
pub(super) fn end_code(client: &mut Client) -> (u16, String) {
    let closed = end(client);
    (closed.code.as_u16(), closed.reason.into())
}

/// An answer in plain HTTP.
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        let field = fields.find(|(n, _)| n.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value)
    }
}

pub(super) fn get(address: SocketAddr, path: &str) -> Answer {
    http(address, &format!("GET {path} HTTP/1.1"), &[], "")
}

/// Asks in plain HTTP.
pub(super) fn http(address: SocketAddr, line: &str, fields: &[&str], body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("a listener");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut request = format!("{line}\r\nHost: localhost\r\n");
    for field in fields {
        request.push_str(&format!("{field}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body);
    stream.write_all(request.as_bytes()).expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
    Answer {
        status: status.expect("a status"),
        head: head.into(),
        body: body.into(),
    }
}

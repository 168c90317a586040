//! By section of RFC 6455: 3 URLs, 4.1 the client, 4.2 the server; then what holds for all input.

mod client;
mod cuts;
#[cfg(feature = "deflate")]
mod extensions;
mod fields;
mod limits;
mod origin;
mod request;
mod server;
mod url;

use super::*;
use crate::time::Time;
use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec::Vec,
};

/// The request of RFC 6455 §1.2.
const EXAMPLE: &str = "GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://example.com\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// The nonce of that request.
const NONCE: [u8; 16] = *b"the sample nonce";

const DEADLINE: Time = Time::from_micros(10_000_000);

/// [`EXAMPLE`] with one part replaced.
fn example(part: &str, replacement: &str) -> String {
    assert_eq!(EXAMPLE.matches(part).count(), 1, "{part}");
    EXAMPLE.replace(part, replacement)
}

/// [`EXAMPLE`] with one more field.
fn example_and(field: &str) -> String {
    example("13\r\n\r\n", &alloc::format!("13\r\n{field}\r\n\r\n"))
}

/// What a server has to say to `input`, given in pieces: the request, or why not.
fn receive<'a>(
    server: &'a mut ServerHandshake,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Option<Result<Summary, HandshakeError>> {
    let mut given = 0;
    for piece in pieces {
        match server.handle_input(piece) {
            Ok(None) => given += piece.len(),
            Ok(Some(received)) => {
                return Some(Ok(Summary {
                    method: received.request.method().into(),
                    target: received.request.target().into(),
                    fields: received
                        .request
                        .fields()
                        .map(|(name, value)| (name.into(), value.into()))
                        .collect(),
                    body: received.request.body().into(),
                    upgrade: received.request.upgrade().map(|_| ()),
                    end: given + received.consumed,
                }));
            }
            Err(error) => return Some(Err(error)),
        }
    }
    None
}

#[derive(Debug, PartialEq, Eq)]
struct Summary {
    method: String,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    upgrade: Result<(), HandshakeError>,
    end: usize,
}

fn server(limits: HttpLimits) -> ServerHandshake {
    ServerHandshake::new(limits, DEADLINE)
}

/// The decision on an upgrade, which is the same whole and byte by byte.
fn decide(input: &[u8]) -> Result<(), HandshakeError> {
    let limits = HttpLimits::default();
    let whole = receive(&mut server(limits), [input]);
    let dripped = receive(&mut server(limits), input.chunks(1));
    assert_eq!(whole, dripped, "{}", input.escape_ascii());
    whole
        .expect("a whole request")
        .and_then(|summary| summary.upgrade)
}

fn encode(response: &Response) -> Vec<u8> {
    let mut out = Vec::new();
    response.encode(&mut out);
    out
}

//! A server's opening handshake.

use sockeye_core::Time;
use sockeye_core::handshake::{
    Accept, HandshakeError, HttpLimits, Request, Response, ServerHandshake,
};

/// Any bytes as an HTTP request, cut anywhere: an answer with an error, an upgrade, a plain
/// request, or nothing yet; and the same however they are cut.
///
/// The first two bytes choose limits and cuts, the rest is the request.
pub fn handshake_server(data: &[u8]) {
    let Some(([limits, cuts], request)) = data.split_first_chunk() else {
        return;
    };
    let limits = match limits % 4 {
        // So small that inputs of a few bytes meet them.
        0 => HttpLimits {
            line: 16,
            fields: 5,
            head: 200,
            body: 3,
        },
        1 => HttpLimits {
            line: 64,
            fields: 2,
            head: 1000,
            body: 0,
        },
        _ => HttpLimits::default(),
    };
    let whole = receive(request, request.len(), &limits);
    for width in [1, 2 + usize::from(cuts % 64)] {
        assert_eq!(
            receive(request, width, &limits),
            whole,
            "in pieces of {width}"
        );
    }
    // The parser behind it, which others use without the rest.
    if let Ok(request) = Request::parse(request, &limits) {
        let _ = look_at(&request);
    }
}

/// What came of the bytes.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// More bytes are needed; this is said if there are none.
    Waits(Result<(), HandshakeError>),
    Failed(HandshakeError),
    Received {
        head: Head,
        body: Vec<u8>,
        consumed: usize,
        upgrade: Result<(), HandshakeError>,
    },
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    method: String,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
}

fn receive(bytes: &[u8], width: usize, limits: &HttpLimits) -> Outcome {
    let deadline = Time::from_micros(1);
    let mut handshake = ServerHandshake::new(*limits, deadline);
    let mut before = 0;
    for piece in bytes.chunks(width.max(1)) {
        assert_eq!(handshake.poll_timeout(), Some(deadline));
        match handshake.handle_input(piece) {
            Ok(None) => before += piece.len(),
            Ok(Some(received)) => {
                assert!(received.consumed <= piece.len());
                let request = received.request;
                let upgrade = look_at(&request);
                let outcome = Outcome::Received {
                    head: head(&request),
                    body: request.body().to_vec(),
                    consumed: before + received.consumed,
                    upgrade,
                };
                assert_done(&mut handshake);
                return outcome;
            }
            Err(error) => {
                assert_refusal(error);
                assert_done(&mut handshake);
                return Outcome::Failed(error);
            }
        }
    }
    let held = limits.head + limits.body;
    assert!(before <= held, "{before} bytes are held, beyond all limits");
    let end = handshake.handle_eof();
    assert_done(&mut handshake);
    Outcome::Waits(end)
}

/// Nothing more comes of it: no second request, no time-out.
fn assert_done(handshake: &mut ServerHandshake) {
    assert_eq!(handshake.poll_timeout(), None);
    assert_eq!(
        handshake.handle_timeout(Time::from_micros(u64::MAX)),
        Ok(())
    );
    let second = handshake.handle_input(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(matches!(second, Ok(None)));
}

fn head(request: &Request<'_>) -> Head {
    Head {
        method: request.method().into(),
        target: request.target().into(),
        fields: request
            .fields()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
    }
}

/// Asks a request all that can be asked.
fn look_at(request: &Request<'_>) -> Result<(), HandshakeError> {
    assert!(request.path().len() <= request.target().len().max(1));
    let _ = (
        request.query(),
        request.host(),
        request.origin(),
        request.body_length(),
    );
    let _ = (
        request.cookie("a"),
        request.text("Cookie"),
        format!("{request:?}"),
    );
    let offered: Vec<&str> = request.subprotocols().collect();
    let upgrade = match request.upgrade() {
        Ok(upgrade) => upgrade,
        Err(error) => {
            assert_refusal(error);
            return Err(error);
        }
    };
    assert!(request.is_upgrade());
    let mut accept = Accept::new();
    if let Some(first) = offered.first() {
        accept = accept.subprotocol(first).expect("a token");
    }
    let response = upgrade.response(&accept).expect("offered");
    assert_eq!(response.status(), 101);
    assert_well_formed(&response);
    Ok(())
}

fn assert_refusal(error: HandshakeError) {
    let response = error.response();
    assert_eq!(response.status(), error.status());
    assert!(matches!(response.status(), 400..=499 | 505), "{error:?}");
    assert_well_formed(&response);
}

/// One status line, fields without line breaks, one empty line, the body.
fn assert_well_formed(response: &Response) {
    let mut encoded = Vec::new();
    response.encode(&mut encoded);
    let text = String::from_utf8(encoded).expect("our own text, and tokens");
    let (head, body) = text.split_once("\r\n\r\n").expect("the end of the head");
    assert!(body.as_bytes() == response.content());
    let mut lines = head.split("\r\n");
    let status = format!("HTTP/1.1 {} ", response.status());
    assert!(lines.next().is_some_and(|line| line.starts_with(&status)));
    for line in lines {
        assert!(line.contains(": "), "{line}");
        assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
    }
}

//! RFC 6455 §4.1: what a client sends, and which answers it takes.

use super::*;
use InvalidResponse as I;
use alloc::{format, string::ToString};

/// The server's answer to [`EXAMPLE`] in RFC 6455 §1.2.
const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    Sec-WebSocket-Protocol: chat\r\n\r\n";

fn request() -> ClientRequest {
    let url = Url::parse("ws://server.example.com/chat").unwrap();
    let request = ClientRequest::new(&url)
        .origin("http://example.com")
        .unwrap();
    request
        .subprotocol("chat")
        .unwrap()
        .subprotocol("superchat")
        .unwrap()
}

fn client(limits: HttpLimits) -> ClientHandshake {
    ClientHandshake::new(&request(), NONCE, limits, DEADLINE)
}

/// What comes of an answer given in pieces, and then perhaps the end of the input.
fn receive<'a>(
    limits: HttpLimits,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Opened, usize), ConnectError> {
    let mut client = client(limits);
    let mut given = 0;
    for piece in pieces {
        match client.handle_input(piece)? {
            Some(opened) => {
                let end = given + opened.consumed;
                return Ok((opened, end));
            }
            None => given += piece.len(),
        }
    }
    Err(client.handle_eof())
}

/// The outcome, which is the same whole and byte by byte.
fn decide(input: &[u8]) -> Result<Option<String>, ConnectError> {
    let outcome = |result: Result<(Opened, usize), ConnectError>| {
        result.map(|(opened, end)| {
            assert_eq!(end, input.len());
            opened.subprotocol.map(String::from)
        })
    };
    let whole = outcome(receive(HttpLimits::default(), [input]));
    let dripped = outcome(receive(HttpLimits::default(), input.chunks(1)));
    assert_eq!(whole, dripped, "{}", input.escape_ascii());
    whole
}

fn answer(part: &str, replacement: &str) -> String {
    assert_eq!(ANSWER.matches(part).count(), 1, "{part}");
    ANSWER.replace(part, replacement)
}

fn rejection(input: &str) -> Response {
    match decide(input.as_bytes()) {
        Err(ConnectError::Rejected(response)) => response,
        other => panic!("{input}: {other:?}"),
    }
}

#[test]
fn the_request_is_one_that_a_server_accepts() {
    let client = client(HttpLimits::default());
    let wire = client.poll_transmit().unwrap();
    let parsed = Request::parse(wire, &HttpLimits::default()).unwrap();
    assert_eq!((parsed.method(), parsed.target()), ("GET", "/chat"));
    assert_eq!(
        parsed.field("Sec-WebSocket-Key"),
        Some(&b"dGhlIHNhbXBsZSBub25jZQ=="[..])
    );
    assert_eq!(parsed.origin(), Some("http://example.com"));
    assert_eq!(
        parsed.subprotocols().collect::<Vec<_>>(),
        ["chat", "superchat"]
    );
    assert_eq!(parsed.field("Sec-WebSocket-Extensions"), None);
    let accept = Accept::new().subprotocol("chat").unwrap();
    let response = encode(&parsed.upgrade().unwrap().response(&accept).unwrap());
    assert_eq!(decide(&response), Ok(Some("chat".into())));
}

#[test]
fn host_and_target_come_from_the_url() {
    let matrix = [
        ("ws://a", "a", "/"),
        ("ws://a:80/b?c", "a", "/b?c"),
        ("ws://a:443/", "a:443", "/"),
        ("wss://a:443?b", "a", "/?b"),
        ("wss://A.b:80/", "A.b:80", "/"),
        ("ws://127.0.0.1:9001", "127.0.0.1:9001", "/"),
        ("ws://[0::1]:9001", "[::1]:9001", "/"),
    ];
    for (url, host, target) in matrix {
        let request = ClientRequest::new(&Url::parse(url).unwrap());
        let client = ClientHandshake::new(&request, NONCE, HttpLimits::default(), DEADLINE);
        let parsed =
            Request::parse(client.poll_transmit().unwrap(), &HttpLimits::default()).unwrap();
        assert_eq!(
            (parsed.host(), parsed.target()),
            (Some(host), target),
            "{url}"
        );
        assert!(parsed.upgrade().is_ok());
    }
}

#[test]
fn there_is_one_origin() {
    let request = request().origin("http://other.example").unwrap();
    let client = ClientHandshake::new(&request, NONCE, HttpLimits::default(), DEADLINE);
    let parsed = Request::parse(client.poll_transmit().unwrap(), &HttpLimits::default()).unwrap();
    assert_eq!(
        parsed.values("Origin").collect::<Vec<_>>(),
        [b"http://other.example"]
    );
}

#[test]
fn the_request_is_sent_in_any_number_of_writes() {
    let mut client = client(HttpLimits::default());
    let whole = client.poll_transmit().unwrap().to_vec();
    let mut sent = Vec::new();
    while let Some(bytes) = client.poll_transmit() {
        let part = bytes[..bytes.len().min(7)].to_vec();
        client.handle_transmitted(part.len());
        sent.extend(part);
    }
    assert_eq!(sent, whole);
    client.handle_transmitted(1);
    assert_eq!(client.poll_transmit(), None);
}

#[test]
#[rustfmt::skip] // one row for each case
fn answers_that_open_the_connection() {
    let matrix = [
        ("as it is", ANSWER.to_string(), Some("chat")),
        ("other case", ANSWER.replace("websocket", "WebSocket").replace("Connection: Upgrade", "connection: upgrade"), Some("chat")),
        ("no reason", answer(" Switching Protocols", " "), Some("chat")),
        ("other reason", answer("Switching Protocols", "Web Socket"), Some("chat")),
        ("Connection as a list", answer(": Upgrade", ": keep-alive, Upgrade"), Some("chat")),
        ("other subprotocol", answer("Protocol: chat", "Protocol: superchat"), Some("superchat")),
        ("no subprotocol", answer("Sec-WebSocket-Protocol: chat\r\n", ""), None),
        ("interim responses first", format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{ANSWER}"), Some("chat")),
    ];
    for (name, answer, subprotocol) in matrix {
        assert_eq!(
            decide(answer.as_bytes()),
            Ok(subprotocol.map(String::from)),
            "{name}"
        );
    }
}

#[test]
#[rustfmt::skip] // one row for each case
fn answers_that_do_not() {
    const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    let and = |field: &str| answer("chat\r\n\r\n", &format!("chat\r\n{field}\r\n\r\n"));
    let matrix = [
        ("SSH", "SSH-2.0-OpenSSH_9.2\r\n".into(), I::NotHttp),
        ("one wrong byte", "X".into(), I::NotHttp),
        ("HTTP/1.0", answer("HTTP/1.1", "HTTP/1.0"), I::NotHttp),
        ("HTTP/2", answer("HTTP/1.1", "HTTP/2.0"), I::NotHttp),
        ("second head is none", format!("HTTP/1.1 100 Continue\r\n\r\n\r\n{ANSWER}"), I::NotHttp),
        ("status of two digits", answer("101", "10"), I::StatusLine),
        ("status of four digits", answer("101", "1010"), I::StatusLine),
        ("NUL in the reason", answer("Switching", "Swi\0ching"), I::StatusLine),
        ("bare LF", answer("websocket\r\n", "websocket\n"), I::Field),
        ("bare LF at the end", answer("chat\r\n\r\n", "chat\r\n\n"), I::Field),
        ("obs-fold", answer(": Upgrade", ":\r\n Upgrade"), I::Field),
        ("space before a colon", answer("Upgrade: w", "Upgrade : w"), I::Field),
        ("NUL in a value", and("X: \0"), I::Field),
        ("no Upgrade", answer("Upgrade: websocket\r\n", ""), I::Upgrade),
        ("other Upgrade", answer("websocket", "h2c"), I::Upgrade),
        ("Upgrade as a list", answer("websocket", "h2c, websocket"), I::Upgrade),
        ("Upgrade twice", and("Upgrade: websocket"), I::Upgrade),
        ("no Connection", answer("Connection: Upgrade\r\n", ""), I::Connection),
        ("other Connection", answer(": Upgrade", ": keep-alive"), I::Connection),
        ("no accept", answer(ACCEPT, ""), I::Accept),
        ("accept of another", answer("s3pP", "S3pP"), I::Accept),
        ("accept cut short", answer("xOo=", "xOo"), I::Accept),
        ("accept twice", and(ACCEPT.trim_end()), I::Accept),
        ("subprotocol not offered", answer("Protocol: chat", "Protocol: other"), I::Subprotocol),
        ("subprotocol in other case", answer("Protocol: chat", "Protocol: Chat"), I::Subprotocol),
        ("two subprotocols", answer("Protocol: chat", "Protocol: chat, superchat"), I::Subprotocol),
        ("subprotocol twice", and("Sec-WebSocket-Protocol: chat"), I::Subprotocol),
        ("empty subprotocol", answer("Protocol: chat", "Protocol:"), I::Subprotocol),
        ("an extension", and("Sec-WebSocket-Extensions: permessage-deflate"), I::Extension),
        ("an empty extension", and("Sec-WebSocket-Extensions:"), I::Extension),
    ];
    for (name, answer, invalid) in matrix {
        assert_eq!(
            decide(answer.as_bytes()),
            Err(ConnectError::InvalidResponse(invalid)),
            "{name}"
        );
    }
}

#[test]
fn a_subprotocol_that_nobody_offered() {
    let request = ClientRequest::new(&Url::parse("ws://a").unwrap());
    let mut client = ClientHandshake::new(&request, NONCE, HttpLimits::default(), DEADLINE);
    let error = client.handle_input(ANSWER.as_bytes()).unwrap_err();
    assert_eq!(error, ConnectError::InvalidResponse(I::Subprotocol));
}

#[test]
fn what_follows_the_answer_is_left_to_the_connection() {
    let input = format!("{ANSWER}\u{1}\u{1}x");
    for size in [1, 7, input.len()] {
        let (_, end) = receive(HttpLimits::default(), input.as_bytes().chunks(size)).unwrap();
        assert_eq!(end, ANSWER.len());
    }
}

#[test]
fn a_refusal_is_reported_with_status_fields_and_body() {
    let bodies = [
        ("Content-Length: 5", "hello"),
        ("Content-Length: 5", "hello, and more"),
        ("Content-Length: 9", "hello"),
        ("Content-Length: x", "hello"),
        ("X: y", "hello"),
        ("Transfer-Encoding: gzip", "hello"),
        ("Transfer-Encoding: Chunked", "5\r\nhello\r\n0\r\n\r\n"),
        (
            "Transfer-Encoding: chunked",
            "2;a=b\r\nhe\r\n0003\r\nllo\r\n0;x\r\n\r\n",
        ),
        (
            "Transfer-Encoding: chunked",
            "5 \r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 2",
            "5\r\nhello\r\n",
        ),
        (
            "Transfer-Encoding: chunked",
            "5\r\nhello\r\nffffffffffffffff\r\nx",
        ),
        ("Transfer-Encoding: chunked", "5\r\nhellox"),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\nx\r\n"),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n\r\n"),
    ];
    for (field, body) in bodies {
        let response = rejection(&format!(
            "HTTP/1.1 403 Forbidden\r\nX-Why: because\r\n{field}\r\n\r\n{body}"
        ));
        assert_eq!((response.status(), response.reason()), (403, "Forbidden"));
        assert_eq!(response.value("x-why"), Some(&b"because"[..]));
        assert_eq!(response.content(), &b"hello"[..], "{field}: {body}");
    }
}

#[test]
fn a_refusal_ends_with_its_body() {
    let inputs = [
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n",
    ];
    for input in inputs {
        let mut client = client(HttpLimits::default());
        let (last, first) = input.as_bytes().split_last().unwrap();
        assert!(client.handle_input(first).unwrap().is_none(), "{input}");
        let error = client.handle_input(&[*last]).unwrap_err();
        assert!(matches!(error, ConnectError::Rejected(_)), "{input}");
        assert_eq!(client.poll_timeout(), None);
    }
}

#[test]
fn redirects_and_pages_are_refusals() {
    let redirect = rejection(
        "HTTP/1.1 301 Moved Permanently\r\nLocation: wss://b/\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(redirect.value("Location"), Some(&b"wss://b/"[..]));
    assert_eq!(
        rejection("HTTP/1.0 200 OK\r\n\r\n<html>").content(),
        &b"<html>"[..]
    );
    assert_eq!(rejection("HTTP/1.1 426\r\n\r\n").reason(), "");
    // A body that is none of ours still is the answer of a server.
    assert_eq!(rejection("HTTP/1.1 999 Denied\r\n\r\n").status(), 999);
}

#[test]
fn a_long_body_is_cut_and_not_waited_for() {
    let limits = HttpLimits {
        body: 8,
        ..HttpLimits::default()
    };
    for framing in [
        "Content-Length: 1000000",
        "X: until the end",
        "Transfer-Encoding: chunked",
    ] {
        let chunk = if framing.starts_with('T') {
            "F4240\r\n"
        } else {
            ""
        };
        let input = format!("HTTP/1.1 500 Oops\r\n{framing}\r\n\r\n{chunk}01234567");
        for size in [1, input.len()] {
            let mut client = client(limits);
            let results: Vec<_> = input
                .as_bytes()
                .chunks(size)
                .map(|piece| client.handle_input(piece))
                .collect();
            let Some(Err(ConnectError::Rejected(response))) = results.into_iter().next_back()
            else {
                panic!("{framing}: the last byte within the limit decides");
            };
            assert_eq!(response.content(), &b"01234567"[..]);
        }
    }
}

#[test]
fn a_silent_server() {
    let mut silent = client(HttpLimits::default());
    assert_eq!(silent.poll_timeout(), Some(DEADLINE));
    assert_eq!(silent.handle_timeout(Time::from_micros(1)), Ok(()));
    assert_eq!(silent.handle_timeout(DEADLINE), Err(ConnectError::TimedOut));
    assert_eq!(silent.handle_timeout(DEADLINE), Ok(()));
    assert!(silent.handle_input(ANSWER.as_bytes()).unwrap().is_none());
    assert_eq!(
        client(HttpLimits::default()).handle_eof(),
        ConnectError::Eof
    );
    assert_eq!(decide(&ANSWER.as_bytes()[..40]), Err(ConnectError::Eof));
}

#[test]
fn a_refusal_without_its_reasons_is_a_refusal() {
    let mut client = client(HttpLimits::default());
    let input = b"HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\npartly";
    assert!(client.handle_input(input).unwrap().is_none());
    let Err(ConnectError::Rejected(response)) = client.handle_timeout(DEADLINE) else {
        panic!("the status is known");
    };
    assert_eq!(
        (response.status(), &response.content()[..]),
        (503, &b"partly"[..])
    );
}

#[test]
fn errors_say_what_was_wrong_in_one_clear_sentence() {
    let shown = |input: &str| decide(input.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        shown("HTTP/1.1 403 Forbidden\r\n\r\n"),
        "the server answered 403 Forbidden"
    );
    assert_eq!(shown("HTTP/1.1 403\r\n\r\n"), "the server answered 403");
    assert_eq!(shown("SSH-2.0"), "the server's answer is not HTTP/1.1");
    assert_eq!(
        shown(""),
        "the server closed the connection before it answered"
    );
}

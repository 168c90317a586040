//! RFC 6455 §4.2: what a server accepts, and how it answers.

use super::*;
use HandshakeError as E;
use alloc::format;

#[test]
fn the_example_of_the_rfc_is_accepted() {
    let request = Request::parse(EXAMPLE.as_bytes(), &HttpLimits::default()).unwrap();
    let accept = Accept::new().subprotocol("chat").unwrap();
    let response = request.upgrade().unwrap().response(&accept).unwrap();
    assert_eq!(
        encode(&response).escape_ascii().to_string(),
        b"HTTP/1.1 101 Switching Protocols\r\n\
          Upgrade: websocket\r\n\
          Connection: Upgrade\r\n\
          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
          Sec-WebSocket-Protocol: chat\r\n\r\n"
            .escape_ascii()
            .to_string()
    );
}

/// T6: every request has one right answer.
#[test]
#[rustfmt::skip] // one row for each case
fn malformed_and_borderline_upgrades() {
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";
    let ok = Ok(());
    let matrix: &[(&str, String, Result<(), E>)] = &[
        // The request line.
        ("as it is", EXAMPLE.into(), ok),
        ("query", example("/chat", "/chat?a=b&c"), ok),
        ("absolute target", example("/chat", "http://server.example.com/chat"), ok),
        ("absolute target, other case", example("/chat", "HTTP://Server.Example.com"), ok),
        ("absolute target, ws", example("/chat", "ws://server.example.com/chat"), ok),
        ("absolute target, other host", example("/chat", "http://evil.example/chat"), Err(E::Target)),
        ("absolute target, other scheme", example("/chat", "ftp://server.example.com/"), Err(E::Target)),
        ("authority as target", example("/chat", "server.example.com:80"), Err(E::Target)),
        ("asterisk as target", example("/chat", "*"), Err(E::Target)),
        ("no slash", example("/chat", "chat"), Err(E::Target)),
        ("fragment", example("/chat", "/chat#x"), Err(E::Target)),
        ("target outside ASCII", example("/chat", "/ch\u{e4}t"), Err(E::Target)),
        ("no target", example("/chat ", ""), Err(E::RequestLine)),
        ("two spaces", example("/chat ", "/chat  "), Err(E::RequestLine)),
        ("tab for space", example("GET ", "GET\t"), Err(E::RequestLine)),
        ("NUL in target", example("/chat", "/ch\0t"), Err(E::RequestLine)),
        ("more after the version", example("HTTP/1.1", "HTTP/1.1 HTTP/2.0"), Err(E::RequestLine)),
        ("more after another version", example("HTTP/1.1", "HTTP/2.0 x"), Err(E::RequestLine)),
        ("space after the version", example("HTTP/1.1", "HTTP/1.1 "), Err(E::RequestLine)),
        ("empty line first", format!("\r\n{EXAMPLE}"), ok),
        ("POST", example("GET", "POST"), Err(E::Method)),
        ("HEAD", example("GET", "HEAD"), Err(E::Method)),
        ("method in lower case", example("GET", "get"), Err(E::Method)),
        ("HTTP/1.0", example("HTTP/1.1", "HTTP/1.0"), Err(E::HttpVersion)),
        ("HTTP/2.0", example("HTTP/1.1", "HTTP/2.0"), Err(E::HttpVersion)),
        ("HTTP/1.2", example("HTTP/1.1", "HTTP/1.2"), Err(E::HttpVersion)),
        ("http/1.1", example("HTTP/1.1", "http/1.1"), Err(E::RequestLine)),
        ("HTTP/11", example("HTTP/1.1", "HTTP/11"), Err(E::RequestLine)),
        ("HTTP/0.9", "GET /chat\r\n\r\n".into(), Err(E::RequestLine)),
        // Lines.
        ("bare LF after request line", example("1.1\r\n", "1.1\n"), Err(E::BareLineFeed)),
        ("bare LF after a field", example("websocket\r\n", "websocket\n"), Err(E::BareLineFeed)),
        ("bare LF at the end", example("13\r\n\r\n", "13\r\n\n"), Err(E::BareLineFeed)),
        ("bare LFs at the end", example("13\r\n\r\n", "13\n\n"), Err(E::BareLineFeed)),
        ("bare CR in a value", example("websocket\r\n", "websocket\rx\r\n"), Err(E::Field)),
        ("CR twice", example("websocket\r\n", "websocket\r\r\n"), Err(E::Field)),
        ("obs-fold", example("Connection: Upgrade", "Connection:\r\n Upgrade"), Err(E::Field)),
        ("space before the first field", example("Host", " Host"), Err(E::Field)),
        ("space before the colon", example("Upgrade: websocket", "Upgrade : websocket"), Err(E::Field)),
        ("no colon", example_and("X"), Err(E::Field)),
        ("no name", example_and(": x"), Err(E::Field)),
        ("name with a NUL", example_and("X\0: x"), Err(E::Field)),
        ("value with a NUL", example_and("X: a\0b"), Err(E::Field)),
        ("value with a DEL", example_and("X: a\x7fb"), Err(E::Field)),
        ("value outside ASCII", example_and("X: \u{e4}"), ok),
        ("empty value", example_and("X:"), ok),
        // Host.
        ("no Host", example("Host: server.example.com\r\n", ""), Err(E::Host)),
        ("Host twice", example_and("Host: server.example.com"), Err(E::Host)),
        ("empty Host", example("server.example.com", ""), Err(E::Host)),
        ("Host with a port", example("server.example.com", "server.example.com:8080"), ok),
        ("Host with an empty port", example("server.example.com", "server.example.com:"), ok),
        ("Host with a port too large", example("server.example.com", "a:65536"), Err(E::Host)),
        ("Host with a signed port", example("server.example.com", "a:+80"), Err(E::Host)),
        ("Host with two ports", example("server.example.com", "a:80:80"), Err(E::Host)),
        ("Host IPv4", example("server.example.com", "127.0.0.1:1"), ok),
        ("Host IPv4 in short", example("server.example.com", "127.1"), Err(E::Host)),
        ("Host IPv4 beyond 255", example("server.example.com", "256.0.0.1"), Err(E::Host)),
        ("Host IPv6", example("server.example.com", "[::1]:9001"), ok),
        ("Host [::", example("server.example.com", "[::"), Err(E::Host)),
        ("Host []", example("server.example.com", "[]"), Err(E::Host)),
        ("Host [::1]x", example("server.example.com", "[::1]x"), Err(E::Host)),
        ("Host ::1", example("server.example.com", "::1"), Err(E::Host)),
        ("Host %00", example("server.example.com", "%00"), Err(E::Host)),
        ("Host with a slash", example("server.example.com", "a/b"), Err(E::Host)),
        ("Host with a user", example("server.example.com", "a@b"), Err(E::Host)),
        ("Host with a comma", example("server.example.com", "a, b"), Err(E::Host)),
        ("Host outside ASCII", example("server.example.com", "\u{e4}"), Err(E::Host)),
        // Upgrade and Connection.
        ("no Upgrade", example("Upgrade: websocket\r\n", ""), Err(E::NotUpgrade)),
        ("Upgrade in capitals", example("websocket\r\n", "WebSocket\r\n"), ok),
        ("Upgrade among others", example("websocket\r\n", "h2c, websocket,\r\n"), ok),
        ("Upgrade on two lines", example_and("Upgrade: h2c"), ok),
        ("other Upgrade", example("websocket\r\n", "h2c\r\n"), Err(E::NotUpgrade)),
        ("Upgrade with a version", example("websocket\r\n", "websocket/13\r\n"), Err(E::NotUpgrade)),
        ("Upgrade longer than the token", example("websocket\r\n", "websockets\r\n"), Err(E::NotUpgrade)),
        ("Upgrade in quotes", example("websocket\r\n", "\"websocket\"\r\n"), Err(E::NotUpgrade)),
        ("no Connection", example("Connection: Upgrade\r\n", ""), Err(E::Connection)),
        ("Connection of Firefox", example("Connection: Upgrade", "Connection: keep-alive, Upgrade"), ok),
        ("Connection in lower case", example("Connection: Upgrade", "connection:upgrade"), ok),
        ("Connection on two lines", example("Connection: Upgrade", "Connection: a\r\nConnection: upgrade"), ok),
        ("other Connection", example("Connection: Upgrade", "Connection: keep-alive"), Err(E::Connection)),
        ("Connection with Upgrade in a word", example("Connection: Upgrade", "Connection: xupgrade"), Err(E::Connection)),
        ("Connection without a comma", example("Connection: Upgrade", "Connection: a upgrade"), Err(E::Connection)),
        // Version.
        ("no version", example(VERSION, ""), Err(E::Version)),
        ("version 8", example(": 13", ": 8"), Err(E::Version)),
        ("version 14", example(": 13", ": 14"), Err(E::Version)),
        ("version 013", example(": 13", ": 013"), Err(E::Version)),
        ("version 13, 8", example(": 13", ": 13, 8"), Err(E::Version)),
        ("empty version", example(": 13", ":"), Err(E::Version)),
        ("version 13 in spaces", example(": 13", ":\t 13 \t"), ok),
        ("version twice", example_and("Sec-WebSocket-Version: 13"), Err(E::DuplicateVersion)),
        // Key.
        ("no key", example(KEY, ""), Err(E::Key)),
        ("empty key", example("dGhlIHNhbXBsZSBub25jZQ==", ""), Err(E::Key)),
        ("key twice", example_and("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), Err(E::Key)),
        ("key of 13 bytes", example("dGhlIHNhbXBsZSBub25jZQ==", "SGVsbG8sIHdvcmxkIQ=="), Err(E::Key)),
        ("key of 15 bytes", example("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"), Err(E::Key)),
        ("key of 17 bytes", example("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZTE="), Err(E::Key)),
        ("key of 18 bytes", example("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZTEy"), Err(E::Key)),
        ("key without padding", example("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ"), Err(E::Key)),
        ("key with a dash", example("dGhlIHNhbXBsZSBub25jZQ==", "-GhlIHNhbXBsZSBub25jZQ=="), Err(E::Key)),
        ("key with = within", example("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZ==="), Err(E::Key)),
        ("key with digits, + and /", example("dGhlIHNhbXBsZSBub25jZQ==", "+/0123456789abcdefABCQ=="), ok),
        // Framing.
        ("Content-Length", example_and("Content-Length: 5"), Err(E::UpgradeBody)),
        ("Content-Length 0", example_and("Content-Length: 0"), Err(E::UpgradeBody)),
        ("Transfer-Encoding", example_and("Transfer-Encoding: chunked"), Err(E::UpgradeBody)),
        ("both", example_and("Content-Length: 5\r\nTransfer-Encoding: chunked"), Err(E::UpgradeBody)),
        // The rest.
        ("no Origin", example("Origin: http://example.com\r\n", ""), ok),
        ("Origin twice", example_and("Origin: http://example.com"), Err(E::DuplicateOrigin)),
        ("no subprotocol", example("Sec-WebSocket-Protocol: chat, superchat\r\n", ""), ok),
        ("subprotocols on two lines", example_and("Sec-WebSocket-Protocol: third"), ok),
        ("subprotocol with a space", example("chat, superchat", "chat superchat"), Err(E::Subprotocol)),
        ("subprotocol with a slash", example("chat, superchat", "a/b"), Err(E::Subprotocol)),
        ("subprotocols with empty ones", example("chat, superchat", ",, chat ,"), ok),
        ("an extension", example_and("Sec-WebSocket-Extensions: permessage-deflate"), ok),
        ("constructor as an extension", example_and("Sec-WebSocket-Extensions: constructor"), ok),
        ("plain HTTP", "GET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), Err(E::NotUpgrade)),
        ("TLS", "\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n".into(), Err(E::NotHttp)),
    ];
    for (name, request, answer) in matrix {
        assert_eq!(decide(request.as_bytes()), *answer, "{name}");
    }
}

#[test]
fn every_error_has_an_answer_that_ends_the_connection() {
    let matrix = [
        (E::NotHttp, 400),
        (E::BareLineFeed, 400),
        (E::RequestLine, 400),
        (E::LineTooLong, 414),
        (E::HttpVersion, 505),
        (E::Target, 400),
        (E::Field, 400),
        (E::TooManyFields, 431),
        (E::HeadTooLong, 431),
        (E::Host, 400),
        (E::ContentLength, 400),
        (E::LengthRequired, 411),
        (E::BodyTooLong, 413),
        (E::Expectation, 417),
        (E::NotUpgrade, 426),
        (E::Method, 405),
        (E::UpgradeBody, 400),
        (E::Connection, 400),
        (E::Version, 426),
        (E::DuplicateVersion, 400),
        (E::Key, 400),
        (E::DuplicateOrigin, 403),
        (E::Subprotocol, 400),
        (E::TimedOut, 408),
        (E::Eof, 400),
    ];
    for (error, status) in matrix {
        let response = error.response();
        assert_eq!(response.status(), status, "{error:?}");
        assert_eq!(response.content(), error.to_string().as_bytes());
        let wire = String::from_utf8(encode(&response)).unwrap();
        let length = format!("\r\nContent-Length: {}\r\n", response.content().len());
        assert!(wire.contains(&length), "{wire}");
        assert!(
            wire.contains("Connection: close\r\n")
                || wire.contains("Connection: upgrade, close\r\n")
        );
        assert!(!response.reason().is_empty());
    }
}

#[test]
fn an_answer_names_what_would_have_been_right() {
    assert_eq!(E::Method.response().value("Allow"), Some(&b"GET"[..]));
    for error in [E::Version, E::NotUpgrade] {
        let response = error.response();
        assert_eq!(response.value("Sec-WebSocket-Version"), Some(&b"13"[..]));
        assert_eq!(response.value("Upgrade"), Some(&b"websocket"[..]));
        let wire = encode(&response);
        assert!(
            String::from_utf8(wire)
                .unwrap()
                .contains("Connection: upgrade, close\r\n")
        );
    }
}

#[test]
fn only_an_offered_subprotocol_can_be_chosen() {
    let request = Request::parse(EXAMPLE.as_bytes(), &HttpLimits::default()).unwrap();
    let upgrade = request.upgrade().unwrap();
    assert_eq!(
        upgrade.subprotocols().collect::<Vec<_>>(),
        ["chat", "superchat"]
    );
    let choose = |name| upgrade.response(&Accept::new().subprotocol(name).unwrap());
    assert!(choose("superchat").is_ok());
    assert_eq!(choose("Chat"), Err(NotOffered));
    assert_eq!(choose("cha"), Err(NotOffered));
    let without = upgrade.response(&Accept::new()).unwrap();
    assert_eq!(without.value("Sec-WebSocket-Protocol"), None);
}

#[test]
fn accepting_adds_the_fields_that_were_asked_for() {
    let request = Request::parse(EXAMPLE.as_bytes(), &HttpLimits::default()).unwrap();
    let accept = Accept::new()
        .field("Set-Cookie", "a=b")
        .unwrap()
        .field("Set-Cookie", "c=d")
        .unwrap();
    let response = request.upgrade().unwrap().response(&accept).unwrap();
    assert_eq!(
        response.values("set-cookie").collect::<Vec<_>>(),
        [b"a=b", b"c=d"]
    );
}

/// RFC 8441 §5.1 and what it leaves of RFC 6455.
#[test]
fn extended_connect_over_http_2() {
    let parts = |method, version| {
        let fields = [
            ("sec-websocket-protocol", b"chat, superchat".as_slice()),
            ("sec-websocket-version", version),
            ("origin", b"http://www.example.com"),
        ];
        Request::from_parts(method, "/chat", fields)
    };
    let upgrade = parts("CONNECT", b"13")
        .extended_connect("websocket")
        .unwrap();
    let response = upgrade
        .response(&Accept::new().subprotocol("chat").unwrap())
        .unwrap();
    assert_eq!(response.status(), 200);
    let fields = [("Sec-WebSocket-Protocol", b"chat".as_slice())];
    assert_eq!(response.fields().collect::<Vec<_>>(), fields);

    let refused = |request: Request<'_>, protocol| request.extended_connect(protocol).unwrap_err();
    assert_eq!(
        refused(parts("CONNECT", b"13"), "connect-udp"),
        E::NotUpgrade
    );
    assert_eq!(refused(parts("GET", b"13"), "websocket"), E::Method);
    assert_eq!(refused(parts("CONNECT", b"8"), "websocket"), E::Version);
}

#[test]
fn a_request_that_another_stack_has_parsed() {
    let parse = Request::parse(EXAMPLE.as_bytes(), &HttpLimits::default()).unwrap();
    let request = Request::from_parts("GET", "/chat", parse.fields());
    let response = request.upgrade().unwrap().response(&Accept::new()).unwrap();
    assert_eq!(
        response.value("sec-websocket-accept"),
        Some(&b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="[..])
    );
}

#[test]
fn a_whole_request_is_neither_copied_nor_followed_by_another() {
    let mut input = EXAMPLE.as_bytes().to_vec();
    input.extend_from_slice(b"\x81\x85");
    let mut server = server(HttpLimits::default());
    let received = server.handle_input(&input).unwrap().unwrap();
    assert_eq!(received.consumed, EXAMPLE.len());
    assert_eq!(received.request.method().as_ptr(), input.as_ptr());
    assert!(server.handle_input(EXAMPLE.as_bytes()).unwrap().is_none());
    assert_eq!(server.poll_timeout(), None);
}

/// T4: of what is pipelined nothing is kept and nothing is parsed.
#[test]
fn pipelined_requests_are_left_to_be_discarded() {
    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let input = GET.repeat(1000);
    let mut server = server(HttpLimits::default());
    let received = server.handle_input(input.as_bytes()).unwrap().unwrap();
    assert_eq!(received.consumed, GET.len());
    for _ in 0..10 {
        assert!(server.handle_input(input.as_bytes()).unwrap().is_none());
    }
}

#[test]
fn a_body_arrives_with_its_request() {
    let input = b"POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello, and more";
    let end = input.len() - 10;
    for size in [1, 3, 48, 60, input.len()] {
        let mut server = server(HttpLimits::default());
        let summary = receive(&mut server, input.chunks(size)).unwrap().unwrap();
        assert_eq!(summary.body, b"hello");
        assert_eq!(summary.end, end);
    }
}

#[test]
fn bodies_without_a_plain_length_are_refused() {
    let matrix: [(&str, Result<&[u8], E>); 14] = [
        ("Content-Length: 0", Ok(b"")),
        ("Content-Length: 00005", Ok(b"01234")),
        ("Content-Length:", Err(E::ContentLength)),
        ("Content-Length: +5", Err(E::ContentLength)),
        ("Content-Length: -5", Err(E::ContentLength)),
        ("Content-Length: 5, 5", Err(E::ContentLength)),
        ("Content-Length: 0x5", Err(E::ContentLength)),
        (
            "Content-Length: 99999999999999999999",
            Err(E::ContentLength),
        ),
        (
            "Content-Length: 5\r\nContent-Length: 5",
            Err(E::ContentLength),
        ),
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            Err(E::ContentLength),
        ),
        ("Transfer-Encoding: chunked", Err(E::LengthRequired)),
        ("Transfer-Encoding: identity", Err(E::LengthRequired)),
        (
            "Content-Length: 5\r\nExpect: 100-Continue",
            Err(E::Expectation),
        ),
        ("Content-Length: 0\r\nExpect: 100-continue", Ok(b"")),
    ];
    for (fields, answer) in matrix {
        let input = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0123456789");
        for size in [1, input.len()] {
            let mut server = server(HttpLimits::default());
            let body = receive(&mut server, input.as_bytes().chunks(size))
                .unwrap()
                .map(|summary| summary.body);
            assert_eq!(body.as_deref().map_err(|error| *error), answer, "{fields}");
        }
    }
}

#[test]
fn plain_http_needs_a_host_from_1_1_on() {
    let parse = |head: &str| Request::parse(head.as_bytes(), &HttpLimits::default()).map(|_| ());
    assert_eq!(parse("GET / HTTP/1.0\r\n\r\n"), Ok(()));
    assert_eq!(parse("GET / HTTP/1.1\r\n\r\n"), Err(E::Host));
    assert_eq!(
        parse("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"),
        Err(E::Host)
    );
    assert_eq!(parse("GET / HTTP/1.0\r\nHost: a/b\r\n\r\n"), Err(E::Host));
    assert_eq!(parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(()));
    assert_eq!(
        parse("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"),
        Err(E::Target)
    );
    assert_eq!(parse("GET / HTTP/1.0\r\n"), Err(E::Eof));
    assert_eq!(parse("GET / HTTP/1.0\r\n\r\nx"), Err(E::Field));
}

/// T5.
#[test]
fn the_deadline_is_absolute() {
    let mut server = server(HttpLimits::default());
    for byte in EXAMPLE.as_bytes()[..100].chunks(1) {
        assert!(server.handle_input(byte).unwrap().is_none());
        assert_eq!(server.poll_timeout(), Some(DEADLINE));
    }
    assert_eq!(server.handle_timeout(Time::from_micros(9_999_999)), Ok(()));
    assert_eq!(server.handle_timeout(DEADLINE), Err(E::TimedOut));
    assert_eq!(server.poll_timeout(), None);
    assert_eq!(server.handle_timeout(DEADLINE), Ok(()));
    assert!(
        server
            .handle_input(&EXAMPLE.as_bytes()[100..])
            .unwrap()
            .is_none()
    );
}

#[test]
fn the_end_of_the_input_is_an_error_within_a_request_only() {
    assert_eq!(server(HttpLimits::default()).handle_eof(), Ok(()));
    let mut begun = server(HttpLimits::default());
    assert!(begun.handle_input(b"G").unwrap().is_none());
    assert_eq!(begun.handle_eof(), Err(E::Eof));
    let mut done = server(HttpLimits::default());
    assert!(done.handle_input(EXAMPLE.as_bytes()).unwrap().is_some());
    assert_eq!(done.handle_eof(), Ok(()));
}

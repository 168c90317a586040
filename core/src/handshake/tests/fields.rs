//! T7: nothing that is sent can be read as something else.

use super::*;
use alloc::{format, string::ToString, vec};
use proptest::{collection, prelude::*};

const GENEROUS: HttpLimits = HttpLimits {
    line: 1 << 20,
    fields: 1000,
    head: 1 << 20,
    body: 1 << 20,
};

type Sent = Vec<(String, Vec<u8>)>;

/// Names and values, most of them such as can be sent.
fn fields() -> impl Strategy<Value = Sent> {
    let name = prop_oneof![4 => "x-[!#$%&'*+.^_`|~0-9A-Za-z-]{0,8}", 1 => "[ -~\\r\\n\\x00]{0,6}"];
    let value = prop_oneof![
        4 => collection::vec(prop_oneof![b' '..=b'~', Just(b'\t'), 0x80..=0xff_u8], 0..12),
        1 => any::<Vec<u8>>(),
    ];
    collection::vec((name, value), 0..8)
}

fn parse_response(wire: &[u8]) -> (u16, Sent) {
    let mut fields = [httparse::EMPTY_HEADER; 1000];
    let mut parsed = httparse::Response::new(&mut fields);
    let end = parsed.parse(wire).unwrap().unwrap();
    let fields = parsed
        .headers
        .iter()
        .map(|field| (field.name.into(), field.value.into()))
        .collect();
    assert_eq!(&wire[end - 4..end], b"\r\n\r\n");
    (parsed.code.unwrap(), fields)
}

/// `expected` are the fields that the handshake adds by itself: all others, in order, are `sent`.
fn without(all: Sent, expected: &[&str]) -> Sent {
    let is_expected = |name: &str| {
        expected
            .iter()
            .any(|other| other.eq_ignore_ascii_case(name))
    };
    assert_eq!(
        all.iter().filter(|(name, _)| is_expected(name)).count(),
        expected.len()
    );
    all.into_iter()
        .filter(|(name, _)| !is_expected(name))
        .collect()
}

proptest! {
    #[test]
    fn a_response_reads_back_as_exactly_what_was_set(
        status in 200..600_u16,
        fields in fields(),
        body in any::<Vec<u8>>(),
    ) {
        let mut response = Response::new(status);
        let mut sent = vec![];
        for (name, value) in fields {
            if let Ok(more) = response.clone().field(&name, &value) {
                response = more;
                sent.push((name, value));
            }
        }
        response = response.body("text/x", body.clone()).unwrap();
        sent.push(("Content-Type".into(), b"text/x".to_vec()));
        let own: Sent = response.fields().map(|(name, value)| (name.into(), value.into())).collect();
        prop_assert_eq!(&own, &sent);

        let wire = encode(&response);
        let (read_status, read) = parse_response(&wire);
        prop_assert_eq!(read_status, status);
        if matches!(status, 204 | 304) {
            prop_assert_eq!(without(read, &["Connection"]), sent);
            prop_assert!(wire.ends_with(b"\r\n\r\n"));
        } else {
            prop_assert_eq!(without(read, &["Connection", "Content-Length"]), sent);
            prop_assert!(wire.ends_with(&body));
        }
    }

    #[test]
    fn an_acceptance_reads_back_as_exactly_what_was_set(fields in fields()) {
        let mut accept = Accept::new();
        let mut sent = vec![];
        for (name, value) in fields {
            if let Ok(more) = accept.clone().field(&name, &value) {
                accept = more;
                sent.push((name, value));
            }
        }
        let request = Request::parse(EXAMPLE.as_bytes(), &GENEROUS).unwrap();
        let response = request.upgrade().unwrap().response(&accept).unwrap();
        let (status, read) = parse_response(&encode(&response));
        prop_assert_eq!(status, 101);
        prop_assert_eq!(without(read, &["Upgrade", "Connection", "Sec-WebSocket-Accept"]), sent);
    }

    #[test]
    fn a_request_reads_back_as_exactly_what_was_set(fields in fields(), host in "\\PC{0,8}", origin in "\\PC{0,8}") {
        let mut request = ClientRequest::new(&Url::parse("ws://a/b?c").unwrap());
        let mut sent = vec![];
        for (name, value) in fields {
            if let Ok(more) = request.clone().field(&name, &value) {
                request = more;
                sent.push((name, value));
            }
        }
        let mut expected_host = "a";
        if let Ok(more) = request.clone().host(&host) {
            request = more;
            expected_host = &host;
        }
        if let Ok(more) = request.clone().origin(&origin) {
            request = more;
            sent.push(("Origin".into(), origin.clone().into_bytes()));
        }
        let client = ClientHandshake::new(&request, NONCE, GENEROUS, DEADLINE);
        let wire = client.poll_transmit().unwrap();
        let parsed = Request::parse(wire, &GENEROUS).unwrap();
        prop_assert_eq!((parsed.method(), parsed.target()), ("GET", "/b?c"));
        prop_assert_eq!(parsed.host(), Some(expected_host));
        let own = ["Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"];
        let read = parsed.fields().map(|(name, value)| (name.into(), value.into())).collect();
        prop_assert_eq!(without(read, &own), sent);
    }

    #[test]
    fn a_subprotocol_is_a_token(name in "[ -~\\r\\n\\x00\u{e4}]{0,6}") {
        let is_token = !name.is_empty() && name.bytes().all(|byte| {
            byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte)
        });
        prop_assert_eq!(Accept::new().subprotocol(&name).is_ok(), is_token);
        let request = ClientRequest::new(&Url::parse("ws://a").unwrap());
        prop_assert_eq!(request.subprotocol(&name).is_ok(), is_token);
    }
}

#[test]
fn fields_that_split_a_message_are_refused() {
    use InvalidField as I;
    let matrix: [(&str, &[u8], Result<(), I>); 17] = [
        ("X", b"a b\tc", Ok(())),
        ("X", b"", Ok(())),
        ("X", b"\xe4", Ok(())),
        ("X", b"a\r\nY: b", Err(I::Value)),
        ("X", b"a\rb", Err(I::Value)),
        ("X", b"a\nb", Err(I::Value)),
        ("X", b"a\0b", Err(I::Value)),
        ("X", b"\x7f", Err(I::Value)),
        ("X", b"\x1b[2J", Err(I::Value)),
        ("X", b" a", Err(I::Value)),
        ("X", b"a\t", Err(I::Value)),
        ("", b"a", Err(I::Name)),
        ("X Y", b"a", Err(I::Name)),
        ("X:", b"a", Err(I::Name)),
        ("X\r\nY", b"a", Err(I::Name)),
        ("\u{e4}", b"a", Err(I::Name)),
        ("X\0", b"a", Err(I::Name)),
    ];
    for (name, value, expected) in matrix {
        let request = ClientRequest::new(&Url::parse("ws://a").unwrap());
        assert_eq!(
            Response::new(200).field(name, value).map(|_| ()),
            expected,
            "{name}"
        );
        assert_eq!(
            Accept::new().field(name, value).map(|_| ()),
            expected,
            "{name}"
        );
        assert_eq!(request.field(name, value).map(|_| ()), expected, "{name}");
    }
    assert_eq!(
        Response::new(200).body("text/html\r\nX: y", "").map(|_| ()),
        Err(I::Value)
    );
}

#[test]
fn fields_of_the_handshake_and_of_framing_are_reserved() {
    use InvalidField as I;
    let request = ClientRequest::new(&Url::parse("ws://a").unwrap());
    for name in ["Connection", "content-length", "Transfer-Encoding"] {
        assert_eq!(
            Response::new(200).field(name, "a").map(|_| ()),
            Err(I::Reserved)
        );
        assert_eq!(Accept::new().field(name, "a").map(|_| ()), Err(I::Reserved));
        assert_eq!(
            request.clone().field(name, "a").map(|_| ()),
            Err(I::Reserved)
        );
    }
    for name in [
        "Upgrade",
        "sec-websocket-accept",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
    ] {
        assert_eq!(Accept::new().field(name, "a").map(|_| ()), Err(I::Reserved));
        assert_eq!(
            request.clone().field(name, "a").map(|_| ()),
            Err(I::Reserved)
        );
    }
    assert_eq!(
        request.clone().field("host", "a").map(|_| ()),
        Err(I::Reserved)
    );
    assert_eq!(request.clone().host("a\r\nX: y").map(|_| ()), Err(I::Value));
    assert_eq!(
        request.clone().origin("a\r\nX: y").map(|_| ()),
        Err(I::Value)
    );
    let twice = request.subprotocol("a").unwrap().subprotocol("a");
    assert_eq!(twice.map(|_| ()), Err(I::Duplicate));
}

#[test]
fn a_response_is_framed_by_its_length() {
    let page = Response::html(200, "<p>");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 3\r\nConnection: close\r\n\r\n";
    assert_eq!(
        String::from_utf8(encode(&page)).unwrap(),
        format!("{head}<p>")
    );
    let mut only_head = Vec::new();
    page.encode_head(&mut only_head);
    assert_eq!(String::from_utf8(only_head).unwrap(), head);

    let empty = encode(&Response::new(404));
    assert_eq!(
        empty,
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let none = encode(&Response::text(204, "ignored"));
    assert!(
        !String::from_utf8(none.clone())
            .unwrap()
            .contains("Content-Length")
    );
    assert!(none.ends_with(b"\r\n\r\n"));
}

#[test]
fn a_status_that_ends_nothing_becomes_500() {
    for status in [0, 99, 100, 101, 199, 600, 1000, u16::MAX] {
        assert_eq!(Response::new(status).status(), 500);
    }
    assert_eq!(Response::new(299).status(), 299);
}

#[test]
fn a_body_replaces_the_one_before() {
    let response = Response::html(200, "a").body("image/x", "b").unwrap();
    assert_eq!(
        response.values("Content-Type").collect::<Vec<_>>(),
        [b"image/x"]
    );
    assert_eq!(response.content(), &b"b"[..]);
}

#[test]
fn debug_output_hides_credentials() {
    let response = Response::new(200)
        .field("Set-Cookie", "hidden")
        .unwrap()
        .field("X", "\x09")
        .err();
    assert_eq!(response, Some(InvalidField::Value));
    let response = Response::new(200)
        .field("Set-Cookie", "hidden")
        .unwrap()
        .field("X", "seen")
        .unwrap();
    let debug = format!("{response:?}").to_string();
    assert!(
        !debug.contains("hidden") && debug.contains("seen"),
        "{debug}"
    );
}

//! From a client's offer over the wire to what both connections are made with.

use super::*;
use crate::{Config, Deflate, Extensions};
use alloc::{string::String, vec::Vec};

fn with(deflate: Deflate) -> Config {
    Config {
        deflate: Some(deflate),
        ..Config::default()
    }
}

/// The request of a client with this `Config`.
fn request(config: &Config) -> (ClientHandshake, Vec<u8>) {
    let url = Url::parse("ws://server.example.com/chat").unwrap();
    let request = ClientRequest::new(&url).offer(config);
    let client = ClientHandshake::new(&request, NONCE, HttpLimits::default(), DEADLINE);
    let wire = client.poll_transmit().unwrap().to_vec();
    (client, wire)
}

fn agree(client: &Config, server: &Config, accept: &Accept) -> (Extensions, Extensions) {
    let (mut client, wire) = request(client);
    let parsed = Request::parse(&wire, &HttpLimits::default()).unwrap();
    let accepted = parsed.upgrade().unwrap().accept(accept, server).unwrap();
    let mut answer = Vec::new();
    accepted.response.encode(&mut answer);
    let opened = client.handle_input(&answer).unwrap().unwrap();
    (opened.extensions, accepted.extensions)
}

#[test]
fn compression_is_agreed_on_if_both_sides_want_it() {
    let (off, on) = (Config::default(), with(Deflate::default()));
    let accept = Accept::new();
    for (client, server) in [(&off, &off), (&off, &on), (&on, &off)] {
        let none = (Extensions::NONE, Extensions::NONE);
        assert_eq!(agree(client, server, &accept), none);
    }
    let (at_client, at_server) = agree(&on, &on, &accept);
    let agreed = at_client.deflate().expect("agreed");
    assert_eq!((agreed.send, agreed.receive), (on_wire(), on_wire()));
    assert_eq!(at_client, at_server);

    let none = agree(&on, &on, &Accept::new().without_extensions());
    assert_eq!(none, (Extensions::NONE, Extensions::NONE));
}

fn on_wire() -> crate::deflate::Window {
    Deflate::default().send
}

#[test]
fn the_fields_are_those_of_rfc_7692() {
    let fields = |config: &Config| {
        let (_, wire) = request(config);
        let parsed = Request::parse(&wire, &HttpLimits::default()).unwrap();
        let values = parsed.values("Sec-WebSocket-Extensions");
        values
            .map(|value| String::from_utf8(value.to_vec()).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(fields(&Config::default()), [""; 0]);
    assert_eq!(
        fields(&with(Deflate::default())),
        [
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=12; client_max_window_bits=12",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             client_max_window_bits=12",
        ]
    );
    let mut most = Deflate::default();
    for window in [&mut most.send, &mut most.receive] {
        window.bits = 15;
        window.takeover = true;
    }
    assert_eq!(
        fields(&with(most)),
        ["permessage-deflate; client_max_window_bits"]
    );
}

#[test]
fn a_request_that_was_parsed_elsewhere_is_answered_in_the_same_way() {
    let fields = [
        ("host", &b"example.com"[..]),
        ("upgrade", b"websocket"),
        ("connection", b"Upgrade"),
        ("sec-websocket-version", b"13"),
        ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        (
            "sec-websocket-extensions",
            b"permessage-deflate; client_max_window_bits=99",
        ),
        (
            "sec-websocket-extensions",
            b"permessage-deflate; server_max_window_bits=9",
        ),
    ];
    let upgrade = Request::from_parts("GET", "/", fields).upgrade().unwrap();
    let config = with(Deflate::default());
    let accepted = upgrade.accept(&Accept::new(), &config).unwrap();
    assert_eq!(
        accepted.response.value("Sec-WebSocket-Extensions"),
        Some(
            &b"permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
               server_max_window_bits=9"[..]
        )
    );
    let agreed = accepted.extensions.deflate().expect("agreed");
    assert_eq!((agreed.send.bits, agreed.receive.bits), (9, 15));

    // Over HTTP/2, too.
    let fields = [
        ("sec-websocket-version", &b"13"[..]),
        ("sec-websocket-extensions", b"permessage-deflate"),
    ];
    let request = Request::from_parts("CONNECT", "/", fields);
    let upgrade = request.extended_connect("websocket").unwrap();
    let accepted = upgrade.accept(&Accept::new(), &config).unwrap();
    assert!(accepted.extensions.deflate().is_some());
}

#[test]
fn settings_that_no_codec_has_are_refused() {
    let check = |change: fn(&mut Deflate)| {
        let mut deflate = Deflate::default();
        change(&mut deflate);
        with(deflate).share().err()
    };
    use crate::config::ConfigError as E;
    assert_eq!(check(|_| ()), None);
    for (bits, send, receive) in [
        (7, false, false),
        (8, false, true),
        (9, true, true),
        (15, true, true),
        (16, false, false),
    ] {
        let mut deflate = Deflate::default();
        deflate.send.bits = bits;
        assert_eq!(with(deflate).share().is_ok(), send, "{bits}");
        let mut deflate = Deflate::default();
        deflate.receive.bits = bits;
        assert_eq!(with(deflate).share().is_ok(), receive, "{bits}");
    }
    assert_eq!(check(|d| d.send.bits = 8), Some(E::DeflateWindow));
    assert_eq!(check(|d| d.level = 0), Some(E::DeflateLevel));
    assert_eq!(check(|d| d.level = 9), None);
    assert_eq!(check(|d| d.level = 10), Some(E::DeflateLevel));
}

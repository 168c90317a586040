//! permessage-deflate, from the settings to the wire.

use sockeye_core::deflate::{Agreed, Window};
use sockeye_core::{
    Cause, Config, Connection, Deflate, Extensions, Outgoing, OwnedMessage, Seed, Time, Transmit,
    Violation,
};
use sockeye_handler::Frame;
use sockeye_tests::adapter::Socket;
use sockeye_tests::server;
use sockeye_tests::wire::{BINARY, FIN, RSV1, Raw, TEXT};

use super::Adapter;
use super::sockets::{echo, pair};

type TestServer = server::TestServer<Adapter>;

fn text(len: usize) -> String {
    "compression finds again what it has seen, ".repeat(len / 42 + 1)
}

fn takeover() -> Deflate {
    let mut deflate = Deflate::default();
    for window in [&mut deflate.send, &mut deflate.receive] {
        *window = Window {
            bits: 15,
            takeover: true,
        };
    }
    deflate.min_size = 1;
    deflate
}

fn server(deflate: Deflate) -> TestServer {
    TestServer::start(|config, _| config.deflate = Some(deflate))
}

/// What a client that compresses sends.
fn compressed(message: Outgoing<'_>) -> Vec<u8> {
    let window = Window {
        bits: 15,
        takeover: false,
    };
    let agreed = Extensions::with_deflate(Agreed {
        send: window,
        receive: window,
    });
    let config = Config::default().share().expect("valid limits");
    let mut client =
        Connection::client(&config, &Seed::new([7; 32]), Time::ZERO).with_extensions(agreed);
    client.sender().send(message).expect("open");
    let mut wire = Vec::new();
    while let Some(Transmit::Write(output)) = client.poll_transmit() {
        let before = wire.len();
        output
            .slices()
            .for_each(|slice| wire.extend_from_slice(slice));
        client.handle_written(wire.len() - before, Time::ZERO);
    }
    wire
}

#[test]
fn both_roles_agree_by_their_settings_and_messages_stay_what_they_were() {
    for deflate in [Deflate::default(), takeover()] {
        let mut config = Config::default();
        config.deflate = Some(deflate);
        let (server, mut client) = pair(config);
        let answer = client
            .response()
            .and_then(|r| r.value("Sec-WebSocket-Extensions"));
        let answer = String::from_utf8_lossy(answer.expect("it was accepted"));
        assert!(answer.starts_with("permessage-deflate"), "{answer}");
        assert_eq!(
            answer.contains("no_context_takeover"),
            !deflate.send.takeover
        );
        let server = echo(server);
        let messages: [OwnedMessage; 6] = [
            "short".into(),
            text(300).as_str().into(),
            text(300).as_str().into(),
            text(900_000).as_str().into(),
            vec![0; 1 << 20].into(),
            "".into(),
        ];
        for message in messages {
            client.send(message.clone()).expect("open");
            assert_eq!(client.recv(), Some(message));
        }
        drop(client);
        drop(server.join());
    }
}

#[test]
fn only_who_offers_is_compressed_to_and_what_is_short_is_not() {
    let server = server(Deflate::default());
    let (mut raw, answered) = Raw::open_deflated(server.address, "; client_max_window_bits");
    assert_eq!(
        answered,
        "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; \
         client_max_window_bits=12"
    );
    for (len, first) in [(10, FIN | TEXT), (1000, FIN | RSV1 | TEXT)] {
        raw.send(FIN | TEXT, text(len).as_bytes());
        let frame = raw.read();
        assert_eq!(frame.first, first);
        assert_eq!(frame.payload.len() < text(len).len(), first & RSV1 != 0);
    }
    // Hello, as RFC 7692 §7.2.3.1 has it.
    raw.send(FIN | RSV1 | TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
    assert_eq!(raw.read().payload, b"Hello");

    let mut plain = Raw::open(server.address);
    plain.send(FIN | TEXT, text(1000).as_bytes());
    assert_eq!(plain.read().payload, text(1000).as_bytes());
    plain.send(FIN | RSV1 | TEXT, b"\x00");
    plain.read_close(1002);
}

#[test]
fn a_frame_for_many_is_compressed_for_those_that_can_read_it() {
    let server = server(Deflate::default());
    let mut deflated: Vec<Raw> = (0..5)
        .map(|_| Raw::open_deflated(server.address, "").0)
        .collect();
    let mut plain: Vec<Raw> = (0..5).map(|_| Raw::open(server.address)).collect();
    let peers: Vec<_> = (0..10).map(|_| server.next_peer()).collect();
    let news = text(10_000);
    for frame in [
        Frame::new(&*news),
        Frame::new(Outgoing::text(&news).uncompressed()),
    ] {
        peers
            .iter()
            .for_each(|peer| peer.send_frame(&frame).expect("open"));
    }
    let first: Vec<_> = deflated.iter_mut().map(Raw::read).collect();
    assert!(
        first
            .iter()
            .all(|frame| frame.first == FIN | RSV1 | TEXT && *frame == first[0])
    );
    assert!(first[0].payload.len() < news.len() / 10);
    for raw in deflated.iter_mut() {
        // The secret one.
        assert_eq!(raw.read().payload, news.as_bytes());
    }
    for raw in plain.iter_mut() {
        for _ in 0..2 {
            assert_eq!(raw.read().payload, news.as_bytes());
        }
    }
}

#[test]
fn bombs_end_with_1009_and_nobody_else_notices() {
    const LIMIT: usize = 4 << 10;
    let server = TestServer::start(|config, _| {
        config.deflate = Some(Deflate::default());
        config.max_message = LIMIT;
    });
    let (mut other, _) = Raw::open_deflated(server.address, "");
    drop(server.next_peer());
    let endless = {
        // Blocks that stand for nothing, more than may come for one message.
        let nothing = b"\x00\x00\x00\xff\xff".repeat(LIMIT / 2);
        sockeye_tests::wire::frame(FIN | RSV1 | BINARY, &nothing)
    };
    for bomb in [
        compressed(Outgoing::binary(&vec![0; LIMIT + 1])),
        compressed(Outgoing::binary(&vec![0; 1000 * LIMIT])),
        endless,
    ] {
        let (mut raw, _) = Raw::open_deflated(server.address, "");
        raw.write(&bomb);
        raw.read_close(1009);
        let ended = server.next_end();
        assert_eq!(ended.cause, Cause::Violation(Violation::TooBig));
        other.write(&compressed(Outgoing::text(&text(1000))));
        assert_eq!(other.read().first, FIN | RSV1 | TEXT);
    }
}

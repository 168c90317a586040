//! Compressed messages, and the negotiation before them.

use sockeye_core::deflate::{Agreed, Window};
use sockeye_core::handshake::{Accept, ClientHandshake, ClientRequest, HttpLimits, Request, Url};
use sockeye_core::{
    Config, Connection, Deflate, Delivery, Extensions, Header, Opcode, Outgoing, Role,
    SharedConfig, Time, Transmit,
};

use crate::connection::{Seen, events, open, opposite};

/// Any bytes as the payload of compressed messages.
///
/// The first byte chooses the role and the settings, the second the window; then come
/// frames: a byte for what it is, one for its length, its payload.
pub fn deflate(data: &[u8]) {
    let Some(([settings, window], rest)) = data.split_first_chunk() else {
        return;
    };
    let role = match settings & 1 {
        0 => Role::Server,
        _ => Role::Client,
    };
    let window = Window {
        bits: 8 + window % 8,
        takeover: settings & 2 != 0,
    };
    let mut config = Config::default();
    config.max_message = if settings & 4 != 0 { 400 } else { 100_000 };
    config.hard_mark = 1 << 24;
    config.soft_mark = 1 << 24;
    if settings & 8 != 0 {
        config.delivery = Delivery::Chunks;
    }
    let mut deflate = Deflate::default();
    deflate.level = 1 + settings / 32;
    deflate.min_size = 0;
    config.deflate = Some(deflate);
    let config = config.share().expect("valid");
    let wire = frames(role, rest);

    let whole = run(role, window, &config, &wire, wire.len());
    for width in [1, 7, 100] {
        let cut = run(role, window, &config, &wire, width + wire.len() / 500);
        assert_eq!(cut, whole, "in pieces of {width}");
    }
    back_and_forth(role, window, &config, &whole);
}

/// The frames that the rest of the input stands for, as `role` receives them.
fn frames(role: Role, mut rest: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    while let Some(([what, len], payload)) = rest.split_first_chunk() {
        let (payload, behind) = payload.split_at(usize::from(*len).min(payload.len()));
        rest = behind;
        let opcode = match what & 7 {
            0 | 1 => Opcode::Text,
            2 | 3 => Opcode::Binary,
            4..=6 => Opcode::Continuation,
            _ => Opcode::Ping,
        };
        let header = Header {
            fin: what & 0x80 != 0 || opcode == Opcode::Ping,
            compressed: what & 0x40 == 0 && matches!(opcode, Opcode::Text | Opcode::Binary),
            opcode,
            mask: (role == Role::Server).then_some([0; 4]),
            len: payload.len().min(125) as u64,
        };
        header.encode(&mut wire);
        wire.extend_from_slice(&payload[..payload.len().min(125)]);
    }
    wire
}

fn connection(role: Role, window: Window, config: &SharedConfig) -> Connection {
    let agreed = Agreed {
        send: window,
        receive: window,
    };
    open(role, config, Time::ZERO).with_extensions(Extensions::with_deflate(agreed))
}

/// The events, with the pieces of a message joined, and without those of one that fails.
fn run(role: Role, window: Window, config: &SharedConfig, wire: &[u8], width: usize) -> Vec<Seen> {
    let mut connection = connection(role, window, config);
    let mut seen: Vec<Seen> = Vec::new();
    for piece in wire.chunks(width.max(1)) {
        for event in events(&mut connection, piece) {
            match (seen.last_mut(), event) {
                (Some(Seen::Chunk(_, joined, last @ false)), Seen::Chunk(_, piece, is_last)) => {
                    joined.extend(piece);
                    *last = is_last;
                }
                (_, event) => seen.push(event),
            }
        }
    }
    seen.retain(|event| !matches!(event, Seen::Chunk(_, _, false)));
    for event in &seen {
        if let Seen::Message(_, payload) = event {
            assert!(payload.len() <= config.max_message);
        }
    }
    seen
}

/// What came is sent on, and comes as it was.
fn back_and_forth(role: Role, window: Window, config: &SharedConfig, seen: &[Seen]) {
    let mut sender = connection(role, window, config);
    let mut receiver = connection(opposite(role), window, config);
    for event in seen {
        let Seen::Message(kind, payload) = event else {
            continue;
        };
        let message = match core::str::from_utf8(payload) {
            Ok(text) if *kind == sockeye_core::MessageKind::Text => Outgoing::text(text),
            _ => Outgoing::binary(payload),
        };
        sender.sender().send(message).expect("room");
        let mut wire = Vec::new();
        while let Some(Transmit::Write(output)) = sender.poll_transmit() {
            let before = wire.len();
            output
                .slices()
                .for_each(|slice| wire.extend_from_slice(slice));
            sender.handle_written(wire.len() - before, Time::ZERO);
        }
        assert_eq!(events(&mut receiver, &wire), std::slice::from_ref(event));
    }
}

/// Any bytes as what a client offers, and as what a server answers.
pub fn extensions(data: &[u8]) {
    // A line each; what cannot stand in a field never gets there.
    let is_value = |line: &&[u8]| !line.iter().any(|byte| matches!(byte, b'\r' | 0));
    let fields: Vec<&[u8]> = data.split(|byte| *byte == b'\n').filter(is_value).collect();
    let configs = [(12, false), (15, true)].map(|(bits, takeover)| {
        let mut deflate = Deflate::default();
        deflate.send = Window { bits, takeover };
        deflate.receive = deflate.send;
        let mut config = Config::default();
        config.deflate = Some(deflate);
        config
    });
    for config in &configs {
        offered(&fields, config);
        answered(&fields, config);
    }
}

fn offered(fields: &[&[u8]], config: &Config) {
    let handshake = [
        ("host", &b"a"[..]),
        ("upgrade", b"websocket"),
        ("connection", b"upgrade"),
        ("sec-websocket-version", b"13"),
        ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let offers = fields
        .iter()
        .map(|value| ("sec-websocket-extensions", *value));
    let request = Request::from_parts("GET", "/", handshake.into_iter().chain(offers));
    let upgrade = request.upgrade().expect("an upgrade");
    let accepted = upgrade
        .accept(&Accept::new(), config)
        .expect("no subprotocol");
    let answer = accepted.response.value("Sec-WebSocket-Extensions");
    let agreed = accepted.extensions.deflate();
    assert_eq!(answer.is_some(), agreed.is_some());
    if let (Some(agreed), Some(ours)) = (agreed, config.deflate) {
        assert!((8..=15).contains(&agreed.send.bits) && agreed.send.bits <= ours.send.bits);
        assert!((8..=15).contains(&agreed.receive.bits));
        assert!(!agreed.send.takeover || ours.send.takeover);
        assert!(!agreed.receive.takeover || ours.receive.takeover);
    }
}

fn answered(fields: &[&[u8]], config: &Config) {
    let url = Url::parse("ws://a/").expect("a URL");
    let request = ClientRequest::new(&url).offer(config);
    let deadline = Time::from_micros(1);
    let mut client = ClientHandshake::new(
        &request,
        *b"the sample nonce",
        HttpLimits::default(),
        deadline,
    );
    let mut answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        .to_vec();
    for value in fields {
        answer.extend_from_slice(b"Sec-WebSocket-Extensions: ");
        answer.extend_from_slice(value);
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"\r\n");
    if let Ok(Some(opened)) = client.handle_input(&answer)
        && let (Some(agreed), Some(ours)) = (opened.extensions.deflate(), config.deflate)
    {
        assert!((8..=15).contains(&agreed.send.bits) && agreed.send.bits <= ours.send.bits);
        assert!(!agreed.send.takeover || ours.send.takeover);
        assert!(!agreed.receive.takeover || ours.receive.takeover);
    }
}

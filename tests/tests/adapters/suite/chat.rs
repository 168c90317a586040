//! The chat service, over real sockets and threads; its rules are tested without them.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::ErrorKind;
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};
use socket2::{Domain, Socket as Socket2, Type};
use sockeye_async::{ConnectOptions, ServeOptions};
use sockeye_chat::{Chat, Hub, Settings, Surroundings, assets};
use sockeye_core::Config;
use sockeye_kit::caps::Caps;
use sockeye_kit::clock::Clock;
use sockeye_kit::http::{Pages, SiteArgs};
use sockeye_tests::adapter::{Adapter as _, Running, Socket};
use sockeye_tests::wire::{CLOSE, FIN, PATIENCE, Raw, TEXT, UPGRADE};

use super::Adapter;

type Server = <Adapter as sockeye_tests::adapter::Adapter>::Server;
type WebSocket = <Adapter as sockeye_tests::adapter::Adapter>::WebSocket;

/// As it is shipped, but for what a test would have to wait for.
fn serve(set: impl FnOnce(&mut Settings)) -> Server {
    let mut settings = Settings::default();
    let many = 1_000_000.try_into().expect("not zero");
    (settings.rate, settings.burst) = (many, many);
    settings.coalesce = Duration::from_millis(50);
    settings.grace = Duration::from_millis(200);
    set(&mut settings);
    let mut config = Config::default();
    config.hard_mark = settings.queue_bytes;
    // Nothing else wakes the connections.
    config.ping_interval = None;
    let surroundings = Surroundings {
        site: SiteArgs::default().site("127.0.0.1:0").expect("no flags"),
        pages: Pages::new(assets()),
        caps: Caps::new(10_000, 10),
        publish: None,
    };
    let hub = Hub::new(settings, None, Clock::system());
    let chat = Chat::new(hub, surroundings).expect("paths");
    chat.start().expect("a thread");
    let mut options = ServeOptions::default();
    options.config = config.share().expect("valid limits");
    Adapter::serve(chat, &options)
}

fn join(server: &Server, nickname: &str, room: &str) -> WebSocket {
    let mut options = ConnectOptions::default();
    options.subprotocols = vec!["chat.v1.json".into()];
    let url = format!("ws://{}/talking", server.address());
    let mut ws = Adapter::connect(&url, &options).expect("accepted");
    say(&mut ws, &json!({"type": "login", "nickname": nickname}));
    say(&mut ws, &json!({"type": "join", "room": room}));
    wait_for(&mut ws, "state");
    ws
}

fn say(ws: &mut WebSocket, message: &Value) {
    ws.send(message.to_string()).expect("open");
}

fn received(ws: &mut WebSocket) -> Value {
    let message = ws.recv();
    let message = message.unwrap_or_else(|| panic!("ended: {:?}", ws.closed()));
    serde_json::from_str(message.as_text().expect("text")).expect("JSON")
}

fn wait_for(ws: &mut WebSocket, kind: &str) -> Value {
    loop {
        let message = received(ws);
        if message["type"] == kind {
            return message;
        }
    }
}

#[test]
fn everybody_sees_one_order_however_many_speak_at_once() {
    const SPEAKERS: usize = 8;
    const MESSAGES: usize = 100;
    let server = serve(|_| {});
    let speakers: Vec<WebSocket> = (0..SPEAKERS)
        .map(|number| join(&server, &format!("u{number}"), "r"))
        .collect();
    let speak = |mut ws: WebSocket| {
        move || {
            for number in 0..MESSAGES {
                say(
                    &mut ws,
                    &json!({"type": "msg", "room": "r", "text": number.to_string()}),
                );
            }
            let mut next = 1;
            core::iter::from_fn(|| {
                let message = wait_for(&mut ws, "msg");
                assert_eq!(message["off"], next);
                next += 1;
                (next <= SPEAKERS * MESSAGES + 1)
                    .then_some((message["from"].clone(), message["text"].clone()))
            })
            .take(SPEAKERS * MESSAGES)
            .collect::<Vec<_>>()
        }
    };
    let threads: Vec<_> = speakers
        .into_iter()
        .map(|ws| thread::spawn(speak(ws)))
        .collect();
    let seen: Vec<_> = threads
        .into_iter()
        .map(|t| t.join().expect("no panic"))
        .collect();
    for other in &seen {
        assert_eq!(other.len(), SPEAKERS * MESSAGES);
        assert!(*other == seen[0], "one order");
    }
    // And each one's words in the order in which they were said.
    for speaker in 0..SPEAKERS {
        let name = json!(format!("u{speaker}"));
        let words = seen[0].iter().filter(|(from, _)| *from == name);
        let numbers = (0..MESSAGES).map(|number| json!(number.to_string()));
        assert!(words.map(|(_, text)| text.clone()).eq(numbers));
    }
}

#[test]
fn members_are_told_of_others_by_the_clock() {
    let server = serve(|_| {});
    let mut ana = join(&server, "ana", "r");
    let bob = join(&server, "bob", "r");
    assert_eq!(wait_for(&mut ana, "diff")["join"], json!(["bob"]));
    let start = Instant::now();
    drop(bob);
    assert_eq!(wait_for(&mut ana, "diff")["leave"], json!(["bob"]));
    assert!(
        start.elapsed() >= Duration::from_millis(200),
        "after the grace period"
    );
}

/// A member that reads nothing after its `state`, with little room in its system.
fn stalled(address: SocketAddr, nickname: &str) -> Raw {
    let socket = Socket2::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a size");
    socket.connect(&address.into()).expect("a listener");
    let mut raw = Raw(socket.into());
    raw.0.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let upgrade = UPGRADE
        .replace("/path", "/talking")
        .replace("Host: test", "Host: localhost");
    let offer = "\r\nSec-WebSocket-Protocol: chat.v1.json\r\n\r\n";
    raw.write(upgrade.replace("\r\n\r\n", offer).as_bytes());
    raw.read_head();
    let login = json!({"type": "login", "nickname": nickname});
    raw.send(FIN | TEXT, login.to_string().as_bytes());
    raw.send(FIN | TEXT, br#"{"type":"join","room":"r"}"#);
    for expected in ["hello", "ok", "state"] {
        let payload = raw.read().payload;
        assert!(String::from_utf8_lossy(&payload).contains(expected));
    }
    raw
}

#[test]
fn stalled_members_delay_nobody_and_are_told() {
    // More than the systems (4 MiB) and the queue take, a little at a time.
    const MESSAGES: u64 = 400;
    const UNDER_WAY: u64 = 5;
    let server = serve(|settings| settings.queue_bytes = 256 << 10);
    let mut stalled = ["x", "y"].map(|nickname| stalled(server.address(), nickname));
    let mut speaker = join(&server, "speaker", "r");
    let mut others: Vec<WebSocket> = (0..4)
        .map(|number| join(&server, &format!("u{number}"), "r"))
        .collect();
    let message = json!({"type": "msg", "room": "r", "text": "😀".repeat(4000)});
    for number in 1..=MESSAGES {
        say(&mut speaker, &message);
        if number % UNDER_WAY == 0 {
            for ws in others.iter_mut().chain([&mut speaker]) {
                while wait_for(ws, "msg")["off"] != number {}
            }
        }
    }
    for raw in &mut stalled {
        let mut off = 0;
        let end = loop {
            match raw.try_read() {
                Ok(frame) if frame.first == FIN | TEXT => {
                    let message: Value = serde_json::from_slice(&frame.payload).expect("JSON");
                    if message["type"] == "msg" {
                        off += 1;
                        assert_eq!(message["off"], off, "no hole before the end");
                    }
                }
                end => break end,
            }
        };
        assert!(off < MESSAGES);
        match end {
            Ok(close) => {
                let reason = [&4008_u16.to_be_bytes()[..], b"slow consumer"].concat();
                assert_eq!((close.first, close.payload), (FIN | CLOSE, reason));
            }
            // Cut off after 10 s, where all of this has taken longer.
            Err(error) => assert_ne!(error.kind(), ErrorKind::WouldBlock),
        }
    }
}

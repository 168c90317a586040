//! Features of Autobahn|Python: one protocol class on two frameworks.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::mpsc::{Receiver, Sender, channel};

use sockeye_core::deflate::Deflate;
use sockeye_echo::Echo;
use sockeye_handler::{
    Accept, Address, BoxHandler, Chunk, CloseCode, Closed, Config, Context, Decision, Delivery,
    Handler, Initiator, Message, MessageKind, Opening, OwnedMessage, Request, Response, SendError,
    service_fn,
};
use sockeye_kit::http::{SiteArgs, client_ip};
use sockeye_tests::adapter::{Running, Socket};
use sockeye_tests::process::Signal;
use sockeye_tests::program::Program;
use sockeye_tests::wire::{CLOSE, FIN, PATIENCE, PING, PONG, Raw, UPGRADE};

use super::NAME;
use super::bench::{
    ask, connect, end, end_code, recv, refusal, routes, serve, serve_with, text, try_connect,
};

/// A closure for every event of a connection.
struct Acts<F>(F);

enum Event<'a> {
    Open,
    Message(Message<'a>),
    Chunk(Chunk<'a>),
    Ping(&'a [u8]),
    Pong(&'a [u8]),
}

impl<F: FnMut(Event<'_>, &mut Context<'_>) + Send + 'static> Handler for Acts<F> {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        (self.0)(Event::Open, cx);
    }

    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        (self.0)(Event::Message(message), cx);
    }

    fn on_chunk(&mut self, chunk: Chunk<'_>, cx: &mut Context<'_>) {
        (self.0)(Event::Chunk(chunk), cx);
    }

    fn on_ping(&mut self, payload: &[u8], cx: &mut Context<'_>) {
        (self.0)(Event::Ping(payload), cx);
    }

    fn on_pong(&mut self, payload: &[u8], cx: &mut Context<'_>) {
        (self.0)(Event::Pong(payload), cx);
    }
}

/// A service of connections that all do the same.
fn acts<F>(act: F) -> impl sockeye_handler::Service
where
    F: FnMut(Event<'_>, &mut Context<'_>) + Clone + Send + Sync + 'static,
{
    service_fn(move |_: &Request<'_>, _: &mut Opening<'_>| Acts(act.clone()))
}

#[test]
fn row_19_each_connection_has_a_handler_of_its_own_which_is_never_used_again() {
    struct Counting(usize, Sender<usize>);

    impl Handler for Counting {
        fn on_message(&mut self, _: Message<'_>, cx: &mut Context<'_>) {
            self.0 += 1;
            let _ = cx.send(self.0.to_string());
        }
    }

    impl Drop for Counting {
        fn drop(&mut self) {
            let _ = self.1.send(self.0);
        }
    }

    let (drops, dropped) = channel();
    let server = serve(service_fn(move |_: &Request<'_>, _: &mut Opening<'_>| {
        Counting(0, drops.clone())
    }));
    let [mut one, mut other] = [(); 2].map(|()| connect(&server, "/"));
    assert_eq!(ask(&mut one, "x"), "1");
    assert_eq!(ask(&mut one, "x"), "2");
    assert_eq!(ask(&mut other, "x"), "1");
    one.close(CloseCode::NORMAL, "").expect("a code");
    assert_eq!(dropped.recv_timeout(PATIENCE), Ok(2));
    assert_eq!(ask(&mut connect(&server, "/"), "x"), "1");
}

#[test]
fn row_20_the_same_service_runs_on_this_adapter_as_on_the_others() {
    // This file names no runtime, and neither does the crate of the service.
    let server = serve(Echo::new("", Vec::new()));
    assert_eq!(ask(&mut connect(&server, "/"), NAME), NAME);
}

#[test]
fn row_21_a_program_listens_and_ctrl_c_closes_it() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut program = Program::start("sockeye-echo", &["--adapter", NAME]);
        let mut raw = Raw::open(program.address);
        program.signal(signal);
        raw.read_close(1001);
        raw.close(1001);
        assert_eq!(program.wait(PATIENCE).code(), Some(0));
    }
}

#[test]
fn row_22_a_service_is_asked_with_everything_that_the_client_has_said() {
    let server = serve(service_fn(|request: &Request<'_>, cx: &mut Opening<'_>| {
        let extra = request.values("X-Extra").next().unwrap_or_default();
        let said = format!(
            "{} {:?} {:?} {:?} {:?} {:?} {}",
            request.path(),
            request.query_value("q").as_deref(),
            request.cookie("session"),
            request.origin(),
            request.subprotocols().collect::<Vec<_>>(),
            String::from_utf8_lossy(extra),
            cx.address().socket().expect("an address").ip(),
        );
        if request.cookie("session").is_none() {
            return Err(Response::text(403, "who are you?\n"));
        }
        Ok(Acts(move |event: Event<'_>, cx: &mut Context<'_>| {
            if let Event::Open = event {
                cx.send(&said).expect("open");
            }
        }))
    }));
    let client = try_connect(&server, "/there?q=a+b", |options| {
        options.fields = vec![
            ("Cookie".into(), b"a=b; session=42".to_vec()),
            ("X-Extra".into(), b"more".to_vec()),
        ];
        options.origin = Some("http://page.example".into());
        options.subprotocols = vec!["v2".into(), "v1".into()];
    });
    assert_eq!(
        text(&mut client.expect("accepted")),
        r#"/there Some("a b") Some("42") Some("http://page.example") ["v2", "v1"] "more" 127.0.0.1"#
    );
    assert_eq!(refusal(&server, "/there"), 403);
}

#[test]
fn row_23_the_answer_may_set_cookies_fields_and_the_subprotocol() {
    let server = serve(service_fn(|request: &Request<'_>, cx: &mut Opening<'_>| {
        cx.field("X-Added", "by the opening").expect("a field");
        let chosen = request.subprotocols().last().unwrap_or_default();
        let accept = Accept::new()
            .subprotocol(chosen)
            .and_then(|accept| accept.field("Set-Cookie", "session=43; HttpOnly"));
        Decision::Accept(
            accept.expect("valid"),
            Acts(|_: Event<'_>, _: &mut Context<'_>| {}),
        )
    }));
    let client = try_connect(&server, "/", |options| {
        options.subprotocols = vec!["v2".into(), "v1".into()];
    });
    let client = client.expect("accepted");
    assert_eq!(client.subprotocol(), Some("v1"));
    let response = client.response().expect("a client has one");
    let cookie = response.value("Set-Cookie");
    assert_eq!(cookie, Some(&b"session=43; HttpOnly"[..]));
    assert_eq!(response.value("X-Added"), Some(&b"by the opening"[..]));
}

#[test]
fn row_24_where_a_peer_is_can_be_said_in_a_plain_text_whatever_the_transport() {
    let server = serve(acts(|event, cx| {
        if let Event::Open = event {
            let peer = cx.peer();
            cx.send(format!("{} {peer}", cx.address())).expect("open");
        }
    }));
    let mut raw = Raw::open(server.address());
    let here = raw.0.local_addr().expect("connected");
    let said = String::from_utf8(raw.read().payload).expect("text");
    assert_eq!(said, format!("tcp4:{here} tcp4:{here}"));
    assert_eq!(
        Address::unix("/run/app.sock").to_string(),
        "unix:/run/app.sock"
    );
    assert_eq!(Address::other("a pipe").to_string(), "other:a pipe");
}

#[test]
fn row_25_a_handler_may_send_as_soon_as_the_connection_is_open() {
    let server = serve(acts(|event, cx| {
        if let Event::Open = event {
            cx.send("welcome").expect("open");
        }
    }));
    assert_eq!(text(&mut connect(&server, "/")), "welcome");
}

#[test]
fn row_26_a_message_is_text_or_binary_and_says_which() {
    let server = serve(acts(|event, cx| {
        if let Event::Message(message) = event {
            let _ = match &message {
                Message::Text(text) => cx.send(format!("text of {} bytes", text.len())),
                Message::Binary(bytes) => cx.send(format!("binary of {} bytes", bytes.len())),
            };
        }
    }));
    let mut client = connect(&server, "/");
    assert_eq!(ask(&mut client, "héllo"), "text of 6 bytes");
    client.send(vec![0xff; 3]).expect("open");
    assert_eq!(text(&mut client), "binary of 3 bytes");
}

#[test]
fn row_27_an_echo_gives_back_what_it_was_given_and_as_what() {
    let server = serve(Echo::new("", Vec::new()));
    let mut client = connect(&server, "/");
    let messages: [OwnedMessage; 6] = [
        "".into(),
        "text".into(),
        "ünïcödé ✓".into(),
        vec![].into(),
        vec![0, 159, 146, 150].into(),
        "x".repeat(100_000).into(),
    ];
    for message in messages {
        client.send(message.clone()).expect("open");
        assert_eq!(recv(&mut client), Some(message));
    }
}

#[test]
fn row_28_a_handler_sends_text_and_binary_and_closes_with_a_code_and_a_reason() {
    let server = serve(acts(|event, cx| {
        if let Event::Open = event {
            cx.send("text").expect("open");
            cx.send(&b"binary"[..]).expect("open");
            cx.close(CloseCode::new(4321), "that was all")
                .expect("open");
        }
    }));
    let mut client = connect(&server, "/");
    assert_eq!(recv(&mut client), Some("text".into()));
    assert_eq!(recv(&mut client), Some(OwnedMessage::from(&b"binary"[..])));
    assert_eq!(end_code(&mut client), (4321, "that was all".into()));
}

/// Tells of its end, and of what can be sent after its own Close.
struct Ending(
    Sender<(Closed, Option<Result<(), SendError>>)>,
    Option<Result<(), SendError>>,
);

impl Handler for Ending {
    fn on_message(&mut self, _: Message<'_>, cx: &mut Context<'_>) {
        cx.close(CloseCode::new(4000), "enough").expect("open");
        self.1 = Some(cx.send("too late"));
    }

    fn on_close(&mut self, closed: &Closed) {
        let _ = self.0.send((closed.clone(), self.1));
    }
}

#[test]
fn row_29_the_end_is_told_with_its_code_and_nothing_can_be_sent_after_it() {
    let (ends, ended): (_, Receiver<(Closed, _)>) = channel();
    let server = serve(service_fn(move |_: &Request<'_>, _: &mut Opening<'_>| {
        Ending(ends.clone(), None)
    }));
    let hear = || ended.recv_timeout(PATIENCE).expect("an end");

    let mut client = connect(&server, "/");
    client.close(CloseCode::new(4001), "done").expect("a code");
    let (closed, _) = hear();
    assert!(closed.is_clean());
    assert_eq!(closed.initiator, Initiator::Peer);
    assert_eq!((closed.code.as_u16(), &*closed.reason), (4001, "done"));
    assert!(client.send("x").is_err(), "an error, and no panic");

    let mut client = connect(&server, "/");
    client.send("close").expect("open");
    assert_eq!(end_code(&mut client), (4000, "enough".into()));
    let (closed, late) = hear();
    assert!(closed.is_clean());
    assert_eq!(closed.initiator, Initiator::Local);
    assert_eq!(late, Some(Err(SendError::Closing)));

    drop(Raw::open(server.address()));
    let (closed, _) = hear();
    assert!(!closed.is_clean());
    assert_eq!(closed.code, CloseCode::ABNORMAL);
}

#[test]
fn row_30_pings_and_pongs_go_both_ways_and_are_told() {
    let server = serve(acts(|event, cx| {
        let _ = match event {
            Event::Open => cx.ping(b"are you there"),
            Event::Ping(payload) => cx.send(format!("ping {}", String::from_utf8_lossy(payload))),
            Event::Pong(payload) => cx.send(format!("pong {}", String::from_utf8_lossy(payload))),
            Event::Message(_) | Event::Chunk(_) => Ok(()),
        };
    }));
    let mut raw = Raw::open(server.address());
    let ping = raw.read();
    assert_eq!(
        (ping.first, &*ping.payload),
        (FIN | PING, &b"are you there"[..])
    );
    raw.send(FIN | PONG, b"are you there");
    assert_eq!(raw.read().payload, b"pong are you there");
    raw.send(FIN | PING, b"and you");
    let mut answers = [raw.read(), raw.read()];
    // A Pong overtakes data.
    answers.sort_by_key(|frame| frame.first != FIN | PONG);
    assert_eq!(
        (answers[0].first, &*answers[0].payload),
        (FIN | PONG, &b"and you"[..])
    );
    assert_eq!(answers[1].payload, b"ping and you");
}

#[test]
fn row_30_messages_go_out_and_come_in_in_pieces() {
    let service = acts(|event, cx| match event {
        Event::Open => {
            cx.begin(MessageKind::Text).expect("open");
            cx.append(b"one ").expect("open");
            cx.append(b"two ").expect("open");
            cx.finish(b"three").expect("open");
        }
        Event::Chunk(chunk) => {
            let Chunk {
                kind,
                payload,
                last,
            } = chunk;
            cx.send(format!("{kind:?} {} {last}", payload.len()))
                .expect("open");
        }
        Event::Message(_) | Event::Ping(_) | Event::Pong(_) => {}
    });
    let server = serve_with(service, |config| config.delivery = Delivery::Chunks);
    let mut client = connect(&server, "/");
    assert_eq!(text(&mut client), "one two three");
    client.send(vec![7; 200_000]).expect("open");
    let mut whole = 0;
    loop {
        let told = text(&mut client);
        let mut words = told.split(' ');
        assert_eq!(words.next(), Some("Binary"));
        whole += words.next().and_then(|len| len.parse().ok()).unwrap_or(0);
        if words.next() == Some("true") {
            break;
        }
    }
    assert_eq!(whole, 200_000);
}

#[test]
fn row_30_limits_and_time_outs_hold() {
    let echo = || Echo::new("", Vec::new());
    let short = Duration::from_millis(100);
    let server = serve_with(echo(), |config| config.max_message = 100);
    let mut client = connect(&server, "/");
    client.send("x".repeat(101)).expect("open");
    assert_eq!(end(&mut client).code, CloseCode::MESSAGE_TOO_BIG);

    let server = serve_with(echo(), |config| {
        (config.ping_interval, config.pong_timeout) = (Some(short), short);
    });
    let mut silent = Raw::open(server.address());
    assert_eq!(silent.read().first, FIN | PING);
    assert_eq!(silent.read().first, FIN | CLOSE);
    silent.read_end();

    let server = serve_with(echo(), |config| config.handshake_timeout = short);
    let mut slow = Raw::silent(server.address());
    slow.write(&UPGRADE.as_bytes()[..10]);
    assert!(slow.read_head().starts_with("HTTP/1.1 408 "));

    let server = serve_with(echo(), |config| config.close_timeout = short);
    let mut deaf = Raw::open(server.address());
    deaf.send_close(1000);
    deaf.read_close(1000);
    deaf.read_end();
}

#[test]
fn row_30_origins_connections_and_proxies_are_bounded() {
    let args = SiteArgs {
        allow_origins: vec!["https://app.example".into()],
        trust_proxies: vec!["127.0.0.0/8".parse().expect("a range")],
        ..SiteArgs::default()
    };
    let site = args.site("127.0.0.1:0").expect("good flags");
    let caps = sockeye_kit::caps::Caps::new(1, 1);
    let server = routes(|router| {
        let router = router.ws("/", move |_, cx| {
            let client = client_ip(cx).map(|ip| ip.to_string());
            let _admission = caps.admit(client_ip(cx))?;
            Ok::<_, Response>(
                Box::new(Acts(move |event: Event<'_>, cx: &mut Context<'_>| {
                    // As long as the connection lives.
                    let _ = &_admission;
                    if let Event::Open = event {
                        cx.send(client.as_deref().unwrap_or_default())
                            .expect("open");
                    }
                })) as BoxHandler,
            )
        });
        Ok(router?.wrap(site))
    });
    let from = |origin: Option<&str>, client: &str| {
        try_connect(&server, "/", |options| {
            options.origin = origin.map(str::to_owned);
            options.fields = vec![("X-Forwarded-For".into(), client.into())];
        })
    };
    let status = |refused: Result<_, sockeye_tests::adapter::Failure>| match refused {
        Ok(_) => panic!("accepted"),
        Err(failure) => failure.response.expect("an answer").status(),
    };
    let mut client = from(Some("https://app.example"), "203.0.113.9").expect("accepted");
    assert_eq!(text(&mut client), "203.0.113.9");
    assert_eq!(
        status(from(Some("https://evil.example"), "203.0.113.8")),
        403
    );
    assert_eq!(status(from(None, "203.0.113.9")), 429);
    assert!(from(None, "203.0.113.8").is_ok());
}

#[test]
fn row_30_messages_may_be_compressed() {
    let server = serve_with(Echo::new("", Vec::new()), |config| {
        config.deflate = Some(Deflate::default());
    });
    let mut config = Config::default();
    config.deflate = Some(Deflate::default());
    let client = try_connect(&server, "/", |options| {
        options.config = config.share().expect("valid limits");
    });
    let mut client = client.expect("accepted");
    let response = client.response().expect("a client has one");
    let agreed = response.value("Sec-WebSocket-Extensions").expect("agreed");
    assert!(agreed.starts_with(b"permessage-deflate"));
    let long = "compressible ".repeat(10_000);
    assert_eq!(ask(&mut client, &long), long);
    // Who does not offer it is served as well.
    assert_eq!(ask(&mut connect(&server, "/"), &long), long);
}

#[test]
fn row_30_a_program_has_them_as_flags() {
    let output = Program::run("sockeye-echo", &["--adapter", NAME, "--help"]);
    let help = String::from_utf8(output.stdout).expect("text");
    for flag in [
        "--max-message",
        "--max-fragments",
        "--max-connections",
        "--handshake-timeout",
        "--ping-interval",
        "--pong-timeout",
        "--close-timeout",
        "--idle-timeout",
        "--write-timeout",
        "--subprotocol",
        "--deflate",
    ] {
        assert!(help.contains(flag), "{flag} in {help}");
    }
}

#[test]
fn row_31_there_is_a_client_for_the_same_runtime() {
    let server = serve(Echo::new("", vec!["v1".into()]));
    let client = try_connect(&server, "/", |options| {
        options.subprotocols = vec!["v2".into(), "v1".into()];
    });
    let mut client = client.expect("accepted");
    assert_eq!(client.subprotocol(), Some("v1"));
    assert_eq!(ask(&mut client, "hello"), "hello");
    client.close(CloseCode::NORMAL, "").expect("a code");
    assert!(client.closed().expect("it has ended").is_clean());
}

#[test]
fn row_31_a_client_comes_back_after_a_pause_when_its_server_was_restarted() {
    let connections = AtomicUsize::new(0);
    let server = serve(service_fn(move |_: &Request<'_>, _: &mut Opening<'_>| {
        let number = connections.fetch_add(1, Ordering::SeqCst);
        Acts(move |event: Event<'_>, cx: &mut Context<'_>| {
            if let Event::Open = event {
                let _ = match number {
                    0 => cx.close(CloseCode::SERVICE_RESTART, "back soon"),
                    _ => cx.send(format!("connection {number}")),
                };
            }
        })
    }));
    let url = format!("ws://{}/", server.address());
    let flags = "--reconnect --retry-min 10ms --no-input --one --wait forever --timeout 20s";
    let args: Vec<&str> = flags.split(' ').chain([&*url]).collect();
    let output = Program::run("sockeye", &args);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "connection 1\n",
        "{log}"
    );
}

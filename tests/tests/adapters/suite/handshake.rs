//! Opening a connection: what each side tells the other, and how it is refused.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use sockeye_async::{ConnectOptions, ServeOptions};
use sockeye_core::handshake::{Accept, Request, Response};
use sockeye_core::{CloseCode, Config, SharedConfig};
use sockeye_handler::{
    Context, Decision, Handler, Message, Opening, Request as HandlerRequest, Service,
};
use sockeye_tests::adapter::{Adapter as _, Running, Socket};
use sockeye_tests::wire::{CLOSE, FIN, Raw, TEXT, UPGRADE};

use super::Adapter;

/// Tells each client what it said of itself, and where it is.
struct Mirror;

struct Told(String);

impl Service for Mirror {
    type Handler = Told;

    fn on_request(&self, request: &HandlerRequest<'_>, cx: &mut Opening<'_>) -> Decision<Told> {
        let told = format!(
            "{} {:?} {:?} {:?} {}",
            request.path(),
            request.cookie("id"),
            request.origin(),
            request
                .values("X-Extra")
                .next()
                .map(String::from_utf8_lossy),
            cx.address(),
        );
        cx.field("Set-Cookie", "id=8").expect("a field");
        cx.field("X-Answer", "yes").expect("a field");
        let last = request.subprotocols().last();
        let accept = last.map_or_else(Accept::new, |name| {
            Accept::new().subprotocol(name).expect("a token")
        });
        Decision::Accept(accept, Told(told))
    }
}

impl Handler for Told {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        cx.send(self.0.as_str()).expect("open");
    }

    fn on_message(&mut self, _: Message<'_>, _: &mut Context<'_>) {}
}

fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}/", listener.local_addr().expect("bound"));
    (listener, url)
}

#[test]
fn fields_cookies_and_the_subprotocol_go_both_ways_and_the_address_is_the_clients() {
    let server = Adapter::serve(Mirror, &ServeOptions::default());
    let mut peer = Raw::silent(server.address());
    let extra = "\r\nCookie: a=1; id=7\r\nOrigin: http://page.example\r\nX-Extra: more\r\n\
        Sec-WebSocket-Protocol: one, two\r\n\r\n";
    peer.write(UPGRADE.replace("\r\n\r\n", extra).as_bytes());
    let head = peer.read_head();
    for line in [
        "HTTP/1.1 101 Switching Protocols",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "Sec-WebSocket-Protocol: two",
        "Set-Cookie: id=8",
        "X-Answer: yes",
    ] {
        assert!(head.lines().any(|found| found == line), "{line} in {head}");
    }
    let told = String::from_utf8(peer.read().payload).expect("text");
    let here = peer.0.local_addr().expect("connected");
    assert_eq!(
        told,
        format!(r#"/path Some("7") Some("http://page.example") Some("more") tcp4:{here}"#)
    );
}

#[test]
fn a_client_says_what_its_options_say_and_hears_the_answer() {
    let server = Adapter::serve(Mirror, &ServeOptions::default());
    let mut options = ConnectOptions::default();
    options.subprotocols = vec!["one".into(), "two".into()];
    options.fields = vec![
        ("Cookie".into(), b"id=7".to_vec()),
        ("X-Extra".into(), b"more".to_vec()),
    ];
    options.origin = Some("http://page.example".into());
    let url = format!("ws://{}/there", server.address());
    let mut client = Adapter::connect(&url, &options).expect("a server");
    assert_eq!(client.subprotocol(), Some("two"));
    let response = client.response().expect("a client has one");
    assert_eq!(response.value("Set-Cookie"), Some(&b"id=8"[..]));
    let told = client.recv().expect("open");
    let told = told.as_text().expect("text");
    let said = r#"/there Some("7") Some("http://page.example") Some("more") tcp4:127.0.0.1:"#;
    assert!(told.starts_with(said), "{told}");
    client.close(CloseCode::NORMAL, "").expect("a code");
    assert!(client.closed().expect("ended").is_clean());
}

#[test]
fn a_name_is_resolved() {
    let server = Adapter::serve(Mirror, &ServeOptions::default());
    let url = format!("ws://localhost:{}/", server.address().port());
    let mut client = Adapter::connect(&url, &ConnectOptions::default()).expect("a server");
    assert!(client.recv().is_some());
}

#[test]
fn a_refusal_carries_status_fields_and_body_to_the_client() {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        let refuse = |_: &Request<'_>| {
            let response = Response::text(403, "members only\nsorry\n");
            Err(response.field("X-Reason", "no ticket").expect("a field"))
        };
        let refused = Adapter::accept(stream, &SharedConfig::default(), refuse);
        refused.err().expect("refused")
    });
    let refused = Adapter::connect(&url, &ConnectOptions::default());
    let failure = refused.err().expect("403");
    let sentence = &failure.sentence;
    assert!(
        sentence.ends_with(" answered 403 Forbidden: members only"),
        "{sentence}"
    );
    let response = failure.response.expect("an answer");
    assert_eq!(response.value("x-reason"), Some(&b"no ticket"[..]));
    assert_eq!(response.content(), &b"members only\nsorry\n"[..]);
    let told = server.join().expect("no panic").response;
    assert_eq!(told.map(|response| response.status()), Some(403));
}

#[test]
fn what_cannot_be_connected_to_is_named() {
    let unused: SocketAddr = {
        let (listener, _) = listen();
        listener.local_addr().expect("bound")
    };
    let mut bad_field = ConnectOptions::default();
    bad_field.fields = vec![("X".into(), b"a\r\nb".to_vec())];
    let plain = ConnectOptions::default();
    for (url, options, named) in [
        ("http://example.com/", &plain, "http://example.com/"),
        ("ws://", &plain, "ws://"),
        ("ws://127.0.0.1:1/\r\nX: y", &plain, "\\r\\n"),
        ("ws://no.such.host.invalid/", &plain, "no.such.host.invalid"),
        (&*format!("ws://{unused}/"), &plain, &*unused.to_string()),
        ("ws://127.0.0.1:1/", &bad_field, "request"),
    ] {
        let failure = Adapter::connect(url, options).err().expect(url);
        let sentence = failure.sentence;
        assert!(sentence.contains(named), "{sentence}");
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
    }
}

#[test]
fn a_server_that_never_answers_times_out() {
    let (listener, url) = listen();
    let mut options = ConnectOptions::default();
    options.config = short_handshake();
    let begin = Instant::now();
    let failure = Adapter::connect(&url, &options).err().expect("silence");
    assert!(failure.sentence.contains("in time"), "{}", failure.sentence);
    assert!(begin.elapsed() < Duration::from_secs(10));
    drop(listener);
}

#[test]
fn a_client_that_never_asks_is_told_at_the_deadline() {
    let (listener, _) = listen();
    let mut raw = Raw::silent(listener.local_addr().expect("bound"));
    raw.write(b"GET / HTTP/1.1\r\n");
    let (stream, _) = listener.accept().expect("a client");
    let accepted = thread::spawn(|| accept(stream, &short_handshake()).err());
    assert!(raw.read_head().starts_with("HTTP/1.1 408 "));
    drop(raw);
    assert!(accepted.join().expect("no panic").is_some());
}

#[test]
fn an_accepted_stream_may_bring_more_than_the_request() {
    let (listener, _) = listen();
    let mut raw = Raw::silent(listener.local_addr().expect("bound"));
    let early = sockeye_tests::wire::frame(FIN | TEXT, b"early");
    raw.0
        .write_all(&[UPGRADE.as_bytes(), &early].concat())
        .expect("room");
    let (stream, _) = listener.accept().expect("a client");
    let server = thread::spawn(|| {
        let mut ws = accept(stream, &SharedConfig::default()).expect("an upgrade");
        assert_eq!(ws.recv(), Some("early".into()));
        assert_eq!(ws.recv(), None);
        ws.closed().cloned()
    });
    raw.read_head();
    raw.send(FIN | CLOSE, &1000_u16.to_be_bytes());
    raw.read_close(1000);
    raw.read_end();
    drop(raw);
    let closed = server.join().expect("no panic").expect("ended");
    assert!(closed.is_clean());
}

type WebSocket = <Adapter as sockeye_tests::adapter::Adapter>::WebSocket;

fn accept(
    stream: TcpStream,
    config: &SharedConfig,
) -> Result<WebSocket, sockeye_tests::adapter::Failure> {
    Adapter::accept(stream, config, |_| Ok(Accept::new()))
}

fn short_handshake() -> SharedConfig {
    let mut config = Config::default();
    config.handshake_timeout = Duration::from_millis(200);
    config.linger = Duration::from_millis(100);
    config.share().expect("valid")
}

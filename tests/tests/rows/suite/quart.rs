//! Features of Quart: a test client, pages beside WebSocket, broadcast.

use alloc::sync::Arc;
use std::sync::Mutex;
use std::thread;

use sockeye_echo::Echo;
use sockeye_handler::testing::TestServer;
use sockeye_handler::{
    Closed, Context, Frame, Handler, Message, Opening, Peer, PeerError, Request, Response,
    RouteError, Router, service_fn,
};
use sockeye_kit::http::{Asset, Pages};
use sockeye_tests::adapter::{Running, Socket};
use sockeye_tests::wire::Raw;

use super::bench::{Server, ask, connect, get, http, recv, routes, serve, text, try_connect};

#[test]
fn row_32_an_echo_may_put_a_prefix_before_text() {
    let server = serve(Echo::new("echo ", Vec::new()));
    let mut client = connect(&server, "/");
    assert_eq!(ask(&mut client, "data"), "echo data");
    client.send(vec![1, 2]).expect("open");
    assert_eq!(recv(&mut client), Some(vec![1, 2].into()));
    let verbatim = serve(Echo::new("", Vec::new()));
    assert_eq!(ask(&mut connect(&verbatim, "/"), "data"), "data");
}

fn greeting(router: Router) -> Result<Router, RouteError> {
    router.ws("/ws/{name}", |request, _| {
        let name = request.params().get("name").unwrap_or_default().to_owned();
        Greets(name)
    })
}

struct Greets(String);

impl Handler for Greets {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        cx.send(format!("hello {}", self.0)).expect("open");
    }

    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        let _ = cx.send(message);
    }
}

#[test]
fn row_33_a_test_client_needs_no_socket_and_hears_what_a_real_one_hears() {
    let test_server = TestServer::new(greeting(Router::new()).expect("a good route"));
    let mut test_client = test_server.connect("/ws/ana").expect("accepted");
    let server = routes(greeting);
    let mut client = connect(&server, "/ws/ana");
    assert_eq!(test_client.recv_text(), Some(text(&mut client)));
    test_client.send("x").expect("open");
    assert_eq!(test_client.recv_text(), Some(ask(&mut client, "x")));
}

#[test]
fn row_34_pages_scripts_and_styles_are_served_beside_the_socket() {
    let pages = Pages::new([
        Asset::new(
            "index.html",
            "<!doctype html><script src=\"/js/app.js\"></script>",
        ),
        Asset::new("js/app.js", "new WebSocket(\"/ws\");"),
        Asset::new("css/app.css", "p { margin: 0 }"),
    ]);
    let server = routes(|router| pages.mount(router)?.ws("/ws", |_, _| Greets("page".into())));
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/js/app.js", "text/javascript; charset=utf-8"),
        ("/css/app.css", "text/css; charset=utf-8"),
    ] {
        let answer = get(server.address(), path);
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.field("Content-Type"), Some(content_type));
    }
    assert_eq!(text(&mut connect(&server, "/ws")), "hello page");
}

#[test]
fn row_35_a_page_finds_its_socket_by_its_own_address_and_uses_tls_where_it_came_by_tls() {
    let server = serve(Echo::new("", Vec::new()));
    let page = get(server.address(), "/");
    assert!(page.body.contains("src=\"/echo.js\""), "{}", page.body);
    let script = get(server.address(), "/echo.js").body;
    for part in [
        "location.",
        "\"https:\" ? \"wss:\" : \"ws:\"",
        "new WebSocket(",
    ] {
        assert!(script.contains(part), "{part} in {script}");
    }
    assert!(!script.contains("localhost"), "{script}");
}

/// What all connections of a broadcast have in common.
#[derive(Clone, Default)]
struct Everybody(Arc<Mutex<Vec<Peer>>>);

impl Everybody {
    fn peers(&self) -> std::sync::MutexGuard<'_, Vec<Peer>> {
        self.0.lock().expect("no panic")
    }

    fn tell(&self, text: &str) -> Vec<PeerError> {
        let frame = Frame::new(text);
        let peers = self.peers();
        peers
            .iter()
            .filter_map(|peer| peer.send_frame(&frame).err())
            .collect()
    }
}

/// Joins everybody, and tells them what it hears.
struct Member {
    everybody: Everybody,
    peer: Option<Peer>,
}

impl Handler for Member {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        let peer = cx.peer();
        self.peer = Some(peer.clone());
        self.everybody.peers().push(peer);
        cx.send("joined").expect("open");
    }

    fn on_message(&mut self, message: Message<'_>, _: &mut Context<'_>) {
        self.everybody
            .tell(&String::from_utf8_lossy(message.as_bytes()));
    }

    fn on_close(&mut self, _: &Closed) {
        self.everybody
            .peers()
            .retain(|peer| Some(peer) != self.peer.as_ref());
    }
}

fn broadcast() -> (Server, Everybody) {
    let everybody = Everybody::default();
    let [members, posts] = [(); 2].map(|()| everybody.clone());
    let server = routes(|router| {
        router
            .ws("/ws", move |_, _| Member {
                everybody: members.clone(),
                peer: None,
            })?
            .post("/publish", move |request| {
                posts.tell(&String::from_utf8_lossy(request.body()));
                Response::new(202)
            })
    });
    (server, everybody)
}

#[test]
fn row_36_a_broadcast_has_a_bounded_queue_for_each_connection_from_its_start_to_its_end() {
    let (server, everybody) = broadcast();
    let mut clients = [(); 3].map(|()| connect(&server, "/ws"));
    for client in &mut clients {
        assert_eq!(text(client), "joined");
    }
    assert!(everybody.tell("hello").is_empty());
    for client in &mut clients {
        assert_eq!(text(client), "hello");
    }
    let [mut first, second, third] = clients;
    for mut client in [second, third] {
        client.close(1000.into(), "").expect("a code");
    }
    while everybody.peers().len() > 1 {
        thread::yield_now();
    }
    assert_eq!(ask(&mut first, "still here"), "still here");

    // One that does not read fills its own queue, and nobody else's.
    let stalled = Raw::open_path(server.address(), "/ws");
    while everybody.peers().len() < 2 {
        thread::yield_now();
    }
    let long = "x".repeat(64 << 10);
    let mut told = 0;
    while everybody.tell(&long).is_empty() {
        told += 1;
        assert_eq!(text(&mut first), long);
        assert!(told < 1 << 12, "256 MiB are no bound");
    }
    assert_eq!(everybody.tell("!"), [PeerError::Full]);
    drop(stalled);
}

#[test]
fn row_37_what_is_broadcast_may_come_by_post_by_socket_or_from_another_server() {
    let (server, _) = broadcast();
    let [mut one, mut other] = [(); 2].map(|()| connect(&server, "/ws"));
    for client in [&mut one, &mut other] {
        assert_eq!(text(client), "joined");
    }
    let posted = http(server.address(), "POST /publish HTTP/1.1", &[], "by post");
    assert_eq!(posted.status, 202);
    one.send("by socket").expect("open");
    for client in [&mut one, &mut other] {
        assert_eq!(text(client), "by post");
        assert_eq!(text(client), "by socket");
    }
    // What another server says is passed on by a client of it.
    let elsewhere = routes(greeting);
    let mut source = connect(&elsewhere, "/ws/everybody");
    let heard = text(&mut source);
    one.send(heard).expect("open");
    for client in [&mut one, &mut other] {
        assert_eq!(text(client), "hello everybody");
    }
}

#[test]
fn row_38_a_refusal_has_a_status_and_a_producer_sends_while_the_client_does() {
    // `ana:secret`, as Basic authentication says it (RFC 7617).
    let authorized = |request: &Request<'_>| {
        request.values("Authorization").next() == Some(&b"Basic YW5hOnNlY3JldA=="[..])
    };
    let server = serve(service_fn(
        move |request: &Request<'_>, cx: &mut Opening<'_>| {
            if !authorized(request) {
                let response = Response::text(401, "who are you?\n");
                let response = response.field("WWW-Authenticate", "Basic realm=\"test\"");
                return Err(response.expect("a field"));
            }
            let peer = cx.peer();
            // A producer that waits for nobody.
            thread::spawn(move || {
                for number in 0..100 {
                    if peer.send(format!("produced {number}")).is_err() {
                        return;
                    }
                }
            });
            Ok(Greets("ana".into()))
        },
    ));
    let Err(refused) = try_connect(&server, "/", |_| {}) else {
        panic!("accepted");
    };
    let response = refused.response.expect("an answer");
    assert_eq!(response.status(), 401);
    assert_eq!(
        response.value("WWW-Authenticate"),
        Some(&b"Basic realm=\"test\""[..])
    );

    let client = try_connect(&server, "/", |options| {
        options.fields = vec![("Authorization".into(), b"Basic YW5hOnNlY3JldA==".to_vec())];
    });
    let mut client = client.expect("accepted");
    for number in 0..100 {
        client.send(format!("sent {number}")).expect("open");
    }
    let heard: Vec<String> = (0..201).map(|_| text(&mut client)).collect();
    for what in ["produced", "sent"] {
        let told = heard.iter().filter(|text| text.starts_with(what));
        assert!(
            told.enumerate()
                .all(|(at, text)| *text == format!("{what} {at}"))
        );
    }
    assert!(heard.contains(&"hello ana".into()));
}

//! Features of Shallot: handlers as generators, accepting by data, the life of an app.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::mpsc::channel;

use async_stream::stream;
use sockeye_handler::{
    Accept, BoxHandler, CloseCode, Closed, Context, Decision, Handler, Initiator, Message, Next,
    Opening, Out, OwnedMessage, Peer, Request, Response, Router, generator, linear, service_fn,
};
use sockeye_tests::adapter::{Adapter as _, Running, Socket};
use sockeye_tests::wire::PATIENCE;

use super::Adapter;
use super::bench::{ask, connect, end_code, get, recv, refusal, routes, serve, text, try_connect};

#[test]
fn row_39_a_handler_is_a_generator_from_what_comes_in_to_what_goes_out() {
    let server = serve(generator(|_, mut receiver| {
        stream! {
            yield Out::text("hello");
            while let Some(message) = receiver.recv().await {
                yield Out::Message(message);
            }
        }
    }));
    let mut client = connect(&server, "/");
    assert_eq!(text(&mut client), "hello");
    assert_eq!(ask(&mut client, "there"), "there");
}

/// Outputs can be made without a connection, compared and kept.
fn farewell(name: &str) -> [Out; 3] {
    [
        Out::text(format!("bye {name}")),
        Out::binary([1, 2, 3]),
        Out::close(CloseCode::new(4002), "left"),
    ]
}

#[test]
fn row_40_outputs_are_data() {
    assert_eq!(farewell("ana")[0], Out::text("bye ana"));
    assert_ne!(farewell("ana"), farewell("bob"));
    let server = serve(generator(|_, _| {
        stream! {
            for output in farewell("ana") {
                yield output;
            }
        }
    }));
    let mut client = connect(&server, "/");
    assert_eq!(recv(&mut client), Some("bye ana".into()));
    assert_eq!(recv(&mut client), Some(vec![1, 2, 3].into()));
    assert_eq!(end_code(&mut client), (4002, "left".into()));
}

/// What a layer has found out.
struct User(String);

/// Finds out who it is, for WebSocket and plain HTTP alike.
fn identify(request: &Request<'_>, cx: &mut Opening<'_>, next: Next<'_>) -> Decision<BoxHandler> {
    let Some(user) = request.query_value("user") else {
        return Decision::Respond(Response::text(401, "who are you?\n"));
    };
    cx.insert(User(user.into_owned()));
    next.on_request(request, cx)
}

#[test]
fn row_41_the_scope_is_the_request_and_what_layers_have_added() {
    let service = generator(|scope, _| {
        stream! {
            let user = scope.get::<User>().map_or("nobody", |user| &user.0);
            let extra = scope.field("X-Extra").unwrap_or_default();
            let extra = String::from_utf8_lossy(extra);
            let room = scope.param("room").unwrap_or_default();
            yield Out::text(format!("{user} {room} {extra} {}", scope.target()));
        }
    });
    let server = routes(|router| Ok(router.route("/rooms/{room}", service)?.layer(identify)));
    let client = try_connect(&server, "/rooms/lobby?user=ana", |options| {
        options.fields = vec![("X-Extra".into(), b"more".to_vec())];
    });
    let mut client = client.expect("accepted");
    assert_eq!(text(&mut client), "ana lobby more /rooms/lobby?user=ana");
}

#[test]
fn row_42_a_generator_that_ends_closes_with_1000() {
    let server = serve(generator(|_, _| {
        stream! {
            for number in 0..3 {
                yield Out::text(number.to_string());
            }
        }
    }));
    let mut client = connect(&server, "/");
    for number in ["0", "1", "2"] {
        assert_eq!(text(&mut client), number);
    }
    assert_eq!(end_code(&mut client), (1000, String::new()));
}

#[test]
fn row_43_after_an_explicit_close_nothing_is_sent() {
    let server = serve(generator(|_, _| {
        stream! {
            yield Out::text("before");
            yield Out::close(CloseCode::GOING_AWAY, "going");
            yield Out::text("after");
            yield Out::close(CloseCode::NORMAL, "");
        }
    }));
    let mut client = connect(&server, "/");
    assert_eq!(text(&mut client), "before");
    assert_eq!(end_code(&mut client), (1001, "going".into()));
}

/// Disconnected, if the peer began; closed, in any case and after that.
struct Hooks(std::sync::mpsc::Sender<String>);

impl Handler for Hooks {
    fn on_message(&mut self, _: Message<'_>, cx: &mut Context<'_>) {
        let _ = cx.close(CloseCode::new(4003), "");
    }

    fn on_close(&mut self, closed: &Closed) {
        if closed.initiator == Initiator::Peer {
            let _ = self.0.send(format!("disconnected {}", closed.code));
        }
        let _ = self.0.send(format!("closed {}", closed.code));
    }
}

#[test]
fn row_44_who_began_to_close_is_told_and_the_end_is_told_in_any_case() {
    let (hooks, heard) = channel();
    let server = serve(service_fn(move |_: &Request<'_>, _: &mut Opening<'_>| {
        Hooks(hooks.clone())
    }));
    let hear = || heard.recv_timeout(PATIENCE).expect("a call");
    let mut client = connect(&server, "/");
    client.close(CloseCode::new(4001), "").expect("a code");
    assert_eq!([hear(), hear()], ["disconnected 4001", "closed 4001"]);
    let mut client = connect(&server, "/");
    client.send("close").expect("open");
    assert_eq!(end_code(&mut client).0, 4003);
    assert_eq!(hear(), "closed 4003");
    drop(sockeye_tests::wire::Raw::open(server.address()));
    assert_eq!(hear(), "closed 1006");
    assert!(heard.try_recv().is_err());
}

#[test]
fn row_45_a_connection_is_accepted_with_a_subprotocol_or_refused_with_403() {
    let server = serve(service_fn(
        |request: &Request<'_>, _: &mut Opening<'_>| match request
            .subprotocols()
            .find(|name| name.starts_with("chat"))
        {
            Some(name) => {
                let accept = Accept::new().subprotocol(name).expect("it was offered");
                Decision::Accept(accept, Hooks(channel().0))
            }
            None => Decision::Respond(Response::text(403, "no chat, no talk\n")),
        },
    ));
    let client = try_connect(&server, "/", |options| {
        options.subprotocols = vec!["other".into(), "chat.v7".into()];
    });
    assert_eq!(client.expect("accepted").subprotocol(), Some("chat.v7"));
    assert_eq!(refusal(&server, "/"), 403);
}

#[test]
fn row_46_layers_and_routes_are_the_same_for_sockets_and_plain_http() {
    let server = routes(|router| {
        let router = router
            .ws("/things/{id}", |request, cx| {
                let id = request.params().get("id").unwrap_or_default();
                let user = cx.get::<User>().map_or("nobody", |user| &user.0);
                Says(format!("{user} {id}"))
            })?
            .get("/things/{id}", |request| {
                let id = request.params().get("id").unwrap_or_default();
                Response::text(200, format!("page of {id}"))
            })?;
        Ok(router.layer(identify))
    });
    assert_eq!(text(&mut connect(&server, "/things/7?user=ana")), "ana 7");
    assert_eq!(
        get(server.address(), "/things/7?user=ana").body,
        "page of 7"
    );
    assert_eq!(refusal(&server, "/things/7"), 401);
    assert_eq!(get(server.address(), "/things/7").status, 401);
}

struct Says(String);

impl Handler for Says {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        cx.send(&self.0).expect("open");
    }

    fn on_message(&mut self, _: Message<'_>, _: &mut Context<'_>) {}
}

#[test]
fn row_47_exit_is_answered_with_bye_and_1001() {
    let server = serve(generator(|_, mut receiver| {
        stream! {
            while let Some(message) = receiver.recv().await {
                if message.as_text() == Some("exit") {
                    yield Out::text("bye");
                    yield Out::close(CloseCode::GOING_AWAY, "exit");
                }
                yield Out::Message(message);
            }
        }
    }));
    let mut client = connect(&server, "/");
    assert_eq!(ask(&mut client, "not yet"), "not yet");
    assert_eq!(ask(&mut client, "exit"), "bye");
    assert_eq!(end_code(&mut client), (1001, "exit".into()));
}

#[test]
fn row_48_an_app_starts_and_stops_with_what_its_connections_share() {
    let running = Arc::new(AtomicUsize::new(0));
    let [starting, stopping, shared] = [(); 3].map(|()| Arc::clone(&running));
    let router = Router::new()
        .ws("/", move |_, _| {
            Says(shared.load(Ordering::SeqCst).to_string())
        })
        .expect("a good route")
        .on_start(move || starting.store(7, Ordering::SeqCst))
        .on_stop(move || stopping.store(0, Ordering::SeqCst));
    let mut server = Adapter::serve(router, &sockeye_async::ServeOptions::default());
    let mut client = connect(&server, "/");
    assert_eq!(text(&mut client), "7");
    client.close(CloseCode::NORMAL, "").expect("a code");
    server.shut_down(sockeye_async::Shutdown::default());
    assert_eq!(running.load(Ordering::SeqCst), 0);
}

#[test]
fn row_48_several_sources_meet_in_one_connection_and_a_timer_feeds_it() {
    // Fan-in: two threads. Fan-out: a timer for each connection.
    let server = serve(linear(|ws| async move {
        let peer: Peer = ws.peer().clone();
        for source in ["one", "two"] {
            let peer = peer.clone();
            std::thread::spawn(move || peer.send(source));
        }
        for _ in 0..3 {
            ws.sleep(Duration::from_millis(10)).await;
            if ws.sender().send("tick").await.is_err() {
                return;
            }
        }
    }));
    let mut client = connect(&server, "/");
    let mut heard: Vec<String> = (0..5).map(|_| text(&mut client)).collect();
    heard.sort();
    assert_eq!(heard, ["one", "tick", "tick", "tick", "two"]);
}

#[test]
fn row_48_a_chatbot_remembers_its_conversation() {
    let server = serve(generator(|_, mut receiver| {
        stream! {
            yield Out::text("what is your name?");
            let name = receiver.recv().await;
            let name = name.as_ref().and_then(OwnedMessage::as_text).unwrap_or("stranger");
            yield Out::text(format!("hello {name}"));
            while let Some(message) = receiver.recv().await {
                let said = message.as_text().unwrap_or("something").to_owned();
                yield Out::text(format!("{name}, you said {said}"));
            }
        }
    }));
    let mut client = connect(&server, "/");
    assert_eq!(text(&mut client), "what is your name?");
    assert_eq!(ask(&mut client, "ana"), "hello ana");
    assert_eq!(ask(&mut client, "so"), "ana, you said so");
}

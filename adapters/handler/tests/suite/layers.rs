//! What stands around handlers and services.

use sockeye_core::handshake::ConnectError;
use sockeye_handler::testing::TestServer;
use sockeye_handler::{
    BoxHandler, Closed, Context, Decision, Frame, Handler, Message, Next, Opening, Outgoing,
    Request, Response, Router, Scope, linear,
};

use crate::probe::Notes;

/// Puts a mark around what comes in and what goes out.
struct Marked {
    mark: &'static str,
    notes: Notes,
    inner: BoxHandler,
}

impl Handler for Marked {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        let Self { mark, inner, .. } = self;
        cx.layered(
            |message, cx| marked(mark, message, cx),
            |cx| inner.on_open(cx),
        );
    }

    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        let Self { mark, inner, notes } = self;
        notes.push(format!("{mark} in"));
        cx.layered(
            |message, cx| {
                notes.push(format!("{mark} out"));
                marked(mark, message, cx)
            },
            |cx| inner.on_message(message, cx),
        );
    }

    fn on_close(&mut self, closed: &Closed) {
        self.inner.on_close(closed);
    }
}

fn marked(
    mark: &str,
    message: Outgoing<'_>,
    cx: &mut Context<'_>,
) -> Result<(), sockeye_handler::SendError> {
    let text = String::from_utf8_lossy(message.as_bytes()).into_owned();
    cx.send(format!("{mark}({text})"))
}

struct Echo;

impl Handler for Echo {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        cx.send("open").expect("open");
    }

    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        if message.as_bytes() == b"frame" {
            let _ = cx.send_frame(&Frame::new(message));
        } else {
            let _ = cx.send(message);
        }
    }
}

fn marking(
    mark: &'static str,
    notes: &Notes,
) -> impl Fn(&Request<'_>, &mut Opening<'_>, Next<'_>) -> Decision<BoxHandler> + Send + Sync + use<>
{
    let notes = notes.clone();
    move |request, cx, next| {
        let notes = notes.clone();
        next.on_request(request, cx)
            .map(move |inner| Box::new(Marked { mark, notes, inner }) as BoxHandler)
    }
}

#[test]
fn what_comes_in_passes_from_the_outside_and_what_goes_out_from_the_inside() {
    let notes = Notes::default();
    let router = Router::new()
        .ws("/", |_, _| Echo)
        .map(|r| {
            r.layer(marking("inner", &notes))
                .layer(marking("outer", &notes))
        })
        .expect("good routes");
    let server = TestServer::new(router);
    let mut client = server.connect("/").expect("accepted");
    assert_eq!(client.recv_text().as_deref(), Some("outer(inner(open))"));
    for sent in ["x", "frame"] {
        client.send(sent).expect("open");
        assert_eq!(client.recv_text(), Some(format!("outer(inner({sent}))")));
        assert_eq!(
            notes.take(),
            ["outer in", "inner in", "inner out", "outer out"]
        );
    }
}

#[test]
fn a_layer_stands_around_the_routes_before_it_and_wrap_around_everything() {
    let refuse = |_: &Request<'_>, _: &mut Opening<'_>, _: Next<'_>| {
        Decision::Respond(Response::text(403, "no\n"))
    };
    let greet = |request: &Request<'_>, cx: &mut Opening<'_>, next: Next<'_>| {
        cx.field("X-Hello", "hello").expect("valid");
        next.on_request(request, cx)
    };
    let router = Router::new()
        .get("/before", |_| Response::text(200, "before"))
        .and_then(|r| r.ws("/ws", |_, _| Echo))
        .map(|r| r.layer(refuse).wrap(greet))
        .and_then(|r| r.get("/after", |_| Response::text(200, "after")))
        .expect("good routes");
    let server = TestServer::new(router);
    for (path, status) in [("/before", 403), ("/after", 200), ("/nowhere", 404)] {
        let response = server.get(path).expect("answered");
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.value("X-Hello"), Some(&b"hello"[..]), "{path}");
    }
    let Err(ConnectError::Rejected(response)) = server.connect("/ws") else {
        panic!("refused");
    };
    assert_eq!(response.status(), 403);
}

#[test]
fn what_a_layer_leaves_reaches_the_handler() {
    #[derive(Clone)]
    struct User(String);
    let login = |request: &Request<'_>, cx: &mut Opening<'_>, next: Next<'_>| match request
        .query_value("user")
    {
        Some(user) => {
            cx.insert(User(user.into_owned()));
            next.on_request(request, cx)
        }
        None => Decision::Respond(Response::new(401)),
    };
    let router = Router::new()
        .ws("/direct/{room}", |request, cx| {
            assert_eq!(cx.get::<User>().map(|user| &*user.0), Some("ana"));
            assert!(Scope::new(request, cx).get::<String>().is_none());
            Echo
        })
        .and_then(|r| {
            let service = linear(|ws| async move {
                let scope = ws.scope();
                let user = scope.get::<User>().map_or("nobody", |user| &user.0);
                let room = scope.param("room").unwrap_or_default();
                let _ = ws.send(format!("{user} in {room}")).await;
            });
            r.route("/linear/{room}", service)
        })
        .map(|r| r.layer(login))
        .expect("good routes");
    let server = TestServer::new(router);
    assert!(server.connect("/direct/x").is_err());
    assert!(server.connect("/direct/x?user=ana").is_ok());
    let mut client = server.connect("/linear/blue?user=ana").expect("accepted");
    assert_eq!(client.recv_text().as_deref(), Some("ana in blue"));
}

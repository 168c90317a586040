//! Features of YAWF: routes, the linear handler, middleware. Its presence example has a file of
//! its own.

use std::sync::mpsc::channel;

use sockeye_handler::{
    BoxHandler, Context, Decision, Handler, Message, Next, Opening, Outgoing, Request, Response,
    Router, SendError, linear,
};
use sockeye_tests::adapter::{Running, Socket};
use sockeye_tests::wire::PATIENCE;

use super::bench::{ask, connect, end_code, get, refusal, routes, serve, text};

/// Says one thing to whoever connects.
struct Says(String);

impl Handler for Says {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        cx.send(&self.0).expect("open");
    }

    fn on_message(&mut self, _: Message<'_>, _: &mut Context<'_>) {}
}

struct Echo;

impl Handler for Echo {
    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        let _ = cx.send(message);
    }
}

#[test]
fn row_01_a_path_leads_to_its_handler() {
    let paths = ["/echo", "/ws", "/api/v2/ws", "/talking"];
    let server = routes(|router| {
        paths.into_iter().try_fold(router, |router, path| {
            router.ws(path, move |_, _| Says(path.into()))
        })
    });
    for path in paths {
        assert_eq!(text(&mut connect(&server, path)), path);
    }
}

#[test]
fn row_02_named_parts_of_a_path_are_parameters_and_there_may_be_none() {
    let say = |request: &Request<'_>, _: &mut Opening<'_>| {
        let name = request.params().get("name");
        let count = request.params().iter().count();
        Says(format!("{name:?} of {count}"))
    };
    let server = routes(|router| {
        router
            .ws("/plain", say)?
            .ws("/users/{name}", say)?
            .ws("/rooms/{room}/users/{name}", say)
    });
    for (path, said) in [
        ("/plain", "None of 0"),
        ("/users/ana", "Some(\"ana\") of 1"),
        ("/rooms/lobby/users/bob", "Some(\"bob\") of 2"),
    ] {
        assert_eq!(text(&mut connect(&server, path)), said);
    }
}

#[test]
fn row_03_a_part_can_be_constrained_a_slash_may_follow_and_there_is_a_query() {
    let server = routes(|router| {
        router.ws("/items/{id}", |request, _| {
            let id = request.params().get("id").unwrap_or_default();
            if !id.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Response::text(404, "items have numbers\n"));
            }
            let query = request.query_value("q").unwrap_or_default();
            Ok(Says(format!("{id} {query}")))
        })
    });
    for (path, said) in [
        ("/items/42", "42 "),
        ("/items/42/", "42 "),
        ("/items/7?q=a+b%21", "7 a b!"),
        ("/items/7/?x=1&q=2", "7 2"),
    ] {
        assert_eq!(text(&mut connect(&server, path)), said);
    }
    for path in ["/items/4x", "/items/-1", "/items/", "/items"] {
        assert_eq!(refusal(&server, path), 404, "{path}");
    }
}

#[test]
fn row_04_where_nothing_is_served_the_answer_is_404_and_no_upgrade() {
    let server = routes(|router| router.ws("/echo", |_, _| Echo));
    for path in ["/", "/other", "/echo/more"] {
        assert_eq!(refusal(&server, path), 404, "{path}");
        assert_eq!(get(server.address(), path).status, 404, "{path}");
    }
}

#[test]
fn row_05_a_handler_is_a_loop_that_receives_and_sends() {
    let server = serve(linear(|mut ws| async move {
        while ws.is_open() {
            let Some(message) = ws.recv().await else {
                break;
            };
            ws.send(message).await?;
        }
        Ok::<_, SendError>(())
    }));
    let mut client = connect(&server, "/");
    for message in ["one", "two", ""] {
        assert_eq!(ask(&mut client, message), message);
    }
}

#[test]
fn row_06_the_loop_knows_whether_its_connection_is_open() {
    let (reports, reported) = channel();
    let server = serve(linear(move |mut ws| {
        let reports = reports.clone();
        async move {
            let before = ws.is_open();
            while ws.recv().await.is_some() {}
            let _ = reports.send((before, ws.is_open()));
        }
    }));
    let mut client = connect(&server, "/");
    client.close(1000.into(), "").expect("a code");
    assert_eq!(reported.recv_timeout(PATIENCE), Ok((true, false)));
}

#[test]
fn row_07_receiving_gives_none_when_the_connection_closes_or_is_lost() {
    let (reports, reported) = channel();
    let server = serve(linear(move |mut ws| {
        let reports = reports.clone();
        async move {
            if let Some(message) = ws.recv().await
                && message.as_text() == Some("close")
            {
                ws.close(4000.into(), "");
            }
            let _ = reports.send(ws.recv().await);
        }
    }));
    let mut closed_here = connect(&server, "/");
    closed_here.send("close").expect("open");
    assert_eq!(end_code(&mut closed_here).0, 4000);
    assert_eq!(reported.recv_timeout(PATIENCE), Ok(None));
    let mut closed_there = connect(&server, "/");
    closed_there.close(1000.into(), "").expect("a code");
    assert_eq!(reported.recv_timeout(PATIENCE), Ok(None));
    drop(connect(&server, "/"));
    assert_eq!(reported.recv_timeout(PATIENCE), Ok(None));
}

/// A middleware: marks what comes in and what goes out.
struct Marking {
    mark: char,
    inner: BoxHandler,
}

impl Handler for Marking {
    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        let Self { mark, inner } = self;
        let marked = format!("{}{mark}", String::from_utf8_lossy(message.as_bytes()));
        let out = |message: Outgoing<'_>, cx: &mut Context<'_>| {
            let text = String::from_utf8_lossy(message.as_bytes());
            cx.send(format!("{text}{}", mark.to_ascii_uppercase()))
        };
        cx.layered(out, |cx| inner.on_message(Message::from(&*marked), cx));
    }
}

fn marking(
    mark: char,
) -> impl Fn(&Request<'_>, &mut Opening<'_>, Next<'_>) -> Decision<BoxHandler> + Send + Sync {
    move |request, cx, next| {
        let decision = next.on_request(request, cx);
        decision.map(move |inner| Box::new(Marking { mark, inner }) as BoxHandler)
    }
}

#[test]
fn row_17_middleware_sees_what_comes_in_in_order_and_what_goes_out_in_reverse() {
    let router = Router::new().ws("/", |_, _| Echo).expect("a good route");
    // The last that is put around is the first that hears.
    let server = serve(router.layer(marking('b')).layer(marking('a')));
    let mut client = connect(&server, "/");
    assert_eq!(ask(&mut client, "-"), "-abBA");
}

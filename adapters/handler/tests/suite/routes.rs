//! Paths, methods, and what serves them.

use alloc::sync::Arc;
use core::time::Duration;
use std::sync::Mutex;

use sockeye_core::handshake::ConnectError;
use sockeye_handler::testing::TestServer;
use sockeye_handler::{
    BoxHandler, Context, Decision, Handler, Message, Next, Opening, Request, Response, RouteError,
    Router, Service, linear, service_fn,
};

/// Answers everything with its name.
struct Named(String);

impl Handler for Named {
    fn on_message(&mut self, _: Message<'_>, cx: &mut Context<'_>) {
        let _ = cx.send(&self.0);
    }
}

fn named(name: &str) -> impl Fn(&Request<'_>, &mut Opening<'_>) -> Named + Send + Sync + use<> {
    let name = name.to_owned();
    move |request, _| {
        let params: Vec<_> = request
            .params()
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        Named(format!("{name} {}", params.join(",")))
    }
}

fn server() -> TestServer<Router> {
    let router = Router::new()
        .ws("/echo", named("echo"))
        .and_then(|r| r.ws("/api/v2/ws/", named("v2")))
        .and_then(|r| r.ws("/rooms/{room}", named("room")))
        .and_then(|r| r.ws("/rooms/{room}/users/{user}", named("user")))
        .and_then(|r| r.ws("/deep/{*rest}", named("deep")))
        .and_then(|r| {
            r.get("/rooms/{room}", |q| {
                let room = q.params().decoded("room").unwrap_or_default();
                Response::text(200, format!("page of {room}"))
            })
        })
        .and_then(|r| r.get("/healthz", |_| Response::text(200, "well")))
        .and_then(|r| r.post("/api/publish", |q| Response::text(200, q.body().to_vec())))
        .and_then(|r| {
            r.route(
                "/any",
                service_fn(|q: &Request<'_>, _: &mut Opening<'_>| {
                    Decision::<BoxHandler>::Respond(Response::text(200, q.method().to_owned()))
                }),
            )
        })
        .and_then(|r| {
            r.ws_service(
                "/talk",
                linear(|mut ws| async move {
                    let name = ws
                        .scope()
                        .with_request(|q| q.cookie("name").unwrap_or("?").to_owned());
                    while ws.recv().await.is_some() {
                        let _ = ws.send(&*name).await;
                    }
                }),
            )
        });
    TestServer::new(router.expect("good routes"))
}

/// Who serves a path.
fn asked(server: &TestServer<Router>, path: &str) -> Result<String, u16> {
    match server.connect(path) {
        Ok(mut client) => {
            client.send("who is it?").expect("open");
            Ok(client.recv_text().expect("an answer"))
        }
        Err(ConnectError::Rejected(response)) => Err(response.status()),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn each_path_has_its_service_and_its_parameters() {
    let server = server();
    for (path, expected) in [
        ("/echo", Ok("echo ")),
        ("/echo/", Ok("echo ")),
        ("/echo?room=1", Ok("echo ")),
        ("/api/v2/ws", Ok("v2 ")),
        ("/api/v2/ws/", Ok("v2 ")),
        ("/rooms/blue", Ok("room room=blue")),
        ("/rooms/a%20b/", Ok("room room=a%20b")),
        ("/rooms/blue/users/ana", Ok("user room=blue,user=ana")),
        ("/deep/er/and/deeper", Ok("deep rest=er/and/deeper")),
        ("/talk", Ok("?")),
        ("/", Err(404)),
        ("/ech", Err(404)),
        ("/echo/more", Err(404)),
        ("/echo//", Err(404)),
        ("/rooms", Err(404)),
        ("/healthz", Err(404)),
    ] {
        assert_eq!(
            asked(&server, path).as_deref(),
            expected.as_ref().map(|s| *s),
            "{path}"
        );
    }
}

#[test]
fn pages_and_webschockets_share_a_path() {
    let server = server();
    let page = server.get("/rooms/a%20b").expect("answered");
    assert_eq!(
        (page.status(), &page.content()[..]),
        (200, &b"page of a b"[..])
    );
    assert_eq!(asked(&server, "/rooms/x").as_deref(), Ok("room room=x"));
    let published = server
        .ask("POST", "/api/publish/", &[], b"news")
        .expect("answered");
    assert_eq!(&published.content()[..], b"news");
    for method in ["GET", "POST", "PUT", "OPTIONS"] {
        let any = server.ask(method, "/any", &[], b"").expect("answered");
        assert_eq!(&any.content()[..], method.as_bytes());
    }
}

#[test]
fn what_is_not_served_is_404_405_or_426() {
    let server = server();
    for (method, path, status, allow) in [
        ("GET", "/nowhere", 404, None),
        ("DELETE", "/healthz", 405, Some("GET, HEAD")),
        ("GET", "/api/publish", 405, Some("POST")),
        ("POST", "/rooms/x", 405, Some("GET, HEAD")),
        ("GET", "/echo", 426, None),
        ("HEAD", "/echo", 426, None),
        ("POST", "/echo", 405, Some("GET")),
        ("HEAD", "/healthz", 200, None),
        ("GET", "/healthz?verbose=1", 200, None),
    ] {
        let response = server.ask(method, path, &[], b"").expect("answered");
        assert_eq!(response.status(), status, "{method} {path}");
        let allowed = response
            .value("Allow")
            .map(|value| String::from_utf8_lossy(value));
        assert_eq!(allowed.as_deref(), allow, "{method} {path}");
    }
}

#[test]
fn a_factory_may_refuse() {
    let router = Router::new().ws("/{room}", |request, _| match request.params().get("room") {
        Some("lobby") => Ok(Named("lobby".into())),
        _ => Err(Response::text(403, "members only\n")),
    });
    let server = TestServer::new(router.expect("good routes"));
    assert_eq!(asked(&server, "/lobby").as_deref(), Ok("lobby"));
    assert_eq!(asked(&server, "/cellar"), Err(403));
}

#[test]
fn wrong_routes_are_refused_when_they_are_added() {
    let add = |paths: &[&str]| {
        let mut routes = paths.iter();
        routes
            .try_fold(Router::new(), |router, path| router.ws(path, named("x")))
            .err()
    };
    assert_eq!(add(&["/a", "/b", "/a/{b}", "/a/{b}/c"]), None);
    assert_eq!(add(&["a"]), Some(RouteError::Path));
    assert_eq!(add(&[""]), Some(RouteError::Path));
    assert_eq!(add(&["/{"]), Some(RouteError::Path));
    assert_eq!(add(&["/a", "/a/"]), Some(RouteError::Conflict));
    assert_eq!(add(&["/{a}", "/{b}"]), Some(RouteError::Conflict));
    let twice = Router::new()
        .get("/", |_| Response::new(200))
        .expect("free");
    assert_eq!(
        twice.get("/", |_| Response::new(200)).err(),
        Some(RouteError::Conflict)
    );
}

/// Writes down what it hears.
#[derive(Clone, Default)]
struct Living(Arc<Mutex<Vec<String>>>);

impl Living {
    fn note(&self, what: &str) {
        self.0.lock().expect("no panic").push(what.into());
    }

    fn take(&self) -> Vec<String> {
        core::mem::take(&mut *self.0.lock().expect("no panic"))
    }
}

impl Service for Living {
    type Handler = Named;

    fn on_start(&self) {
        self.note("service starts");
    }

    fn on_drain(&self, within: Duration) {
        self.note(&format!("service drains for {within:?}"));
    }

    fn on_stop(&self) {
        self.note("service stops");
    }

    fn on_request(&self, _: &Request<'_>, _: &mut Opening<'_>) -> Decision<Named> {
        Decision::accept(Named("living".into()))
    }
}

#[test]
fn a_router_and_the_services_of_its_routes_live_and_end_together() {
    let living = Living::default();
    let [start, drain, stop] = [(); 3].map(|()| living.clone());
    let router = Router::new()
        .on_start(move || start.note("router starts"))
        .on_drain(move |_| drain.note("router drains"))
        .on_stop(move || stop.note("router stops"))
        .route("/living", living.clone())
        .map(|router| {
            // Once, however many layers are around it.
            let pass = |request: &Request<'_>, cx: &mut Opening<'_>, next: Next<'_>| {
                next.on_request(request, cx)
            };
            router.layer(pass).layer(pass).wrap(pass)
        });
    assert_eq!(living.take(), [""; 0]);
    let server = TestServer::new(router.expect("a good route"));
    assert_eq!(living.take(), ["router starts", "service starts"]);
    let client = server.connect("/living").expect("accepted");
    server.drain(Duration::from_secs(4));
    assert_eq!(living.take(), ["router drains", "service drains for 4s"]);
    drop(client);
    drop(server);
    assert_eq!(living.take(), ["service stops", "router stops"]);
}

//! What is asked in plain HTTP, and who may ask.

use serde_json::json;
use sockeye_handler::testing::TestClient;
use sockeye_kit::http::Bearer;

use crate::bench::{Bench, HOUR, SECOND, body, json as received};

#[test]
fn everybody_is_listed_by_name() {
    let bench = Bench::new();
    let _bob = bench.join("bob");
    bench.advance(SECOND);
    let _ana = bench.join("ana");
    let listing = body(&bench.get("/presence"));
    assert_eq!(
        listing,
        json!({"rev": 2, "users": [
            {"id": "ana", "connected": true, "since": "2026-11-21T09:00:01.000Z"},
            {"id": "bob", "connected": true, "since": "2026-11-21T09:00:00.000Z"},
        ]})
    );
    assert_eq!(body(&bench.get("/presence/")), listing);
}

#[test]
fn a_list_within_a_window_comes_when_it_ends() {
    let bench = Bench::new();
    let _ana = bench.join("ana");
    let mut raw = bench.server.raw();
    raw.write(b"GET /presence HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(raw.read().is_empty());
    bench.advance(SECOND / 4);
    let answer = String::from_utf8(raw.read()).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(
        answer.contains(r#""rev":1,"users":[{"id":"ana""#),
        "{answer}"
    );
}

#[test]
fn one_user_can_be_asked_about() {
    let bench = Bench::new();
    let _ana = bench.join("ana");
    let _accented = bench.join("é");
    let there =
        |id: &str| json!({"id": id, "connected": true, "since": "2026-11-21T09:00:00.000Z"});
    assert_eq!(body(&bench.get("/presence/ana")), there("ana"));
    assert_eq!(body(&bench.get("/presence/%61na/")), there("ana"));
    assert_eq!(body(&bench.get("/presence/%C3%A9")), there("é"));
    let away = bench.get("/presence/bob");
    assert_eq!(away.status(), 200);
    assert_eq!(body(&away), json!({"id": "bob", "connected": false}));
}

#[test]
fn an_impossible_name_is_a_bad_request() {
    let bench = Bench::new();
    let long = "x".repeat(65);
    for path in [
        "a%20b",
        "%3Cimg%3E",
        "%ff",
        "%zz",
        "e%CC%81",
        "a%2Fb",
        &long,
    ] {
        let response = bench.get(&format!("/presence/{path}"));
        assert_eq!(response.status(), 400, "{path}");
        assert_eq!(body(&response)["error"], "bad-name", "{path}");
    }
}

#[test]
fn anybody_gets_a_token_where_there_is_no_key() {
    let bench = Bench::new();
    let response = bench.get("/demo-token?id=ana");
    assert_eq!(response.status(), 200);
    let content_type = response.value("Content-Type").expect("a type");
    assert!(content_type.starts_with(b"text/plain"));
    assert_eq!(response.value("Cache-Control"), Some(&b"no-store"[..]));
    let token = core::str::from_utf8(response.content()).expect("text");
    let mut client = bench.open("/echo");
    let message = crate::bench::message(token);
    client.send(&*message).expect("open");
    assert_eq!(client.recv_text(), Some(message));
    bench.advance(HOUR - SECOND);
    assert!(client.closed().is_none());
    bench.advance(3 * SECOND);
    assert!(client.closed().is_some());
    for path in ["/demo-token", "/demo-token?id=", "/demo-token?id=a+b"] {
        assert_eq!(bench.get(path).status(), 400, "{path}");
    }
    let bench = Bench::with(|options| options.demo = None);
    assert_eq!(bench.get("/demo-token?id=ana").status(), 404);
}

#[test]
fn reading_can_be_for_those_who_have_a_token() {
    let path = std::env::temp_dir().join(format!("sockeye-presence-read-{}", std::process::id()));
    std::fs::write(&path, "open-sesame-0123456789\n").expect("a file");
    let bearer = Bearer::read(&path).expect("a token");
    std::fs::remove_file(&path).expect("removed");
    let bench = Bench::with(|options| options.read_token = Some(bearer));
    let _ana = bench.join("ana");

    let right = ("Authorization", "Bearer open-sesame-0123456789");
    for path in ["/presence", "/presence/ana"] {
        for fields in [&[][..], &[("Authorization", "Bearer open-sesame")]] {
            let refused = bench.get_with(path, fields);
            assert_eq!(refused.status(), 401, "{path}");
            assert_eq!(refused.value("WWW-Authenticate"), Some(&b"Bearer"[..]));
        }
        assert_eq!(bench.get_with(path, &[right]).status(), 200, "{path}");
    }

    let watch = || bench.server.request("/watch");
    assert!(bench.server.connect("/watch").is_err());
    let wrong = watch().subprotocol("bearer.open-sesame").expect("a token");
    assert!(bench.server.connect_with(&wrong).is_err());
    let by_field = watch().field(right.0, right.1).expect("a field");
    let by_subprotocol = watch()
        .subprotocol("other")
        .and_then(|request| request.subprotocol("bearer.open-sesame-0123456789"))
        .expect("tokens");
    for request in [by_field, by_subprotocol] {
        let client = bench.server.connect_with(&request);
        let mut client: TestClient<_> = client.expect("accepted");
        assert_eq!(received(&mut client).expect("a state")["rev"], 1);
    }
}

#[test]
fn other_methods_and_paths_are_told_so() {
    let bench = Bench::new();
    for path in ["/presence", "/presence/ana", "/demo-token", "/healthz"] {
        let response = bench.server.ask("POST", path, &[], b"");
        let response = response.expect("an answer");
        assert_eq!(response.status(), 405, "{path}");
        assert_eq!(response.value("Allow"), Some(&b"GET, HEAD"[..]), "{path}");
        let head = bench.server.ask("HEAD", &format!("{path}?id=a"), &[], b"");
        assert_eq!(head.map(|head| head.status()), Some(200), "{path}");
    }
    let response = bench.get("/nothing");
    assert_eq!(response.status(), 404);
    assert_eq!(body(&response)["error"], "not-found");
}

#[test]
fn what_is_counted_can_be_read() {
    let bench = Bench::new();
    let ana = bench.join("ana");
    let _watcher = bench.open("/watch");
    let page = |bench: &Bench| {
        let page = bench.get("/metrics");
        String::from_utf8(page.content().to_vec()).expect("text")
    };
    let metrics = page(&bench);
    for line in [
        "sockeye_connections 2",
        "sockeye_messages_total{direction=\"received\"} 1",
        "sockeye_messages_total{direction=\"sent\"} 2",
        "sockeye_degraded 0",
        "sockeye_presence_users 1",
    ] {
        assert!(
            metrics.lines().any(|known| known == line),
            "{line}\n{metrics}"
        );
    }
    drop(ana);
    let metrics = page(&bench);
    assert!(metrics.contains("sockeye_connections 1"), "{metrics}");
    assert!(
        metrics.contains("sockeye_closes_total{code=\"1006\"} 1"),
        "{metrics}"
    );
}

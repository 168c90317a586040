//! Plain HTTP: publishing, pages, health.

use core::time::Duration;

use serde_json::{Value, json};
use sockeye_handler::Response;
use sockeye_kit::http::Bearer;

use crate::world::{Setup, World};

const TOKEN: &str = "correct-horse-battery-staple";

fn world() -> World {
    // Each test a file of its own.
    let name = std::thread::current()
        .name()
        .unwrap_or("")
        .replace(':', "-");
    let path = std::env::temp_dir().join(format!("sockeye-chat-{}-{name}", std::process::id()));
    std::fs::write(&path, format!("{TOKEN}\n")).expect("a file");
    let bearer = Bearer::read(&path).expect("a token");
    std::fs::remove_file(&path).expect("removed");
    World::with(Setup {
        publish: Some(bearer),
        ..Setup::default()
    })
}

fn publish(world: &World, body: &Value) -> (u16, Value) {
    let authorization = format!("Bearer {TOKEN}");
    let fields = [("Authorization", &*authorization)];
    answer(&world.post("/api/publish", &fields, &body.to_string()))
}

fn answer(response: &Response) -> (u16, Value) {
    let body = serde_json::from_slice(response.content()).expect("JSON");
    (response.status(), body)
}

#[test]
fn row_37_another_program_publishes_to_a_room_by_http() {
    let world = world();
    let mut ana = world.join("ana", "r");
    let mut old = world.join_original("old", "r");
    world.settle();
    ana.recv_all();
    let (status, accepted) = publish(&world, &json!({"room": "r", "text": "news"}));
    assert_eq!(status, 202);
    let epoch = accepted["epoch"].as_str().expect("text");
    assert_eq!(accepted, json!({"off": 1, "epoch": epoch}));
    ana.expect(json!({
        "type": "msg", "room": "r", "from": "server", "text": "news", "off": 1, "epoch": epoch,
        "ts": "2026-11-21T09:00:00.300Z", "via": "api",
    }));
    assert_eq!(old.recv()["from"], "server");
    let (_, accepted) = publish(&world, &json!({"room": "r", "text": "x", "from": "ana"}));
    assert_eq!(accepted["off"], 2);
    let message = ana.recv();
    assert_eq!(
        (&message["from"], &message["via"]),
        (&json!("ana"), &json!("api"))
    );
}

#[test]
fn what_is_published_where_nobody_is_can_be_read_later() {
    let world = world();
    publish(&world, &json!({"room": "r", "text": "1"}));
    publish(&world, &json!({"room": "r", "text": "2"}));
    let mut ana = world.join("ana", "r");
    let page = ana.ask(json!({"type": "history", "room": "r"}));
    assert_eq!(page["messages"][1]["text"], "2");
    assert_eq!(page["messages"][1]["via"], "api");
}

#[test]
fn no_member_can_use_up_the_id_of_what_will_be_published() {
    let world = world();
    let mut eve = world.join("server", "r");
    eve.ask(json!({"type": "msg", "room": "r", "text": "first", "id": "build-1"}));
    let (status, accepted) = publish(
        &world,
        &json!({"room": "r", "text": "green", "id": "build-1"}),
    );
    assert_eq!((status, &accepted["off"]), (202, &json!(2)));
    let said = eve.recv_type("msg");
    assert_eq!(said.last().expect("a message")["text"], "green");
}

#[test]
fn the_same_id_again_gets_the_same_answer() {
    let world = world();
    let mut ana = world.join("ana", "r");
    let body = json!({"room": "r", "text": "x", "id": "key"});
    let first = publish(&world, &body);
    assert_eq!(publish(&world, &body), first);
    assert_eq!(ana.recv_type("msg").len(), 1);
    world.advance(Duration::from_secs(301));
    assert_eq!(publish(&world, &body).1["off"], 2);
}

#[test]
fn a_wrong_request_is_told_so() {
    let world = world();
    let authorization = format!("Bearer {TOKEN}");
    let ask = |fields: &[(&str, &str)], body: &str| world.post("/api/publish", fields, body);
    for fields in [
        &[][..],
        &[("Authorization", "Bearer wrong-horse-battery-staple")],
        &[("Authorization", TOKEN)],
    ] {
        let response = ask(fields, r#"{"room":"r","text":"x"}"#);
        assert_eq!(response.status(), 401);
        assert!(response.value("WWW-Authenticate").is_some());
    }
    let authorized = [("Authorization", &*authorization)];
    for body in [
        "",
        "x",
        "[]",
        "{}",
        r#"{"room":"r"}"#,
        r#"{"room":"a b","text":"x"}"#,
        r#"{"room":1,"text":"x"}"#,
        r#"{"room":"r","text":""}"#,
        r#"{"room":"r","text":"\u0007"}"#,
        r#"{"room":"r","text":"x","from":"<b>"}"#,
        r#"{"room":"r","text":"x","from":null}"#,
        r#"{"room":"r","text":"x","id":""}"#,
        r#"{"room":"r","room":"s","text":"x"}"#,
    ] {
        let (status, error) = answer(&ask(&authorized, body));
        assert_eq!(
            (status, &error["error"]),
            (400, &json!("bad-request")),
            "{body}"
        );
    }
    let long = format!(
        r#"{{"room":"r","text":"x","pad":"{}"}}"#,
        "x".repeat(64 << 10)
    );
    assert_eq!(ask(&authorized, &long).status(), 413);
    let get = world.server.get("/api/publish").expect("an answer");
    assert_eq!(
        (get.status(), get.value("Allow")),
        (405, Some(&b"POST"[..]))
    );
}

#[test]
fn without_a_token_there_is_no_publishing() {
    let response = World::new().post("/api/publish", &[], r#"{"room":"r","text":"x"}"#);
    assert_eq!(response.status(), 404);
}

#[test]
fn row_55_the_pages_are_at_the_root_and_at_chat() {
    let world = World::new();
    for path in ["/", "/chat?nick=ana&room=r", "/chat/"] {
        let page = world.server.get(path).expect("an answer");
        assert_eq!(page.status(), 200, "{path}");
        assert_eq!(page.value("Cache-Control"), Some(&b"no-store"[..]));
        assert!(page.value("Content-Security-Policy").is_some());
    }
}

#[test]
fn health_readiness_and_metrics_are_served() {
    let world = World::new();
    let _ana = world.join("ana", "r");
    for (path, body) in [("/healthz", "healthy"), ("/readyz", "ready")] {
        let response = world.server.get(path).expect("an answer");
        assert_eq!(response.status(), 200);
        assert!(String::from_utf8_lossy(response.content()).contains(body));
    }
    let metrics = world.server.get("/metrics").expect("an answer");
    let text = String::from_utf8_lossy(metrics.content()).into_owned();
    for line in [
        "sockeye_connections 1",
        "sockeye_rooms 1",
        "sockeye_messages_total{direction=\"received\"} 2",
        "sockeye_degraded 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in {text}");
    }
}

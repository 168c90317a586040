//! Answers in JSON, errors first of all.

use serde_json::json;
use sockeye_kit::http::{self};

use crate::bench::{ask, get, server, site, upgrade};

#[test]
fn errors_are_json_and_nothing_is_for_other_origins() {
    let server = server(site(&[]));
    let answer = get(&server, "/nowhere");
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.json(),
        json!({"error": "not-found", "reason": "not found"})
    );
    assert_eq!(answer.field("Content-Type"), Some("application/json"));
    assert_eq!(answer.field("Cache-Control"), Some("no-store"));

    let answer = ask(&server, &["DELETE /page HTTP/1.1", "Host: localhost"]);
    assert_eq!(answer.status, 405);
    assert_eq!(answer.json()["error"], "method-not-allowed");
    assert_eq!(answer.field("Allow"), Some("GET, POST, HEAD"));

    assert_eq!(
        upgrade(&server, "/nowhere", &["Host: localhost"]).status,
        404
    );
    let answer = get(&server, "/ws");
    assert_eq!(answer.status, 426);
    assert_eq!(answer.json()["error"], "upgrade-required");
    assert_eq!(answer.field("Upgrade"), Some("websocket"));

    for answer in [
        get(&server, "/page"),
        get(&server, "/nowhere"),
        ask(
            &server,
            &[
                "OPTIONS /page HTTP/1.1",
                "Host: localhost",
                "Origin: http://a.example",
            ],
        ),
    ] {
        assert!(
            !answer.head.to_lowercase().contains("access-control"),
            "{}",
            answer.head
        );
    }
}

#[test]
fn what_the_server_refuses_by_itself_is_json_too() {
    let server = server(site(&[]));
    let long = "x".repeat(5000);
    for (lines, status, code) in [
        (vec!["nonsense"], 400, "bad-request"),
        (vec!["GET /page HTTP/1.1"], 400, "bad-request"),
        (vec!["GET /page HTTP/1.1", "Host: a b"], 400, "bad-request"),
        (
            vec!["GET /page HTTP/2.0", "Host: localhost"],
            505,
            "http-version",
        ),
        (vec![&*format!("GET /{long} HTTP/1.1")], 414, "too-large"),
        (
            vec![
                "POST /page HTTP/1.1",
                "Host: localhost",
                "Content-Length: 65537",
            ],
            413,
            "too-large",
        ),
    ] {
        let answer = ask(&server, &lines);
        assert_eq!(answer.status, status, "{lines:?}");
        assert_eq!(answer.json()["error"], code, "{lines:?}");
        assert_eq!(answer.field("Content-Type"), Some("application/json"));
        assert_eq!(answer.field("Cache-Control"), Some("no-store"));
    }
    let old = ["Host: localhost", "Sec-WebSocket-Version: 8"];
    assert_eq!(upgrade(&server, "/ws", &old).json()["error"], "bad-request");
    let fields = [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Host: localhost",
    ];
    let version = [
        &["GET /ws HTTP/1.1", "Sec-WebSocket-Version: 8"],
        &fields[..],
    ]
    .concat();
    let answer = ask(&server, &version);
    assert_eq!(answer.status, 426);
    assert_eq!(answer.field("Sec-WebSocket-Version"), Some("13"));
    assert_eq!(answer.json()["error"], "upgrade-required");

    let mut slow = server.raw();
    slow.write(b"GET /page");
    server.advance(core::time::Duration::from_secs(11));
    let answer = String::from_utf8(slow.read()).expect("text");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("{\"error\":\"too-slow\""), "{answer}");
}

#[test]
fn head_works_where_get_does_and_a_slash_at_the_end_means_nothing() {
    let server = server(site(&[]));
    let answer = ask(&server, &["HEAD /page HTTP/1.1", "Host: localhost"]);
    assert_eq!((answer.status, &*answer.body), (200, ""));
    assert_eq!(answer.field("Content-Length"), Some("5"));
    let answer = get(&server, "/page/");
    assert_eq!((answer.status, &*answer.body), (200, "well\n"));
}

#[test]
fn an_answer_in_json_is_not_kept() {
    let response = http::json(202, &json!({"off": 1}));
    assert_eq!(response.status(), 202);
    assert_eq!(
        response.value("Content-Type"),
        Some(&b"application/json"[..])
    );
    assert_eq!(response.value("Cache-Control"), Some(&b"no-store"[..]));
    assert_eq!(&response.content()[..], br#"{"off":1}"#);
    let error = http::error(400, "bad-request", "it is <b>\"wrong\"</b>");
    assert_eq!(
        &error.content()[..],
        br#"{"error":"bad-request","reason":"it is <b>\"wrong\"</b>"}"#
    );
}

//! What an application reads from a request.

use super::*;

fn parse(head: &str) -> Request<'_> {
    Request::parse(head.as_bytes(), &HttpLimits::default()).unwrap()
}

#[test]
fn target_path_and_query() {
    let matrix = [
        ("/", "/", None),
        ("/a/b", "/a/b", None),
        ("/a?", "/a", Some("")),
        ("/a?b=c?d/e", "/a", Some("b=c?d/e")),
        ("/?b", "/", Some("b")),
        ("//a", "//a", None),
        ("/a://b", "/a://b", None),
        ("http://h", "/", None),
        ("http://h/", "/", None),
        ("http://h/a?b", "/a", Some("b")),
        ("http://h?b", "/", Some("b")),
        ("/%00", "/%00", None),
    ];
    for (target, path, query) in matrix {
        let head = alloc::format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let request = parse(&head);
        assert_eq!(
            (request.target(), request.path(), request.query()),
            (target, path, query)
        );
    }
}

#[test]
fn fields_are_found_in_any_case_and_in_order() {
    let request =
        parse("GET / HTTP/1.1\r\nHost: h\r\nX-A:  1 \r\nx-a:\t2\r\nY: \u{e4}\r\nZ: \r\n\r\n");
    assert_eq!(request.field("x-A"), Some(&b"1"[..]));
    assert_eq!(request.values("X-a").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(request.text("Y"), Some("\u{e4}"));
    assert_eq!(request.field("Z"), Some(&b""[..]));
    assert_eq!(request.field("X"), None);
    assert_eq!(request.host(), Some("h"));
    assert_eq!(request.origin(), None);
    let names: Vec<_> = request.fields().map(|(name, _)| name).collect();
    assert_eq!(names, ["Host", "X-A", "x-a", "Y", "Z"]);
}

#[test]
fn text_is_utf_8() {
    let request = Request::from_parts("GET", "/", [("X", &b"\xff"[..])]);
    assert_eq!(request.field("X"), Some(&b"\xff"[..]));
    assert_eq!(request.text("X"), None);
}

#[test]
fn cookies() {
    let request =
        parse("GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; b=x=y;c=;; d\r\nCookie: a=2\r\n\r\n");
    let cookies: Vec<_> = request.cookies().collect();
    assert_eq!(cookies, [("a", "1"), ("b", "x=y"), ("c", ""), ("a", "2")]);
    assert_eq!(request.cookie("a"), Some("1"));
    assert_eq!(request.cookie("A"), None);
}

#[test]
fn subprotocols_stand_in_the_order_of_the_client() {
    let head = example_and("Sec-WebSocket-Protocol: third");
    let request = parse(&head);
    assert_eq!(
        request.subprotocols().collect::<Vec<_>>(),
        ["chat", "superchat", "third"]
    );
    let upgrade = request.upgrade().unwrap();
    assert_eq!(
        upgrade.subprotocols().collect::<Vec<_>>(),
        ["chat", "superchat", "third"]
    );
}

#[test]
fn a_subprotocol_that_is_no_token_is_not_offered() {
    let request = Request::from_parts(
        "GET",
        "/",
        [("sec-websocket-protocol", &b"a b, c,, \xe4, d/e"[..])],
    );
    assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["c"]);
}

#[test]
fn what_asks_for_an_upgrade() {
    let matrix = [
        ("Upgrade: websocket", true),
        ("Upgrade: h2c, WebSocket", true),
        ("Sec-WebSocket-Key: x", true),
        ("Upgrade: h2c", false),
        ("Connection: Upgrade", false),
        ("X: websocket", false),
    ];
    for (field, asks) in matrix {
        let head = alloc::format!("GET / HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n");
        assert_eq!(parse(&head).is_upgrade(), asks, "{field}");
    }
}

#[test]
fn debug_output_shows_no_secret() {
    let request = parse(
        "GET /a?token=hidden HTTP/1.1\r\nHost: h\r\nCookie: s=hidden\r\nAuthorization: Bearer hidden\r\n\r\n",
    );
    let debug = alloc::format!("{request:?}");
    assert!(!debug.contains("hidden"), "{debug}");
    assert!(debug.contains("/a") && debug.contains("Cookie"), "{debug}");
}

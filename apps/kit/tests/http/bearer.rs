//! The token that opens a door.

use sockeye_handler::testing::TestServer;
use sockeye_handler::{Response, Router};
use sockeye_kit::http::Bearer;

use crate::bench::{TempDir, ask};

#[test]
fn a_bearer_token_opens_and_nothing_like_it_does() {
    let dir = TempDir::new("bearer");
    dir.write("token", "0123456789abcdef\n");
    dir.write("empty", "\n");
    dir.write("spaced", "0123456789 abcdef");
    let bearer = Bearer::read(&dir.0.join("token")).expect("a token");
    let door = bearer.clone();
    let router = Router::new().post("/api", move |request| match door.check(request) {
        Ok(()) => Response::new(204),
        Err(refusal) => refusal,
    });
    let server = TestServer::new(router.expect("a good route"));
    let check = |values: &[&str]| {
        let fields: Vec<_> = values
            .iter()
            .map(|value| format!("Authorization: {value}"))
            .collect();
        let fields = fields.iter().map(String::as_str);
        let lines: Vec<_> = ["POST /api HTTP/1.1", "Host: localhost"]
            .into_iter()
            .chain(fields)
            .collect();
        let answer = ask(&server, &lines);
        if answer.status == 204 {
            return true;
        }
        assert_eq!(answer.status, 401);
        assert_eq!(answer.field("WWW-Authenticate"), Some("Bearer"));
        false
    };
    for value in [
        "Bearer 0123456789abcdef",
        "bearer 0123456789abcdef",
        "BEARER  0123456789abcdef",
    ] {
        assert!(check(&[value]), "{value}");
    }
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer 0123456789abcde",
        "Bearer 0123456789abcdeg",
        "Bearer 0123456789abcdef0",
        "Bearer 0123456789ABCDEF",
        "Basic 0123456789abcdef",
        "0123456789abcdef",
    ] {
        assert!(!check(&[value]), "{value}");
    }
    let good = "Bearer 0123456789abcdef";
    assert!(!check(&[good, good]));
    assert!(!check(&[]));
    for name in ["empty", "spaced", "missing"] {
        let sentence = Bearer::read(&dir.0.join(name)).expect_err(name).to_string();
        assert!(
            sentence.contains(name) && !sentence.contains("0123"),
            "{sentence}"
        );
    }
    let empty = Bearer::read(&dir.0.join("empty")).expect_err("nothing");
    assert!(empty.to_string().starts_with("there is no token in "));
    assert!(!format!("{bearer:?}").contains("0123"));
}

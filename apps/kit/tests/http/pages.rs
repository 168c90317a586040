//! Pages, and a directory of them.

use sockeye_handler::Router;
use sockeye_handler::testing::TestServer;
use sockeye_kit::http::{Asset, Pages};

use crate::bench::{TempDir, ask, flags, get, site};

fn pages(pages: Pages) -> TestServer<Router> {
    TestServer::new(
        pages
            .mount(Router::new())
            .expect("good routes")
            .wrap(site(&[])),
    )
}

#[test]
fn pages_carry_their_policy_and_are_not_kept() {
    let server = pages(Pages::new([
        Asset::new("index.html", "<!doctype html>login"),
        Asset::new("chat.html", "<!doctype html>chat"),
        Asset::new("js/chat.js", "\"use strict\";"),
    ]));
    for (path, content_type, body) in [
        ("/", "text/html; charset=utf-8", "<!doctype html>login"),
        ("/chat", "text/html; charset=utf-8", "<!doctype html>chat"),
        (
            "/chat?nick=a&room=b",
            "text/html; charset=utf-8",
            "<!doctype html>chat",
        ),
        (
            "/js/chat.js",
            "text/javascript; charset=utf-8",
            "\"use strict\";",
        ),
    ] {
        let answer = get(&server, path);
        assert_eq!((answer.status, &*answer.body), (200, body), "{path}");
        assert_eq!(answer.field("Content-Type"), Some(content_type));
        let policy = answer.field("Content-Security-Policy").expect("a policy");
        assert!(policy.contains("default-src 'self'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.field("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(answer.field("Referrer-Policy"), Some("no-referrer"));
        let is_page = content_type.starts_with("text/html");
        let caching = if is_page { "no-store" } else { "no-cache" };
        assert_eq!(answer.field("Cache-Control"), Some(caching));
    }
    assert_eq!(get(&server, "/chat.html").status, 404);
}

#[test]
fn what_the_browser_has_already_is_not_sent_again() {
    let server = pages(Pages::new([
        Asset::new("a.js", "1"),
        Asset::new("b.js", "2"),
        Asset::new("index.html", "3"),
    ]));
    let tag = |path| String::from(get(&server, path).field("ETag").expect("a tag"));
    let [a, b, page] = ["/a.js", "/b.js", "/"].map(tag);
    assert_ne!(a, b);
    let again = |path: &str, known: &str| {
        let line = format!("GET {path} HTTP/1.1");
        ask(
            &server,
            &[&line, "Host: localhost", &format!("If-None-Match: {known}")],
        )
    };
    for known in [&a, &format!("W/{a}"), &format!("{b}, {a}"), "*"] {
        let answer = again("/a.js", known);
        assert_eq!((answer.status, &*answer.body), (304, ""), "{known}");
        assert_eq!(answer.field("ETag"), Some(&*a));
    }
    assert_eq!(again("/a.js", &b).status, 200);
    assert_eq!(again("/", &page).status, 200);
}

#[test]
fn a_directory_takes_the_place_of_pages_and_adds_others() {
    let dir = TempDir::new("static");
    dir.write("index.html", "mine");
    dir.write("css/mine.css", "p {}");
    dir.write("about/index.html", "about");
    dir.write(".hidden", "secret");
    let built_in = || {
        [
            Asset::new("index.html", "built in"),
            Asset::new("chat.js", "1"),
        ]
    };
    let path = dir.0.display().to_string();
    let args = flags(&["--static-dir", &path]).site;
    let server = pages(args.pages(built_in()).expect("readable"));
    assert_eq!(get(&server, "/").body, "mine");
    assert_eq!(get(&server, "/chat.js").body, "1");
    assert_eq!(
        get(&server, "/css/mine.css").field("Content-Type"),
        Some("text/css; charset=utf-8")
    );
    assert_eq!(get(&server, "/about").body, "about");
    for path in ["/.hidden", "/../etc/passwd", "/%2e%2e/", "/css/../.hidden"] {
        assert_eq!(get(&server, path).status, 404, "{path}");
    }

    dir.write("a b.html", "");
    let error = args.pages(built_in()).expect_err("a space");
    assert!(error.to_string().contains("a b.html"), "{error}");
    let missing = flags(&["--static-dir", "/nowhere/at/all"])
        .site
        .pages(built_in());
    let sentence = missing.expect_err("no such directory").to_string();
    assert!(
        sentence.starts_with("cannot read /nowhere/at/all: "),
        "{sentence}"
    );
}

//! RFC 6455 §10.2 and T8: whose pages may connect.

use super::*;

fn check(policy: &OriginPolicy, host: &str, origins: &[&str]) -> Result<(), Forbidden> {
    let mut head = alloc::format!("GET / HTTP/1.1\r\nHost: {host}\r\n");
    for origin in origins {
        head.push_str(&alloc::format!("Origin: {origin}\r\n"));
    }
    head.push_str("\r\n");
    policy.check(&Request::parse(head.as_bytes(), &HttpLimits::default()).unwrap())
}

#[test]
fn pages_of_the_same_host_and_of_listed_origins() {
    let policy = OriginPolicy::same_host()
        .origin("https://app.example")
        .unwrap();
    let policy = policy.origin("tauri://localhost").unwrap();
    let allowed = [
        ("good.example", "http://good.example"),
        ("good.example", "https://good.example"),
        ("Good.example", "https://gOOD.example"),
        ("good.example:80", "http://good.example"),
        ("good.example:443", "https://good.example"),
        ("good.example", "https://good.example:443"),
        ("good.example:8080", "http://good.example:8080"),
        ("127.0.0.1:9001", "http://127.0.0.1:9001"),
        ("[::1]:9001", "http://[0::1]:9001"),
        ("good.example", "https://app.example"),
        ("good.example", "https://APP.example:443"),
        ("good.example", "tauri://localhost"),
    ];
    for (host, origin) in allowed {
        assert_eq!(check(&policy, host, &[origin]), Ok(()), "{host}, {origin}");
    }
    let refused = [
        ("good.example", "https://good.example.evil.com"),
        ("good.example", "https://evilgood.example"),
        ("good.example", "https://sub.good.example"),
        ("good.example", "http://good.example:8080"),
        ("good.example:8080", "http://good.example"),
        ("good.example:80", "https://good.example"),
        ("good.example:443", "http://good.example"),
        ("good.example", "ws://good.example"),
        ("good.example", "ftp://good.example"),
        ("good.example", "good.example"),
        ("good.example", "https://good.example/"),
        ("good.example", "https://user@good.example"),
        ("good.example", "https://good.example, https://evil.com"),
        ("good.example", "https://evil.com https://good.example"),
        ("good.example", "null"),
        ("good.example", ""),
        ("null", "null"),
        ("localhost", "http://127.0.0.1"),
        ("good.example", "http://app.example"),
        ("good.example", "http://app.example:443"),
        ("good.example", "https://app.example:8443"),
        ("good.example", "https://sub.app.example"),
        ("good.example", "https://app.example.evil.com"),
        ("good.example", "http://localhost"),
    ];
    for (host, origin) in refused {
        assert_eq!(
            check(&policy, host, &[origin]),
            Err(Forbidden::Origin),
            "{host}, {origin}"
        );
    }
}

#[test]
fn no_origin_is_no_page_and_two_are_none() {
    let policy = OriginPolicy::same_host();
    assert_eq!(check(&policy, "a", &[]), Ok(()));
    assert_eq!(
        check(&policy, "a", &["http://a", "http://a"]),
        Err(Forbidden::Origin)
    );
}

#[test]
fn pages_from_anywhere() {
    let policy = OriginPolicy::any_origin();
    assert_eq!(check(&policy, "a", &["null"]), Ok(()));
    assert_eq!(check(&policy, "a", &["https://b"]), Ok(()));
}

#[test]
fn a_server_that_knows_its_names_cannot_be_rebound() {
    let policy = OriginPolicy::same_host()
        .host("chat.example")
        .unwrap()
        .host("127.0.0.1")
        .unwrap();
    assert_eq!(
        check(&policy, "Chat.example:8080", &["http://chat.example:8080"]),
        Ok(())
    );
    assert_eq!(check(&policy, "127.0.0.1", &[]), Ok(()));
    assert_eq!(
        check(&policy, "evil.example", &["http://evil.example"]),
        Err(Forbidden::Host)
    );
    assert_eq!(check(&policy, "evil.example", &[]), Err(Forbidden::Host));
    let without = Request::from_parts("GET", "/", []);
    assert_eq!(policy.check(&without), Err(Forbidden::Host));
    assert_eq!(OriginPolicy::same_host().check(&without), Ok(()));
}

#[test]
fn a_server_may_answer_to_every_address() {
    let policy = OriginPolicy::same_host().host("localhost").unwrap();
    for host in ["127.0.0.1:80", "[::1]", "192.0.2.7"] {
        assert_eq!(check(&policy, host, &[]), Err(Forbidden::Host), "{host}");
        let policy = policy.clone().addresses();
        assert_eq!(check(&policy, host, &[]), Ok(()), "{host}");
        assert_eq!(
            check(&policy, host, &["http://evil.example"]),
            Err(Forbidden::Origin)
        );
        let evil = check(&policy, "evil.example", &[]);
        assert_eq!(evil, Err(Forbidden::Host));
    }
}

#[test]
fn a_policy_is_made_of_origins_and_hosts() {
    for origin in [
        "",
        "null",
        "app.example",
        "https://",
        "https://a/",
        "https://*.a",
        "://a",
    ] {
        assert!(
            OriginPolicy::same_host().origin(origin).is_err(),
            "{origin}"
        );
    }
    for host in ["", "a:80", "https://a", "*", "a b"] {
        assert!(OriginPolicy::same_host().host(host).is_err(), "{host}");
    }
    assert_eq!(Forbidden::Origin.response().status(), 403);
    assert_eq!(Forbidden::Host.response().status(), 421);
}

//! RFC 6455 §3.

use super::*;
use alloc::string::ToString;
use core::net::{Ipv4Addr, Ipv6Addr};

#[test]
#[rustfmt::skip] // one row for each case
fn urls_that_name_a_server() {
    const A: Host<'static> = Host::Name("a");
    let matrix = [
        ("ws://a", (Scheme::Ws, A, 80, "/", None)),
        ("wss://a", (Scheme::Wss, A, 443, "/", None)),
        ("WSS://a/", (Scheme::Wss, A, 443, "/", None)),
        ("ws://a:443", (Scheme::Ws, A, 443, "/", None)),
        ("ws://a:", (Scheme::Ws, A, 80, "/", None)),
        ("ws://a:00080/", (Scheme::Ws, A, 80, "/", None)),
        ("ws://a:65535/b/c?d=e?f", (Scheme::Ws, A, 65535, "/b/c", Some("d=e?f"))),
        ("ws://a?b", (Scheme::Ws, A, 80, "/", Some("b"))),
        ("ws://a?", (Scheme::Ws, A, 80, "/", Some(""))),
        ("ws://a/b@c:d", (Scheme::Ws, A, 80, "/b@c:d", None)),
        ("ws://a/%20", (Scheme::Ws, A, 80, "/%20", None)),
        ("ws://x-1.b_c.de.", (Scheme::Ws, Host::Name("x-1.b_c.de."), 80, "/", None)),
        ("ws://127.0.0.1:9001", (Scheme::Ws, Host::V4(Ipv4Addr::LOCALHOST), 9001, "/", None)),
        ("ws://[::1]", (Scheme::Ws, Host::V6(Ipv6Addr::LOCALHOST), 80, "/", None)),
        ("wss://[0:0::1]:8443/a", (Scheme::Wss, Host::V6(Ipv6Addr::LOCALHOST), 8443, "/a", None)),
    ];
    for (text, expected) in matrix {
        let url = Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(
            (
                url.scheme(),
                url.host(),
                url.port(),
                url.path(),
                url.query()
            ),
            expected,
            "{text}"
        );
        let shown = url.to_string();
        let again = Url::parse(&shown).unwrap();
        assert_eq!(
            (again.host(), again.port(), again.path(), again.query()),
            (expected.1, expected.2, expected.3, expected.4)
        );
    }
}

#[test]
fn urls_that_do_not() {
    use InvalidUrl as I;
    let matrix = [
        ("", I::Scheme),
        ("a", I::Scheme),
        ("a:80", I::Scheme),
        ("ws:a", I::Scheme),
        ("ws:/a", I::Scheme),
        ("//a", I::Scheme),
        ("http://a", I::Scheme),
        ("https://a", I::Scheme),
        ("wsss://a", I::Scheme),
        ("ws://", I::EmptyHost),
        ("ws:///a", I::EmptyHost),
        ("ws://:80", I::EmptyHost),
        ("ws://?a", I::EmptyHost),
        ("ws://a:0", I::Port),
        ("ws://a:65536", I::Port),
        ("ws://a:-1", I::Port),
        ("ws://a:+1", I::Port),
        ("ws://a:b", I::Port),
        ("ws://a:80:80", I::Port),
        ("ws://[::1]:x", I::Port),
        ("ws://[::1", I::Host),
        ("ws://[::1]x", I::Host),
        ("ws://[]", I::Host),
        ("ws://[fe80::1%25eth0]", I::Host),
        ("ws://[1.2.3.4]", I::Host),
        ("ws://1.2.3", I::Host),
        ("ws://1.2.3.4.5", I::Host),
        ("ws://256.1.1.1", I::Host),
        ("ws://a%20b", I::Host),
        ("ws://a\\b", I::Host),
        ("ws://a,b", I::Host),
        ("ws://user@a", I::UserInfo),
        ("ws://user:password@a:80/", I::UserInfo),
        ("ws://@a", I::UserInfo),
        ("ws://a#b", I::Fragment),
        ("ws://a/b#", I::Fragment),
        ("ws://a/b?c#d", I::Fragment),
        ("ws://a b", I::Character),
        ("ws://a/b c", I::Character),
        (" ws://a", I::Character),
        ("ws://a\r\nX: y", I::Character),
        ("ws://a/\0", I::Character),
        ("ws://a/\u{e4}", I::Character),
        ("ws://b\u{fc}cher.example", I::Character),
    ];
    for (text, expected) in matrix {
        assert_eq!(Url::parse(text), Err(expected), "{text}");
        assert!(!expected.to_string().is_empty());
    }
}

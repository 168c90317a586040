//! How many connections an address and a user may have.

use sockeye_handler::testing::TestServer;
use sockeye_handler::{CloseCode, Response, Router};
use sockeye_kit::caps::Caps;
use sockeye_kit::http::client_ip;
use sockeye_kit::name::Name;

use crate::bench::{Idle, flags, site, upgrade};

#[test]
fn an_address_has_so_many_connections_and_no_more() {
    let caps = flags(&["--max-per-address=3"]).caps.caps();
    let router = Router::new().ws("/ws", move |_, cx| {
        let admission = Some(caps.admit(client_ip(cx))?);
        Ok::<_, Response>(Idle { admission })
    });
    let site = site(&["--trust-proxy=127.0.0.1"]);
    let server = TestServer::new(router.expect("good routes").wrap(site));
    let mut clients: Vec<_> = (0..3)
        .map(|_| server.connect("/ws").expect("room"))
        .collect();
    let refused = upgrade(&server, "/ws", &["Host: localhost"]);
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["error"], "too-many");
    assert!(refused.field("Retry-After").is_some());
    // Others, and those behind the same proxy, have their own.
    let other = ["Host: localhost", "X-Forwarded-For: 203.0.113.9"];
    assert_eq!(upgrade(&server, "/ws", &other).status, 101);

    clients.pop();
    server.connect("/ws").expect("room again");
    // The one that has just been dropped without a Close has made room, too.
    let mut last = server.connect("/ws").expect("room again");
    last.close(CloseCode::NORMAL, "");
    server.advance(core::time::Duration::from_secs(10));
    assert_eq!(upgrade(&server, "/ws", &["Host: localhost"]).status, 101);
}

#[test]
fn the_caps_are_256_for_an_address_and_10_for_a_user() {
    let caps = flags(&[]).caps.caps();
    let ip = Some([203, 0, 113, 9].into());
    let admitted: Vec<_> = (0..256).map(|_| caps.admit(ip).expect("room")).collect();
    assert_eq!(caps.admit(ip).expect_err("full").status(), 429);
    drop(admitted);
    assert!(caps.admit(ip).is_ok());

    let [ana, bob] = ["ana", "bob"].map(|name| Name::parse(name).expect("a name"));
    let mut admitted: Vec<_> = (0..10).map_while(|_| caps.admit_user(&ana)).collect();
    assert_eq!(admitted.len(), 10);
    assert!(caps.admit_user(&ana).is_none());
    assert!(caps.admit_user(&bob).is_some());
    // One goes, and one may come.
    admitted.pop();
    let _one = caps.admit_user(&ana).expect("room again");
    assert!(caps.admit_user(&ana).is_none());
}

#[test]
fn an_ipv6_network_is_one_address_and_no_address_is_not_counted() {
    let caps = Caps::new(1, 1);
    let ip = |text: &str| Some(text.parse().expect("an address"));
    let _one = caps.admit(ip("2001:db8::1")).expect("room");
    assert!(caps.admit(ip("2001:db8::ffff:1")).is_err());
    let _other = caps.admit(ip("2001:db8:0:1::1")).expect("another network");
    let admitted: Vec<_> = (0..5).map_while(|_| caps.admit(None).ok()).collect();
    assert_eq!(admitted.len(), 5);
    assert!(Caps::new(0, 0).admit(ip("::1")).is_err());
}

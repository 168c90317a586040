//! Login by token, its end, and its refresh.

use core::time::Duration;

use serde_json::json;
use sockeye_kit::name::Name;
use sockeye_kit::token::{Signer, demo};

use crate::world::{Client, Setup, World};

struct Issuer {
    world: World,
    signer: Signer,
}

impl Issuer {
    fn new() -> Self {
        let (verifier, signer) = demo().expect("a key");
        let world = World::with(Setup {
            verifier: Some(verifier),
            ..Setup::default()
        });
        Self { world, signer }
    }

    fn token(&self, id: &str, seconds: u64) -> String {
        let id = Name::parse(id).expect("a name");
        let ttl = Duration::from_secs(seconds);
        self.signer.sign(&id, ttl, self.world.clock.wall())
    }

    fn login(&self, id: &str, seconds: u64) -> Client {
        let mut client = self.world.v1();
        let token = self.token(id, seconds);
        let hello = client.ask(json!({"type": "login", "token": token, "nickname": "eve"}));
        assert_eq!(
            (&hello["type"], &hello["nickname"]),
            (&json!("hello"), &json!(id))
        );
        client
    }
}

#[test]
fn with_a_key_a_token_is_required_and_says_the_nickname() {
    let issuer = Issuer::new();
    let _ana = issuer.login("ana", 3600);
    let mut client = issuer.world.v1();
    client.refused(json!({"type": "login", "nickname": "bob"}), "bad-token");
    client.refused(json!({"type": "login", "token": "x.y.z"}), "bad-token");
    let (_, other) = demo().expect("a key");
    let id = Name::parse("bob").expect("a name");
    let forged = other.sign(&id, Duration::from_secs(60), issuer.world.clock.wall());
    client.refused(json!({"type": "login", "token": forged}), "bad-token");
    let overdue = issuer.token("bob", 1);
    issuer.world.advance(Duration::from_secs(2));
    client.refused(json!({"type": "login", "token": overdue}), "expired");
    let token = issuer.token("bob", 60);
    assert_eq!(
        client.ask(json!({"type": "login", "token": token}))["nickname"],
        "bob"
    );
}

#[test]
fn with_a_key_the_originals_dialect_is_refused() {
    let issuer = Issuer::new();
    let mut client = issuer.world.original();
    client.send(json!({"type": "login", "nickname": "ana", "room": "r"}));
    client.closed(1008, "token required");
}

#[test]
fn without_a_key_tokens_mean_nothing() {
    let world = World::new();
    let mut client = world.v1();
    client.refused(json!({"type": "login", "token": "x"}), "bad-request");
    let login = json!({"type": "login", "nickname": "ana", "token": "x"});
    assert_eq!(client.ask(login)["nickname"], "ana");
    client.refused(json!({"type": "refresh", "token": "x"}), "bad-token");
}

#[test]
fn the_same_id_may_be_logged_in_10_times_and_resuming_takes_no_place() {
    let issuer = Issuer::new();
    let mut first = issuer.world.v1();
    let token = issuer.token("ana", 3600);
    let hello = first.ask(json!({"type": "login", "token": token}));
    let _more: Vec<Client> = (0..9).map(|_| issuer.login("ana", 3600)).collect();
    let mut client = issuer.world.v1();
    client.refused(
        json!({"type": "login", "token": token}),
        "too-many-connections",
    );
    let resume = json!({"type": "login", "token": token, "resume": hello["resume"]});
    assert_eq!(client.ask(resume)["type"], "hello");
    first.closed(4009, "replaced");
    client.send(json!({"type": "private", "to": "ana", "text": "to all of me"}));
    assert_eq!(client.recv_type("private").len(), 1);
    for mut other in _more {
        assert_eq!(other.recv_all().len(), 1);
    }
}

#[test]
fn row_12_expiring_comes_30_s_before_the_end_and_the_end_within_1_s() {
    let issuer = Issuer::new();
    let mut ana = issuer.login("ana", 100);
    issuer.world.advance(Duration::from_millis(69_900));
    ana.nothing();
    issuer.world.advance(Duration::from_millis(200));
    let expiring = ana.recv();
    assert_eq!(expiring["type"], "expiring");
    let left = expiring["in_ms"].as_u64().expect("a number");
    assert!((29_900..=30_000).contains(&left), "{left}");
    issuer.world.advance(Duration::from_millis(29_800));
    ana.nothing();
    issuer.world.advance(Duration::from_secs(1));
    ana.closed(1007, "Expired Token");
}

#[test]
fn a_shorter_token_is_said_to_expire_at_once() {
    let issuer = Issuer::new();
    let mut ana = issuer.login("ana", 10);
    ana.expect(json!({"type": "expiring", "in_ms": 10_000}));
    issuer.world.advance(Duration::from_secs(11));
    ana.closed(1007, "Expired Token");
}

#[test]
fn row_13_a_refresh_of_the_same_user_prolongs_and_any_other_leaves_the_old_token() {
    let issuer = Issuer::new();
    let mut ana = issuer.login("ana", 40);
    for token in [issuer.token("bob", 3600), "x".into(), String::new()] {
        ana.refused(json!({"type": "refresh", "token": token}), "bad-token");
    }
    issuer.world.advance(Duration::from_secs(15));
    assert_eq!(ana.recv()["type"], "expiring");
    let token = issuer.token("ana", 100);
    assert_eq!(
        ana.ask(json!({"type": "refresh", "token": token, "id": 1})),
        json!({"type": "ok", "re": 1})
    );
    issuer.world.advance(Duration::from_secs(60));
    ana.nothing();
    issuer.world.advance(Duration::from_secs(15));
    assert_eq!(ana.recv()["type"], "expiring");
    issuer.world.advance(Duration::from_secs(26));
    ana.closed(1007, "Expired Token");
}

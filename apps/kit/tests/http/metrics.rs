//! What operators look at.

use prometheus_client::metrics::gauge::Gauge;
use serde_json::json;
use sockeye_handler::testing::TestServer;
use sockeye_handler::{CloseCode, Router};
use sockeye_kit::metrics::Metrics;

use crate::bench::{get, site};

#[test]
fn health_and_readiness_follow_the_server() {
    let metrics = Metrics::new();
    let router = metrics.mount(Router::new()).expect("good routes");
    let server = TestServer::new(router.wrap(site(&[])));
    let well = |path| {
        let answer = get(&server, path);
        assert_eq!(answer.field("Cache-Control"), Some("no-store"), "{path}");
        (answer.status, answer.json())
    };
    assert_eq!(well("/healthz").0, 200);
    assert_eq!(well("/readyz"), (200, json!({"ready": true})));
    metrics.set_degraded(true);
    assert_eq!(
        well("/readyz"),
        (200, json!({"ready": true, "degraded": true}))
    );
    metrics.set_degraded(false);
    assert_eq!(well("/readyz"), (200, json!({"ready": true})));
    metrics.drain();
    assert_eq!(well("/readyz").0, 503);
    assert_eq!(well("/healthz").0, 200);
}

#[test]
fn metrics_have_the_names_that_are_promised() {
    let metrics = Metrics::new();
    let router = metrics.mount(Router::new()).expect("good routes");
    let server = TestServer::new(router);
    let page = || get(&server, "/metrics").body;
    let has = |line: &str| {
        let page = page();
        assert!(page.lines().any(|l| l == line), "{line} in\n{page}");
    };
    has("sockeye_connections 0");
    has("sockeye_degraded 0");
    has("sockeye_messages_total{direction=\"received\"} 0");
    let [first, second] = [(); 2].map(|()| metrics.connection());
    has("sockeye_connections 2");
    drop((first, second));
    has("sockeye_connections 0");
    metrics.received(2);
    metrics.sent(5);
    has("sockeye_messages_total{direction=\"received\"} 2");
    has("sockeye_messages_total{direction=\"sent\"} 5");
    metrics.set_degraded(true);
    has("sockeye_degraded 1");
    for code in [1000, 1000, 4008] {
        metrics.closed(CloseCode::new(code));
    }
    has("sockeye_closes_total{code=\"1000\"} 2");
    has("sockeye_closes_total{code=\"4008\"} 1");
    metrics.register(|registry| {
        let rooms = Gauge::<i64>::default();
        rooms.set(7);
        registry.register("rooms", "Rooms with members", rooms);
    });
    has("sockeye_rooms 7");
    assert!(page().ends_with("# EOF\n"));
}

#[test]
fn a_peer_cannot_make_a_label_of_every_code() {
    let metrics = Metrics::new();
    (0..=u16::MAX).for_each(|code| metrics.closed(CloseCode::new(code)));
    let server = TestServer::new(metrics.mount(Router::new()).expect("good routes"));
    let page = get(&server, "/metrics").body;
    let labels = page
        .lines()
        .filter(|line| line.starts_with("sockeye_closes_total{"));
    assert!(labels.count() < 150);
}

//! What an operator watches: `/healthz`, `/readyz`, `/metrics`.

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::Serialize;
use sockeye_handler::{CloseCode, Response, RouteError, Router};

use crate::http;

pub use prometheus_client;

/// The counters of a program, and whether it is ready. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Shared>);

struct Shared {
    registry: Mutex<Registry>,
    connections: Gauge,
    received: Counter,
    sent: Counter,
    closes: Family<Close, Counter>,
    degraded: Gauge,
    draining: AtomicBool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Close {
    code: u16,
}

impl Metrics {
    /// All at zero: ready, and not degraded.
    #[must_use]
    pub fn new() -> Self {
        let connections = Gauge::default();
        let messages = Family::<Direction, Counter>::default();
        let closes = Family::<Close, Counter>::default();
        let degraded = Gauge::default();
        let mut registry = Registry::with_prefix("sockeye");
        registry.register(
            "connections",
            "WebSocket connections that are open",
            connections.clone(),
        );
        // The library adds `_total`.
        registry.register("messages", "Messages, by direction", messages.clone());
        registry.register(
            "closes",
            "Connections that have ended, by code",
            closes.clone(),
        );
        registry.register(
            "degraded",
            "1 while the store that the nodes share is out of reach",
            degraded.clone(),
        );
        let counter = |direction| messages.get_or_create_owned(&Direction { direction });
        Self(Arc::new(Shared {
            received: counter("received"),
            sent: counter("sent"),
            registry: Mutex::new(registry),
            connections,
            closes,
            degraded,
            draining: AtomicBool::new(false),
        }))
    }

    /// Adds what a program counts itself; `sockeye_` is put before the names.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        // Only added to under the lock, so a poisoned one is as good.
        add(&mut self
            .0
            .registry
            .lock()
            .unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts a connection for as long as what it returns lives.
    #[must_use]
    pub fn connection(&self) -> OpenConnection {
        self.0.connections.inc();
        OpenConnection(self.0.connections.clone())
    }

    /// Counts the end of a connection: by the code that it was closed with, from whichever
    /// side; 1006 if there was none.
    ///
    /// Peers can send thousands of codes. Those that mean nothing here are counted together,
    /// as 4999 or 3999.
    pub fn closed(&self, code: CloseCode) {
        let code = match code.as_u16() {
            code @ (1000..=1015 | 4000..=4099) => code,
            4100.. => 4999,
            _ => 3999,
        };
        self.0.closes.get_or_create(&Close { code }).inc();
    }

    /// Counts messages that clients have sent.
    pub fn received(&self, messages: u64) {
        self.0.received.inc_by(messages);
    }

    /// Counts messages that clients are sent.
    pub fn sent(&self, messages: u64) {
        self.0.sent.inc_by(messages);
    }

    /// Whether the store that the nodes share is out of reach.
    pub fn set_degraded(&self, degraded: bool) {
        self.0.degraded.set(degraded.into());
    }

    /// Whether it was said that the store is out of reach.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.0.degraded.get() != 0
    }

    /// From here on the server is not ready: it will not be there for long.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Whether [`drain`](Self::drain) was called.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Serves `/healthz`, `/readyz` and `/metrics`.
    ///
    /// # Errors
    ///
    /// The router has one of these paths already.
    pub fn mount(&self, router: Router) -> Result<Router, RouteError> {
        let [ready, metrics] = [(); 2].map(|()| self.clone());
        router
            .get("/healthz", |_| http::json(200, &Healthy { healthy: true }))?
            .get("/readyz", move |_| ready.readiness())?
            .get("/metrics", move |_| metrics.page())
    }

    /// A lost store is no reason to leave the balancer: all nodes would leave it at once.
    fn readiness(&self) -> Response {
        if self.is_draining() {
            return http::error(503, "draining", "the server is about to end");
        }
        let degraded = self.is_degraded();
        http::json(
            200,
            &Ready {
                ready: true,
                degraded,
            },
        )
    }

    fn page(&self) -> Response {
        let mut page = String::new();
        let registry = self.0.registry.lock();
        let registry = registry.unwrap_or_else(PoisonError::into_inner);
        if text::encode(&mut page, &registry).is_err() {
            return Response::new(500);
        }
        let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        Response::new(200)
            .body(content_type, page)
            .and_then(|response| response.field("Cache-Control", "no-store"))
            // Both are written above, and can be sent.
            .unwrap_or_else(|_| Response::new(500))
    }
}

#[derive(Serialize)]
struct Healthy {
    healthy: bool,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    degraded: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// A connection that is counted as open until this is dropped.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

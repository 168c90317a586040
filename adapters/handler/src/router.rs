//! Paths and what serves them.

use sockeye_core::handshake::Response;

use crate::handler::{BoxHandler, Decision, IntoDecision, Service};
use crate::request::{Opening, Request};

/// A service made of services: one for each path.
#[derive(Default)]
pub struct Router {
    _todo: (),
}

impl Router {
    /// Without routes: 404 for everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    /// Serves WebSocket on a path. The closure returns a handler, a `Result` of a handler
    /// or a response, or a [`Decision`].
    pub fn ws<F, D>(self, path: &str, decide: F) -> Result<Self, RouteError>
    where
        F: Fn(&Request<'_>, &mut Opening<'_>) -> D + Send + Sync + 'static,
        D: IntoDecision + 'static,
    {
        let _ = (path, decide);
        todo!()
    }
    /// Answers `GET` and `HEAD` of a path with plain HTTP.
    pub fn get<F>(self, path: &str, respond: F) -> Result<Self, RouteError>
    where
        F: Fn(&Request<'_>) -> Response + Send + Sync + 'static,
    {
        let _ = (path, respond);
        todo!()
    }
    /// Answers `POST` of a path with plain HTTP.
    pub fn post<F>(self, path: &str, respond: F) -> Result<Self, RouteError>
    where
        F: Fn(&Request<'_>) -> Response + Send + Sync + 'static,
    {
        let _ = (path, respond);
        todo!()
    }
    /// Lets a service answer one method of a path.
    pub fn method<S: Service>(
        self,
        method: &str,
        path: &str,
        service: S,
    ) -> Result<Self, RouteError> {
        let _ = (method, path, service);
        todo!()
    }
    /// Lets a service have everything that comes for a path: upgrades, and every method
    /// that has no route of its own.
    pub fn route<S: Service>(self, path: &str, service: S) -> Result<Self, RouteError> {
        let _ = (path, service);
        todo!()
    }
    /// Puts a layer around the routes that were added so far.
    #[must_use]
    pub fn layer(self, layer: impl Layer) -> Self {
        let _ = layer;
        todo!()
    }
    /// Puts a layer around everything, 404 and 405 included.
    #[must_use]
    pub fn wrap(self, layer: impl Layer) -> Self {
        let _ = layer;
        todo!()
    }
}

impl Service for Router {
    type Handler = BoxHandler;

    fn on_request(&self, request: &Request<'_>, cx: &mut Opening<'_>) -> Decision<BoxHandler> {
        let _ = (request, cx);
        todo!()
    }
}

/// What stands around a service: it may answer by itself, add to the request or the answer,
/// and put a handler around the handler.
pub trait Layer: Send + Sync + 'static {
    /// Decides, usually by way of `next`.
    fn on_request(
        &self,
        request: &Request<'_>,
        cx: &mut Opening<'_>,
        next: Next<'_>,
    ) -> Decision<BoxHandler>;
}

/// What a layer stands around.
pub struct Next<'a>(&'a ());

impl Next<'_> {
    /// Asks it.
    pub fn on_request(self, request: &Request<'_>, cx: &mut Opening<'_>) -> Decision<BoxHandler> {
        let _ = (request, cx, self.0);
        todo!()
    }
}

/// A path that cannot be a route.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteError {
    /// The path is malformed.
    Path,
    /// Something is served there already.
    Conflict,
}

//! Paths and what serves them.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;
use std::collections::HashMap;

use sockeye_core::handshake::Response;

use crate::address::Address;
use crate::handler::{BoxHandler, Decision, IntoDecision, Service, service_fn};
use crate::request::{Opening, Params, Request};

/// A service made of services: one for each path.
///
/// A path may hold named parts, as `/rooms/{room}`, and end in one that takes the rest, as
/// `/files/{*path}`; [`Request::params`] has them. A slash at the end of a request's path means
/// nothing. On one path WebSocket and the methods of plain HTTP are served side by side. What is
/// served nowhere is answered with 404, a known path with another method with 405 and `Allow`.
///
/// ```
/// use sockeye_handler::{Context, Handler, Message, Response, RouteError, Router, linear};
///
/// struct Echo;
/// impl Handler for Echo {
///     fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
///         let _ = cx.send(message);
///     }
/// }
///
/// # fn main() -> Result<(), RouteError> {
/// let router = Router::new()
///     .ws("/echo", |_, _| Echo)?
///     .ws("/rooms/{room}", |request, _| match request.params().get("room") {
///         Some("lobby") => Ok(Echo),
///         _ => Err(Response::text(404, "no such room\n")),
///     })?
///     .route("/talk", linear(|mut ws| async move {
///         while let Some(message) = ws.recv().await {
///             ws.send(message).await?;
///         }
///         Ok::<_, sockeye_handler::SendError>(())
///     }))?
///     .get("/healthz", |_| Response::text(200, "well\n"))?;
/// # drop(router);
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Router {
    paths: matchit::Router<usize>,
    by_path: HashMap<Box<str>, usize>,
    nodes: Vec<Node>,
    /// Around everything, the outermost last.
    layers: Vec<Arc<dyn Layer>>,
    on_panic: Option<Box<OnPanic>>,
    on_start: Vec<Box<OnLife>>,
    on_drain: Vec<Box<OnDrain>>,
    on_stop: Vec<Box<OnLife>>,
}

type OnPanic = dyn Fn(&Address, &str) + Send + Sync;
type OnLife = dyn Fn() + Send + Sync;
type OnDrain = dyn Fn(Duration) + Send + Sync;

/// What is served on one path.
#[derive(Default)]
struct Node {
    ws: Option<Arc<dyn Route>>,
    methods: Vec<(Box<str>, Arc<dyn Route>)>,
    /// What has no route of its own.
    any: Option<Arc<dyn Route>>,
}

impl Router {
    /// Without routes: 404 for everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves WebSocket on a path, by a closure that returns a handler, a `Result` of a handler
    /// or a response, or a [`Decision`].
    ///
    /// # Errors
    ///
    /// The path is malformed, or WebSocket is served there already.
    pub fn ws<F, D>(self, path: &str, decide: F) -> Result<Self, RouteError>
    where
        F: Fn(&Request<'_>, &mut Opening<'_>) -> D + Send + Sync + 'static,
        D: IntoDecision + 'static,
    {
        self.ws_service(path, service_fn(decide))
    }

    /// Lets a service have the upgrades of a path.
    ///
    /// # Errors
    ///
    /// As [`ws`](Self::ws).
    pub fn ws_service<S: Service>(mut self, path: &str, service: S) -> Result<Self, RouteError> {
        match &mut self.node(path)?.ws {
            Some(_) => Err(RouteError::Conflict),
            free => {
                *free = Some(Arc::new(Boxed(service)));
                Ok(self)
            }
        }
    }

    /// Answers `GET` and `HEAD` of a path with plain HTTP.
    ///
    /// # Errors
    ///
    /// The path is malformed, or the method has a route there already.
    pub fn get<F>(self, path: &str, respond: F) -> Result<Self, RouteError>
    where
        F: Fn(&Request<'_>) -> Response + Send + Sync + 'static,
    {
        self.method("GET", path, http(respond))
    }

    /// Answers `POST` of a path with plain HTTP.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn post<F>(self, path: &str, respond: F) -> Result<Self, RouteError>
    where
        F: Fn(&Request<'_>) -> Response + Send + Sync + 'static,
    {
        self.method("POST", path, http(respond))
    }

    /// Lets a service answer one method of a path. `GET` answers `HEAD` too.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn method<S: Service>(
        mut self,
        method: &str,
        path: &str,
        service: S,
    ) -> Result<Self, RouteError> {
        let methods = &mut self.node(path)?.methods;
        if methods.iter().any(|(known, _)| **known == *method) {
            return Err(RouteError::Conflict);
        }
        methods.push((method.into(), Arc::new(Boxed(service))));
        Ok(self)
    }

    /// Lets a service have everything on a path that has no route of its own: upgrades, and
    /// every method.
    ///
    /// # Errors
    ///
    /// The path is malformed, or has such a route already.
    pub fn route<S: Service>(mut self, path: &str, service: S) -> Result<Self, RouteError> {
        match &mut self.node(path)?.any {
            Some(_) => Err(RouteError::Conflict),
            free => {
                *free = Some(Arc::new(Boxed(service)));
                Ok(self)
            }
        }
    }

    /// Puts a layer around the routes that were added so far.
    #[must_use]
    pub fn layer(mut self, layer: impl Layer) -> Self {
        let layer: Arc<dyn Layer> = Arc::new(layer);
        for node in &mut self.nodes {
            let methods = node.methods.iter_mut().map(|(_, route)| route);
            for route in methods.chain(&mut node.ws).chain(&mut node.any) {
                let next = Arc::clone(route);
                let layer = Arc::clone(&layer);
                *route = Arc::new(Layered { layer, next });
            }
        }
        self
    }

    /// Puts a layer around everything, 404 and 405 included, and the layers before it.
    #[must_use]
    pub fn wrap(mut self, layer: impl Layer) -> Self {
        self.layers.push(Arc::new(layer));
        self
    }

    /// What to do when a handler has panicked; see [`Service::on_panic`].
    #[must_use]
    pub fn on_panic(mut self, report: impl Fn(&Address, &str) + Send + Sync + 'static) -> Self {
        self.on_panic = Some(Box::new(report));
        self
    }

    /// Something to do before the first connection, beside what the services of the routes do;
    /// see [`Service::on_start`].
    #[must_use]
    pub fn on_start(mut self, start: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_start.push(Box::new(start));
        self
    }

    /// Something to do when the server is to end; see [`Service::on_drain`].
    #[must_use]
    pub fn on_drain(mut self, drain: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        self.on_drain.push(Box::new(drain));
        self
    }

    /// Something to do after the last connection; see [`Service::on_stop`].
    #[must_use]
    pub fn on_stop(mut self, stop: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_stop.push(Box::new(stop));
        self
    }

    /// The services behind all routes, without the layers around them.
    fn services(&self) -> impl Iterator<Item = &dyn Route> {
        self.nodes.iter().flat_map(|node| {
            let methods = node.methods.iter().map(|(_, route)| route);
            let routes = methods.chain(&node.ws).chain(&node.any);
            routes.map(|route| route.innermost())
        })
    }

    /// The node of a path, a new one if need be.
    fn node(&mut self, path: &str) -> Result<&mut Node, RouteError> {
        let path = without_slash(path);
        if !path.starts_with('/') {
            return Err(RouteError::Path);
        }
        let index = match self.by_path.get(path) {
            Some(index) => *index,
            None => {
                let index = self.nodes.len();
                self.paths
                    .insert(path, index)
                    .map_err(|error| match error {
                        matchit::InsertError::Conflict { .. } => RouteError::Conflict,
                        _ => RouteError::Path,
                    })?;
                self.by_path.insert(path.into(), index);
                self.nodes.push(Node::default());
                index
            }
        };
        self.nodes.get_mut(index).ok_or(RouteError::Path)
    }

    /// Finds the route, inside the layers around everything.
    fn dispatch(&self, request: &Request<'_>, cx: &mut Opening<'_>) -> Decision<BoxHandler> {
        let found = self.paths.at(without_slash(request.path())).ok();
        let Some((found, node)) = found.and_then(|m| Some((m.params, self.nodes.get(*m.value)?)))
        else {
            return Decision::Respond(Response::text(404, "not found\n"));
        };
        let params: Params<'_> = found.iter().collect();
        match node.find(request) {
            Ok(route) => route.decide(&request.with_params(params), cx),
            Err(response) => Decision::Respond(response),
        }
    }
}

impl Node {
    fn find(&self, request: &Request<'_>) -> Result<&Arc<dyn Route>, Response> {
        if request.is_upgrade() {
            let route = self.ws.as_ref().or(self.any.as_ref());
            return route.ok_or_else(|| Response::text(404, "no WebSocket here\n"));
        }
        let by_name = |name: &str| {
            let mut methods = self.methods.iter();
            methods.find(|(known, _)| **known == *name)
        };
        let method = match request.method() {
            "HEAD" => by_name("HEAD").or_else(|| by_name("GET")),
            name => by_name(name),
        };
        let route = method.map(|(_, route)| route).or(self.any.as_ref());
        route.ok_or_else(|| self.not_allowed(request.method()))
    }

    /// RFC 9110 §15.5.6: 405, with what is allowed; where that is an upgrade alone, 426.
    fn not_allowed(&self, method: &str) -> Response {
        if self.methods.is_empty() && matches!(method, "GET" | "HEAD") {
            return sockeye_core::handshake::HandshakeError::NotUpgrade.response();
        }
        let mut allow: Vec<&str> = self.methods.iter().map(|(name, _)| &**name).collect();
        if allow.contains(&"GET") && !allow.contains(&"HEAD") {
            allow.push("HEAD");
        }
        // An upgrade is a GET.
        if self.ws.is_some() && !allow.contains(&"GET") {
            allow.push("GET");
        }
        let response = Response::text(405, "method not allowed\n");
        // A method is a token if it can be requested at all, and so are all of them together.
        let named = response.clone().field("Allow", allow.join(", "));
        named.unwrap_or(response)
    }
}

impl Service for Router {
    type Handler = BoxHandler;

    fn on_request(&self, request: &Request<'_>, cx: &mut Opening<'_>) -> Decision<BoxHandler> {
        let layers = &self.layers;
        Within {
            router: self,
            layers,
        }
        .decide(request, cx)
    }

    /// Passes through the layers around everything, the innermost first.
    fn on_refusal(&self, refusal: Response) -> Response {
        let layers = self.layers.iter();
        layers.fold(refusal, |refusal, layer| layer.on_refusal(refusal))
    }

    fn on_start(&self) {
        self.on_start.iter().for_each(|start| start());
        self.services().for_each(Route::start);
    }

    fn on_drain(&self, within: Duration) {
        self.on_drain.iter().for_each(|drain| drain(within));
        self.services().for_each(|service| service.drain(within));
    }

    fn on_stop(&self) {
        self.services().for_each(Route::stop);
        self.on_stop.iter().for_each(|stop| stop());
    }

    fn on_panic(&self, address: &Address, message: &str) {
        if let Some(report) = &self.on_panic {
            report(address, message);
        }
    }
}

/// What stands around services: it may answer by itself, add to the request or the answer, and
/// put a handler around the handler.
///
/// A closure is one, too:
///
/// ```
/// use sockeye_handler::{BoxHandler, Decision, Next, Opening, Request, Response, Router};
///
/// let same_host = |request: &Request<'_>, cx: &mut Opening<'_>, next: Next<'_>| {
///     match request.host() {
///         Some("example.com") => next.on_request(request, cx),
///         _ => Decision::Respond(Response::new(421)),
///     }
/// };
/// let router = Router::new().wrap(same_host);
/// # drop(router);
/// ```
pub trait Layer: Send + Sync + 'static {
    /// Decides, usually by way of `next`. To stand between the handler and its connection, put
    /// a handler around the one that `next` gives with [`Decision::map`]; what the inner one
    /// sends passes through [`Context::layered`](crate::Context::layered).
    fn on_request(
        &self,
        request: &Request<'_>,
        cx: &mut Opening<'_>,
        next: Next<'_>,
    ) -> Decision<BoxHandler>;

    /// The server has refused a request by itself; only for layers around everything. See
    /// [`Service::on_refusal`].
    fn on_refusal(&self, refusal: Response) -> Response {
        refusal
    }
}

impl<F> Layer for F
where
    F: Fn(&Request<'_>, &mut Opening<'_>, Next<'_>) -> Decision<BoxHandler> + Send + Sync + 'static,
{
    fn on_request(
        &self,
        request: &Request<'_>,
        cx: &mut Opening<'_>,
        next: Next<'_>,
    ) -> Decision<BoxHandler> {
        self(request, cx, next)
    }
}

/// What a layer stands around.
pub struct Next<'a>(&'a dyn Route);

impl Next<'_> {
    /// Asks it.
    pub fn on_request(self, request: &Request<'_>, cx: &mut Opening<'_>) -> Decision<BoxHandler> {
        self.0.decide(request, cx)
    }
}

/// A service whose handlers are boxed.
trait Route: Send + Sync {
    fn decide(&self, request: &Request<'_>, cx: &mut Opening<'_>) -> Decision<BoxHandler>;

    /// What stands within the layers.
    fn innermost(&self) -> &dyn Route;

    fn start(&self) {}

    fn drain(&self, _within: Duration) {}

    fn stop(&self) {}
}

struct Boxed<S>(S);

impl<S: Service> Route for Boxed<S> {
    fn decide(&self, request: &Request<'_>, cx: &mut Opening<'_>) -> Decision<BoxHandler> {
        let decision = self.0.on_request(request, cx);
        decision.map(|handler| Box::new(handler) as BoxHandler)
    }

    fn innermost(&self) -> &dyn Route {
        self
    }

    fn start(&self) {
        self.0.on_start();
    }

    fn drain(&self, within: Duration) {
        self.0.on_drain(within);
    }

    fn stop(&self) {
        self.0.on_stop();
    }
}

struct Layered {
    layer: Arc<dyn Layer>,
    next: Arc<dyn Route>,
}

impl Route for Layered {
    fn decide(&self, request: &Request<'_>, cx: &mut Opening<'_>) -> Decision<BoxHandler> {
        self.layer.on_request(request, cx, Next(&*self.next))
    }

    fn innermost(&self) -> &dyn Route {
        self.next.innermost()
    }
}

/// A router within the layers around all of it.
struct Within<'a> {
    router: &'a Router,
    layers: &'a [Arc<dyn Layer>],
}

impl Route for Within<'_> {
    fn decide(&self, request: &Request<'_>, cx: &mut Opening<'_>) -> Decision<BoxHandler> {
        match self.layers.split_last() {
            Some((layer, layers)) => {
                let router = self.router;
                layer.on_request(request, cx, Next(&Within { router, layers }))
            }
            None => self.router.dispatch(request, cx),
        }
    }

    fn innermost(&self) -> &dyn Route {
        self
    }
}

/// Plain HTTP, answered at once.
fn http<F>(respond: F) -> impl Service
where
    F: Fn(&Request<'_>) -> Response + Send + Sync + 'static,
{
    service_fn(move |request: &Request<'_>, _: &mut Opening<'_>| {
        Decision::<BoxHandler>::Respond(respond(request))
    })
}

fn without_slash(path: &str) -> &str {
    match path.strip_suffix('/') {
        None | Some("") => path,
        Some(shorter) => shorter,
    }
}

/// Why a route was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteError {
    /// The path does not begin with a slash, or its named parts are malformed.
    Path,
    /// Another route has it already.
    Conflict,
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path => "the path of the route is malformed",
            Self::Conflict => "another route has this path already",
        })
    }
}

impl core::error::Error for RouteError {}

//! What is asked in plain HTTP.

use alloc::sync::Arc;
use core::future::poll_fn;
use core::time::Duration;

use sockeye_handler::{
    BoxHandler, Decision, Opening, Request, Response, RouteError, Router, Service,
};
use sockeye_kit::http;
use sockeye_kit::name::Name;

use crate::App;
use crate::wire::User;

/// How long a token of `/demo-token` is good.
const DEMO_TTL: Duration = Duration::from_secs(3600);

/// Adds the paths.
pub(crate) fn mount(app: &Arc<App>, router: Router) -> Result<Router, RouteError> {
    let [one, demo] = [(); 2].map(|()| Arc::clone(app));
    router
        .method("GET", "/presence", Listing(Arc::clone(app)))?
        .get("/presence/{user}", move |request| user(&one, request))?
        .get("/demo-token", move |request| demo_token(&demo, request))
}

/// `GET /presence`: everybody who is online.
///
/// It waits for the end of a window in which something has changed, so that the list and its
/// revision are what a watcher knows at that moment.
struct Listing(Arc<App>);

impl Service for Listing {
    type Handler = BoxHandler;

    fn on_request(&self, request: &Request<'_>, _: &mut Opening<'_>) -> Decision<BoxHandler> {
        if let Err(refused) = authorize(&self.0, request) {
            return Decision::Respond(refused);
        }
        let app = Arc::clone(&self.0);
        Decision::later(async move {
            let listing = poll_fn(|cx| app.hub.poll_listing(cx)).await;
            Decision::Respond(http::json_text(200, listing))
        })
    }
}

/// `GET /presence/{user}`.
fn user(app: &App, request: &Request<'_>) -> Response {
    if let Err(refused) = authorize(app, request) {
        return refused;
    }
    match request.params().decoded("user") {
        Some(user) => match Name::parse(&user) {
            Ok(user) => http::json(200, &User::new(&user, app.hub.since(&user))),
            Err(invalid) => http::error(400, "bad-name", &invalid.to_string()),
        },
        None => http::error(400, "bad-name", "the name is not percent-encoded UTF-8"),
    }
}

/// `GET /demo-token?id=NAME`, where nobody has given a key.
fn demo_token(app: &App, request: &Request<'_>) -> Response {
    let Some(signer) = &app.demo else {
        return http::error(404, "not-found", "tokens come from elsewhere");
    };
    let id = request.query_value("id").unwrap_or_default();
    match Name::parse(&id) {
        Ok(id) => {
            let token = signer.sign(&id, DEMO_TTL, app.hub.wall());
            let response = Response::text(200, token).field("Cache-Control", "no-store");
            // A name and a value that can be sent.
            response.unwrap_or_else(|_| Response::new(500))
        }
        Err(invalid) => http::error(400, "bad-name", &invalid.to_string()),
    }
}

fn authorize(app: &App, request: &Request<'_>) -> Result<(), Response> {
    match &app.read_token {
        Some(bearer) => bearer.check(request),
        None => Ok(()),
    }
}

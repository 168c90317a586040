//! From a request to its answer.

use core::future::Future;
use core::pin::Pin;

use sockeye_core::handshake::{
    Accept, Accepted, HandshakeError, InvalidField, Request as Head, Response, Upgrade,
};
use sockeye_core::{Config, SharedConfig, Time};

use super::answer::Content;
use super::guard::guard;
use crate::address::Address;
use crate::handler::{Decision, Service};
use crate::request::{Opening, Request};

/// A request that awaits its decision.
pub(super) struct Deciding<H> {
    pub(super) decision: Pin<Box<dyn Future<Output = Decision<H>> + Send>>,
    pub(super) asked: Asked,
    pub(super) config: SharedConfig,
    pub(super) deadline: Time,
}

/// What the answer to a request depends on, beside the decision.
pub(super) struct Asked {
    /// `None` for plain HTTP.
    upgrade: Option<Upgrade>,
    pub(super) content: Content,
    /// What `Opening` has collected.
    fields: Option<Response>,
}

/// Asks the service about a request. An upgrade that is malformed has its answer already.
pub(super) fn decide<S: Service>(
    request: &Head<'_>,
    service: &S,
    mut opening: Opening<'_>,
) -> (Decision<S::Handler>, Asked) {
    let mut asked = Asked {
        upgrade: None,
        content: match request.method() {
            "HEAD" => Content::Omitted,
            _ => Content::Sent,
        },
        fields: None,
    };
    if request.is_upgrade() {
        match request.upgrade() {
            Ok(upgrade) => asked.upgrade = Some(upgrade),
            Err(error) => {
                let response = refusal(service, opening.address(), error.response());
                return (Decision::Respond(response), asked);
            }
        }
    }
    let address = opening.address().clone();
    let decided = guard(service, &address, || {
        let decision = service.on_request(&Request::new(request), &mut opening);
        (decision, opening.into_fields())
    });
    let (decision, fields) =
        decided.unwrap_or_else(|| (Decision::Respond(Response::new(500)), None));
    asked.fields = fields;
    (decision, asked)
}

impl Asked {
    /// The 101 with what it agrees to, or what must be said instead.
    pub(super) fn accept(&self, accept: Accept, config: &Config) -> Result<Accepted, Response> {
        let Some(upgrade) = &self.upgrade else {
            return Err(HandshakeError::NotUpgrade.response());
        };
        let mut fields = self.fields.iter().flat_map(Response::fields);
        let accept = fields.try_fold(accept, |accept, (name, value)| accept.field(name, value));
        // Both are mistakes of the application: a field that was checked when it was added, and
        // a subprotocol that the client has not offered.
        let Ok(accept) = accept else {
            return Err(Response::new(500));
        };
        upgrade
            .accept(&accept, config)
            .map_err(|_| Response::new(500))
    }

    pub(super) fn respond(self, response: Response) -> Response {
        let fields = self.fields.as_ref();
        let mut fields = fields.into_iter().flat_map(Response::fields);
        let all: Result<_, InvalidField> = fields.try_fold(response, |response, (name, value)| {
            response.field(name, value)
        });
        all.unwrap_or_else(|_| Response::new(500))
    }
}

/// What the service says where the server refuses by itself.
#[cold]
pub(super) fn refusal<S: Service>(service: &S, address: &Address, refusal: Response) -> Response {
    let spoken = guard(service, address, || service.on_refusal(refusal));
    spoken.unwrap_or_else(|| Response::new(500))
}

/// The answer while the server is going down, and to a decision that takes too long.
pub(super) fn unavailable() -> Response {
    Response::text(503, "the service is not available now\n")
}

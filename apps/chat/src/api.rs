//! `POST /api/publish`: messages from other programs.

use alloc::sync::Arc;

use serde::Serialize;
use sockeye_handler::{BoxHandler, Decision, Opening, Request, Response, Service};
use sockeye_kit::http::{self, Bearer};
use sockeye_kit::name::Name;

use crate::hub::Hub;
use crate::protocol::{Field, Fields, check_text};
use crate::store::{Away, Post, Stamp, Via};

/// Who speaks if the request does not say.
const SPEAKER: &str = "server";

/// Takes a message for a room from whoever knows the token.
pub(crate) struct Publish {
    pub(crate) hub: Arc<Hub>,
    pub(crate) bearer: Bearer,
}

impl Service for Publish {
    type Handler = BoxHandler;

    fn on_request(&self, request: &Request<'_>, _: &mut Opening<'_>) -> Decision<BoxHandler> {
        if let Err(response) = self.bearer.check(request) {
            return Decision::Respond(response);
        }
        let post = match self.read(request.body()) {
            Ok(post) => post,
            Err(reason) => {
                return Decision::Respond(http::error(400, "bad-request", reason));
            }
        };
        if self.hub.is_degraded() {
            return Decision::Respond(degraded());
        }
        let Some(store) = self.hub.store() else {
            return Decision::Respond(match self.hub.post(&post) {
                Ok(stamp) => accepted(&stamp),
                // Without a store every room can be used.
                Err(_) => degraded(),
            });
        };
        let answer = store.post(post);
        Decision::later(async {
            Decision::Respond(match answer.await.unwrap_or(Err(Away)) {
                Ok(stamp) => accepted(&stamp),
                Err(Away) => degraded(),
            })
        })
    }
}

impl Publish {
    fn read(&self, body: &[u8]) -> Result<Post, &'static str> {
        let body = core::str::from_utf8(body).map_err(|_| "the body is not UTF-8")?;
        let fields = Fields::parse(body).ok_or("the body is not a JSON object")?;
        if fields.has_repetition {
            return Err("a member comes twice");
        }
        let id = match fields.id {
            None => None,
            Some(_) => Some(
                fields
                    .id()
                    .ok_or("id is not a text of 1 to 64, or an integer")?,
            ),
        };
        let room = text(fields.room).ok_or("room is not a text")?;
        let said = text(fields.text).ok_or("text is not a text")?;
        let from = match fields.from {
            None => SPEAKER.into(),
            from => text(from).ok_or("from is not a text")?,
        };
        check_text(&said).map_err(
            |_| "text is not 1 to 4,096 characters without control characters but tab and newline",
        )?;
        Ok(Post {
            room: Name::parse(&room).map_err(|_| "room is not a name")?,
            from: Name::parse(&from).map_err(|_| "from is not a name")?,
            text: said.into(),
            ts: self.hub.wall(),
            via: Via::Api,
            id,
        })
    }
}

fn text<'a>(field: Option<Field<'a>>) -> Option<alloc::borrow::Cow<'a, str>> {
    field.and_then(Field::into_text)
}

fn accepted(stamp: &Stamp) -> Response {
    #[derive(Serialize)]
    struct Accepted<'a> {
        off: u64,
        epoch: &'a str,
    }
    http::json(
        202,
        &Accepted {
            off: stamp.off,
            epoch: &stamp.epoch.0,
        },
    )
}

fn degraded() -> Response {
    http::error(
        503,
        "degraded",
        "the other nodes cannot be reached just now",
    )
}

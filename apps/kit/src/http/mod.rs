//! The plain HTTP of the programs: answers in JSON, pages, and whom a server answers at all.

mod asset;
mod bearer;
mod proxy;
mod site;

use bytes::Bytes;
use serde::Serialize;
use sockeye_handler::{InvalidField, Response};

pub use asset::{Asset, Pages, PagesError};
pub use bearer::{Bearer, BearerError};
pub use proxy::client_ip;
pub use site::{Site, SiteArgs, SiteError};

/// An answer in JSON, which nobody keeps.
#[must_use]
pub fn json(status: u16, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => json_text(status, body),
        Err(_) => Response::new(500),
    }
}

/// The same with a body that is JSON already.
#[must_use]
pub fn json_text(status: u16, body: impl Into<Bytes>) -> Response {
    sendable(
        Response::new(status)
            .body("application/json", body)
            .and_then(|response| response.field("Cache-Control", "no-store"))
            .and_then(|response| response.field("X-Content-Type-Options", "nosniff")),
    )
}

/// An error: `{"error":code,"reason":reason}`.
#[must_use]
pub fn error(status: u16, code: &str, reason: &str) -> Response {
    #[derive(Serialize)]
    struct Error<'a> {
        error: &'a str,
        reason: &'a str,
    }
    json(
        status,
        &Error {
            error: code,
            reason,
        },
    )
}

/// For names and values that are written in the program, and can be sent.
fn sendable(response: Result<Response, InvalidField>) -> Response {
    response.unwrap_or_else(|_| Response::new(500))
}

//! The echo service: what it receives, it sends back.
//!
//! It names no runtime; `main.rs` puts it on one.

#![forbid(unsafe_code)]

extern crate alloc;

mod page;

use alloc::sync::Arc;

use sockeye_handler::{
    Accept, Context, Decision, Handler, Message, Opening, OwnedMessage, Request, Service,
};

/// Echoes on every path, and shows a page at `/` that tries it out.
pub struct Echo {
    prefix: Option<Arc<str>>,
    subprotocols: Vec<String>,
}

impl Echo {
    /// Puts `prefix` before the text of each message; binary messages stay as they
    /// are. Accepts `subprotocols`.
    #[must_use]
    pub fn new(prefix: &str, subprotocols: Vec<String>) -> Self {
        Self {
            prefix: (!prefix.is_empty()).then(|| prefix.into()),
            subprotocols,
        }
    }

    /// The answer to a message.
    #[must_use]
    pub fn answer(&self, message: OwnedMessage) -> OwnedMessage {
        match (&self.prefix, &message) {
            (Some(prefix), OwnedMessage::Text(text)) => [prefix, text.as_str()].concat().into(),
            _ => message,
        }
    }

    fn accept(&self, request: &Request<'_>) -> Accept {
        let known = |name: &&str| self.subprotocols.iter().any(|known| known == name);
        let chosen = request.subprotocols().find(known);
        // What was offered is a token, so that it can be chosen.
        chosen
            .and_then(|name| Accept::new().subprotocol(name).ok())
            .unwrap_or_default()
    }
}

impl Service for Echo {
    type Handler = Connection;

    fn on_request(&self, request: &Request<'_>, _: &mut Opening<'_>) -> Decision<Connection> {
        if !request.is_upgrade() {
            return Decision::Respond(page::respond(request.method(), request.path()));
        }
        let handler = Connection {
            prefix: self.prefix.clone(),
        };
        Decision::Accept(self.accept(request), handler)
    }
}

/// One connection of the service.
pub struct Connection {
    prefix: Option<Arc<str>>,
}

impl Handler for Connection {
    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        // Only refused while the connection closes: receiving pauses long before
        // the queue is full. Then nobody waits for the echo.
        let _ = match (&self.prefix, &message) {
            (Some(prefix), Message::Text(text)) => cx.send([prefix, text.as_str()].concat()),
            _ => cx.send(message),
        };
    }
}

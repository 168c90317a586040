//! `/echo`: each message says by a token whose connection this is, and is sent back.

use alloc::sync::Arc;
use core::time::Duration;

use sockeye_handler::{
    CloseCode, Closed, Context, Handler, Message, Opening, Outgoing, OwnedMessage, Response,
};
use sockeye_kit::caps::Admission;
use sockeye_kit::rate::Bucket;
use sockeye_kit::token::Claims;

use crate::App;
use crate::connection::{Connection, departure};
use crate::hub::Membership;
use crate::message;

/// The close code of a connection that has not said in time whose it is.
const SILENT: CloseCode = CloseCode::new(4001);
/// How long it may take for that.
const LOGIN: Duration = Duration::from_secs(5);

/// No valid message has come in time.
const SILENT_TIMER: u64 = 0;
/// The newest token expires.
const EXPIRY_TIMER: u64 = 1;

/// One connection to `/echo`.
pub(crate) struct Echo {
    app: Arc<App>,
    connection: Connection,
    bucket: Bucket,
    present: Option<Present>,
    /// A message that is answered when the store knows of its user.
    waiting: Option<OwnedMessage>,
}

/// Whose connection it is, once that is known.
struct Present {
    membership: Membership,
    /// What the token says that is good for longest.
    claims: Claims,
    _admission: Admission,
}

/// Why a connection is closed from here.
#[derive(Clone, Copy)]
enum Fault {
    Message,
    Token,
    OtherUser,
    TooManyConnections,
    TooFast,
    Silent,
}

impl Echo {
    pub(crate) fn new(app: &Arc<App>, cx: &Opening<'_>) -> Result<Self, Response> {
        Ok(Self {
            connection: Connection::new(app, cx)?,
            bucket: app.bucket(),
            present: None,
            waiting: None,
            app: Arc::clone(app),
        })
    }

    /// What a message says, if it may be answered.
    fn accept(&mut self, message: &Message<'_>, cx: &mut Context<'_>) -> Result<(), Fault> {
        if !self.bucket.take(cx.now()) {
            return Err(Fault::TooFast);
        }
        let Message::Text(text) = message else {
            return Err(Fault::Message);
        };
        let Ok(message) = message::Message::parse(text.as_str()) else {
            return Err(Fault::Message);
        };
        let verified = self.app.verifier.verify(&message.jwt, self.app.hub.wall());
        let claims = verified.map_err(|_| Fault::Token)?;
        match &mut self.present {
            None => {
                self.present = Some(self.enter(claims)?);
                cx.clear_timer(SILENT_TIMER);
            }
            Some(present) if *present.membership.user() != claims.id => {
                return Err(Fault::OtherUser);
            }
            Some(present) => {
                present.prove(&self.app);
                // Otherwise the token that is good for longer was first.
                if present.claims.exp < claims.exp {
                    present.claims = claims;
                }
            }
        }
        self.set_expiry(cx);
        Ok(())
    }

    /// Whether the store knows of the user. If not, this connection is woken when it may.
    fn is_stored(&self, cx: &mut Context<'_>) -> bool {
        let present = self.present.as_ref();
        present.is_none_or(|present| present.membership.is_stored(&cx.peer()))
    }

    fn answer<'m>(&self, message: impl Into<Outgoing<'m>>, cx: &mut Context<'_>) {
        // It is a token, whose length must tell nobody anything.
        let message = message.into().uncompressed();
        // Refused only while the connection closes: then nobody waits for it.
        if cx.send(message).is_ok() {
            self.connection.sent();
        }
    }

    fn enter(&self, claims: Claims) -> Result<Present, Fault> {
        let admission = self.app.caps.admit_user(&claims.id);
        let admission = admission.ok_or(Fault::TooManyConnections)?;
        Ok(Present {
            membership: self.app.hub.join(claims.id.clone()),
            claims,
            _admission: admission,
        })
    }

    fn set_expiry(&self, cx: &mut Context<'_>) {
        if let Some(present) = &self.present {
            let left = present.claims.left(self.app.hub.wall());
            cx.set_timer(EXPIRY_TIMER, cx.now() + left);
        }
    }

    /// Closes; the user has left when the Close frame is queued.
    fn fail(&mut self, fault: Fault, cx: &mut Context<'_>) {
        let (code, reason) = fault.close();
        // It is open, or nothing would have been received.
        let _ = cx.close(code, reason);
        if let Some(present) = self.present.take() {
            present.membership.leave();
        }
    }
}

impl Present {
    /// The connection lives: it counts again if the node has outlived its membership.
    fn prove(&mut self, app: &App) {
        if self.membership.outlived_by().is_some() {
            self.membership = app.hub.join(self.claims.id.clone());
        }
    }
}

impl Fault {
    fn close(self) -> (CloseCode, &'static str) {
        match self {
            Self::Message => (CloseCode::INVALID_PAYLOAD, "Invalid Message"),
            Self::Token => (CloseCode::INVALID_PAYLOAD, "Expired Token"),
            Self::OtherUser => (CloseCode::POLICY_VIOLATION, "other user"),
            Self::TooManyConnections => (CloseCode::POLICY_VIOLATION, "too many connections"),
            Self::TooFast => (crate::connection::TOO_FAST, "too fast"),
            Self::Silent => (SILENT, "no valid message"),
        }
    }
}

impl Handler for Echo {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        self.connection.open(cx);
        cx.set_timer(SILENT_TIMER, cx.now() + LOGIN);
    }

    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        self.connection.received();
        // What comes behind a message that was refused is not looked at.
        if !cx.is_open() {
            return;
        }
        match self.accept(&message, cx) {
            Ok(()) if self.is_stored(cx) => self.answer(message, cx),
            // Those that follow wait behind it.
            Ok(()) => {
                self.waiting = Some(message.into_owned());
                cx.pause();
            }
            Err(fault) => self.fail(fault, cx),
        }
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        if self.connection.is_sent_away(cx) {
            if let Some(present) = self.present.take() {
                present.membership.leave();
            }
            return;
        }
        // This node was thought dead. What it held counts again when it is known to live.
        let present = self.present.as_ref();
        if let Some(life) = present.and_then(|present| present.membership.outlived_by()) {
            let _ = cx.ping(&life.to_be_bytes());
        }
        if self.waiting.is_some() && self.is_stored(cx) {
            cx.resume();
            if let Some(message) = self.waiting.take() {
                self.answer(message, cx);
            }
        }
    }

    fn on_pong(&mut self, payload: &[u8], _: &mut Context<'_>) {
        if let Some(present) = &mut self.present {
            let life = present.membership.outlived_by();
            if life.is_some_and(|life| life.to_be_bytes() == payload) {
                present.prove(&self.app);
            }
        }
    }

    fn on_timer(&mut self, key: u64, cx: &mut Context<'_>) {
        if !cx.is_open() {
            return;
        }
        if key == SILENT_TIMER {
            return self.fail(Fault::Silent, cx);
        }
        let claims = self.present.as_ref().map(|present| &present.claims);
        match claims.map(|claims| claims.left(self.app.hub.wall())) {
            // The time of day was set back.
            Some(left) if !left.is_zero() => self.set_expiry(cx),
            _ => self.fail(Fault::Token, cx),
        }
    }

    fn on_close(&mut self, closed: &Closed) {
        self.connection.closed(closed);
        if let Some(present) = self.present.take()
            && departure(closed) == crate::directory::Departure::Explicit
        {
            present.membership.leave();
        }
    }
}

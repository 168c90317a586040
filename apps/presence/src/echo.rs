//! `/echo`: each message says by a token whose connection this is, and is sent back.

use alloc::sync::Arc;
use core::time::Duration;

use sockeye_handler::{CloseCode, Closed, Context, Handler, Message, Opening, Response};
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
            Some(present) if present.claims.exp < claims.exp => present.claims = claims,
            // The token that is good for longer was first.
            Some(_) => return Ok(()),
        }
        self.set_expiry(cx);
        Ok(())
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
        cx.set_timer(SILENT_TIMER, cx.now() + LOGIN);
    }

    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        self.connection.received();
        // What comes behind a message that was refused is not looked at.
        if !cx.is_open() {
            return;
        }
        match self.accept(&message, cx) {
            Ok(()) => {
                // Refused only while the connection closes: then nobody waits for it.
                if cx.send(message).is_ok() {
                    self.connection.sent();
                }
            }
            Err(fault) => self.fail(fault, cx),
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

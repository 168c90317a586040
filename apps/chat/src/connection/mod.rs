//! One connection: requests in, answers in their order.

mod login;
mod original;
mod v1;
mod waiting;

use alloc::sync::Arc;
use core::time::Duration;

use sockeye_handler::{
    Cause, CloseCode, Closed, Context, Frame, Handler, Initiator, Message, Peer, SendError, Time,
};
use sockeye_kit::caps::Admission;
use sockeye_kit::metrics::OpenConnection;
use sockeye_kit::name::Name;
use sockeye_kit::rate::Bucket;
use sockeye_kit::token::Claims;

use self::waiting::Waiting;
use crate::hub::Hub;
use crate::protocol::{Dialect, Event, Listing, frame};
use crate::room::{Departure, Mark, Member, Room};
use crate::store::Session;
use crate::wakers::SLOW;

/// No login within the time for it.
const NO_LOGIN: CloseCode = CloseCode::new(4001);

/// Requests come too fast, again and again.
const TOO_FAST: CloseCode = CloseCode::new(4029);

/// How long a connection that does not read may take to learn that it is over.
const LAST_WORD: Duration = Duration::from_secs(10);

/// The timers of a connection.
mod timer {
    pub(super) const LOGIN: u64 = 1;
    pub(super) const EXPIRING: u64 = 2;
    pub(super) const EXPIRED: u64 = 3;
    pub(super) const DRAIN: u64 = 4;
    pub(super) const STUCK: u64 = 5;
}

/// One connection of the service.
pub struct Connection {
    hub: Arc<Hub>,
    /// Known to the hub by this.
    number: u64,
    dialect: Dialect,
    user: Option<Box<User>>,
    rooms: Vec<Arc<Room>>,
    bucket: Bucket,
    refusals: Refusals,
    /// A request that the store has to answer first; no other is taken meanwhile.
    waiting: Option<Box<Waiting>>,
    is_draining: bool,
    /// It knows that its token is about to expire.
    is_told: bool,
    /// The code that this side has closed with.
    closing: Option<CloseCode>,
    _admission: Admission,
    _open: OpenConnection,
}

/// Who has logged in.
struct User {
    name: Name,
    session: Session,
    /// What the newest token says, where there are tokens.
    claims: Option<Claims>,
}

/// When a connection was too fast, lately.
#[derive(Default)]
struct Refusals(Vec<Time>);

impl Refusals {
    const MOST: usize = 10;
    const WINDOW: Duration = Duration::from_secs(10);

    /// Counts one; whether it was the last.
    fn add(&mut self, now: Time) -> bool {
        self.0
            .retain(|then| now.saturating_since(*then) < Self::WINDOW);
        self.0.push(now);
        self.0.len() >= Self::MOST
    }
}

impl Connection {
    pub(crate) fn new(hub: &Arc<Hub>, dialect: Dialect, admission: Admission) -> Self {
        let settings = &hub.settings;
        Self {
            number: 0,
            dialect,
            user: None,
            rooms: Vec::new(),
            bucket: Bucket::new(settings.rate, settings.burst),
            refusals: Refusals::default(),
            waiting: None,
            is_draining: false,
            is_told: false,
            closing: None,
            _admission: admission,
            _open: hub.metrics.connection(),
            hub: Arc::clone(hub),
        }
    }

    /// Answers behind everything that others have queued for this connection so far.
    fn answer(frame: &Frame, cx: &mut Context<'_>) {
        if cx.send_in_turn(frame) == Err(SendError::Full) {
            // It closes instead, and says so.
            let _ = cx.peer().enqueue_or_close(frame, SLOW, "slow consumer");
            cx.peer().wake();
        }
    }

    fn tell(event: &Event<'_>, cx: &mut Context<'_>) {
        Self::answer(&frame(event), cx);
    }

    fn close(&mut self, code: CloseCode, reason: &str, cx: &mut Context<'_>) {
        // Refused only if it is closing already.
        let _ = cx.close(code, reason);
        self.closing.get_or_insert(code);
    }

    fn invalid(&mut self, cx: &mut Context<'_>) {
        self.close(CloseCode::INVALID_PAYLOAD, "Invalid Message", cx);
    }

    /// The room of this name, if this connection is in it.
    fn room(&self, name: &str) -> Option<&Arc<Room>> {
        self.rooms.iter().find(|room| **room.name() == *name)
    }

    fn member(&self, user: &Name, peer: Peer) -> Member {
        Member {
            connection: self.number,
            peer,
            user: user.clone(),
            dialect: self.dialect,
            listing: Listing::Full,
            mark: Mark::default(),
            is_stale: false,
        }
    }

    /// It is time to go, at some moment within what the hub grants.
    fn drain(&mut self, time: Duration, cx: &mut Context<'_>) {
        self.is_draining = true;
        let spread = |from: u64, to: u64| from + self.hub.random() % (to - from).max(1);
        if self.dialect == Dialect::V1 {
            let retry_ms = spread(1000, 5000);
            Self::tell(&Event::Drain { retry_ms }, cx);
        }
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let at = cx.now() + Duration::from_millis(spread(0, millis));
        cx.set_timer(timer::DRAIN, at);
    }

    /// How the others are to see that this connection has ended.
    fn departure(&self, closed: &Closed) -> Departure {
        match closed.initiator {
            Initiator::Peer => match closed.code {
                CloseCode::NORMAL | CloseCode::NO_STATUS => Departure::Left,
                _ => Departure::Lost,
            },
            // Who is told not to come back has left.
            Initiator::Local => match self.closing {
                Some(
                    CloseCode::INVALID_PAYLOAD
                    | CloseCode::POLICY_VIOLATION
                    | CloseCode::MESSAGE_TOO_BIG,
                ) => Departure::Left,
                _ if matches!(closed.cause, Cause::Violation(_)) => Departure::Left,
                _ => Departure::Lost,
            },
            Initiator::Transport => Departure::Lost,
        }
    }
}

impl Handler for Connection {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        self.number = self.hub.connected(cx.peer());
        let patience = self.hub.settings.login_timeout;
        cx.set_timer(timer::LOGIN, cx.now() + patience);
        if let Some(time) = self.hub.draining() {
            self.drain(time, cx);
        }
    }

    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        self.hub.metrics.received(1);
        // Closing already, here or through the peer: nothing of it counts.
        if !cx.is_open() || !cx.peer().is_open() {
            return;
        }
        match (message, self.dialect) {
            (Message::Text(text), Dialect::V1) => self.handle_v1(&text, cx),
            (Message::Text(text), Dialect::Original) => self.handle_original(&text, cx),
            (Message::Binary(_), _) => self.invalid(cx),
        }
    }

    fn on_timer(&mut self, key: u64, cx: &mut Context<'_>) {
        match key {
            timer::LOGIN if self.waiting.is_some() => {
                cx.set_timer(key, cx.now() + Duration::from_secs(1));
            }
            timer::LOGIN if self.user.is_none() => self.close(NO_LOGIN, "no login", cx),
            timer::EXPIRING | timer::EXPIRED => self.watch_token(cx),
            timer::DRAIN => self.close(CloseCode::SERVICE_RESTART, "", cx),
            timer::STUCK => cx.abort(),
            _ => {}
        }
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        if !cx.peer().is_open() {
            cx.set_timer(timer::STUCK, cx.now() + LAST_WORD);
            return;
        }
        if let Some(time) = self.hub.draining()
            && !self.is_draining
        {
            self.drain(time, cx);
        }
        self.go_on(cx);
    }

    fn on_close(&mut self, closed: &Closed) {
        self.hub.metrics.closed(closed.code);
        let departure = self.departure(closed);
        for room in self.rooms.drain(..) {
            room.leave(self.number, departure, &self.hub);
        }
        if let Some(waiting) = self.waiting.take() {
            waiting.abandon(&self.hub);
        }
        if let Some(user) = self.user.take() {
            self.hub.release(&user.name, user.session);
        }
        self.hub.disconnected(self.number);
    }
}

//! What the connections of a node share.

mod names;
mod rooms;

use alloc::sync::Arc;
use core::hash::BuildHasher;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use sockeye_handler::{CloseCode, Peer, Time};
use sockeye_kit::clock::{Alarm, Clock, rfc3339};
use sockeye_kit::metrics::Metrics;
use sockeye_kit::name::Name;
use sockeye_kit::token::Verifier;

use self::names::Names;
use self::rooms::Rooms;
use crate::protocol::{Dialect, Event, frame, original};
use crate::retry::Retries;
use crate::room::{Bounds, Room, Unable};
use crate::settings::Settings;
use crate::store::{
    Claim, Claimed, Delivered, Epoch, Message, Node, Post, Session, Snapshot, Stamp, Store, Whisper,
};
use crate::wakers::Wakers;

/// A connection gives way to a newer one of the same person.
pub(crate) const REPLACED: CloseCode = CloseCode::new(4009);

/// What the connections of a node share: names, rooms, and the way to other nodes.
///
/// It decides everything by itself as long as there is no [`Store`], or none that can be reached.
/// Its clock is the only one: it neither waits nor starts threads; somebody calls
/// [`tick`](Self::tick) when its [`alarm`](Self::alarm) is due.
pub struct Hub {
    pub(crate) settings: Settings,
    pub(crate) retries: Retries,
    pub(crate) metrics: Metrics,
    /// Whose tokens are taken; nicknames are free without.
    pub(crate) verifier: Option<Verifier>,
    clock: Clock,
    alarm: Alarm,
    names: Names,
    rooms: Rooms,
    connections: Mutex<HashMap<u64, Peer>>,
    next_connection: AtomicU64,
    history_bytes: AtomicUsize,
    store: OnceLock<Arc<dyn Store>>,
    is_degraded: AtomicBool,
    /// How long the connections have to close, in milliseconds, once it is time; 0 before.
    drain_ms: AtomicU64,
    random: RandomState,
}

impl Hub {
    /// A hub without connections and rooms. With a verifier everybody needs a token.
    #[must_use]
    pub fn new(settings: Settings, verifier: Option<Verifier>, clock: Clock) -> Arc<Self> {
        let hub = Arc::new(Self {
            settings,
            retries: Retries::new(),
            metrics: Metrics::new(),
            verifier,
            clock,
            alarm: Alarm::new(),
            names: Names::new(),
            rooms: Rooms::new(),
            connections: Mutex::default(),
            next_connection: AtomicU64::new(1),
            history_bytes: AtomicUsize::new(0),
            store: OnceLock::new(),
            is_degraded: AtomicBool::new(false),
            drain_ms: AtomicU64::new(0),
            random: RandomState::new(),
        });
        let rooms = hub.rooms.count();
        hub.metrics
            .register(|registry| registry.register("rooms", "Rooms on this node", rooms));
        hub
    }

    /// When [`tick`](Self::tick) is to be called.
    #[must_use]
    pub fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Does what is due, and returns when there is more.
    pub fn tick(&self, now: Time) -> Option<Time> {
        while let Some(room) = self.rooms.pop_due(now) {
            room.tick(now, self);
        }
        let age = self.settings.history_age;
        while let Some(room) = self.rooms.pop_idle(now, age) {
            room.review(self);
        }
        self.rooms.next_due(age)
    }

    /// How many rooms there are here.
    #[must_use]
    pub fn room_count(&self) -> i64 {
        self.rooms.count().get()
    }

    /// Tells all connections to close, spread over `time`.
    pub fn drain(&self, time: Duration) {
        self.metrics.drain();
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        self.drain_ms.store(millis, Ordering::Relaxed);
        let peers: Vec<Peer> = self.connections().values().cloned().collect();
        for peer in peers {
            peer.wake();
        }
    }

    /// How long connections have to close, if they are to.
    pub(crate) fn draining(&self) -> Option<Duration> {
        match self.drain_ms.load(Ordering::Relaxed) {
            0 => None,
            millis => Some(Duration::from_millis(millis)),
        }
    }

    /// Knows a connection from now on, by the number that is returned.
    pub(crate) fn connected(&self, peer: Peer) -> u64 {
        let connection = self.next_connection.fetch_add(1, Ordering::Relaxed);
        self.connections().insert(connection, peer);
        connection
    }

    pub(crate) fn disconnected(&self, connection: u64) {
        let peer = self.connections().remove(&connection);
        // Not under the lock.
        drop(peer);
    }

    /// Claims a name on this node. The store has been asked already, if there is one.
    pub(crate) fn claim(&self, claim: &Claim, peer: Peer, dialect: Dialect) -> Claimed {
        let outcome = self.names.claim(claim, peer, dialect);
        if let Some(replaced) = outcome.replaced {
            replaced.close(REPLACED, "replaced");
        }
        outcome.claimed
    }

    pub(crate) fn release(&self, name: &Name, session: Session) {
        if self.names.release(name, session).is_some()
            && let Some(store) = self.store()
        {
            store.release(name, session);
        }
    }

    /// The room of this name, a new one if there is none.
    pub(crate) fn room(&self, name: &Name) -> Arc<Room> {
        let has_store = self.store().is_some();
        self.rooms
            .find(name, || Room::new(name.clone(), self.epoch(), has_store))
    }

    /// Appends a message to a room of this node, without a store.
    pub(crate) fn post(&self, post: &Post) -> Result<Stamp, Unable> {
        loop {
            let room = self.room(&post.room);
            match room.post(post, self) {
                Err(Unable::Gone) => self.forget_room(&room),
                result => return result,
            }
        }
    }

    /// Hands a private message to the connections of its two people on this node. `false`: the
    /// recipient has none.
    pub(crate) fn whisper(&self, whisper: &Whisper) -> bool {
        let mut wakers = Wakers::default();
        let Some(id) = &whisper.id else {
            return self.hand(whisper, true, &mut wakers);
        };
        let key = self.retries.key(("user", &*whisper.to, &*whisper.from, id));
        let first = || {
            let is_handed = self.hand(whisper, true, &mut wakers);
            is_handed.then_some(None).ok_or(())
        };
        self.retries.once(key, self.now(), first).is_ok()
    }

    fn hand(&self, whisper: &Whisper, must_exist: bool, wakers: &mut Wakers) -> bool {
        let Whisper { from, to, text, .. } = whisper;
        let mut peers = self.names.peers(to);
        if must_exist && peers.is_empty() {
            return false;
        }
        if from != to {
            peers.append(&mut self.names.peers(from));
        }
        let ts = rfc3339(whisper.ts);
        let (mut v1, mut older) = (None, None);
        for (peer, dialect) in &peers {
            let frame = match dialect {
                Dialect::V1 => v1.get_or_insert_with(|| {
                    let ts = &ts;
                    frame(&Event::Private { from, to, text, ts })
                }),
                Dialect::Original => {
                    older.get_or_insert_with(|| original("private", from, to, text, &ts))
                }
            };
            wakers.enqueue(peer, frame);
        }
        self.metrics.sent(peers.len() as u64);
        true
    }

    /// Has a room looked after once `at` has come.
    pub(crate) fn schedule(&self, at: Time, room: &Arc<Room>) {
        self.rooms.schedule(at, room);
        self.alarm.set(at);
    }

    /// A room has no members and is kept for its history.
    pub(crate) fn room_is_idle(&self, room: &Room) {
        let now = self.now();
        self.rooms.idle(now, room);
        self.alarm.set(now + self.settings.history_age);
    }

    /// A room is of no use any more.
    pub(crate) fn forget_room(&self, room: &Room) {
        if self.rooms.remove(room)
            && let Some(store) = self.store()
        {
            store.unload(room.name());
        }
    }

    /// What a room may remember.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            count: self.settings.history_count,
            age: self.settings.history_age,
            bytes: self.settings.history_bytes,
        }
    }

    pub(crate) fn count_history(&self, before: usize, after: usize) {
        if after >= before {
            self.history_bytes
                .fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.history_bytes
                .fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_history_full(&self) -> bool {
        self.history_bytes.load(Ordering::Relaxed) > self.settings.history_total
    }

    /// Forgets what nobody is in, oldest first, while there is too much history in all.
    pub(crate) fn relieve(&self) {
        while self.is_history_full()
            && let Some(room) = self.rooms.pop_idle(self.now(), Duration::ZERO)
        {
            room.evict(self);
        }
    }

    /// Queue space that what may be dropped leaves to what may not.
    pub(crate) fn spare(&self) -> usize {
        self.settings.queue_bytes / 2
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(crate) fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    /// A time of day on the hub's own clock.
    pub(crate) fn time_of(&self, ts: SystemTime) -> Time {
        let age = self.wall().duration_since(ts).unwrap_or_default();
        let age = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
        Time::from_micros(self.now().as_micros().saturating_sub(age))
    }

    /// A number that nobody can expect.
    pub(crate) fn random(&self) -> u64 {
        let number = self.next_connection.fetch_add(1, Ordering::Relaxed);
        self.random.hash_one(("random", number))
    }

    fn epoch(&self) -> Epoch {
        Epoch(format!("{:016x}", self.random()).into())
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<u64, Peer>> {
        let connections = self.connections.lock();
        connections.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The side of the store.
impl Hub {
    /// Has the store decide from now on what several nodes must agree on. Once, before the first
    /// connection.
    pub fn set_store(&self, store: Arc<dyn Store>) {
        // A second one would mean that two decide.
        let _ = self.store.set(store);
    }

    /// The store, if there is one that can be reached.
    pub(crate) fn store(&self) -> Option<&Arc<dyn Store>> {
        if self.is_degraded() {
            return None;
        }
        self.store.get()
    }

    /// The last connection is closed, and none will come.
    pub(crate) fn end(&self) {
        if let Some(store) = self.store.get() {
            store.end();
        }
    }

    /// Whether the store is away.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.is_degraded.load(Ordering::Relaxed)
    }

    /// The store is away, or back.
    ///
    /// Away: every room goes on in an epoch of this node, with the members of this node. Back:
    /// the store is asked again from now on, and has to [`install`](Self::install) every room
    /// with an epoch that is new.
    pub fn set_degraded(&self, is_degraded: bool) {
        let was = self.is_degraded.swap(is_degraded, Ordering::Relaxed);
        self.metrics.set_degraded(is_degraded);
        if is_degraded && !was {
            for room in self.rooms.all() {
                room.go_local(self.epoch(), self);
            }
        }
    }

    /// Takes over a room as the store has it. What comes after it is [`deliver`](Self::deliver)ed.
    ///
    /// If nobody wants the room any more, nothing happens. In the epoch that the members know
    /// they get what they have missed; otherwise they are told `recovered{ok:false}`.
    pub fn install(&self, room: &Name, snapshot: &Snapshot) {
        if let Some(room) = self.rooms.get(room) {
            room.install(snapshot, self);
        }
    }

    /// Gives the members of a room its next message. One that they have changes nothing.
    pub fn deliver(&self, room: &Name, message: &Message) -> Delivered {
        match self.rooms.get(room) {
            Some(room) => room.deliver(message, self),
            None => Delivered::Unknown,
        }
    }

    /// Gives a private message to the connections of its two people on this node.
    pub fn hear(&self, whisper: &Whisper) {
        self.hand(whisper, false, &mut Wakers::default());
    }

    /// A user on another node is typing.
    pub fn typing(&self, room: &Name, user: &Name) {
        if let Some(room) = self.rooms.get(room) {
            room.typing(user, self);
        }
    }

    /// A user has come to a room on another node.
    pub fn remote_enter(&self, room: &Name, node: &Node, user: &Name) {
        if let Some(room) = self.rooms.get(room) {
            room.elsewhere(node, user, true, self);
        }
    }

    /// A user has left a room on another node.
    pub fn remote_leave(&self, room: &Name, node: &Node, user: &Name) {
        if let Some(room) = self.rooms.get(room) {
            room.elsewhere(node, user, false, self);
        }
    }

    /// Another node is down: its members leave.
    pub fn node_down(&self, node: &Node) {
        for room in self.rooms.all() {
            room.node_down(node, self);
        }
    }

    /// A connection of this node has lost its name to a newer one: it closes with 4009.
    pub fn replace(&self, name: &Name, session: Session) {
        if let Some(peer) = self.names.release(name, session) {
            peer.close(REPLACED, "replaced");
        }
    }

    /// The rooms of this node.
    #[must_use]
    pub fn rooms(&self) -> Vec<Name> {
        let rooms = self.rooms.all();
        rooms.iter().map(|room| room.name().clone()).collect()
    }

    /// The names that connections of this node hold, to be claimed again.
    #[must_use]
    pub fn claims(&self) -> Vec<Claim> {
        self.names.claims()
    }

    /// The users whom this node holds in its rooms.
    #[must_use]
    pub fn presence(&self) -> Vec<(Name, Name)> {
        let mut presence = Vec::new();
        for room in self.rooms.all() {
            let users = room.users_here().into_iter();
            presence.extend(users.map(|user| (room.name().clone(), user)));
        }
        presence
    }
}

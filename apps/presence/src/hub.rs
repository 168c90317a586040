//! What all connections of a node share: the directory, who watches it, and its clock.

use alloc::sync::Arc;
use core::task::{Context, Poll, Waker};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use sockeye_handler::{CloseCode, Frame, Peer, PeerError, Time};
use sockeye_kit::clock::{Alarm, Clock};
use sockeye_kit::metrics::Metrics;
use sockeye_kit::metrics::prometheus_client::metrics::gauge::Gauge;
use sockeye_kit::name::Name;

use crate::directory::{Departure, Directory, Settings, Update};
use crate::wire::{Change, Everybody, json};

/// The close code of a watcher that does not read what it is sent.
const SLOW: CloseCode = CloseCode::new(4008);

/// The directory behind a lock, and those who are told about it.
///
/// Whoever changes it takes the lock for a moment; telling the watchers, of whom there may be
/// many, is left to the thread that calls [`tick`](Self::tick).
pub(crate) struct Hub {
    clock: Clock,
    alarm: Alarm,
    counters: Counters,
    state: Mutex<State>,
    /// Locked after `state`, if both are.
    watchers: Mutex<Watchers>,
}

/// What an operator sees of it.
struct Counters {
    metrics: Metrics,
    users: Gauge,
}

struct State {
    directory: Directory,
    /// Watchers that came within a window: they get the state when it ends.
    newcomers: Vec<Peer>,
    /// Readers that wait for the same.
    readers: Vec<Waker>,
    /// What a reader gets, until something changes.
    listing: Option<Bytes>,
}

/// Those who are told of changes, and the revision that each knows.
#[derive(Default)]
struct Watchers(HashMap<Peer, u64>);

/// What a watcher is told.
struct Told {
    /// The revision that it comes to.
    rev: u64,
    kind: Kind,
    frame: Frame,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One step from the revision before.
    Step,
    /// All there is.
    Afresh,
}

impl Hub {
    /// Nobody is online yet. `alarm` is for the thread that calls [`tick`](Self::tick).
    pub(crate) fn new(settings: Settings, metrics: Metrics, clock: Clock, alarm: Alarm) -> Self {
        let users = Gauge::default();
        metrics.register(|registry| {
            registry.register("presence_users", "Users who are online", users.clone());
        });
        Self {
            clock,
            alarm,
            counters: Counters { metrics, users },
            state: Mutex::new(State {
                directory: Directory::new(settings),
                newcomers: Vec::new(),
                readers: Vec::new(),
                listing: None,
            }),
            watchers: Mutex::default(),
        }
    }

    /// The time of day.
    pub(crate) fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    /// A connection has shown whose it is.
    pub(crate) fn join(self: &Arc<Self>, user: Name) -> Membership {
        let (wall, now) = (self.clock.wall(), self.clock.now());
        self.change(|directory| directory.handle_connect(&user, wall, now));
        Membership {
            hub: Arc::clone(self),
            user,
            departure: Departure::Lost,
        }
    }

    /// Tells a connection about everybody from here on, the present state first.
    pub(crate) fn watch(self: &Arc<Self>, peer: Peer) -> Watch {
        let watch = Watch {
            hub: Arc::clone(self),
            peer: peer.clone(),
        };
        let mut state = self.lock();
        if state.directory.is_settled() {
            let greeting = state.greeting();
            self.greet([peer], &greeting);
        } else {
            state.newcomers.push(peer);
        }
        watch
    }

    /// Everybody who is online, in JSON, once watchers know it too. `cx` is woken then.
    pub(crate) fn poll_listing(&self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let mut state = self.lock();
        if !state.directory.is_settled() {
            state.readers.push(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(state.listing())
    }

    /// Since when a user is online, if they are.
    pub(crate) fn since(&self, user: &Name) -> Option<SystemTime> {
        self.lock().directory.since(user)
    }

    /// Ends what is over, and tells the watchers. Returns when to call again.
    pub(crate) fn tick(&self, now: Time) -> Option<Time> {
        let mut state = self.lock();
        state.directory.handle_timeout(now);
        state.listing = None;
        let told = state.told();
        if !state.newcomers.is_empty() {
            let greeting = state.greeting();
            let newcomers = core::mem::take(&mut state.newcomers);
            self.greet(newcomers, &greeting);
        }
        let readers = core::mem::take(&mut state.readers);
        let next = state.directory.poll_timeout();
        self.counters.update(&state.directory);
        drop(state);
        let sent = self.watchers().tell(&told);
        self.counters.metrics.sent(sent);
        readers.into_iter().for_each(Waker::wake);
        next
    }

    /// Begins to tell these watchers. The state is locked, so that nothing comes in between.
    fn greet(&self, peers: impl IntoIterator<Item = Peer>, greeting: &Told) {
        let mut watchers = self.watchers();
        for peer in peers {
            watchers.greet(peer, greeting);
            self.counters.metrics.sent(1);
        }
    }

    fn change(&self, change: impl FnOnce(&mut Directory)) {
        let mut state = self.lock();
        change(&mut state.directory);
        state.listing = None;
        self.counters.update(&state.directory);
        while state.directory.poll_hold().is_some() {}
        if let Some(due) = state.directory.poll_timeout() {
            self.alarm.set(due);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The directory has no panics of its own; one in between leaves it as it was.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watchers(&self) -> MutexGuard<'_, Watchers> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters {
    fn update(&self, directory: &Directory) {
        let users = directory.users().len();
        self.users.set(i64::try_from(users).unwrap_or(i64::MAX));
    }
}

impl State {
    fn listing(&mut self) -> Bytes {
        let directory = &self.directory;
        let fresh = || json(&Everybody::listing(directory)).into();
        self.listing.get_or_insert_with(fresh).clone()
    }

    /// What a watcher gets first.
    fn greeting(&self) -> Told {
        let directory = &self.directory;
        let rev = directory.rev();
        let text = if directory.is_listed() {
            json(&Everybody::state(directory))
        } else {
            json(&Change::Count {
                rev,
                users: directory.users().len(),
                degraded: directory.is_degraded(),
            })
        };
        Told {
            rev,
            kind: Kind::Afresh,
            frame: Frame::new(text),
        }
    }

    /// What watchers get who are there already.
    fn told(&mut self) -> Vec<Told> {
        let mut told = Vec::new();
        while let Some(update) = self.directory.poll_update() {
            let (rev, change) = match &update {
                Update::Diff { rev, join, leave } => {
                    let rev = *rev;
                    (rev, Change::Diff { rev, join, leave })
                }
                Update::Count { rev, users } => {
                    let (rev, users) = (*rev, *users);
                    let degraded = self.directory.is_degraded();
                    (
                        rev,
                        Change::Count {
                            rev,
                            users,
                            degraded,
                        },
                    )
                }
                Update::Afresh => {
                    told.push(self.greeting());
                    continue;
                }
            };
            told.push(Told {
                rev,
                kind: Kind::Step,
                frame: Frame::new(json(&change)),
            });
        }
        told
    }
}

impl Watchers {
    /// Adds a watcher, and tells it all.
    fn greet(&mut self, peer: Peer, greeting: &Told) {
        if send(&peer, &greeting.frame) {
            self.0.insert(peer, greeting.rev);
        }
    }

    /// Returns how many messages that were.
    fn tell(&mut self, told: &[Told]) -> u64 {
        let mut sent = 0;
        if told.is_empty() {
            return sent;
        }
        self.0.retain(|peer, known| {
            told.iter().all(|told| {
                // Who came in the meantime knows it already.
                let is_news = match told.kind {
                    Kind::Step => told.rev > *known,
                    Kind::Afresh => told.rev >= *known,
                };
                if is_news {
                    *known = told.rev;
                    sent += 1;
                }
                !is_news || send(peer, &told.frame)
            })
        });
        sent
    }
}

/// Sends to a watcher. `false` if it is one no longer.
fn send(peer: &Peer, frame: &Frame) -> bool {
    match peer.send_frame(frame) {
        Ok(()) => true,
        Err(PeerError::Full) => {
            // It would not read the rest either, and gets the state when it comes back.
            peer.clear();
            peer.close(SLOW, "slow consumer");
            false
        }
        Err(_) => false,
    }
}

/// A user's connection. It counts as lost when it is dropped.
pub(crate) struct Membership {
    hub: Arc<Hub>,
    user: Name,
    departure: Departure,
}

impl Membership {
    /// Whose connection it is.
    pub(crate) fn user(&self) -> &Name {
        &self.user
    }

    /// The connection ends on purpose.
    pub(crate) fn leave(mut self) {
        self.departure = Departure::Explicit;
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let (user, how) = (&self.user, self.departure);
        let now = self.hub.clock.now();
        self.hub
            .change(|directory| directory.handle_disconnect(user, how, now));
    }
}

/// A watcher's connection. It is told nothing more when it is dropped.
pub(crate) struct Watch {
    hub: Arc<Hub>,
    peer: Peer,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.hub
            .lock()
            .newcomers
            .retain(|newcomer| *newcomer != self.peer);
        self.hub.watchers().0.remove(&self.peer);
    }
}

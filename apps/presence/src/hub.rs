//! What all connections of a node share: the directory, who watches it, and its clock.

use alloc::sync::{Arc, Weak};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use sockeye_handler::{CloseCode, Frame, Peer, PeerError, Time};
use sockeye_kit::clock::{Alarm, Clock};
use sockeye_kit::metrics::Metrics;
use sockeye_kit::metrics::prometheus_client::metrics::gauge::Gauge;
use sockeye_kit::name::Name;

use crate::connections::{Connections, Ticket};
use crate::directory::{Departure, Directory, Settings, Update};
use crate::nodes::Nodes;
use crate::wire::{Change, Everybody, json};

/// The close code of a watcher that does not read what it is sent.
const SLOW: CloseCode = CloseCode::new(4008);

/// The directory behind a lock, and those who are told about it.
///
/// Whoever changes it takes the lock for a moment; telling the watchers, of whom there may be
/// many, is left to the thread that calls [`tick`](Self::tick).
pub(crate) struct Hub {
    me: Weak<Self>,
    clock: Clock,
    alarm: Alarm,
    counters: Counters,
    connections: Connections,
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
    nodes: Nodes,
    /// How often this node was fenced. What was before does not count.
    life: u64,
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
    pub(crate) fn new(
        settings: Settings,
        metrics: Metrics,
        clock: Clock,
        alarm: Alarm,
    ) -> Arc<Self> {
        let users = Gauge::default();
        metrics.register(|registry| {
            registry.register("presence_users", "Users who are online", users.clone());
        });
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            clock,
            alarm,
            counters: Counters { metrics, users },
            connections: Connections::default(),
            state: Mutex::new(State {
                directory: Directory::new(settings),
                nodes: Nodes::default(),
                life: 0,
                newcomers: Vec::new(),
                readers: Vec::new(),
                listing: None,
            }),
            watchers: Mutex::default(),
        })
    }

    /// The time of day.
    pub(crate) fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    /// A connection has opened.
    pub(crate) fn enter(&self, peer: Peer) -> Ticket {
        self.connections.enter(peer)
    }

    /// A connection has shown whose it is.
    pub(crate) fn join(self: &Arc<Self>, user: Name) -> Membership {
        let (wall, now) = (self.clock.wall(), self.clock.now());
        let mut state = self.lock();
        state.directory.handle_connect(&user, wall, now);
        self.settle(&mut state, now);
        Membership {
            hub: Arc::clone(self),
            user,
            departure: Departure::Lost,
            life: state.life,
            unstored: state.nodes.unstored(),
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

    /// What there is to know and to tell about other nodes.
    pub(crate) fn with_nodes(&self, act: impl FnOnce(&mut Nodes, &mut Directory, Time)) {
        let now = self.clock.now();
        let mut state = self.lock();
        let State {
            directory, nodes, ..
        } = &mut *state;
        act(nodes, directory, now);
        self.settle(&mut state, now);
    }

    /// This node has entered the deployment, with a new lease.
    pub(crate) fn rejoin(&self) {
        let now = self.clock.now();
        let has_slept = self.lock().nodes.has_slept(now);
        // If it was only the store that was away, all connections have been looked after.
        if has_slept {
            self.fence();
        }
        self.with_nodes(|nodes, directory, now| {
            directory.handle_degraded(false, now);
            nodes.handle_entered(now);
        });
    }

    /// The others have thought this node dead: what it held does not count. Connections that
    /// live will join again.
    pub(crate) fn fence(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.life += 1;
        // That is why.
        let _ = state.nodes.has_slept(now);
        state.directory.handle_fence(now);
        state.nodes.handle_loss();
        self.settle(&mut state, now);
        drop(state);
        self.connections.wake();
    }

    /// From here on all connections have to go, spread over so long.
    pub(crate) fn drain(&self, spread: Duration) {
        let now = self.clock.now();
        self.connections.drain(spread, now);
        self.alarm.set(now);
    }

    /// Says goodbye to the other nodes. Blocks for at most some seconds.
    pub(crate) fn stop(&self) {
        let store = self.lock().nodes.detach();
        // Not under the lock, which those who tell us things wait for.
        if let Some(store) = store {
            store.leave();
        }
    }

    /// Ends what is over, and tells the watchers. Returns when to call again.
    pub(crate) fn tick(&self, now: Time) -> Option<Time> {
        let next_drain = self.connections.handle_timeout(now);
        let mut state = self.lock();
        let State {
            directory, nodes, ..
        } = &mut *state;
        directory.handle_timeout(now);
        nodes.handle_timeout(directory, now);
        self.settle(&mut state, now);
        let told = state.told();
        let mut readers = Vec::new();
        // It may be a grace period that is over, and not a window.
        if state.directory.is_settled() {
            if !state.newcomers.is_empty() {
                let greeting = state.greeting();
                let newcomers = core::mem::take(&mut state.newcomers);
                self.greet(newcomers, &greeting);
            }
            readers = core::mem::take(&mut state.readers);
        }
        let next = state.poll_timeout();
        drop(state);
        let sent = self.watchers().tell(&told);
        self.counters.metrics.sent(sent);
        readers.into_iter().for_each(Waker::wake);
        next.into_iter().chain(next_drain).min()
    }

    /// Begins to tell these watchers. The state is locked, so that nothing comes in between.
    fn greet(&self, peers: impl IntoIterator<Item = Peer>, greeting: &Told) {
        let mut watchers = self.watchers();
        for peer in peers {
            watchers.greet(peer, greeting);
            self.counters.metrics.sent(1);
        }
    }

    /// What follows from every change.
    fn settle(&self, state: &mut State, now: Time) {
        state.listing = None;
        let State {
            directory, nodes, ..
        } = &mut *state;
        while let Some(hold) = directory.poll_hold() {
            nodes.handle_hold(hold, directory);
        }
        nodes.flush(directory, &self.me, now);
        self.counters.update(directory);
        if let Some(due) = state.poll_timeout() {
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
        self.metrics.set_degraded(directory.is_degraded());
    }
}

impl State {
    fn poll_timeout(&self) -> Option<Time> {
        let directory = self.directory.poll_timeout();
        directory.into_iter().chain(self.nodes.poll_timeout()).min()
    }

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
    /// The life of the node that it belongs to.
    life: u64,
    /// What was not stored when it began.
    unstored: Option<u64>,
}

impl Membership {
    /// Whose connection it is.
    pub(crate) fn user(&self) -> &Name {
        &self.user
    }

    /// Whether the store knows of it. If not, `peer` is woken when it may be so.
    pub(crate) fn is_stored(&self, peer: &Peer) -> bool {
        let mut state = self.hub.lock();
        self.unstored
            .is_none_or(|count| state.nodes.is_stored(count, peer))
    }

    /// The present life of the node, if this does not count in it.
    pub(crate) fn outlived_by(&self) -> Option<u64> {
        let life = self.hub.lock().life;
        (life != self.life).then_some(life)
    }

    /// The connection ends on purpose.
    pub(crate) fn leave(mut self) {
        self.departure = Departure::Explicit;
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let now = self.hub.clock.now();
        let mut state = self.hub.lock();
        if state.life == self.life {
            let (user, how) = (&self.user, self.departure);
            state.directory.handle_disconnect(user, how, now);
            self.hub.settle(&mut state, now);
        }
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

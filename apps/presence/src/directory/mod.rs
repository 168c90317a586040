//! Who is online: a value that takes what happened and the time, and gives what to tell.
//!
//! An entry is (user, node, incarnation, connection). What this node holds is counted
//! per connection; of other nodes it knows which users they hold, under the incarnation
//! that they have now. A user is online while anybody holds them. It does no I/O and
//! reads no clock: whoever owns it calls `handle_*` and then drains `poll_*`.

mod feed;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BinaryHeap, VecDeque};
use core::cmp::Reverse;
use core::time::Duration;
use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use sockeye_handler::Time;
use sockeye_kit::name::Name;

use self::feed::Feed;
pub use self::feed::Update;

/// How long things take, and how many users are listed by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a user counts as connected after a connection was lost. Default: 5 s,
    /// which hides a reconnect.
    pub grace: Duration,
    /// How long changes are collected before watchers are told. Default: 250 ms.
    pub coalesce: Duration,
    /// Above this many users watchers get their number only. Default: 1,000.
    pub max_listed: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(5),
            coalesce: Duration::from_millis(250),
            max_listed: 1000,
        }
    }
}

/// How a connection of this node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// On purpose: the user leaves at once.
    Explicit,
    /// Otherwise: whoever it was may come back within the grace period.
    Lost,
}

/// Another node in one of its lives: a new incarnation is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Remote(pub u64);

/// What other nodes and services must hear of this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// This node holds the user, who came at `since`.
    Taken {
        /// Whom.
        user: Name,
        /// When the present stay began.
        since: SystemTime,
    },
    /// It no longer does.
    Released {
        /// Whom.
        user: Name,
    },
}

/// Who is online, as one node knows it.
#[derive(Debug)]
pub struct Directory {
    settings: Settings,
    /// Everybody whom somebody holds.
    stays: BTreeMap<Name, Stay>,
    /// Whom other nodes hold.
    remotes: HashMap<Remote, HashSet<Name>>,
    /// When grace periods end; some are out of date.
    grace: BinaryHeap<Reverse<(Time, Name)>>,
    holds: VecDeque<Hold>,
    feed: Feed,
    is_degraded: bool,
}

/// A user's present stay.
#[derive(Debug)]
struct Stay {
    since: SystemTime,
    /// Connections to this node.
    connections: usize,
    /// When the grace of those that were lost ends, in order. A new connection takes the
    /// place of the first.
    lost: Vec<Time>,
    /// The other nodes that hold the user.
    remotes: Vec<Remote>,
}

impl Directory {
    /// Nobody is online.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            feed: Feed::new(settings.coalesce, settings.max_listed),
            settings,
            stays: BTreeMap::new(),
            remotes: HashMap::new(),
            grace: BinaryHeap::new(),
            holds: VecDeque::new(),
            is_degraded: false,
        }
    }

    /// A connection to this node has shown whose it is. A new stay begins at `wall`.
    pub fn handle_connect(&mut self, user: &Name, wall: SystemTime, now: Time) {
        let was_held = self.is_held(user);
        let stay = self.enter(user, wall, now);
        stay.connections += 1;
        if !stay.lost.is_empty() {
            stay.lost.remove(0);
        }
        let since = stay.since;
        if !was_held {
            let user = user.clone();
            self.holds.push_back(Hold::Taken { user, since });
        }
    }

    /// A connection that was announced by [`handle_connect`](Self::handle_connect) has ended.
    pub fn handle_disconnect(&mut self, user: &Name, how: Departure, now: Time) {
        let Some(stay) = self.stays.get_mut(user).filter(|stay| stay.connections > 0) else {
            return;
        };
        stay.connections -= 1;
        if how == Departure::Lost && !self.settings.grace.is_zero() {
            let until = now + self.settings.grace;
            stay.lost.push(until);
            self.grace.push(Reverse((until, user.clone())));
        }
        if !stay.is_held() {
            self.release(user, now);
        }
    }

    /// Discards what this node holds: it was thought dead, and begins a new incarnation.
    ///
    /// Connections that live are announced again. Nothing is told to the others, who
    /// have forgotten it already.
    pub fn handle_fence(&mut self, now: Time) {
        self.holds.clear();
        self.grace.clear();
        let held = self.stays.iter().filter(|(_, stay)| stay.is_held());
        let held: Vec<Name> = held.map(|(user, _)| user.clone()).collect();
        for user in held {
            if let Some(stay) = self.stays.get_mut(&user) {
                stay.connections = 0;
                stay.lost.clear();
            }
            self.settle(&user, now);
        }
    }

    /// Another node holds a user since then.
    pub fn handle_remote_taken(
        &mut self,
        remote: Remote,
        user: &Name,
        since: SystemTime,
        now: Time,
    ) {
        self.remotes.entry(remote).or_default().insert(user.clone());
        let stay = self.enter(user, since, now);
        // A stay began when the first node saw it.
        stay.since = stay.since.min(since);
        if !stay.remotes.contains(&remote) {
            stay.remotes.push(remote);
        }
    }

    /// Another node no longer holds a user. If this one does, the others are told again:
    /// what they share may say now that the user has left.
    pub fn handle_remote_released(&mut self, remote: Remote, user: &Name, now: Time) {
        let users = self.remotes.get_mut(&remote);
        if !users.is_some_and(|users| users.remove(user)) {
            return;
        }
        if let Some(stay) = self.stays.get_mut(user) {
            stay.remotes.retain(|known| *known != remote);
            if stay.is_held() {
                let (user, since) = (user.clone(), stay.since);
                self.holds.push_back(Hold::Taken { user, since });
            }
        }
        self.settle(user, now);
    }

    /// All that another node holds, instead of what was known of it.
    pub fn handle_remote_state(
        &mut self,
        remote: Remote,
        users: impl IntoIterator<Item = (Name, SystemTime)>,
        now: Time,
    ) {
        let mut gone = self.remotes.get(&remote).cloned().unwrap_or_default();
        for (user, since) in users {
            gone.remove(&user);
            self.handle_remote_taken(remote, &user, since, now);
        }
        for user in gone {
            self.handle_remote_released(remote, &user, now);
        }
    }

    /// Another node is dead, or has a new incarnation: nothing that it held counts.
    pub fn handle_remote_down(&mut self, remote: Remote, now: Time) {
        for user in self.remotes.remove(&remote).unwrap_or_default() {
            if let Some(stay) = self.stays.get_mut(&user) {
                stay.remotes.retain(|known| *known != remote);
            }
            self.settle(&user, now);
        }
    }

    /// The store is away, or is back. Watchers hear of it.
    pub fn handle_degraded(&mut self, is_degraded: bool, now: Time) {
        if core::mem::replace(&mut self.is_degraded, is_degraded) != is_degraded {
            self.feed.handle_afresh(now);
        }
    }

    /// Ends the grace periods and windows that are over.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(Reverse((until, _))) = self.grace.peek()
            && *until <= now
            && let Some(Reverse((_, user))) = self.grace.pop()
        {
            if let Some(stay) = self.stays.get_mut(&user) {
                let before = stay.lost.len();
                stay.lost.retain(|until| *until > now);
                if stay.lost.len() < before && !stay.is_held() {
                    self.release(&user, now);
                }
            }
        }
        let stays = &self.stays;
        self.feed
            .handle_timeout(stays.len(), |user| stays.contains_key(user), now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let grace = self.grace.peek().map(|Reverse((until, _))| *until);
        grace.into_iter().chain(self.feed.poll_timeout()).min()
    }

    /// What to tell other nodes and services next, in order.
    pub fn poll_hold(&mut self) -> Option<Hold> {
        self.holds.pop_front()
    }

    /// What to tell watchers next, in order.
    pub fn poll_update(&mut self) -> Option<Update> {
        self.feed.poll_update()
    }

    /// The number of the newest diff or count.
    #[must_use]
    pub fn rev(&self) -> u64 {
        self.feed.rev()
    }

    /// Whether watchers know everything: those who come now get the state at once.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let stays = &self.stays;
        self.feed.is_settled(|user| stays.contains_key(user))
    }

    /// Whether watchers get names, rather than a number.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.feed.is_listed()
    }

    /// Whether the store is away, so that this is only what the node knows by itself.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.is_degraded
    }

    /// Everybody who is online, by name, and since when.
    pub fn users(&self) -> impl ExactSizeIterator<Item = (&Name, SystemTime)> {
        self.stays.iter().map(|(user, stay)| (user, stay.since))
    }

    /// Since when a user is online, if they are.
    #[must_use]
    pub fn since(&self, user: &str) -> Option<SystemTime> {
        self.stays.get(user).map(|stay| stay.since)
    }

    /// Whom this node holds, and since when.
    pub fn held(&self) -> impl Iterator<Item = (&Name, SystemTime)> {
        let held = self.stays.iter().filter(|(_, stay)| stay.is_held());
        held.map(|(user, stay)| (user, stay.since))
    }

    fn is_held(&self, user: &Name) -> bool {
        self.stays.get(user).is_some_and(Stay::is_held)
    }

    /// The user's stay, a new one if need be.
    fn enter(&mut self, user: &Name, since: SystemTime, now: Time) -> &mut Stay {
        if !self.stays.contains_key(user) {
            self.feed.handle_change(user, feed::Before::Absent, now);
        }
        self.stays.entry(user.clone()).or_insert_with(|| Stay {
            since,
            connections: 0,
            lost: Vec::new(),
            remotes: Vec::new(),
        })
    }

    /// This node no longer holds a user.
    fn release(&mut self, user: &Name, now: Time) {
        let user = user.clone();
        self.settle(&user, now);
        self.holds.push_back(Hold::Released { user });
    }

    /// Ends a stay if nobody holds the user any more.
    fn settle(&mut self, user: &Name, now: Time) {
        let stay = self.stays.get(user);
        if stay.is_some_and(|stay| !stay.is_held() && stay.remotes.is_empty()) {
            self.stays.remove(user);
            self.feed.handle_change(user, feed::Before::Present, now);
        }
    }
}

impl Stay {
    /// Whether this node holds the user.
    fn is_held(&self) -> bool {
        self.connections > 0 || !self.lost.is_empty()
    }
}

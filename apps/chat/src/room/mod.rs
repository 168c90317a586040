//! A room: who is in it, in which order what was said, and what is remembered of it.

mod members;
mod replica;
mod ring;
mod roster;
mod telling;

use alloc::sync::Arc;
use core::mem;
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use sockeye_handler::{Frame, Time};
use sockeye_kit::clock::rfc3339;
use sockeye_kit::name::Name;

use self::members::Members;
use self::ring::Ring;
use self::roster::Roster;
use crate::hub::Hub;
use crate::protocol::{Dialect, Event, Id, Position, Since, frame, history, original};
use crate::store::{Epoch, Message, Post, Stamp, Via};
use crate::wakers::Wakers;

pub(crate) use self::members::Member;
pub(crate) use self::ring::Bounds;
pub(crate) use self::roster::{Departure, Mark};

/// How long a room is kept for somebody who is about to join.
const KEPT: Duration = Duration::from_secs(10);

/// A room of this node. All that happens in it happens under its lock, which is held for no
/// other room and while nobody is called back.
pub(crate) struct Room {
    name: Name,
    state: Mutex<State>,
}

struct State {
    stage: Stage,
    epoch: Epoch,
    /// The offset of the newest message.
    off: u64,
    ring: Ring,
    members: Members,
    roster: Roster,
    /// Only the number of members is told, because there are many.
    is_counting: bool,
    /// The number that was told last.
    count: usize,
    /// When the hub looks after the room next.
    scheduled: Option<Time>,
    /// Installed for somebody who is about to join: it is kept without members until then.
    kept_until: Option<Time>,
    /// The hub knows that it has no members.
    is_idle: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The store has it, and it has not been installed.
    Absent,
    /// It can be used.
    Ready,
    /// The hub has dropped it: look it up again.
    Gone,
}

/// Why a room cannot do what it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unable {
    /// The hub has dropped it: it is to be looked up again.
    Gone,
    /// It has to be loaded from the store first.
    Absent,
    /// It has as many members as it may have.
    Full,
    /// Only for members.
    NotAMember,
}

/// What is said in a room.
struct Line<'a> {
    from: &'a Name,
    text: &'a str,
    ts: SystemTime,
    via: Via,
}

impl<'a> From<&'a Post> for Line<'a> {
    fn from(post: &'a Post) -> Self {
        Self {
            from: &post.from,
            text: &post.text,
            ts: post.ts,
            via: post.via,
        }
    }
}

impl<'a> From<&'a Message> for Line<'a> {
    fn from(message: &'a Message) -> Self {
        Self {
            from: &message.from,
            text: &message.text,
            ts: message.ts,
            via: message.via,
        }
    }
}

/// What a connection wants when it joins.
pub(crate) struct Entrance<'a> {
    pub(crate) member: Member,
    pub(crate) re: Option<&'a Id>,
    pub(crate) since: Option<&'a Since>,
    /// The room is as new as the store has it: what is not here is not there.
    pub(crate) is_fresh: bool,
}

/// What a connection is told when it joins.
#[derive(Clone, Copy)]
pub(crate) enum Reply<'a> {
    /// Made for it.
    New(&'a Frame),
    /// Part of the history.
    Kept(&'a Frame),
}

impl Room {
    /// A room without members and messages. With a store it has to be installed first.
    pub(crate) fn new(name: Name, epoch: Epoch, has_store: bool) -> Self {
        Self {
            name,
            state: Mutex::new(State {
                stage: if has_store {
                    Stage::Absent
                } else {
                    Stage::Ready
                },
                epoch,
                off: 0,
                ring: Ring::default(),
                members: Members::default(),
                roster: Roster::new(),
                is_counting: false,
                count: 0,
                scheduled: None,
                kept_until: None,
                is_idle: false,
            }),
        }
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// Lets a connection in and tells it what it has to know, through `answer`, before anything
    /// else that happens here.
    pub(crate) fn join(
        self: &Arc<Self>,
        entrance: Entrance<'_>,
        hub: &Hub,
        answer: &mut dyn FnMut(Reply<'_>),
    ) -> Result<(), Unable> {
        let now = hub.now();
        let mut guard = self.lock();
        let state = &mut *guard;
        state.usable()?;
        let Entrance {
            mut member,
            re,
            since,
            is_fresh,
        } = entrance;
        let is_behind = |since: &&Since| since.off > state.off || *since.epoch != *state.epoch.0;
        if !is_fresh && hub.store().is_some() && since.as_ref().is_some_and(is_behind) {
            return Err(Unable::Absent);
        }
        let is_again = state.members.contains(member.connection);
        if !is_again && state.members.len() >= hub.settings.room_size {
            return Err(Unable::Full);
        }
        if member.dialect == Dialect::V1 {
            answer(Reply::New(&frame(&Event::Ok {
                re,
                room: Some(&self.name),
                stamp: Some(Position::new(state.off, &state.epoch)),
                degraded: hub.is_degraded(),
            })));
        }
        if is_again {
            return Ok(());
        }
        if let Some(since) = since {
            state.trim(hub, now);
            self.recover(state, since, answer);
        }
        if state
            .roster
            .enter(&member.user, now + hub.settings.coalesce)
            && let Some(store) = hub.store()
        {
            store.enter(&self.name, &member.user);
        }
        if member.dialect == Dialect::V1 {
            answer(Reply::New(&self.introduce(state, &mut member, hub)));
        }
        state.members.insert(member);
        state.kept_until = None;
        self.schedule(state, hub);
        Ok(())
    }

    /// What was missed, or that it cannot be had.
    fn recover(&self, state: &State, since: &Since, answer: &mut dyn FnMut(Reply<'_>)) {
        let oldest = state.ring.oldest();
        let is_known = *since.epoch == *state.epoch.0 && since.off <= state.off;
        let next = since.off + 1;
        let ok = is_known && (since.off == state.off || oldest.is_some_and(|o| o <= next));
        let (from, to) = match (ok, oldest) {
            (true, _) => (next, state.off),
            (false, Some(oldest)) => (oldest, state.off),
            (false, None) => (0, 0),
        };
        answer(Reply::New(&frame(&Event::Recovered {
            room: &self.name,
            ok,
            from,
            to,
        })));
        if ok {
            state.ring.range(from, to).map(Reply::Kept).for_each(answer);
        }
    }

    /// Takes a connection out.
    pub(crate) fn leave(self: &Arc<Self>, connection: u64, departure: Departure, hub: &Hub) {
        let now = hub.now();
        let mut state = self.lock();
        let Some(member) = state.members.remove(connection) else {
            return;
        };
        let (grace, tell_at) = (hub.settings.grace, now + hub.settings.coalesce);
        let roster = &mut state.roster;
        if roster.leave(&member.user, departure, grace, now, tell_at)
            && let Some(store) = hub.store()
        {
            store.leave(&self.name, &member.user);
        }
        self.schedule(&mut state, hub);
        self.retire(state, hub);
        // `member` goes last: its peer may own anything.
    }

    /// Appends a message of this node, without a store.
    pub(crate) fn post(&self, post: &Post, hub: &Hub) -> Result<Stamp, Unable> {
        let now = hub.now();
        let mut wakers = Wakers::default();
        let mut guard = self.lock();
        let state = &mut *guard;
        state.usable()?;
        let stamp = state.next();
        if let Some(id) = &post.id {
            let key = hub
                .retries
                .key((post.via.retries(), &*self.name, &*post.from, id));
            let first = || Ok::<_, Unable>(Some(stamp.clone()));
            if let Some(earlier) = hub.retries.once(key, now, first)?
                && earlier != stamp
            {
                return Ok(earlier);
            }
        }
        self.say(state, stamp.off, &post.into(), hub, &mut wakers);
        self.retire(guard, hub);
        hub.relieve();
        Ok(stamp)
    }

    /// The messages before `before`, the newest `limit` of them.
    pub(crate) fn history(
        &self,
        connection: u64,
        re: Option<&Id>,
        before: Option<u64>,
        limit: u64,
        hub: &Hub,
    ) -> Result<Frame, Unable> {
        let now = hub.now();
        let mut state = self.lock();
        if !state.members.contains(connection) {
            return Err(Unable::NotAMember);
        }
        state.trim(hub, now);
        let oldest = state.ring.oldest().unwrap_or(state.off + 1);
        let to = before.map_or(state.off, |before| before.saturating_sub(1).min(state.off));
        let from = oldest.max((to + 1).saturating_sub(limit));
        let frames: Vec<Frame> = state.ring.range(from, to).cloned().collect();
        drop(state);
        // Joining them takes longer than the lock should be held.
        let more = from > oldest && !frames.is_empty();
        Ok(history(re, &self.name, more, frames.iter()))
    }

    /// Tells the others that a user is typing, unless there is more important work.
    pub(crate) fn typing(&self, user: &Name, hub: &Hub) {
        let mut wakers = Wakers::default();
        let frame = frame(&Event::Typing {
            room: &self.name,
            from: user,
        });
        let state = self.lock();
        for member in state.members.iter() {
            if member.dialect == Dialect::V1 && member.user != *user {
                // Dropped if the queue is not nearly empty.
                let queued = member.peer.enqueue(&frame, hub.spare());
                wakers.add(queued.ok().flatten());
            }
        }
        drop(state);
    }

    /// The room was idle for as long as messages are kept.
    pub(crate) fn review(&self, hub: &Hub) {
        let now = hub.now();
        let mut state = self.lock();
        state.is_idle = false;
        state.trim(hub, now);
        self.retire(state, hub);
    }

    /// Others need the memory: forgets the history and with it the room, if it has no members.
    pub(crate) fn evict(&self, hub: &Hub) {
        let mut state = self.lock();
        state.is_idle = false;
        if state.members.len() == 0 {
            state.forget_history(hub);
            self.retire(state, hub);
        }
    }

    /// Sends the next message to the members and remembers it.
    fn say(&self, state: &mut State, off: u64, line: &Line<'_>, hub: &Hub, wakers: &mut Wakers) {
        let ts = rfc3339(line.ts);
        let v1 = frame(&Event::Msg {
            room: &self.name,
            from: line.from,
            text: line.text,
            ts: &ts,
            off,
            epoch: &state.epoch.0,
            via: match line.via {
                Via::Member => None,
                Via::Api => Some("api"),
            },
        });
        let mut older = None;
        let mut delivered = 0;
        for member in state.members.iter() {
            let frame = match member.dialect {
                Dialect::V1 => &v1,
                Dialect::Original => older
                    .get_or_insert_with(|| original("room", line.from, &self.name, line.text, &ts)),
            };
            delivered += u64::from(wakers.enqueue(&member.peer, frame));
        }
        hub.metrics.sent(delivered);
        state.off = off;
        let before = state.ring.bytes();
        let mut bounds = hub.bounds();
        if hub.is_history_full() {
            bounds.bytes = bounds.bytes.min(before);
        }
        state
            .ring
            .push(off, v1, hub.time_of(line.ts), &bounds, hub.now());
        hub.count_history(before, state.ring.bytes());
    }

    /// Has the hub look after the room when something is due.
    fn schedule(self: &Arc<Self>, state: &mut State, hub: &Hub) {
        let timeouts = [state.roster.timeout(), state.kept_until];
        if let Some(at) = timeouts.into_iter().flatten().min()
            && state.scheduled.is_none_or(|scheduled| at < scheduled)
        {
            state.scheduled = Some(at);
            hub.schedule(at, self);
        }
    }

    /// Lets the hub drop the room if it is of no use any more.
    fn retire(&self, mut state: MutexGuard<'_, State>, hub: &Hub) {
        if state.stage == Stage::Gone
            || state.members.len() > 0
            || state.roster.here().next().is_some()
            || state.kept_until.is_some_and(|until| until > hub.now())
        {
            return;
        }
        if state.ring.oldest().is_some() && hub.store().is_none() {
            if !mem::replace(&mut state.is_idle, true) {
                drop(state);
                hub.room_is_idle(self);
            }
        } else {
            state.stage = Stage::Gone;
            state.forget_history(hub);
            drop(state);
            hub.forget_room(self);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is whole before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn usable(&self) -> Result<(), Unable> {
        match self.stage {
            Stage::Ready => Ok(()),
            Stage::Absent => Err(Unable::Absent),
            Stage::Gone => Err(Unable::Gone),
        }
    }

    fn next(&self) -> Stamp {
        Stamp {
            off: self.off + 1,
            epoch: self.epoch.clone(),
        }
    }

    fn trim(&mut self, hub: &Hub, now: Time) {
        let before = self.ring.bytes();
        self.ring.trim(&hub.bounds(), now);
        hub.count_history(before, self.ring.bytes());
    }

    fn forget_history(&mut self, hub: &Hub) {
        let before = self.ring.bytes();
        self.ring.clear();
        hub.count_history(before, 0);
    }

    /// Everybody is due the whole list of members.
    fn tell_all_again(&mut self, at: Time) {
        for member in self.members.iter_mut() {
            member.is_stale = true;
        }
        self.roster.ask(at);
    }
}

const _: () = assert!(size_of::<Member>() <= 64);

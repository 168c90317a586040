//! A room as the replica of what the store has, and without the store.

use alloc::sync::Arc;

use sockeye_handler::Time;
use sockeye_kit::name::Name;

use super::{KEPT, Room, Stage, State};
use crate::hub::Hub;
use crate::protocol::{Dialect, Event, frame};
use crate::store::{Delivered, Epoch, Message, Node, Snapshot};
use crate::wakers::Wakers;

impl Room {
    /// Applies a message of the store.
    pub(crate) fn deliver(&self, message: &Message, hub: &Hub) -> Delivered {
        let mut wakers = Wakers::default();
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.stage != Stage::Ready {
            return Delivered::Unknown;
        }
        if state.epoch != message.stamp.epoch || message.stamp.off > state.off + 1 {
            return Delivered::Gap;
        }
        if message.stamp.off == state.off + 1 {
            self.say(state, message.stamp.off, &message.into(), hub, &mut wakers);
            drop(guard);
            hub.relieve();
        }
        Delivered::Applied
    }

    /// Takes over what the store has. In the same epoch the members get what they have missed;
    /// otherwise they are told that it cannot be had.
    pub(crate) fn install(self: &Arc<Self>, snapshot: &Snapshot, hub: &Hub) {
        let tell_at = hub.now() + hub.settings.coalesce;
        let mut wakers = Wakers::default();
        let mut guard = self.lock();
        let state = &mut *guard;
        let was_ready = match state.stage {
            Stage::Gone => return,
            stage => stage == Stage::Ready,
        };
        state.stage = Stage::Ready;
        let newest = &snapshot.newest;
        let first = snapshot.messages.first();
        let first = first.map_or(newest.off + 1, |first| first.stamp.off);
        if !was_ready || state.epoch != newest.epoch {
            state.forget_history(hub);
            state.epoch = newest.epoch.clone();
            state.off = first - 1;
            self.tell_gap(state, (0, 0), &mut wakers);
        } else if first > state.off + 1 {
            // More was missed than the store remembers.
            state.forget_history(hub);
            state.off = first - 1;
            let held = if snapshot.messages.is_empty() {
                (0, 0)
            } else {
                (first, newest.off)
            };
            self.tell_gap(state, held, &mut wakers);
        }
        for message in &snapshot.messages {
            if message.stamp.off == state.off + 1 {
                self.say(state, message.stamp.off, &message.into(), hub, &mut wakers);
            }
        }
        if state.members.len() == 0 {
            state.kept_until = Some(hub.now() + KEPT);
        }
        state.roster.forget_there(None, tell_at);
        for (node, user) in &snapshot.members {
            state.roster.enter_there(node, user, tell_at);
        }
        self.schedule(state, hub);
        drop(guard);
        hub.relieve();
    }

    /// The store is away: goes on in an epoch of this node alone.
    pub(crate) fn go_local(self: &Arc<Self>, epoch: Epoch, hub: &Hub) {
        let now = hub.now();
        let mut state = self.lock();
        state.forget_history(hub);
        state.stage = match state.stage {
            Stage::Gone => Stage::Gone,
            Stage::Absent | Stage::Ready => Stage::Ready,
        };
        state.epoch = epoch;
        state.off = 0;
        let tell_at = now + hub.settings.coalesce;
        state.roster.forget_there(None, tell_at);
        state.tell_all_again(tell_at);
        self.schedule(&mut state, hub);
    }

    /// A user has come to or gone from the room on another node.
    pub(crate) fn elsewhere(self: &Arc<Self>, node: &Node, user: &Name, is_there: bool, hub: &Hub) {
        let tell_at = hub.now() + hub.settings.coalesce;
        let mut state = self.lock();
        if is_there {
            state.roster.enter_there(node, user, tell_at);
        } else {
            state.roster.leave_there(node, user, tell_at);
        }
        self.schedule(&mut state, hub);
    }

    /// Another node is down.
    pub(crate) fn node_down(self: &Arc<Self>, node: &Node, hub: &Hub) {
        let tell_at = hub.now() + hub.settings.coalesce;
        let mut state = self.lock();
        state.roster.forget_there(Some(node), tell_at);
        self.schedule(&mut state, hub);
    }

    /// The users that this node holds here.
    pub(crate) fn users_here(&self) -> Vec<Name> {
        self.lock().roster.here().cloned().collect()
    }

    /// Tells the members that something cannot be had, and what the history holds instead.
    fn tell_gap(&self, state: &mut State, (from, to): (u64, u64), wakers: &mut Wakers) {
        let frame = frame(&Event::Recovered {
            room: &self.name,
            ok: false,
            from,
            to,
        });
        for member in state.members.iter() {
            if member.dialect == Dialect::V1 {
                wakers.enqueue(&member.peer, &frame);
            }
        }
        state.tell_all_again(Time::ZERO);
    }
}

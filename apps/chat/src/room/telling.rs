//! How the members of a room learn of each other.

use alloc::sync::Arc;

use sockeye_handler::{Frame, Time};
use sockeye_kit::name::Name;

use super::members::Member;
use super::roster::Mark;
use super::{Room, State, Unable};
use crate::hub::Hub;
use crate::protocol::{Dialect, Event, Id, Listing, frame};
use crate::wakers::Wakers;

impl Room {
    /// Answers `members`, before anything else that happens here: who is here, or how many. It
    /// also says what is told from here on.
    pub(crate) fn members(
        &self,
        connection: u64,
        re: Option<&Id>,
        listing: Listing,
        hub: &Hub,
        answer: impl FnOnce(&Frame),
    ) -> Result<(), Unable> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let (mark, is_counting) = (state.roster.mark(), state.counts(hub));
        let Some(member) = state.members.find(connection) else {
            return Err(Unable::NotAMember);
        };
        member.listing = listing;
        member.mark = mark;
        member.is_stale = listing == Listing::Full && is_counting;
        answer(&self.state(state, re, listing, state.roster.rev(), hub));
        Ok(())
    }

    /// The state of the room for somebody who comes in.
    pub(super) fn introduce(&self, state: &State, member: &mut Member, hub: &Hub) -> Frame {
        member.mark = state.roster.mark();
        // Told a number where names are wanted: when they can be had, they are due.
        member.is_stale = member.listing == Listing::Full && state.counts(hub);
        self.state(state, None, member.listing, state.roster.rev(), hub)
    }

    /// What is due: lost users are listed no longer, and changes are told.
    pub(crate) fn tick(self: &Arc<Self>, now: Time, hub: &Hub) {
        let mut wakers = Wakers::default();
        let mut state = self.lock();
        state.scheduled = None;
        state.kept_until = state.kept_until.filter(|until| *until > now);
        // Many were lost at once, perhaps, and expire one by one: a window for them, too.
        state
            .roster
            .expire(now, now + hub.settings.coalesce, |user| {
                if let Some(store) = hub.store() {
                    store.leave(&self.name, &user);
                }
            });
        if state.roster.is_due(now) {
            self.tell(&mut state, now, hub, &mut wakers);
        }
        self.schedule(&mut state, hub);
        self.retire(state, hub);
    }

    /// Tells the members what has changed since the last time.
    fn tell(&self, state: &mut State, now: Time, hub: &Hub, wakers: &mut Wakers) {
        let was_counting = state.is_counting;
        state.is_counting = state.counts(hub);
        let count = state.roster.names().len();
        let is_new_count = count != state.count || was_counting != state.is_counting;
        state.count = count;
        let rev = state.roster.next_rev();
        let everything = was_counting || state.roster.has_overflowed();
        // Made when the first member needs them.
        let (mut full, mut number, mut diff) = (None, None, None);
        let (join, leave) = state.roster.since(Mark::default());
        let mut somebody = false;
        let mut members = core::mem::take(&mut state.members);
        let mut is_stale = false;
        for member in members.iter_mut() {
            let mark = core::mem::take(&mut member.mark);
            if member.dialect == Dialect::Original {
                continue;
            }
            let personal;
            let frame = if state.is_counting || member.listing == Listing::Count {
                if !is_new_count && !member.is_stale {
                    continue;
                }
                &*number.get_or_insert_with(|| self.state(state, None, Listing::Count, rev, hub))
            } else if everything || member.is_stale {
                &*full.get_or_insert_with(|| self.state(state, None, Listing::Full, rev, hub))
            } else if mark == Mark::default() {
                if join.is_empty() && leave.is_empty() {
                    continue;
                }
                &*diff.get_or_insert_with(|| self.diff(rev, &join, &leave))
            } else {
                // It came within this window, and knows a part. Its own name stood in the list that
                // it was given, and stays there as long as it does.
                let (join, leave) = state.roster.since(mark);
                if join.is_empty() && leave.is_empty() {
                    continue;
                }
                personal = self.diff(rev, &join, &leave);
                &personal
            };
            somebody = true;
            match member.peer.enqueue(frame, hub.spare()) {
                Ok(waker) => {
                    wakers.add(waker);
                    member.is_stale = false;
                }
                // It reads slowly: the whole list later, instead of a change that it misses.
                Err(_) => {
                    member.is_stale = true;
                    is_stale = true;
                }
            }
        }
        state.members = members;
        state.roster.told(somebody);
        if is_stale {
            state.roster.ask(now + hub.settings.coalesce);
        }
    }

    fn state(
        &self,
        state: &State,
        re: Option<&Id>,
        listing: Listing,
        rev: u64,
        hub: &Hub,
    ) -> Frame {
        let is_counting = listing == Listing::Count || state.counts(hub);
        let count = state.roster.names().len();
        let members: Vec<&Name> = if is_counting {
            Vec::new()
        } else {
            state.roster.names().collect()
        };
        frame(&Event::State {
            re,
            room: &self.name,
            rev,
            members: (!is_counting).then_some(&members),
            count: is_counting.then_some(count),
            degraded: hub.is_degraded(),
        })
    }

    fn diff(&self, rev: u64, join: &[&Name], leave: &[&Name]) -> Frame {
        frame(&Event::Diff {
            room: &self.name,
            rev,
            join,
            leave,
        })
    }
}

impl State {
    /// Whether there are so many users that only their number is told. Once that is so it stays
    /// until they are a tenth less.
    fn counts(&self, hub: &Hub) -> bool {
        let (users, most) = (self.roster.names().len(), hub.settings.max_listed);
        if self.is_counting {
            users * 10 > most * 9
        } else {
            users > most
        }
    }
}

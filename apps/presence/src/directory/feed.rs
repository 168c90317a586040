//! What watchers are told: revisions, windows, and the change from names to a number.

use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;

use sockeye_handler::Time;
use sockeye_kit::name::Name;

/// What to tell every watcher who has heard of all that was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Who came and who went, by name. Never empty.
    Diff {
        /// One more than before.
        rev: u64,
        /// Who came.
        join: Vec<Name>,
        /// Who went.
        leave: Vec<Name>,
    },
    /// How many there are; there are too many to be listed.
    Count {
        /// One more than before.
        rev: u64,
        /// How many.
        users: usize,
    },
    /// All of it afresh, at the present revision.
    Afresh,
}

/// Whether a user was there before a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    Present,
    Absent,
}

#[derive(Debug)]
pub(super) struct Feed {
    coalesce: Duration,
    max_listed: usize,
    rev: u64,
    /// Since the last update: who has changed, and what watchers know of them.
    changed: BTreeMap<Name, Before>,
    /// Watchers need all of it afresh.
    is_stale: bool,
    is_listed: bool,
    /// When the window ends.
    window: Option<Time>,
    updates: VecDeque<Update>,
}

impl Feed {
    pub(super) fn new(coalesce: Duration, max_listed: usize) -> Self {
        Self {
            coalesce,
            max_listed,
            rev: 0,
            changed: BTreeMap::new(),
            is_stale: false,
            is_listed: true,
            window: None,
            updates: VecDeque::new(),
        }
    }

    /// A user has come or gone.
    pub(super) fn handle_change(&mut self, user: &Name, before: Before, now: Time) {
        self.changed.entry(user.clone()).or_insert(before);
        self.open_window(now);
    }

    /// Something beside the users has changed.
    pub(super) fn handle_afresh(&mut self, now: Time) {
        self.is_stale = true;
        self.open_window(now);
    }

    /// Ends the window if it is over. `users` are there now, and `is_present` says who.
    pub(super) fn handle_timeout(
        &mut self,
        users: usize,
        is_present: impl Fn(&Name) -> bool,
        now: Time,
    ) {
        if self.window.is_none_or(|end| end > now) {
            return;
        }
        self.window = None;
        let (mut join, mut leave) = (Vec::new(), Vec::new());
        for (user, before) in core::mem::take(&mut self.changed) {
            match (before, is_present(&user)) {
                (Before::Absent, true) => join.push(user),
                (Before::Present, false) => leave.push(user),
                // Came and went, or went and came, within the window.
                (Before::Absent, false) | (Before::Present, true) => {}
            }
        }
        let was_listed = self.is_listed;
        // Between the two numbers nothing changes, or a group that is about as large as the
        // limit would cost a state again and again.
        if users > self.max_listed {
            self.is_listed = false;
        } else if users.saturating_mul(10) <= self.max_listed.saturating_mul(9) {
            self.is_listed = true;
        }
        if !(join.is_empty() && leave.is_empty()) {
            self.rev += 1;
            let rev = self.rev;
            self.updates.push_back(if was_listed && self.is_listed {
                Update::Diff { rev, join, leave }
            } else {
                Update::Count { rev, users }
            });
        }
        if core::mem::take(&mut self.is_stale) || self.is_listed && !was_listed {
            self.updates.push_back(Update::Afresh);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.window
    }

    pub(super) fn poll_update(&mut self) -> Option<Update> {
        self.updates.pop_front()
    }

    pub(super) fn rev(&self) -> u64 {
        self.rev
    }

    pub(super) fn is_listed(&self) -> bool {
        self.is_listed
    }

    pub(super) fn is_settled(&self, is_present: impl Fn(&Name) -> bool) -> bool {
        let mut changed = self.changed.iter();
        self.updates.is_empty()
            && !changed.any(|(user, before)| is_present(user) != (*before == Before::Present))
    }

    fn open_window(&mut self, now: Time) {
        if self.window.is_none() {
            self.window = Some(now + self.coalesce);
        }
    }
}

//! Who is in a room, by name.

use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;

use sockeye_handler::Time;
use sockeye_kit::name::Name;

use crate::store::Node;

/// The users of a room, on this node and on others, and what has changed since it was last told.
pub(crate) struct Roster {
    users: BTreeMap<Name, Presence>,
    /// Changes since the last telling, in order: who, and whether they are listed after it.
    changes: Vec<(Name, bool)>,
    /// When the changes are told.
    due: Option<Time>,
    /// When lost users are listed no longer, in order.
    leaving: VecDeque<(Time, Name)>,
    rev: u64,
}

/// Where a user is.
#[derive(Default)]
struct Presence {
    /// Connections here.
    here: u32,
    /// Other nodes.
    there: Vec<Node>,
    /// The last connection here was lost, and may come back until then.
    until: Option<Time>,
}

/// How a connection has left a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// On purpose.
    Left,
    /// It may be back soon.
    Lost,
}

/// What is remembered of changes in one window; after that everybody gets the whole list.
const CHANGES: usize = 1000;

/// Where a member's knowledge ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Mark(u32);

impl Presence {
    fn is_listed(&self) -> bool {
        self.here > 0 || !self.there.is_empty() || self.until.is_some()
    }
}

impl Roster {
    pub(crate) fn new() -> Self {
        Self {
            users: BTreeMap::new(),
            changes: Vec::new(),
            due: None,
            leaving: VecDeque::new(),
            rev: 0,
        }
    }

    /// A connection of this node has come; whether it is the first of its user.
    pub(crate) fn enter(&mut self, user: &Name, at: Time) -> bool {
        self.change(user, at, |presence| {
            let was_held = presence.here > 0 || presence.until.take().is_some();
            presence.here += 1;
            !was_held
        })
    }

    /// A connection of this node has gone; whether its user has, too.
    pub(crate) fn leave(
        &mut self,
        user: &Name,
        departure: Departure,
        grace: Duration,
        now: Time,
        at: Time,
    ) -> bool {
        let until = now + grace;
        let is_lost = departure == Departure::Lost;
        let gone = self.change(user, at, |presence| {
            presence.here = presence.here.saturating_sub(1);
            if presence.here > 0 {
                return false;
            }
            presence.until = is_lost.then_some(until);
            !is_lost
        });
        if is_lost && self.is_leaving(user) {
            self.leaving.push_back((until, user.clone()));
        }
        gone
    }

    /// Drops those who were lost and have not come back; tells who they are.
    pub(crate) fn expire(&mut self, now: Time, at: Time, mut gone: impl FnMut(Name)) {
        while let Some((until, _)) = self.leaving.front()
            && *until <= now
            && let Some((until, user)) = self.leaving.pop_front()
        {
            // Unless they were back, or even lost again, in the meantime.
            let is_due = |presence: &Presence| presence.until == Some(until);
            if self.users.get(&user).is_some_and(is_due) {
                self.change(&user, at, |presence| presence.until = None);
                gone(user);
            }
        }
    }

    /// A user has come on another node.
    pub(crate) fn enter_there(&mut self, node: &Node, user: &Name, at: Time) {
        self.change(user, at, |presence| {
            if !presence.there.contains(node) {
                presence.there.push(node.clone());
            }
        });
    }

    /// A user has gone on another node.
    pub(crate) fn leave_there(&mut self, node: &Node, user: &Name, at: Time) {
        self.change(user, at, |presence| {
            presence.there.retain(|other| other != node);
        });
    }

    /// What is known of other nodes, or of one of them, is void.
    pub(crate) fn forget_there(&mut self, node: Option<&Node>, at: Time) {
        let is_meant = |other: &Node| node.is_none_or(|node| node == other);
        let affected: Vec<Name> = self
            .users
            .iter()
            .filter(|(_, presence)| presence.there.iter().any(is_meant))
            .map(|(user, _)| user.clone())
            .collect();
        for user in affected {
            self.change(&user, at, |presence| {
                presence.there.retain(|other| !is_meant(other));
            });
        }
    }

    /// Everybody who is listed, in order.
    pub(crate) fn names(&self) -> impl ExactSizeIterator<Item = &Name> {
        self.users.keys()
    }

    /// Users who are held here: those whom other nodes have to know of.
    pub(crate) fn here(&self) -> impl Iterator<Item = &Name> {
        let is_here = |presence: &Presence| presence.here > 0 || presence.until.is_some();
        let users = self.users.iter();
        users.filter(move |(_, p)| is_here(p)).map(|(name, _)| name)
    }

    pub(crate) fn rev(&self) -> u64 {
        self.rev
    }

    /// Everything until now is known to whoever has this mark.
    pub(crate) fn mark(&self) -> Mark {
        Mark(u32::try_from(self.changes.len()).unwrap_or(u32::MAX))
    }

    /// Whether so much has changed that nobody is told of it one by one.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.changes.len() > CHANGES
    }

    /// Who has come and who has gone after `mark`, in order; who did both is in neither.
    pub(crate) fn since(&self, mark: Mark) -> (Vec<&Name>, Vec<&Name>) {
        let after = self.changes.get(mark.0 as usize..).unwrap_or_default();
        // Each change is a turn: who was listed first is known by the first of them.
        let mut net: BTreeMap<&Name, (bool, bool)> = BTreeMap::new();
        for (user, is_listed) in after {
            net.entry(user).or_insert((!is_listed, false)).1 = *is_listed;
        }
        let pick = |was: bool| {
            let turned = net.iter().filter(move |(_, turn)| **turn == (was, !was));
            turned.map(|(user, _)| *user).collect()
        };
        (pick(false), pick(true))
    }

    /// The next moment at which there is something to do.
    pub(crate) fn timeout(&self) -> Option<Time> {
        let leaving = self.leaving.front().map(|(until, _)| *until);
        [self.due, leaving].into_iter().flatten().min()
    }

    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Has the next telling happen at `at`, if none is to happen before.
    pub(crate) fn ask(&mut self, at: Time) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// The revision that the changes until now lead to.
    pub(crate) fn next_rev(&self) -> u64 {
        self.rev + 1
    }

    /// The changes were told, to somebody or to nobody.
    pub(crate) fn told(&mut self, somebody: bool) {
        self.rev += u64::from(somebody);
        self.changes.clear();
        self.due = None;
    }

    fn is_leaving(&self, user: &Name) -> bool {
        let presence = self.users.get(user);
        presence.is_some_and(|presence| presence.until.is_some())
    }

    /// Changes where a user is, and notes it if that changes whether they are listed.
    fn change<R>(&mut self, user: &Name, at: Time, act: impl FnOnce(&mut Presence) -> R) -> R {
        let presence = self.users.entry(user.clone()).or_default();
        let was_listed = presence.is_listed();
        let result = act(presence);
        let is_listed = presence.is_listed();
        if !is_listed {
            self.users.remove(user);
        }
        if was_listed != is_listed {
            if self.changes.len() <= CHANGES {
                self.changes.push((user.clone(), is_listed));
            }
            self.ask(at);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    fn name(name: &str) -> Name {
        Name::parse(name).expect("a name")
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn since(roster: &Roster, mark: Mark) -> (String, String) {
        let text = |names: Vec<&Name>| {
            let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
            names.join(" ")
        };
        let (join, leave) = roster.since(mark);
        (text(join), text(leave))
    }

    fn changes(join: &str, leave: &str) -> (String, String) {
        (join.into(), leave.into())
    }

    #[test]
    fn two_connections_of_one_user_count_as_one() {
        let mut roster = Roster::new();
        let ana = name("ana");
        assert!(roster.enter(&ana, at(1)));
        assert!(!roster.enter(&ana, at(1)));
        roster.told(true);
        assert!(!roster.leave(&ana, Departure::Left, GRACE, at(2), at(3)));
        assert_eq!(roster.timeout(), None);
        assert!(roster.leave(&ana, Departure::Left, GRACE, at(2), at(3)));
        assert_eq!(since(&roster, Mark::default()), changes("", "ana"));
        assert_eq!(roster.timeout(), Some(at(3)));
    }

    #[test]
    fn who_comes_back_within_the_grace_period_was_never_away() {
        let mut roster = Roster::new();
        let ana = name("ana");
        roster.enter(&ana, at(0));
        roster.told(true);
        assert!(!roster.leave(&ana, Departure::Lost, GRACE, at(10), at(11)));
        assert_eq!(roster.timeout(), Some(at(15)));
        assert!(!roster.enter(&ana, at(12)));
        roster.expire(at(15), at(16), |_| panic!("she is back"));
        assert_eq!(since(&roster, Mark::default()), changes("", ""));

        roster.leave(&ana, Departure::Lost, GRACE, at(20), at(20));
        roster.expire(at(24), at(24), |_| panic!("not yet"));
        let mut gone = Vec::new();
        roster.expire(at(25), at(26), |user| gone.push(user));
        assert_eq!(gone, [ana]);
        assert_eq!(since(&roster, Mark::default()), changes("", "ana"));
    }

    #[test]
    fn who_came_and_went_in_a_window_is_not_mentioned_but_to_those_who_saw_them() {
        let mut roster = Roster::new();
        let (ana, bob) = (name("ana"), name("bob"));
        let start = roster.mark();
        roster.enter(&ana, at(1));
        let between = roster.mark();
        roster.enter(&bob, at(1));
        roster.leave(&ana, Departure::Left, GRACE, at(1), at(1));
        assert_eq!(since(&roster, start), changes("bob", ""));
        assert_eq!(since(&roster, between), changes("bob", "ana"));
        assert_eq!(since(&roster, roster.mark()), changes("", ""));
    }

    #[test]
    fn a_user_of_two_nodes_is_there_until_both_have_lost_them() {
        let mut roster = Roster::new();
        let (ana, one, two) = (name("ana"), Node("1".into()), Node("2".into()));
        roster.enter_there(&one, &ana, at(1));
        roster.enter_there(&one, &ana, at(1));
        roster.enter_there(&two, &ana, at(1));
        roster.told(true);
        roster.leave_there(&one, &ana, at(2));
        assert_eq!(roster.timeout(), None);
        roster.forget_there(Some(&two), at(2));
        assert_eq!(since(&roster, Mark::default()), changes("", "ana"));
        assert_eq!(roster.names().len(), 0);
    }

    #[test]
    fn changes_of_one_window_are_bounded() {
        let mut roster = Roster::new();
        let ana = name("ana");
        for _ in 0..CHANGES {
            roster.enter(&ana, at(1));
            roster.leave(&ana, Departure::Left, GRACE, at(1), at(1));
        }
        assert!(roster.has_overflowed());
        assert!(roster.changes.len() <= CHANGES + 1);
        roster.told(true);
        assert!(!roster.has_overflowed());
    }
}

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use sockeye_handler::Time;
use sockeye_kit::name::Name;

use super::{Departure, Directory, Hold, Remote, Settings, Update};

const GRACE: Duration = Duration::from_secs(5);
const WINDOW: Duration = Duration::from_millis(250);
const OTHER: Remote = Remote(1);

/// A directory, and a clock that moves when it is told to.
struct Bench {
    directory: Directory,
    now: Time,
}

impl Bench {
    fn new() -> Self {
        Self::with_max_listed(1000)
    }

    fn with_max_listed(max_listed: usize) -> Self {
        Self {
            directory: Directory::new(Settings {
                grace: GRACE,
                coalesce: WINDOW,
                max_listed,
            }),
            now: Time::ZERO,
        }
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + self.now.saturating_since(Time::ZERO)
    }

    fn connect(&mut self, user: &str) {
        let wall = self.wall();
        self.directory.handle_connect(&name(user), wall, self.now);
    }

    fn leave(&mut self, user: &str) {
        let user = name(user);
        self.directory
            .handle_disconnect(&user, Departure::Explicit, self.now);
    }

    fn lose(&mut self, user: &str) {
        let user = name(user);
        self.directory
            .handle_disconnect(&user, Departure::Lost, self.now);
    }

    fn taken(&mut self, remote: Remote, user: &str) {
        let wall = self.wall();
        self.directory
            .handle_remote_taken(remote, &name(user), wall, self.now);
    }

    fn released(&mut self, remote: Remote, user: &str) {
        self.directory
            .handle_remote_released(remote, &name(user), self.now);
    }

    /// Moves the clock over everything that is due on the way.
    fn advance(&mut self, duration: Duration) {
        self.advance_with(duration, |_| {});
    }

    fn advance_with(&mut self, duration: Duration, mut after_each: impl FnMut(&mut Directory)) {
        let end = self.now + duration;
        while let Some(at) = self.directory.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.directory.handle_timeout(self.now);
            after_each(&mut self.directory);
        }
        self.now = end;
    }

    fn users(&self) -> Vec<&str> {
        self.directory
            .users()
            .map(|(user, _)| user.as_str())
            .collect()
    }

    fn updates(&mut self) -> Vec<Update> {
        core::iter::from_fn(|| self.directory.poll_update()).collect()
    }

    fn holds(&mut self) -> Vec<String> {
        core::iter::from_fn(|| self.directory.poll_hold())
            .map(|hold| match hold {
                Hold::Taken { user, .. } => format!("+{user}"),
                Hold::Released { user } => format!("-{user}"),
            })
            .collect()
    }

    /// The updates of the window that has just ended.
    fn window(&mut self) -> Vec<Update> {
        self.advance(WINDOW);
        self.updates()
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn names(text: &[&str]) -> Vec<Name> {
    text.iter().copied().map(name).collect()
}

fn diff(rev: u64, join: &[&str], leave: &[&str]) -> Update {
    Update::Diff {
        rev,
        join: names(join),
        leave: names(leave),
    }
}

#[test]
fn a_user_is_online_from_the_first_connection_to_the_last() {
    let mut bench = Bench::new();
    bench.connect("ana");
    assert_eq!(bench.users(), ["ana"]);
    bench.connect("ana");
    bench.leave("ana");
    assert_eq!(bench.users(), ["ana"]);
    bench.leave("ana");
    assert!(bench.users().is_empty());
    assert_eq!(bench.holds(), ["+ana", "-ana"]);
}

#[test]
fn a_lost_connection_counts_for_the_grace_period() {
    let mut bench = Bench::new();
    bench.connect("ana");
    bench.lose("ana");
    bench.advance(GRACE - Duration::from_micros(1));
    assert_eq!(bench.users(), ["ana"]);
    bench.advance(Duration::from_micros(1));
    assert!(bench.users().is_empty());
    assert_eq!(bench.holds(), ["+ana", "-ana"]);
}

#[test]
fn a_reconnect_within_the_grace_period_goes_on_with_the_stay() {
    let mut bench = Bench::new();
    bench.connect("ana");
    bench.advance(WINDOW);
    bench.updates();
    let since = bench.directory.since("ana");
    bench.lose("ana");
    bench.advance(GRACE / 2);
    bench.connect("ana");
    bench.advance(GRACE * 2);
    assert_eq!(bench.users(), ["ana"]);
    assert_eq!(bench.directory.since("ana"), since);
    assert_eq!(bench.updates(), []);
    assert_eq!(bench.holds(), ["+ana"]);
}

#[test]
fn who_has_reconnected_leaves_at_once_all_the_same() {
    let mut bench = Bench::new();
    bench.connect("ana");
    bench.lose("ana");
    bench.connect("ana");
    bench.leave("ana");
    assert!(bench.users().is_empty());
}

#[test]
fn each_lost_connection_has_a_grace_period_of_its_own() {
    let mut bench = Bench::new();
    bench.connect("ana");
    bench.connect("ana");
    bench.lose("ana");
    bench.advance(Duration::from_secs(2));
    bench.lose("ana");
    // It takes the place of the first, whose grace would have ended earlier.
    bench.connect("ana");
    bench.leave("ana");
    bench.advance(GRACE - Duration::from_micros(1));
    assert_eq!(bench.users(), ["ana"]);
    bench.advance(Duration::from_micros(1));
    assert!(bench.users().is_empty());
}

#[test]
fn a_new_stay_begins_when_somebody_comes_back_after_leaving() {
    let mut bench = Bench::new();
    bench.connect("ana");
    bench.leave("ana");
    bench.advance(Duration::from_secs(1));
    bench.connect("ana");
    let since = UNIX_EPOCH + Duration::from_secs(1);
    assert_eq!(bench.directory.since("ana"), Some(since));
}

#[test]
fn changes_are_told_once_when_their_window_ends() {
    let mut bench = Bench::new();
    bench.connect("bob");
    bench.advance(WINDOW - Duration::from_micros(1));
    assert!(!bench.directory.is_settled());
    bench.connect("ana");
    assert_eq!(bench.updates(), []);
    bench.advance(Duration::from_micros(1));
    assert_eq!(bench.updates(), [diff(1, &["ana", "bob"], &[])]);
    assert!(bench.directory.is_settled());
    bench.leave("bob");
    bench.connect("cyd");
    assert_eq!(bench.window(), [diff(2, &["cyd"], &["bob"])]);
    assert_eq!(bench.directory.poll_timeout(), None);
}

#[test]
fn who_comes_and_goes_within_a_window_is_not_mentioned() {
    let mut bench = Bench::new();
    bench.connect("ana");
    assert!(!bench.directory.is_settled());
    bench.leave("ana");
    assert!(bench.directory.is_settled());
    assert_eq!(bench.window(), []);
    assert_eq!(bench.directory.rev(), 0);
    bench.connect("ana");
    assert_eq!(bench.window(), [diff(1, &["ana"], &[])]);
    bench.leave("ana");
    bench.connect("ana");
    assert_eq!(bench.window(), []);
    assert_eq!(bench.directory.rev(), 1);
}

#[test]
fn a_large_group_is_counted_and_listed_again_at_nine_tenths() {
    let mut bench = Bench::with_max_listed(10);
    let crowd: Vec<String> = (0..11).map(|n| format!("user{n:02}")).collect();
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    crowd[..10].iter().for_each(|user| bench.connect(user));
    assert_eq!(bench.window(), [diff(1, &crowd[..10], &[])]);
    bench.connect(crowd[10]);
    assert_eq!(bench.window(), [Update::Count { rev: 2, users: 11 }]);
    assert!(!bench.directory.is_listed());
    bench.leave(crowd[10]);
    assert_eq!(bench.window(), [Update::Count { rev: 3, users: 10 }]);
    // As many as before, but others.
    bench.leave(crowd[9]);
    bench.connect(crowd[10]);
    assert_eq!(bench.window(), [Update::Count { rev: 4, users: 10 }]);
    bench.leave(crowd[10]);
    let at_nine = [Update::Count { rev: 5, users: 9 }, Update::Afresh];
    assert_eq!(bench.window(), at_nine);
    assert!(bench.directory.is_listed());
    bench.leave(crowd[0]);
    assert_eq!(bench.window(), [diff(6, &[], &crowd[..1])]);
}

#[test]
fn nobody_is_listed_where_nobody_may_be() {
    let mut bench = Bench::with_max_listed(0);
    bench.connect("ana");
    assert_eq!(bench.window(), [Update::Count { rev: 1, users: 1 }]);
    bench.leave("ana");
    let empty = [Update::Count { rev: 2, users: 0 }, Update::Afresh];
    assert_eq!(bench.window(), empty);
}

#[test]
fn a_user_is_online_while_any_node_holds_them() {
    let mut bench = Bench::new();
    bench.taken(OTHER, "ana");
    bench.connect("ana");
    bench.leave("ana");
    assert_eq!(bench.users(), ["ana"]);
    bench.released(OTHER, "ana");
    assert!(bench.users().is_empty());
}

#[test]
fn another_nodes_goodbye_is_contradicted() {
    let mut bench = Bench::new();
    bench.connect("ana");
    bench.taken(OTHER, "ana");
    bench.holds();
    bench.released(OTHER, "ana");
    assert_eq!(bench.holds(), ["+ana"]);
    assert_eq!(bench.window(), [diff(1, &["ana"], &[])]);
}

#[test]
fn a_dead_node_holds_nobody() {
    let mut bench = Bench::new();
    bench.taken(OTHER, "ana");
    bench.taken(OTHER, "bob");
    bench.taken(Remote(2), "bob");
    bench.connect("cyd");
    bench.window();
    bench.directory.handle_remote_down(OTHER, bench.now);
    assert_eq!(bench.users(), ["bob", "cyd"]);
    assert_eq!(bench.window(), [diff(2, &[], &["ana"])]);
    bench.directory.handle_remote_down(OTHER, bench.now);
    assert_eq!(bench.window(), []);
}

#[test]
fn the_state_of_another_node_takes_the_place_of_what_was_known() {
    let mut bench = Bench::new();
    bench.taken(OTHER, "ana");
    bench.taken(OTHER, "bob");
    bench.taken(Remote(2), "ana");
    bench.window();
    let early = UNIX_EPOCH;
    let state = [(name("bob"), early), (name("cyd"), early)];
    bench.directory.handle_remote_state(OTHER, state, bench.now);
    assert_eq!(bench.users(), ["ana", "bob", "cyd"]);
    bench.directory.handle_remote_state(OTHER, [], bench.now);
    assert_eq!(bench.users(), ["ana"]);
}

#[test]
fn a_stay_began_when_the_first_node_saw_it() {
    let mut bench = Bench::new();
    bench.advance(Duration::from_secs(9));
    bench.connect("ana");
    let earlier = UNIX_EPOCH + Duration::from_secs(4);
    bench
        .directory
        .handle_remote_taken(OTHER, &name("ana"), earlier, bench.now);
    bench.released(OTHER, "ana");
    assert_eq!(bench.directory.since("ana"), Some(earlier));
}

#[test]
fn a_fenced_node_has_forgotten_whom_it_held() {
    let mut bench = Bench::new();
    bench.connect("ana");
    bench.connect("bob");
    bench.lose("bob");
    bench.taken(OTHER, "cyd");
    bench.window();
    bench.directory.handle_fence(bench.now);
    assert_eq!(bench.users(), ["cyd"]);
    assert!(bench.holds().is_empty());
    bench.connect("ana");
    assert_eq!(bench.holds(), ["+ana"]);
    assert_eq!(bench.window(), [diff(2, &[], &["bob"])]);
    bench.advance(GRACE * 2);
    assert_eq!(bench.users(), ["ana", "cyd"]);
}

#[test]
fn watchers_hear_that_the_store_is_away_and_that_it_is_back() {
    let mut bench = Bench::new();
    bench.directory.handle_degraded(false, bench.now);
    assert_eq!(bench.window(), []);
    bench.directory.handle_degraded(true, bench.now);
    bench.connect("ana");
    let told = [diff(1, &["ana"], &[]), Update::Afresh];
    assert_eq!(bench.window(), told);
}

#[derive(Clone, Debug)]
enum Step {
    Connect(usize),
    Leave(usize),
    Lose(usize),
    Taken(u64, usize),
    Released(u64, usize),
    Down(u64),
    State(u64, Vec<usize>),
    Fence,
    Degraded(bool),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let user = || 0..6_usize;
    let node = || 0..2_u64;
    prop_oneof![
        4 => user().prop_map(Step::Connect),
        3 => user().prop_map(Step::Leave),
        3 => user().prop_map(Step::Lose),
        2 => (node(), user()).prop_map(|(node, user)| Step::Taken(node, user)),
        2 => (node(), user()).prop_map(|(node, user)| Step::Released(node, user)),
        1 => node().prop_map(Step::Down),
        1 => (node(), prop::collection::vec(user(), 0..4)).prop_map(|(node, users)| Step::State(node, users)),
        1 => Just(Step::Fence),
        1 => any::<bool>().prop_map(Step::Degraded),
        6 => (0..400_u64).prop_map(|ms| Step::Pass(ms * 10)),
    ]
}

/// Who is online, the slow way: a list of connections and of what other nodes have said.
#[derive(Default)]
struct Model {
    connections: Vec<usize>,
    lost: Vec<(usize, Time)>,
    remote: BTreeSet<(u64, usize)>,
}

impl Model {
    fn users(&self, now: Time) -> BTreeSet<usize> {
        let lost = self.lost.iter().filter(|(_, until)| *until > now);
        let remote = self.remote.iter().map(|(_, user)| *user);
        let connections = self.connections.iter().copied();
        connections
            .chain(lost.map(|(user, _)| *user))
            .chain(remote)
            .collect()
    }

    fn forget_over(&mut self, now: Time) {
        self.lost.retain(|(_, until)| *until > now);
    }

    fn disconnect(&mut self, user: usize) -> bool {
        let found = self.connections.iter().position(|known| *known == user);
        found.map(|at| self.connections.remove(at)).is_some()
    }
}

/// A watcher, who believes what it is told.
#[derive(Default)]
struct Watcher {
    rev: u64,
    names: BTreeSet<Name>,
    count: Option<usize>,
}

impl Watcher {
    fn listen(&mut self, directory: &mut Directory) {
        while let Some(update) = directory.poll_update() {
            self.apply(update, directory);
        }
    }

    fn apply(&mut self, update: Update, directory: &Directory) {
        match update {
            Update::Diff { rev, join, leave } => {
                assert_eq!(rev, self.rev + 1);
                self.rev = rev;
                assert_eq!(self.count, None, "a diff to what is only counted");
                assert!(!(join.is_empty() && leave.is_empty()));
                for user in join {
                    assert!(self.names.insert(user), "joined twice");
                }
                for user in leave {
                    assert!(self.names.remove(&user), "left twice");
                }
            }
            Update::Count { rev, users } => {
                assert_eq!(rev, self.rev + 1);
                self.rev = rev;
                self.count = Some(users);
            }
            Update::Afresh if directory.is_listed() => {
                self.count = None;
                self.names = directory.users().map(|(user, _)| user.clone()).collect();
            }
            Update::Afresh => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everybody_agrees_whatever_happens(
        steps in prop::collection::vec(step(), 1..120),
        max_listed in 0..6_usize,
    ) {
        let user = |number: usize| format!("user{number}");
        let mut bench = Bench::with_max_listed(max_listed);
        let mut model = Model::default();
        let mut watcher = Watcher::default();
        let mut others: BTreeMap<String, bool> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Connect(number) => {
                    bench.connect(&user(number));
                    model.connections.push(number);
                    if let Some(at) = model.lost.iter().position(|(lost, _)| *lost == number) {
                        model.lost.remove(at);
                    }
                }
                Step::Leave(number) => {
                    bench.leave(&user(number));
                    model.disconnect(number);
                }
                Step::Lose(number) => {
                    bench.lose(&user(number));
                    if model.disconnect(number) {
                        model.lost.push((number, bench.now + GRACE));
                    }
                }
                Step::Taken(node, number) => {
                    bench.taken(Remote(node), &user(number));
                    model.remote.insert((node, number));
                }
                Step::Released(node, number) => {
                    bench.released(Remote(node), &user(number));
                    model.remote.remove(&(node, number));
                }
                Step::Down(node) => {
                    bench.directory.handle_remote_down(Remote(node), bench.now);
                    model.remote.retain(|(known, _)| *known != node);
                }
                Step::State(node, numbers) => {
                    let users = numbers.iter().map(|number| (name(&user(*number)), UNIX_EPOCH));
                    bench.directory.handle_remote_state(Remote(node), users, bench.now);
                    model.remote.retain(|(known, _)| *known != node);
                    model.remote.extend(numbers.iter().map(|number| (node, *number)));
                }
                Step::Fence => {
                    bench.directory.handle_fence(bench.now);
                    model.connections.clear();
                    model.lost.clear();
                    others.clear();
                }
                Step::Degraded(is_degraded) => {
                    bench.directory.handle_degraded(is_degraded, bench.now);
                }
                Step::Pass(ms) => {
                    let pass = Duration::from_millis(ms);
                    bench.advance_with(pass, |directory| watcher.listen(directory));
                }
            }
            model.forget_over(bench.now);
            let expected: Vec<String> = model.users(bench.now).into_iter().map(user).collect();
            prop_assert_eq!(bench.users(), expected);
            for hold in bench.holds() {
                others.insert(hold[1..].into(), hold.starts_with('+'));
            }
            let held: BTreeSet<&str> = bench.directory.held().map(|(user, _)| user.as_str()).collect();
            let told: BTreeSet<&str> = others.iter().filter(|(_, held)| **held).map(|(user, _)| user.as_str()).collect();
            prop_assert_eq!(held, told);
            prop_assert_eq!(watcher.rev, bench.directory.rev());
            if bench.directory.is_settled() {
                let users: BTreeSet<Name> = bench.directory.users().map(|(user, _)| user.clone()).collect();
                match watcher.count {
                    Some(count) => prop_assert_eq!(count, users.len()),
                    None => prop_assert_eq!(&watcher.names, &users),
                }
            }
        }
    }
}

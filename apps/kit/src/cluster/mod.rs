//! The nodes of a deployment: who lives, and whose claims count.
//!
//! A node holds a lease in the store, which it renews three times before it would expire.
//! What it claims there (a user, a name) it signs with its [`Lease`], and a claim counts
//! as long as the lease exists. So when a node dies, all that it claimed is void at once,
//! and every other node finds that out by itself: each looks every fifteenth of a lease.
//!
//! A node that was paused for longer than its lease must not go on as if nothing had
//! happened. Scripts made by [`Cluster::fenced`] check the lease in the same step as they
//! write, and [`Cluster::lease`] knows by the node's own clock when it cannot be valid
//! any more. Such a node enters again, with a new incarnation: to all others that is a
//! death and a birth.

mod beat;
mod lease;
mod script;

use alloc::sync::Arc;
use core::time::Duration;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

pub use lease::Lease;
pub use script::FencedScript;

use crate::redis::{
    Command, ConnectError, Failed, Listener, Refused, Reply, Settings, Store, random,
};

/// What a program hears of its cluster.
///
/// Called on threads of the store and of the cluster; must not block, nor wait for a
/// command. Of the calls that tell a state no two come at a time.
pub trait Events: Send + Sync + 'static {
    /// The node has entered, with a new incarnation: at the start, and after each loss of
    /// the lease. What it claimed before is void, so it claims anew what it still has,
    /// and reads anew what the others have.
    fn entered(&self, me: &Lease);

    /// The node is still who it was, but what the others published meanwhile was missed.
    fn resumed(&self, me: &Lease);

    /// The store is away. Ends with [`entered`](Self::entered) or
    /// [`resumed`](Self::resumed).
    fn degraded(&self);

    /// The node has lost its lease, though the store is there: all its claims are void.
    /// It enters again at once.
    fn fenced(&self);

    /// Another node has left or is dead: all its claims are void.
    ///
    /// Comes behind every [`message`](Self::message) that the node published by a
    /// [`FencedScript`].
    fn down(&self, dead: &Lease);

    /// Something was published on one of the channels.
    fn message(&self, channel: &str, payload: &[u8]);
}

/// This node, among the others. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    store: Store,
    node: Arc<Node>,
}

struct Node {
    prefix: &'static str,
    id: Box<str>,
    lease_key: Box<str>,
    own_channel: Box<str>,
    /// Where nodes tell that they came or left.
    nodes_channel: Box<str>,
    /// Where this node tells itself who is gone.
    gone_channel: Box<str>,
    nodes_key: Box<str>,
    valid_for: Duration,
    tenure: Mutex<Tenure>,
    changed: Condvar,
    /// Held during each call that tells a state.
    telling: Mutex<()>,
    events: Arc<dyn Events>,
}

/// What changes.
struct Tenure {
    incarnation: u64,
    /// Until when the lease is surely valid; `None` without one.
    valid_until: Option<Instant>,
    /// Counts how often the store has come or gone: what began before that is not told.
    link: u64,
    link_up: bool,
    /// The incarnation that the program believes in, if it does not think itself fenced.
    told: Option<u64>,
    /// The program knows that the store is there.
    told_up: bool,
    others: Vec<Lease>,
    /// The next beat is to come at once.
    hurry: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Beating,
    /// The lease is to be given back.
    Leaving,
    /// It was, or could not be.
    Left,
}

impl Cluster {
    /// Connects and enters; listens to `channels` too.
    ///
    /// Blocks for at most some seconds, until the node has entered, or is degraded and
    /// may be.
    ///
    /// # Errors
    ///
    /// What is wrong, as a sentence.
    pub fn start(
        settings: &Settings,
        channels: Vec<String>,
        events: Arc<dyn Events>,
    ) -> Result<Self, ConnectError> {
        let node = Arc::new(Node::new(settings, events));
        let own = [&node.own_channel, &node.nodes_channel, &node.gone_channel];
        let mut subscribed: Vec<String> = own.map(ToString::to_string).into();
        subscribed.extend(channels);
        let store = Store::connect(
            &settings.url,
            settings.prefix,
            settings.optional,
            subscribed,
            Arc::clone(&node) as Arc<dyn Listener>,
        )?;
        let cluster = Self { store, node };
        let beating = cluster.clone();
        thread::Builder::new()
            .name("cluster-beat".into())
            .spawn(move || beat::run(&beating))
            .map_err(ConnectError::Thread)?;
        cluster.wait_for_start(settings.optional)?;
        Ok(cluster)
    }

    /// Sends a command; as [`Store::send`].
    ///
    /// # Errors
    ///
    /// The store is away, or too much waits for it.
    pub fn send(
        &self,
        command: Command,
        done: impl FnOnce(Reply) + Send + 'static,
    ) -> Result<(), Refused> {
        let node = Arc::clone(&self.node);
        self.store.send(command, move |reply| {
            if reply == Err(Failed::Fenced) {
                node.hurry();
            }
            done(reply);
        })
    }

    /// Sends a command and waits for the answer; as [`Store::call`].
    ///
    /// # Errors
    ///
    /// As the command failed.
    pub fn call(&self, command: Command) -> Reply {
        self.store.call(command)
    }

    /// A [`FencedScript`] of this cluster.
    #[must_use]
    pub fn fenced(&self, body: &str) -> FencedScript {
        FencedScript::new(self.node.prefix, body)
    }

    /// A call of such a script, with these keys, under the present lease.
    #[must_use]
    pub fn command(&self, script: &FencedScript, keys: &[&str]) -> Command {
        let incarnation = self.node.lock().incarnation;
        script.call(&self.node.lease_key, incarnation, keys)
    }

    /// The lease, if it is valid by this node's own clock and the store was there to say
    /// so.
    #[must_use]
    pub fn lease(&self) -> Option<Lease> {
        let tenure = self.node.lock();
        (tenure.valid_until? > Instant::now()).then(|| self.node.lease(tenure.incarnation))
    }

    /// The newest lease, valid or not: what claims are signed with.
    #[must_use]
    pub fn me(&self) -> Lease {
        let incarnation = self.node.lock().incarnation;
        self.node.lease(incarnation)
    }

    /// Whether the store is away.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.store.is_degraded()
    }

    /// A channel that this node alone listens to.
    ///
    /// A script that publishes to it what it has read gives the node a view that stands
    /// in one order with all that comes on the other channels.
    #[must_use]
    pub fn own_channel(&self) -> &str {
        &self.node.own_channel
    }

    /// The channel of another node.
    #[must_use]
    pub fn channel_of(&self, other: &Lease) -> String {
        channel_of(self.node.prefix, other.node())
    }

    /// Gives the lease back, so that the others need not wait for its end. Blocks for at
    /// most some seconds; nothing is told after it.
    pub fn leave(&self) {
        let tenure = self.node.stop();
        let left = |tenure: &mut Tenure| tenure.stage != Stage::Left;
        // The store has this time to answer; without it the lease simply ends later.
        let _ = self.node.changed.wait_timeout_while(tenure, START, left);
    }

    fn wait_for_start(&self, optional: bool) -> Result<(), ConnectError> {
        let tenure = self.node.lock();
        let waiting = |tenure: &mut Tenure| {
            let away = tenure.link > 0 && !tenure.link_up;
            tenure.told.is_none() && !(optional && away)
        };
        let waited = self.node.changed.wait_timeout_while(tenure, START, waiting);
        let (tenure, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if tenure.told.is_some() || optional {
            return Ok(());
        }
        drop(tenure);
        drop(self.node.stop());
        Err(self.store.silent())
    }
}

/// How long a start may take.
const START: Duration = Duration::from_secs(5);

impl Node {
    fn new(settings: &Settings, events: Arc<dyn Events>) -> Self {
        let prefix = settings.prefix;
        let id = format!("{:016x}{:016x}", random(), random());
        Self {
            prefix,
            lease_key: format!("{prefix}node:{id}").into(),
            own_channel: channel_of(prefix, &id).into(),
            nodes_channel: settings.channel("nodes").into(),
            gone_channel: format!("{prefix}gone:{id}").into(),
            nodes_key: format!("{prefix}nodes").into(),
            id: id.into(),
            valid_for: settings.lease,
            tenure: Mutex::new(Tenure {
                incarnation: 0,
                valid_until: None,
                link: 0,
                link_up: false,
                told: None,
                told_up: false,
                others: Vec::new(),
                hurry: false,
                stage: Stage::Beating,
            }),
            changed: Condvar::new(),
            telling: Mutex::new(()),
            events,
        }
    }

    fn lease(&self, incarnation: u64) -> Lease {
        Lease::new(&self.id, incarnation)
    }

    fn hurry(&self) {
        self.lock().hurry = true;
        self.changed.notify_all();
    }

    /// Has the thread end; nothing is told from here on.
    fn stop(&self) -> MutexGuard<'_, Tenure> {
        // Whatever is being told is told before this.
        let _telling = self.telling();
        let mut tenure = self.lock();
        if tenure.stage == Stage::Beating {
            tenure.stage = Stage::Leaving;
        }
        tenure.valid_until = None;
        self.changed.notify_all();
        tenure
    }

    fn link_changed(&self, up: bool) {
        let mut tenure = self.lock();
        tenure.link += 1;
        tenure.link_up = up;
        tenure.told_up = false;
        tenure.hurry = up;
        drop(tenure);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Tenure> {
        // Nothing is left half-done under the lock, so a poisoned one is as good.
        self.tenure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn telling(&self) -> MutexGuard<'_, ()> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Node {
    fn connected(&self) {
        self.link_changed(true);
    }

    fn degraded(&self) {
        let _telling = self.telling();
        self.link_changed(false);
        if self.lock().stage == Stage::Beating {
            tracing::warn!("the store is away; this node goes on alone");
            self.events.degraded();
        }
    }

    fn message(&self, channel: &str, payload: &[u8]) {
        if channel == &*self.nodes_channel {
            // A node that comes says so before it claims anything. So its end is noticed
            // even if it is over before the next look.
            match lease_in(payload) {
                Some(lease) if lease.node() != &*self.id => self.lock().meet(lease),
                _ => {}
            }
            self.hurry();
        } else if channel == &*self.gone_channel {
            let _telling = self.telling();
            let tenure = self.lock();
            let tell = tenure.told_up && tenure.stage == Stage::Beating;
            drop(tenure);
            if let (true, Some(dead)) = (tell, lease_in(payload)) {
                self.events.down(&dead);
            }
        } else {
            self.events.message(channel, payload);
        }
    }
}

fn lease_in(payload: &[u8]) -> Option<Lease> {
    core::str::from_utf8(payload).ok()?.parse().ok()
}

fn channel_of(prefix: &str, node: &str) -> String {
    format!("{prefix}to:{node}")
}

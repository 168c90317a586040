//! The other nodes of the deployment, and what this one tells them.

mod store;

use alloc::sync::{Arc, Weak};
use core::time::Duration;
use std::collections::{HashMap, HashSet};

use sockeye_handler::{Peer, Time};
use sockeye_kit::cluster::{Cluster, Events, Lease};
use sockeye_kit::name::Name;
use sockeye_kit::redis::{ConnectError, Failed, RedisArgs, Reply, Settings, from_value};

use self::store::{Claims, Held, PREFIX, Renewal, Store, time};
use crate::directory::{Directory, Hold, Remote};
use crate::hub::Hub;

/// How many changes are told at once.
const BATCH: usize = 500;
/// How often keys that somebody else has overwritten are looked for.
const MEND: Duration = Duration::from_millis(500);
/// How often the keys of users are renewed: three times before they would expire.
const RENEW: Duration = Duration::from_secs(10);

/// Where the nodes of a deployment meet.
#[derive(Clone)]
pub struct Deployment {
    /// The Redis, and how long the lease of a node is.
    pub redis: Settings,
    /// What stands before the name in the key of each user.
    pub key_prefix: String,
    /// How long the key of a user stays who has left.
    pub offline_ttl: Duration,
}

impl Deployment {
    /// Default of [`key_prefix`](Self::key_prefix).
    pub const KEY_PREFIX: &str = "presence:user:";
    /// Default of [`offline_ttl`](Self::offline_ttl).
    pub const OFFLINE_TTL: Duration = Duration::from_secs(24 * 3600);

    /// What the flags ask for; `None` for a node that is alone.
    #[must_use]
    pub fn new(args: &RedisArgs) -> Option<Self> {
        Some(Self {
            redis: args.settings(PREFIX)?,
            key_prefix: Self::KEY_PREFIX.into(),
            offline_ttl: Self::OFFLINE_TTL,
        })
    }
}

/// What the hub knows of the other nodes, and what they have not heard yet. Behind its lock.
#[derive(Default)]
pub(crate) struct Nodes {
    store: Option<Arc<Store>>,
    outbox: Outbox,
    remotes: HashMap<Lease, Remote>,
    last_remote: u64,
    /// Those who were there before the store was away, or this node, and have not been heard of
    /// since. For a while that may only mean that they are late.
    unheard: HashSet<Lease>,
    /// When that is over; `None` while it has not begun.
    patient_until: Option<Time>,
    lease: Duration,
    /// When this node last did something.
    awake_at: Time,
    has_slept: bool,
    sweeps: Sweeps,
}

/// What this node holds, on its way to the store.
#[derive(Default)]
struct Outbox {
    waiting: Vec<Hold>,
    /// All that this node holds is to be claimed; what waits does not matter then.
    claims_all: bool,
    /// Something is on its way.
    is_claiming: bool,
    /// The last did not arrive: the next has time.
    is_failing: bool,
    /// How many changes there were, and how many of them the store has.
    told: u64,
    stored: u64,
    /// Who waits until so many are stored.
    waiters: Vec<(u64, Peer)>,
}

#[derive(Default)]
struct Sweeps {
    is_sweeping: bool,
    next: Time,
    renewal: Time,
}

impl Nodes {
    /// From here on there are others.
    pub(crate) fn attach(
        &mut self,
        store: Store,
        lease: Duration,
        directory: &Directory,
        now: Time,
    ) {
        self.store = Some(Arc::new(store));
        self.lease = lease;
        self.awake_at = now;
        if !directory.is_degraded() {
            self.handle_entered(now);
        }
    }

    /// From here on nobody is told anything. What is returned says goodbye.
    pub(crate) fn detach(&mut self) -> Option<Arc<Store>> {
        self.outbox.give_up();
        self.store.take()
    }

    /// This node holds a user, or no longer does.
    pub(crate) fn handle_hold(&mut self, hold: Hold, directory: &Directory) {
        if self.store.is_some() {
            self.outbox.push(hold);
            if directory.is_degraded() {
                self.outbox.give_up();
            }
        }
    }

    /// This node has entered the deployment, with a new lease: what it claimed is void.
    pub(crate) fn handle_entered(&mut self, now: Time) {
        self.doubt();
        self.handle_resumed(now);
    }

    /// Something may have been missed, in both directions.
    pub(crate) fn handle_resumed(&mut self, now: Time) {
        self.patient_until = Some(now + self.lease / 3);
        self.outbox.claims_all = true;
        if let Some(store) = &self.store {
            store.read();
        }
    }

    /// The store is away, or the lease is void: nobody waits for it.
    pub(crate) fn handle_loss(&mut self) {
        self.doubt();
        self.outbox.give_up();
    }

    /// Nobody knows who of the others lives.
    fn doubt(&mut self) {
        self.unheard = self.remotes.keys().cloned().collect();
        self.patient_until = None;
    }

    /// Another node is dead.
    pub(crate) fn handle_down(&mut self, dead: &Lease, directory: &mut Directory, now: Time) {
        if !self.unheard.contains(dead) {
            self.forget(dead, directory, now);
        }
    }

    /// Something was published.
    pub(crate) fn handle_message(
        &mut self,
        channel: &str,
        payload: &[u8],
        directory: &mut Directory,
        now: Time,
    ) {
        let Some(store) = self.store.clone() else {
            return;
        };
        if channel == store.channel() {
            match serde_json::from_slice::<Claims>(payload) {
                Ok(claims) => self.handle_claims(&claims, &store, directory, now),
                Err(error) => tracing::warn!("another node says what is not understood: {error}"),
            }
        } else {
            match serde_json::from_slice::<Vec<Held>>(payload) {
                Ok(held) => self.handle_read(held, &store, directory, now),
                Err(error) => tracing::warn!("the store says what is not understood: {error}"),
            }
        }
    }

    fn handle_claims(
        &mut self,
        claims: &Claims,
        store: &Store,
        directory: &mut Directory,
        now: Time,
    ) {
        let Some(remote) = self.remote(&claims.lease, store) else {
            return;
        };
        let taken = claims.taken.iter();
        let taken = taken.filter_map(|(user, since)| Some((Name::parse(user).ok()?, time(*since))));
        if claims.all {
            directory.handle_remote_state(remote, taken, now);
            return;
        }
        for (user, since) in taken {
            directory.handle_remote_taken(remote, &user, since, now);
        }
        let released = claims.released.iter();
        for user in released.filter_map(|user| Name::parse(user).ok()) {
            directory.handle_remote_released(remote, &user, now);
        }
    }

    /// All that the others hold, in one order with their messages.
    fn handle_read(
        &mut self,
        held: Vec<Held>,
        store: &Store,
        directory: &mut Directory,
        now: Time,
    ) {
        let mut gone: Vec<Lease> = self.remotes.keys().cloned().collect();
        for Held { lease, users } in held {
            gone.retain(|known| known.to_string() != lease);
            if let Some(remote) = self.remote(&lease, store) {
                let users = users.chunks_exact(2).filter_map(|pair| {
                    let [user, since] = pair else { return None };
                    Some((Name::parse(user).ok()?, time(since.parse().ok()?)))
                });
                directory.handle_remote_state(remote, users, now);
            }
        }
        for lease in gone {
            self.handle_down(&lease, directory, now);
        }
    }

    /// The node of this lease, which lives; `None` if it is this one.
    fn remote(&mut self, lease: &str, store: &Store) -> Option<Remote> {
        let lease: Lease = lease.parse().ok()?;
        if store.is_me(&lease) {
            return None;
        }
        self.unheard.remove(&lease);
        let last = &mut self.last_remote;
        Some(*self.remotes.entry(lease).or_insert_with(|| {
            *last += 1;
            Remote(*last)
        }))
    }

    fn forget(&mut self, lease: &Lease, directory: &mut Directory, now: Time) {
        self.unheard.remove(lease);
        if let Some(remote) = self.remotes.remove(lease) {
            directory.handle_remote_down(remote, now);
        }
        if let Some(store) = &self.store {
            store.reap(lease);
        }
    }

    /// Whether this node has slept, so that others may have thought it dead. Said once.
    pub(crate) fn has_slept(&mut self, now: Time) -> bool {
        self.note_time(now);
        core::mem::take(&mut self.has_slept)
    }

    /// While there are others, something is to be done every [`MEND`].
    fn note_time(&mut self, now: Time) {
        self.has_slept |= now.saturating_since(self.awake_at) > self.lease / 2;
        self.awake_at = now;
    }

    /// Ends the patience with those who are late.
    pub(crate) fn handle_timeout(&mut self, directory: &mut Directory, now: Time) {
        if self.store.is_none() {
            return;
        }
        self.note_time(now);
        if self.patient_until.is_some_and(|until| until <= now) {
            self.patient_until = None;
            for late in core::mem::take(&mut self.unheard) {
                self.forget(&late, directory, now);
            }
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and [`flush`](Self::flush).
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        // The patience with those who are late need not end to the millisecond.
        self.store.as_ref().map(|_| self.sweeps.next)
    }

    /// The count of changes that must be stored until everything is, if it is not.
    pub(crate) fn unstored(&self) -> Option<u64> {
        (self.outbox.stored < self.outbox.told).then_some(self.outbox.told)
    }

    /// Whether so many changes are stored. Who is told no is woken when it may be so.
    pub(crate) fn is_stored(&mut self, count: u64, peer: &Peer) -> bool {
        let is_stored = count <= self.outbox.stored;
        if !is_stored {
            self.outbox.waiters.push((count, peer.clone()));
        }
        is_stored
    }

    /// Sends what is to be sent.
    pub(crate) fn flush(&mut self, directory: &Directory, hub: &Weak<Hub>, now: Time) {
        let Some(store) = self.store.clone() else {
            return;
        };
        let is_due = self.sweeps.next <= now;
        if is_due {
            self.sweeps.next = now + MEND;
            // What has failed is tried again now.
            self.outbox.is_failing = false;
        }
        if directory.is_degraded() {
            return;
        }
        if is_due {
            self.sweep(&store, hub, now);
        }
        self.outbox.flush(&store, directory, hub);
    }

    fn sweep(&mut self, store: &Arc<Store>, hub: &Weak<Hub>, now: Time) {
        if core::mem::replace(&mut self.sweeps.is_sweeping, true) {
            return;
        }
        let renewal = if self.sweeps.renewal <= now {
            self.sweeps.renewal = now + RENEW;
            Renewal::Renew
        } else {
            Renewal::Mend
        };
        self.sweeps.is_sweeping = sweep_from("0", renewal, Arc::clone(store), Weak::clone(hub));
    }
}

/// Sweeps from a cursor on. `false` if the store does not take it.
fn sweep_from(cursor: &str, renewal: Renewal, store: Arc<Store>, hub: Weak<Hub>) -> bool {
    let next = Arc::clone(&store);
    let done = move |reply: Reply| {
        // Somebody else will say what is wrong with a store that answers with an error.
        let cursor = reply.and_then(from_value::<String>);
        let goes_on = match &cursor {
            Ok(cursor) if cursor != "0" => sweep_from(cursor, renewal, next, Weak::clone(&hub)),
            Ok(_) | Err(_) => false,
        };
        if let (false, Some(hub)) = (goes_on, hub.upgrade()) {
            hub.with_nodes(|nodes, _, _| nodes.sweeps.is_sweeping = false);
        }
    };
    store.sweep(cursor, renewal, done).is_ok()
}

impl Outbox {
    fn push(&mut self, hold: Hold) {
        self.told += 1;
        if !self.claims_all {
            self.waiting.push(hold);
        }
    }

    /// Nobody waits for the store: it will be told everything when it can be told.
    fn give_up(&mut self) {
        self.claims_all = true;
        self.waiting.clear();
        self.stored_until(self.told);
    }

    fn stored_until(&mut self, count: u64) {
        self.stored = count;
        self.waiters.retain(|(wanted, peer)| {
            let waits = *wanted > count;
            if !waits {
                peer.wake();
            }
            waits
        });
    }

    /// Sends the next batch, unless one is on its way.
    fn flush(&mut self, store: &Store, directory: &Directory, hub: &Weak<Hub>) {
        let has_news = self.claims_all || !self.waiting.is_empty();
        if self.is_claiming || self.is_failing || !has_news {
            return;
        }
        let left = match self.claims_all {
            true => 0,
            false => self.waiting.len().saturating_sub(BATCH),
        };
        let stored = self.told - left as u64;
        let hub = Weak::clone(hub);
        let done = move |reply: Reply| {
            if let Some(hub) = hub.upgrade() {
                hub.with_nodes(|nodes, _, _| nodes.outbox.handle_reply(stored, &reply));
            }
        };
        let sent = if core::mem::take(&mut self.claims_all) {
            self.waiting.clear();
            store.claim_all(directory.held(), done)
        } else {
            let batch = self.waiting.len() - left;
            store.claim(self.waiting.drain(..batch), done)
        };
        self.is_claiming = sent.is_ok();
        if sent.is_err() {
            self.fail();
        }
    }

    fn handle_reply(&mut self, stored: u64, reply: &Reply) {
        self.is_claiming = false;
        match reply {
            Ok(_) => self.stored_until(stored),
            Err(Failed::Server(..)) => {
                if let Err(error) = reply {
                    tracing::warn!("who is here could not be stored: {error}");
                }
                self.fail();
                // It cannot be helped, and nobody knows when it can.
                self.stored_until(stored);
            }
            Err(_) => self.fail(),
        }
    }

    /// Nobody knows what the store knows.
    fn fail(&mut self) {
        self.claims_all = true;
        self.is_failing = true;
        self.waiting.clear();
    }
}

/// Passes on what the cluster tells.
struct Listener(Weak<Hub>);

impl Listener {
    fn tell(&self, what: impl FnOnce(&mut Nodes, &mut Directory, Time)) {
        if let Some(hub) = self.0.upgrade() {
            hub.with_nodes(what);
        }
    }
}

impl Events for Listener {
    fn entered(&self, _: &Lease) {
        if let Some(hub) = self.0.upgrade() {
            hub.rejoin();
        }
    }

    fn resumed(&self, _: &Lease) {
        self.tell(|nodes, directory, now| {
            directory.handle_degraded(false, now);
            nodes.handle_resumed(now);
        });
    }

    fn degraded(&self) {
        self.tell(|nodes, directory, now| {
            directory.handle_degraded(true, now);
            nodes.handle_loss();
        });
    }

    fn fenced(&self) {
        if let Some(hub) = self.0.upgrade() {
            hub.fence();
        }
    }

    fn down(&self, dead: &Lease) {
        self.tell(|nodes, directory, now| nodes.handle_down(dead, directory, now));
    }

    fn message(&self, channel: &str, payload: &[u8]) {
        self.tell(|nodes, directory, now| nodes.handle_message(channel, payload, directory, now));
    }
}

/// Enters the deployment. Blocks for at most some seconds.
pub(crate) fn enter(deployment: &Deployment, hub: &Arc<Hub>) -> Result<(), ConnectError> {
    let settings = &deployment.redis;
    let channel = settings.channel("claims");
    let listener = Arc::new(Listener(Arc::downgrade(hub)));
    let cluster = Cluster::start(settings, vec![channel.clone()], listener)?;
    let store = Store::new(
        cluster,
        channel,
        deployment.key_prefix.clone(),
        deployment.offline_ttl,
    );
    hub.with_nodes(|nodes, directory, now| nodes.attach(store, settings.lease, directory, now));
    Ok(())
}

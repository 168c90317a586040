//! The store of several nodes, in a Redis.
//!
//! All nodes subscribe to the same few channels. A message is numbered, remembered and
//! published by one script, so every node hears a room's messages in the order of their
//! numbers, and finds a gap by itself. To read a room, a node has a script publish it to the
//! node's own channel: there it stands exactly between the messages that it contains and those
//! that it does not.

mod commands;
mod loads;
mod resync;
mod scripts;
mod wire;

use alloc::sync::Arc;
use std::sync::OnceLock;

use futures_channel::oneshot;
use sockeye_kit::cluster::{Cluster, Events, Lease};
use sockeye_kit::name::Name;
use sockeye_kit::redis::{Command, ConnectError, Failed, RedisArgs, Reply, Value, from_value};

use self::loads::Loads;
use self::resync::Resync;
use self::scripts::{PREFIX, Scripts, partitions};
use self::wire::Published;
use super::{Away, Claim, Claimed, Delivered, Node, Pending, Post, Session, Stamp, Store, Whisper};
use crate::hub::Hub;

/// How often a command is sent again whose answer was lost with a connection.
const ATTEMPTS: u8 = 8;

/// The store in a Redis. It lives as long as the program. Cheap to clone.
#[derive(Clone)]
pub struct RedisStore(Arc<Shared>);

struct Shared {
    hub: Arc<Hub>,
    scripts: Scripts,
    /// Channels on which rooms are told of.
    partitions: Vec<String>,
    loads: Loads,
    resync: Resync,
    /// Set once it has started; before, nothing is asked of the store.
    cluster: OnceLock<Cluster>,
}

impl RedisStore {
    /// Connects as the flags say, and has the hub ask this store from now on. Without `--redis`
    /// nothing happens.
    ///
    /// Blocks for at most some seconds.
    ///
    /// # Errors
    ///
    /// The store cannot be used, as a sentence.
    pub fn start(args: &RedisArgs, hub: &Arc<Hub>) -> Result<(), ConnectError> {
        let Some(settings) = args.settings(PREFIX) else {
            return Ok(());
        };
        let partitions = partitions(&settings);
        let store = Self(Arc::new(Shared {
            hub: Arc::clone(hub),
            scripts: Scripts::new(),
            partitions: partitions.clone(),
            loads: Loads::default(),
            resync: Resync::default(),
            cluster: OnceLock::new(),
        }));
        hub.set_store(Arc::new(store.clone()));
        let cluster = Cluster::start(&settings, partitions, Arc::new(store.clone()))?;
        // It is set here only.
        let _ = store.0.cluster.set(cluster);
        store.start_resync().map_err(ConnectError::Thread)?;
        Ok(())
    }

    /// Sends a command whose second attempt does no harm. `done` is dropped if there is no
    /// store.
    fn send(&self, command: Command, done: impl FnOnce(Reply) + Send + 'static) {
        self.attempt(command, ATTEMPTS, Box::new(done));
    }

    fn attempt(&self, command: Command, attempts: u8, done: Box<dyn FnOnce(Reply) + Send>) {
        let Some(cluster) = self.0.cluster.get() else {
            return;
        };
        let (this, again) = (self.clone(), command.clone());
        // Refused: `done` is dropped.
        let _ = cluster.send(command, move |reply| match reply {
            Err(Failed::Away) if attempts > 1 => this.attempt(again, attempts - 1, done),
            reply => {
                if let Err(error @ Failed::Server(..)) = &reply {
                    tracing::warn!("{error}");
                }
                done(reply);
            }
        });
    }

    /// Sends a command, and completes with what `read` makes of the answer.
    fn ask<T: Send + 'static>(
        &self,
        command: Option<Command>,
        read: impl FnOnce(Value) -> Option<T> + Send + 'static,
    ) -> Pending<T> {
        let (sender, pending) = oneshot::channel();
        if let Some(command) = command {
            self.send(command, move |reply| {
                let answer = reply.ok().and_then(read);
                let _ = sender.send(answer.ok_or(Away));
            });
        }
        pending
    }

    /// Sends a command whose answer nobody waits for.
    fn tell(&self, command: Option<Command>) {
        if let Some(command) = command {
            self.send(command, |_| ());
        }
    }

    /// Asks for rooms that are to be read, as many as may be.
    fn read_rooms(&self) {
        let loads = &self.0.loads;
        while let Some((request, room)) = loads.next() {
            let this = self.clone();
            let Some(command) = self.load_command(request, &room) else {
                return loads.failed(request);
            };
            let Some(cluster) = self.0.cluster.get() else {
                return loads.failed(request);
            };
            let sent = cluster.send(command, move |reply| {
                // The room itself comes on this node's channel. If it cannot, because the
                // connection is lost, all is asked for again.
                if let Err(error @ (Failed::Server(..) | Failed::Fenced)) = reply {
                    tracing::warn!("a room could not be read: {error}");
                    this.0.loads.failed(request);
                    this.read_rooms();
                }
            });
            if sent.is_err() {
                loads.failed(request);
            }
        }
    }

    fn is_other(&self, lease: &str) -> bool {
        let me = self.0.cluster.get().map(Cluster::me);
        let node = lease.split_once('.').map_or(lease, |(node, _)| node);
        me.is_none_or(|me| me.node() != node)
    }
}

impl Store for RedisStore {
    fn claim(&self, claim: Claim) -> Pending<Claimed> {
        let (sender, pending) = oneshot::channel();
        let this = self.clone();
        if let Some(command) = self.claim_command(&claim) {
            self.send(command, move |reply| {
                let answer = match reply.and_then(from_value) {
                    Ok(1) => Ok(Claimed::Granted),
                    Ok(_) => Ok(Claimed::Taken),
                    Err(_) => Err(Away),
                };
                // Nobody wants it any more, or knows that it has it.
                if sender.send(answer).is_err() || answer == Err(Away) {
                    this.release(&claim.name, claim.session);
                }
            });
        }
        pending
    }

    fn release(&self, name: &Name, session: Session) {
        self.tell(self.release_command(name, session));
    }

    fn post(&self, post: Post) -> Pending<Stamp> {
        self.ask(self.post_command(&post), |stamp| {
            wire::read_stamp(&from_value::<String>(stamp).ok()?)
        })
    }

    fn whisper(&self, whisper: Whisper) -> Pending<bool> {
        self.ask(self.whisper_command(&whisper), |found| {
            Some(from_value::<i64>(found).ok()? == 1)
        })
    }

    fn load(&self, room: &Name) -> Pending<()> {
        let (waiter, pending) = oneshot::channel();
        self.0.loads.want(room, Some(waiter));
        self.read_rooms();
        pending
    }

    fn unload(&self, room: &Name) {
        self.0.loads.forget(room);
    }

    fn enter(&self, room: &Name, user: &Name) {
        self.tell(self.enter_command(room, user));
    }

    fn leave(&self, room: &Name, user: &Name) {
        self.tell(self.leave_command(room, user));
    }

    fn typing(&self, room: &Name, user: &Name) {
        self.tell(self.typing_command(room, user));
    }

    fn end(&self) {
        if let Some(cluster) = self.0.cluster.get() {
            cluster.leave();
        }
    }
}

impl Events for RedisStore {
    fn entered(&self, _: &Lease) {
        self.begin_resync();
    }

    fn resumed(&self, _: &Lease) {
        self.begin_resync();
    }

    fn degraded(&self) {
        self.interrupt_resync();
        self.0.loads.abandon();
    }

    /// What was claimed is claimed again once the node has entered anew; until then scripts
    /// refuse.
    fn fenced(&self) {}

    fn down(&self, dead: &Lease) {
        self.0.hub.node_down(&Node(dead.to_string().into()));
    }

    fn message(&self, _: &str, payload: &[u8]) {
        match Published::read(payload) {
            Some(published) => self.apply(published),
            None => tracing::warn!("what was published cannot be read; is another version here?"),
        }
    }
}

impl RedisStore {
    fn apply(&self, published: Published<'_>) {
        let Shared { hub, loads, .. } = &*self.0;
        // While the store is away rooms go their own way; later they are read anew.
        let installed = |room: &str| loads.installed(room).filter(|_| !hub.is_degraded());
        let room = |room: &str| installed(room).map(|(name, _)| name);
        match published {
            Published::Message(text, unread) => {
                let Some(room) = room(text) else {
                    return;
                };
                let delivered = unread.message().map(|message| hub.deliver(&room, &message));
                match delivered {
                    Some(Delivered::Applied) => {}
                    Some(Delivered::Unknown) => loads.forget(&room),
                    Some(Delivered::Gap) | None => self.read_again(&room),
                }
            }
            Published::Epoch(text, newest) => {
                if let Some((room, epoch)) = installed(text)
                    && *epoch.0 != *newest
                {
                    self.read_again(&room);
                }
            }
            Published::Enter(text, who) if self.is_other(who.lease) => {
                if let (Some(room), Some(user)) = (room(text), who.user()) {
                    hub.remote_enter(&room, &who.node(), &user);
                }
            }
            Published::Leave(text, who) if self.is_other(who.lease) => {
                if let (Some(room), Some(user)) = (room(text), who.user()) {
                    hub.remote_leave(&room, &who.node(), &user);
                }
            }
            Published::Typing(text, who) if self.is_other(who.lease) => {
                if let (Some(room), Some(user)) = (room(text), who.user()) {
                    hub.typing(&room, &user);
                }
            }
            // Of this node, which knows it already.
            Published::Enter(..) | Published::Leave(..) | Published::Typing(..) => {}
            Published::Snapshot(request, mut snapshot) => {
                let load = loads.arrived(request, &snapshot.newest.epoch);
                if let Some(load) = load {
                    snapshot.members.retain(|(node, _)| self.is_other(&node.0));
                    hub.install(&load.room, &snapshot);
                    load.finish();
                    self.read_rooms();
                }
            }
            Published::Replace(name, session) => hub.replace(&name, session),
            Published::Whisper(whisper) => hub.hear(&whisper),
        }
    }

    fn read_again(&self, room: &Name) {
        self.0.loads.want_missing(room);
        self.read_rooms();
    }
}

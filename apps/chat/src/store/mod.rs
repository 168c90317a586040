//! Where one node and several differ.
//!
//! A deployment of one node has no store: its [`Hub`](crate::Hub) decides who holds a name and
//! in which order messages stand. With several nodes a [`Store`] decides, and the hub of each
//! node keeps a replica of every room that has a member there. While the store is away each hub
//! decides for itself again.
//!
//! Requests go to the store and are answered later ([`Pending`]); the connection that waits
//! takes no further request meanwhile, so answers keep the order of requests. What the store has
//! to tell comes through the methods of the hub, from any thread but one at a time for each
//! room: first [`Hub::install`](crate::Hub::install), then
//! [`Hub::deliver`](crate::Hub::deliver) for every message after it.

mod redis;

use alloc::sync::Arc;
use core::fmt;
use std::time::SystemTime;

use futures_channel::oneshot;
use sockeye_kit::name::Name;
use sockeye_kit::secret::Secret;

use crate::protocol::Id;

pub use self::redis::RedisStore;

/// An answer of the store that has not come yet. Dropping its sender means [`Away`].
pub type Pending<T> = oneshot::Receiver<Result<T, Away>>;

/// What several nodes share: names, the order of messages, and who is where.
///
/// No call blocks, and every [`Pending`] is completed within seconds, with [`Away`] if nothing
/// else. None is made while the hub is [degraded](crate::Hub::set_degraded).
pub trait Store: Send + Sync + 'static {
    /// Claims a name for a connection of this node.
    ///
    /// Whoever is replaced is told through [`Hub::replace`](crate::Hub::replace) of its node,
    /// this one included.
    fn claim(&self, claim: Claim) -> Pending<Claimed>;

    /// A connection that held a name has ended: the name is free.
    fn release(&self, name: &Name, session: Session);

    /// Appends a message to a room, in one step with its offset and its delivery to all nodes,
    /// this one included, through [`Hub::deliver`](crate::Hub::deliver).
    ///
    /// If the key was seen in the last 5 minutes, nothing happens, and the answer is the first.
    fn post(&self, post: Post) -> Pending<Stamp>;

    /// Hands a private message to every node that holds one of its two people, this one
    /// included, through [`Hub::hear`](crate::Hub::hear).
    ///
    /// `false`: nobody holds the name of the recipient; this leaves no trace.
    fn whisper(&self, whisper: Whisper) -> Pending<bool>;

    /// Has a room [installed](crate::Hub::install) with what is newest, and kept up to date from
    /// there on; completed after that.
    fn load(&self, room: &Name) -> Pending<()>;

    /// The room has no members here any more: it need not be kept up to date.
    fn unload(&self, room: &Name);

    /// The first connection of this user on this node is in the room.
    fn enter(&self, room: &Name, user: &Name);

    /// The last one is not, and will not be back soon.
    fn leave(&self, room: &Name, user: &Name);

    /// The user is typing. May be dropped.
    fn typing(&self, room: &Name, user: &Name);

    /// The node ends: the others are told at once. May block for some seconds.
    fn end(&self);
}

/// The store cannot be reached, or did not answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away;

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store is away")
    }
}

impl core::error::Error for Away {}

/// One connection that holds a name, by a random number: the same in the whole deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Session(pub u64);

/// A name that a connection wants.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The name.
    pub name: Name,
    /// The connection.
    pub session: Session,
    /// What the connection can be replaced by.
    pub secret: Secret,
    /// The secret of an earlier connection: if that still holds the name it is replaced. One
    /// that is unknown or overdue means nothing.
    pub resume: Option<Secret>,
    /// How many connections may hold the name together, this one included: 1, more if each
    /// proves by a token whose it is.
    pub capacity: u32,
}

/// What became of a [`Claim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The connection holds the name.
    Granted,
    /// As many others as may hold it do so.
    Taken,
}

/// A message for a room.
#[derive(Clone, Debug)]
pub struct Post {
    /// The room.
    pub room: Name,
    /// Who says it.
    pub from: Name,
    /// What is said.
    pub text: Box<str>,
    /// When.
    pub ts: SystemTime,
    /// How it came.
    pub via: Via,
    /// What makes a second attempt harmless: together with room and sender, for 5 minutes.
    pub id: Option<Id>,
}

/// How a message came to its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// From a member.
    Member,
    /// By `POST /api/publish`.
    Api,
}

impl Via {
    /// What stands before the keys of retries. A member may have the name that somebody
    /// publishes under, and could otherwise use up an `id` that can be guessed.
    pub(crate) fn retries(self) -> &'static str {
        match self {
            Self::Member => "room",
            Self::Api => "api",
        }
    }
}

/// Where a message stands in its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its number in the epoch, from 1.
    pub off: u64,
    /// The epoch.
    pub epoch: Epoch,
}

/// A run of offsets without holes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub Arc<str>);

/// A message that stands in its room.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where it stands.
    pub stamp: Stamp,
    /// Who says it.
    pub from: Name,
    /// What is said.
    pub text: Box<str>,
    /// When.
    pub ts: SystemTime,
    /// How it came.
    pub via: Via,
}

/// A private message.
#[derive(Clone, Debug)]
pub struct Whisper {
    /// Who says it.
    pub from: Name,
    /// To whom.
    pub to: Name,
    /// What is said.
    pub text: Box<str>,
    /// When.
    pub ts: SystemTime,
    /// What makes a second attempt harmless: together with sender and recipient, for 5 minutes.
    pub id: Option<Id>,
}

/// A room as the store has it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Where its newest message stands; `off` is 0 without messages.
    pub newest: Stamp,
    /// Its history, oldest first, up to `newest`.
    pub messages: Vec<Message>,
    /// The members on other nodes.
    pub members: Vec<(Node, Name)>,
}

/// Another node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node(pub Arc<str>);

/// What became of a message that was [delivered](crate::Hub::deliver).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// The members have it, now or before.
    Applied,
    /// The room is not installed here: nobody needs it.
    Unknown,
    /// Something between the newest message here and this one is missing, or the epoch is
    /// another one: the room is to be loaded again.
    Gap,
}

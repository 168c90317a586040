//! The store of several nodes: a Redis, spoken to by two threads of our own.
//!
//! One thread sends commands: what has piled up goes out together, and each answer is
//! given to a closure. The other listens to channels. So no caller ever waits, and the
//! same code serves event loops and every asynchronous runtime.
//!
//! A lost connection is made anew. Commands wait meanwhile, for 2 seconds; after that the
//! store is away: it refuses commands and says so to its [`Listener`], until both
//! connections work again. A Redis that hangs is away at once when it has not answered
//! for 2 seconds. Something is asked of it every second.
//!
//! No command is newer than Redis 7.0. Scripts address keys that they compute, so a Redis
//! Cluster will not do.

mod address;
mod args;
mod command;
mod commands;
mod link;
mod queue;
mod subscription;

use alloc::sync::Arc;
use core::time::Duration;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use address::Address;
pub use address::ConnectError;
pub use args::{RedisArgs, Settings};
pub(crate) use command::FENCED;
use command::printable;
pub use command::{Command, Failed, Refused, Reply, Script};
use link::Link;
use queue::{Job, Queue};
pub use redis::{FromRedisValue, ToRedisArgs, Value};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long a lost connection may take to come back before the store counts as away.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often something is asked of it.
const BEAT: Duration = Duration::from_secs(1);

/// A Redis. Cheap to clone; the last one to go ends the threads.
#[derive(Clone)]
pub struct Store(Arc<Owner>);

/// What hears of a store's coming and going, and what is published.
///
/// Called on the store's own threads; must not block, nor wait for a command.
pub trait Listener: Send + Sync + 'static {
    /// The store is there, and all channels are subscribed: at the start, and after each
    /// loss of a connection. What was published meanwhile was missed.
    fn connected(&self);

    /// The store is away: commands are refused until [`connected`](Self::connected).
    fn degraded(&self);

    /// Something was published.
    fn message(&self, channel: &str, payload: &[u8]);
}

struct Owner(Arc<Shared>);

/// What the threads share.
struct Shared {
    address: Address,
    queue: Queue,
    link: Link,
    /// What the subscription listens to; the first channel is for the beat.
    channels: Vec<String>,
    /// The key that the beat writes.
    probe: String,
}

impl Store {
    /// Connects, and begins to listen to `channels`. All keys and channels of the store
    /// itself begin with `prefix`.
    ///
    /// With `optional` a store that cannot be reached is not an error: it is away, and is
    /// tried again.
    ///
    /// # Errors
    ///
    /// What is wrong, as a sentence.
    pub fn connect(
        url: &str,
        prefix: &str,
        optional: bool,
        channels: Vec<String>,
        listener: Arc<dyn Listener>,
    ) -> Result<Self, ConnectError> {
        let address = Address::parse(url)?;
        let run = random();
        let mut subscribed = vec![format!("{prefix}beat:{run:016x}")];
        subscribed.extend(channels);
        let shared = Arc::new(Shared {
            address,
            queue: Queue::new(),
            link: Link::new(listener),
            channels: subscribed,
            probe: format!("{prefix}probe:{run:016x}"),
        });
        let first = match shared.connect_and_probe() {
            Ok(connection) => Some(connection),
            Err(error) if optional && error.is_passing() => {
                tracing::warn!("{error}; going on without it");
                shared.link.give_up();
                None
            }
            Err(error) => return Err(error),
        };
        let store = Self(Arc::new(Owner(Arc::clone(&shared))));
        let commands = Arc::clone(&shared);
        spawn("redis-commands", move || commands::run(&commands, first))?;
        spawn("redis-subscription", move || subscription::run(&shared))?;
        Ok(store)
    }

    /// Sends a command, and has `done` called with the answer, on a thread that must not
    /// be kept waiting.
    ///
    /// Commands are run in the order in which they were sent. If the connection is lost
    /// before the answer, the command is not sent again: nobody knows whether it was run.
    ///
    /// # Errors
    ///
    /// The store is away, or too much waits for it; `done` is dropped.
    pub fn send(
        &self,
        command: Command,
        done: impl FnOnce(Reply) + Send + 'static,
    ) -> Result<(), Refused> {
        let shared = &self.0.0;
        if shared.link.is_degraded() {
            return Err(Refused::Away);
        }
        shared.queue.push(Job::new(command, done))
    }

    /// Sends a command and waits for the answer. For threads of one's own: never in a
    /// connection's callback, nor in one of the store's.
    ///
    /// # Errors
    ///
    /// As the command failed.
    pub fn call(&self, command: Command) -> Reply {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.send(command, move |reply| {
            let _ = sender.send(reply);
        })?;
        receiver.recv().unwrap_or(Err(Failed::Away))
    }

    /// The error for a store that could be reached, and then did not answer.
    pub(crate) fn silent(&self) -> ConnectError {
        ConnectError::Silent(self.0.0.address.to_string().into())
    }

    /// Whether the store is away.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.0.0.link.is_degraded()
    }
}

/// What a reply says, as a Rust type.
///
/// # Errors
///
/// The reply is of another shape.
pub fn from_value<T: FromRedisValue>(value: Value) -> Result<T, Failed> {
    redis::from_redis_value(value)
        .map_err(|error| Failed::Server("SHAPE".into(), printable(&error.to_string())))
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.link.stop();
        self.0.queue.stop();
    }
}

impl Shared {
    /// A connection that reads, writes, publishes and runs scripts.
    fn connect_and_probe(&self) -> Result<redis::Connection, ConnectError> {
        let mut connection = self.address.connect(TIMEOUT)?;
        let script = "redis.call('SET', KEYS[1], 1, 'PX', 5000) \
                      return redis.call('PUBLISH', ARGV[1], '')";
        let mut probe = redis::cmd("EVAL");
        probe
            .arg(script)
            .arg(1)
            .arg(&self.probe)
            .arg(&self.channels[0]);
        match probe.query::<i64>(&mut connection) {
            Ok(_) => Ok(connection),
            Err(error) => Err(self.address.explain(&error)),
        }
    }
}

impl ConnectError {
    /// Whether it may be gone in a minute without anybody's doing.
    fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable(..) | Self::Silent(_))
    }
}

/// Since when a connection that failed so was of no use: a store that hangs has been silent
/// for a while. A process that was stopped sees other errors, and must not blame the store
/// for the time that it has lost itself.
fn missed_since(error: &redis::RedisError, silent_since: Instant) -> Instant {
    match error.is_timeout() {
        true => silent_since,
        false => Instant::now(),
    }
}

/// Waits between attempts to connect: longer and longer, and not all nodes at once.
struct Backoff(Duration);

impl Backoff {
    const LEAST: Duration = Duration::from_millis(50);
    const MOST: Duration = Duration::from_secs(1);

    fn new() -> Self {
        Self(Self::LEAST)
    }

    fn next(&mut self) -> Duration {
        let longest = self.0;
        self.0 = (longest * 2).min(Self::MOST);
        let percent = u32::try_from(random() % 50).unwrap_or(0);
        longest * (50 + percent) / 100
    }
}

/// A number that nobody guesses and that is nowhere twice.
#[must_use]
pub fn random() -> u64 {
    // Without randomness no key of the program is worth anything.
    getrandom::u64().expect("the system gives randomness")
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), ConnectError> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map(drop).map_err(ConnectError::Thread)
}

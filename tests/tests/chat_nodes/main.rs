//! Several nodes of the chat that share a Redis: real processes, and a real Redis of each
//! test's own.
//!
//! `SOCKEYE_TRIALS` says how often a node is killed (10), `SOCKEYE_AWAY` for how many seconds
//! Redis is away (4).

extern crate alloc;

mod away;
mod death;
mod messages;
mod names;
mod rolling;
mod start;

use core::fmt::Display;
use core::str::FromStr;
use std::env;

use sockeye_tests::program::Program;
use sockeye_tests::redis::Redis;

/// What the programs run on.
const ADAPTERS: [&str; 4] = ["tokio", "async-std", "smol", "mio"];

/// Nodes that share a Redis.
struct Deployment {
    redis: Redis,
    flags: Vec<String>,
}

impl Deployment {
    /// Without nodes, which are all to run on this adapter.
    fn on(adapter: &str) -> Self {
        Self {
            redis: Redis::start(),
            flags: vec![
                "--adapter".into(),
                adapter.into(),
                "--threads".into(),
                "2".into(),
            ],
        }
    }

    /// With another flag for all nodes.
    fn with(mut self, flag: &str, value: impl Display) -> Self {
        self.flags.extend([flag.into(), value.to_string()]);
        self
    }

    /// One more node.
    fn node(&self) -> Program {
        self.node_of(0)
    }

    /// One more node, in a database of this number.
    fn node_of(&self, database: u32) -> Program {
        self.node_at(&self.redis.database(database))
    }

    /// One more node, which reaches Redis by this URL.
    fn node_at(&self, url: &str) -> Program {
        let mut args: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        args.extend(["--redis", url]);
        Program::start("sockeye-chat", &args)
    }
}

/// Runs a test on each adapter, so that what differs is seen at once.
fn on_each_adapter(test: impl Fn(&str) + Send + Sync) {
    std::thread::scope(|scope| {
        for adapter in ADAPTERS {
            let test = &test;
            let thread = std::thread::Builder::new().name(adapter.into());
            thread
                .spawn_scoped(scope, move || test(adapter))
                .expect("a thread");
        }
    });
}

/// A number from the environment.
fn setting<T: FromStr>(name: &str, default: T) -> T {
    match env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        Err(_) => default,
    }
}

//! Commands and scripts, and how they fail.

use alloc::sync::Arc;
use core::fmt;

use redis::{Cmd, ServerError, ToRedisArgs, Value};

/// One command, to be sent by [`Store::send`](super::Store::send).
#[derive(Clone)]
pub struct Command {
    cmd: Cmd,
    script: Option<Script>,
}

/// A Lua script that the store keeps: it is sent once, and called by its hash.
#[derive(Clone)]
pub struct Script(Arc<Code>);

struct Code {
    text: Box<str>,
    hash: Box<str>,
}

/// What a command was answered with.
pub type Reply = Result<Value, Failed>;

/// Why a command has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failed {
    /// The store went away: the command was not run, or nobody knows whether it was.
    Away,
    /// The node that sent it has lost its lease: nothing was done.
    Fenced,
    /// The store answered with an error: its code, and its words.
    Server(Box<str>, Box<str>),
}

/// Why a command was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The store is away.
    Away,
    /// Too many commands wait already.
    Full,
}

impl Command {
    /// A command by its name, without arguments.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            cmd: redis::cmd(name),
            script: None,
        }
    }

    /// Adds an argument, or several.
    #[must_use]
    pub fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.cmd.arg(argument);
        self
    }

    /// Adds its bytes.
    pub(super) fn write(&self, output: &mut Vec<u8>) {
        self.cmd.write_packed_command(output);
    }

    /// The script that it calls, if any.
    pub(super) fn script(&self) -> Option<&Script> {
        self.script.as_ref()
    }
}

impl Script {
    /// A script by its text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Arc::new(Code {
            text: text.into(),
            hash: redis::Script::new(text).get_hash().into(),
        }))
    }

    /// Its hash, by which the store knows it.
    pub(super) fn hash(&self) -> &str {
        &self.0.hash
    }

    /// Adds the bytes of the command that loads it.
    pub(super) fn write_load(&self, output: &mut Vec<u8>) {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(&*self.0.text);
        load.write_packed_command(output);
    }

    /// A call with these keys, to which arguments can be added.
    #[must_use]
    pub fn call(&self, keys: &[&str]) -> Command {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(&*self.0.hash).arg(keys.len()).arg(keys);
        Command {
            cmd,
            script: Some(self.clone()),
        }
    }
}

impl Failed {
    pub(super) fn from_server(error: &ServerError) -> Self {
        match error.code() {
            // What the store says while it comes and goes.
            "LOADING" | "MASTERDOWN" | "NOAUTH" | "NOSCRIPT" => Self::Away,
            FENCED => Self::Fenced,
            code => Self::Server(
                printable(code),
                printable(error.details().unwrap_or_default()),
            ),
        }
    }
}

/// The code of the error by which a script says that the node has no lease.
pub(crate) const FENCED: &str = "FENCED";

/// The code of the error by which the store says that it lacks a script.
pub(super) fn lacks_script(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if error.code() == "NOSCRIPT")
}

/// What the store said, fit for a log.
pub(crate) fn printable(text: &str) -> Box<str> {
    let clean = text.chars().filter(|c| !c.is_control()).take(200);
    clean.collect::<String>().trim().into()
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away => f.write_str("the store is away"),
            Self::Fenced => f.write_str("this node's lease has expired"),
            Self::Server(code, text) => write!(f, "the store answered {code} {text}"),
        }
    }
}

impl core::error::Error for Failed {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Away => "the store is away",
            Self::Full => "too many commands wait for the store",
        })
    }
}

impl core::error::Error for Refused {}

impl From<Refused> for Failed {
    fn from(_: Refused) -> Self {
        Self::Away
    }
}

//! The program's flags, and the service that they describe.

use alloc::sync::Arc;
use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;
use std::io;
use std::path::PathBuf;

use clap::Parser;
use sockeye_handler::RouteError;
use sockeye_kit::caps::CapsArgs;
use sockeye_kit::clock::Clock;
use sockeye_kit::http::{Bearer, BearerError, PagesError, SiteArgs, SiteError};
use sockeye_kit::redis::{ConnectError, RedisArgs};
use sockeye_kit::token::{KeyArgs, KeyError};
use sockeye_runner::{Bytes, duration};

use crate::store::RedisStore;
use crate::{Chat, Hub, Settings, Surroundings, assets};

/// A chat server: rooms, private messages, history.
///
/// Clients speak chat.v1.json, or the three messages of the original chat, at /talking. The
/// page at / is such a client.
#[derive(Debug, Parser)]
#[command(name = "sockeye-chat", version)]
pub struct Args {
    /// The flags that all programs have.
    #[command(flatten)]
    pub run: sockeye_runner::Args,

    /// Who may log in: with a key everybody needs a token, without one nicknames are free.
    #[command(flatten)]
    pub key: KeyArgs,

    /// Token for POST /api/publish, which is not served if not given.
    #[arg(long, value_name = "FILE", help_heading = "Tokens")]
    pub publish_token: Option<PathBuf>,

    /// Who may connect, and which pages are served.
    #[command(flatten)]
    pub site: SiteArgs,

    /// How many connections there may be.
    #[command(flatten)]
    pub caps: CapsArgs,

    /// Where several nodes meet.
    #[command(flatten)]
    pub redis: RedisArgs,

    /// Requests a second that a connection may make in the long run.
    #[arg(long, value_name = "N", default_value = "20", help_heading = "Limits")]
    pub rate: NonZeroU32,

    /// Requests that it may make at once.
    #[arg(long, value_name = "N", default_value = "40", help_heading = "Limits")]
    pub burst: NonZeroU32,

    /// Bytes that may be queued for a connection; one that would have more is closed with
    /// 4008 and can catch up.
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "1MiB",
        help_heading = "Limits"
    )]
    pub queue_bytes: Bytes,

    /// Rooms that a connection may be in.
    #[arg(long, value_name = "N", default_value_t = 100, help_heading = "Limits")]
    pub max_rooms: usize,

    /// Connections that may be in a room.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10_000,
        help_heading = "Limits"
    )]
    pub room_size: usize,

    /// Messages that a room remembers.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1000,
        help_heading = "History"
    )]
    pub history_count: usize,

    /// How long a room remembers a message.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration, help_heading = "History")]
    pub history_age: Duration,

    /// Bytes that a room remembers.
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "4MiB",
        help_heading = "History"
    )]
    pub history_bytes: Bytes,

    /// Bytes that all rooms together remember; rooms that nobody is in are forgotten first.
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "256MiB",
        help_heading = "History"
    )]
    pub history_total: Bytes,
}

/// The flags that all programs have, as far as this one has other defaults.
pub const DEFAULTS: &[(&str, &str)] = &[("max_message", "16KiB"), ("idle_timeout", "10m")];

/// Those that mean nothing here: `--queue-bytes` is the hard mark, and nobody is connected to.
pub const UNUSED: &[&str] = &["hard_mark", "tls_roots"];

impl Args {
    /// The service that the flags describe, with its thread.
    ///
    /// # Errors
    ///
    /// Something that they name cannot be used.
    pub fn service(&self) -> Result<Chat, Refusal> {
        let hub = Hub::new(self.settings(), self.key.verifier()?, Clock::system());
        let publish = self
            .publish_token
            .as_deref()
            .map(Bearer::read)
            .transpose()?;
        let surroundings = Surroundings {
            site: self.site.site(&self.run.listen)?,
            pages: self.site.pages(assets())?,
            caps: self.caps.caps(),
            publish,
        };
        let chat = Chat::new(Arc::clone(&hub), surroundings)?;
        chat.start().map_err(Refusal::Thread)?;
        // Last: the other nodes should not see one come that cannot start.
        RedisStore::start(&self.redis, &hub)?;
        Ok(chat)
    }

    /// What the adapter has to know: its hard mark is the bound of the queue here.
    #[must_use]
    pub fn run(&self) -> sockeye_runner::Args {
        let mut run = self.run.clone();
        run.hard_mark = self.queue_bytes;
        run.soft_mark.0 = run.soft_mark.0.min(self.queue_bytes.0);
        run
    }

    fn settings(&self) -> Settings {
        Settings {
            rate: self.rate,
            burst: self.burst,
            rooms_per_connection: self.max_rooms,
            room_size: self.room_size,
            connections_per_user: self.caps.max_per_user,
            history_count: self.history_count,
            history_age: self.history_age,
            history_bytes: self.history_bytes.0,
            history_total: self.history_total.0,
            queue_bytes: self.queue_bytes.0,
            ..Settings::default()
        }
    }
}

/// Why the program does not start: one sentence.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The key cannot be used.
    Key(KeyError),
    /// The token for publishing cannot be used.
    PublishToken(BearerError),
    /// The server cannot be called so.
    Site(SiteError),
    /// A page cannot be read.
    Pages(PagesError),
    /// A page of `--static-dir` has the path of something else.
    Route(RouteError),
    /// The system has no thread to give.
    Thread(io::Error),
    /// The other nodes cannot be met.
    Store(ConnectError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(error) => error.fmt(f),
            Self::PublishToken(error) => error.fmt(f),
            Self::Site(error) => error.fmt(f),
            Self::Pages(error) => error.fmt(f),
            Self::Route(error) => write!(f, "cannot serve a file of --static-dir: {error}"),
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Refusal {}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

impl From<BearerError> for Refusal {
    fn from(error: BearerError) -> Self {
        Self::PublishToken(error)
    }
}

impl From<SiteError> for Refusal {
    fn from(error: SiteError) -> Self {
        Self::Site(error)
    }
}

impl From<PagesError> for Refusal {
    fn from(error: PagesError) -> Self {
        Self::Pages(error)
    }
}

impl From<RouteError> for Refusal {
    fn from(error: RouteError) -> Self {
        Self::Route(error)
    }
}

impl From<ConnectError> for Refusal {
    fn from(error: ConnectError) -> Self {
        Self::Store(error)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn args(flags: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from(["sockeye-chat"].iter().chain(flags))
    }

    #[test]
    fn the_flags_are_consistent_and_their_defaults_are_those_of_the_library() {
        Args::command().debug_assert();
        let args = args(&[]).expect("defaults");
        let (ours, theirs) = (args.settings(), Settings::default());
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
        args.service().expect("a service");
    }

    #[test]
    fn the_queue_bounds_what_the_adapter_holds() {
        let small = args(&["--queue-bytes", "32KiB"]).expect("flags").run();
        assert_eq!(small.hard_mark, Bytes(32 << 10));
        assert_eq!(small.soft_mark, Bytes(32 << 10));
    }
}

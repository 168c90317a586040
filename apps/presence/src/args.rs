//! The program's flags, and the service that they describe.

use core::fmt;
use core::net::IpAddr;
use core::num::NonZeroU32;
use core::time::Duration;
use std::io;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use sockeye_handler::RouteError;
use sockeye_kit::caps::CapsArgs;
use sockeye_kit::clock::Clock;
use sockeye_kit::http::{Bearer, BearerError, PagesError, SiteArgs, SiteError};
use sockeye_kit::name::Name;
use sockeye_kit::redis::{ConnectError, RedisArgs};
use sockeye_kit::token::{KeyArgs, KeyError, demo};

use crate::directory::Settings;
use crate::{Deployment, Options, Presence, page};

/// Who is online, told by tokens.
///
/// Clients send a token in each message to /echo, and are there until they leave or the token
/// expires. Others read /presence or follow /watch. The page at / shows it, live.
///
/// Without --jwt-key it makes a key of its own and gives tokens to everybody who asks at
/// /demo-token; it does so on loopback addresses only.
#[derive(Debug, Parser)]
#[command(
    name = "sockeye-presence",
    version,
    args_conflicts_with_subcommands = true
)]
pub struct Args {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The flags that all programs have.
    #[command(flatten)]
    pub run: sockeye_runner::Args,

    /// Which tokens are valid.
    #[command(flatten)]
    pub key: KeyArgs,

    /// Token that readers of /presence and /watch must have; everybody may read if not given.
    #[arg(long, value_name = "FILE", help_heading = "Tokens")]
    pub read_token: Option<PathBuf>,

    /// Who may connect, and which pages are served.
    #[command(flatten)]
    pub site: SiteArgs,

    /// How many connections there may be.
    #[command(flatten)]
    pub caps: CapsArgs,

    /// Messages a second that a connection may send in the long run; more close with 4029.
    #[arg(long, value_name = "N", default_value = "20", help_heading = "Limits")]
    pub rate: NonZeroU32,

    /// Messages that it may send at once.
    #[arg(long, value_name = "N", default_value = "40", help_heading = "Limits")]
    pub burst: NonZeroU32,

    /// How long a user counts as connected after a connection was lost.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = sockeye_runner::duration, help_heading = "Presence")]
    pub grace: Duration,

    /// How long changes are collected before watchers are told, 5s at most.
    #[arg(long, value_name = "TIME", default_value = "250ms", value_parser = window, help_heading = "Presence")]
    pub coalesce: Duration,

    /// Users above which watchers are told their number only.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1000,
        help_heading = "Presence"
    )]
    pub max_listed: usize,

    /// Where several nodes meet.
    #[command(flatten)]
    pub redis: RedisArgs,

    /// What stands before the name of a user in the key that other services read.
    #[arg(long, value_name = "TEXT", default_value = Deployment::KEY_PREFIX, help_heading = "Several nodes")]
    pub key_prefix: String,

    /// How long the key of a user stays who has left.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = sockeye_runner::duration, help_heading = "Several nodes")]
    pub offline_ttl: Duration,
}

/// What the program does instead of serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print a token.
    Token(TokenArgs),
    /// Print the JSON Schema of a message of /echo.
    Schema,
}

/// The flags of the subcommand `token`.
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    /// Whose token it is.
    #[arg(long, value_name = "NAME")]
    pub id: Name,

    /// How long it is good.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = sockeye_runner::duration)]
    pub ttl: Duration,

    /// What it is signed with: other than to the server, the private key.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// A reader waits for the end of a window, so that is bounded.
fn window(text: &str) -> Result<Duration, String> {
    let window = sockeye_runner::duration(text)?;
    if window > Duration::from_secs(5) {
        return Err("longer than 5s".into());
    }
    Ok(window)
}

impl Args {
    /// The service that the flags describe, with its thread.
    ///
    /// # Errors
    ///
    /// Something that they name cannot be used.
    pub fn service(&self) -> Result<Presence, Refusal> {
        let listen = &self.run.listen;
        let (verifier, demo) = match self.key.verifier()? {
            Some(verifier) => (verifier, None),
            None if is_loopback(listen) => {
                let (verifier, signer) = demo()?;
                (verifier, Some(signer))
            }
            None => {
                return Err(Refusal::NoKey {
                    listen: listen.clone(),
                });
            }
        };
        let options = Options {
            directory: Settings {
                grace: self.grace,
                coalesce: self.coalesce,
                max_listed: self.max_listed,
            },
            verifier,
            demo,
            read_token: self.read_token.as_deref().map(Bearer::read).transpose()?,
            site: self.site.site(listen)?,
            caps: self.caps.caps(),
            rate: self.rate,
            burst: self.burst,
        };
        let pages = self.site.pages(page::assets())?;
        let mut presence = Presence::new(options, pages, Clock::system())?;
        presence.start().map_err(Refusal::Thread)?;
        if let Some(deployment) = self.deployment() {
            presence.enter(&deployment)?;
        }
        Ok(presence)
    }

    fn deployment(&self) -> Option<Deployment> {
        let mut deployment = Deployment::new(&self.redis)?;
        deployment.key_prefix.clone_from(&self.key_prefix);
        deployment.offline_ttl = self.offline_ttl;
        Some(deployment)
    }
}

impl TokenArgs {
    /// The token.
    ///
    /// # Errors
    ///
    /// There is no key, or not one that can sign.
    pub fn token(&self) -> Result<String, Refusal> {
        let signer = self.key.signer()?.ok_or(Refusal::NoSigningKey)?;
        Ok(signer.sign(&self.id, self.ttl, Clock::system().wall()))
    }
}

/// Whether nobody outside of this machine can reach an address.
fn is_loopback(listen: &str) -> bool {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host);
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match bare.unwrap_or(host).parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// Why the program does not start: one sentence.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// Others could reach a server that gives tokens to everybody.
    NoKey {
        /// Where it should have listened.
        listen: String,
    },
    /// A token cannot be made without a key.
    NoSigningKey,
    /// The key cannot be used.
    Key(KeyError),
    /// The token for readers cannot be used.
    ReadToken(BearerError),
    /// The server cannot be called so.
    Site(SiteError),
    /// A page cannot be read.
    Pages(PagesError),
    /// A page of `--static-dir` has the path of something else.
    Route(RouteError),
    /// The system has no thread to give.
    Thread(io::Error),
    /// There is no store.
    Redis(ConnectError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey { listen } => write!(
                f,
                "without --jwt-key everybody gets a token, so {listen} must be a loopback address"
            ),
            Self::NoSigningKey => f.write_str("a token is signed with a key: give --jwt-key"),
            Self::Key(error) => error.fmt(f),
            Self::ReadToken(error) => error.fmt(f),
            Self::Site(error) => error.fmt(f),
            Self::Pages(error) => error.fmt(f),
            Self::Route(error) => write!(f, "cannot serve a file of --static-dir: {error}"),
            Self::Redis(error) => error.fmt(f),
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
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
        Self::ReadToken(error)
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

impl From<ConnectError> for Refusal {
    fn from(error: ConnectError) -> Self {
        Self::Redis(error)
    }
}

impl From<RouteError> for Refusal {
    fn from(error: RouteError) -> Self {
        Self::Route(error)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn args(flags: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from(["sockeye-presence"].iter().chain(flags))
    }

    #[test]
    fn the_flags_are_consistent() {
        Args::command().debug_assert();
        let service = args(&[]).expect("defaults").service();
        service.expect("demo mode on the default address");
    }

    #[test]
    fn only_this_machine_reaches_a_loopback_address() {
        for listen in [
            "127.0.0.1:0",
            "127.9.9.9:80",
            "[::1]:0",
            "localhost:9001",
            "LOCALHOST:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(is_loopback(listen), "{listen}");
        }
        for listen in [
            "0.0.0.0:0",
            "[::]:0",
            "192.168.0.1:1",
            "example.com:1",
            "localhost.example.com:1",
            "127.0.0.1.example.com:1",
            ":9001",
        ] {
            assert!(!is_loopback(listen), "{listen}");
        }
    }

    #[test]
    fn demo_mode_is_refused_elsewhere() {
        let args = args(&["--listen", "0.0.0.0:0"]).expect("flags");
        let refusal = args.service().err().expect("refused");
        assert_eq!(
            refusal.to_string(),
            "without --jwt-key everybody gets a token, so 0.0.0.0:0 must be a loopback address"
        );
    }

    #[test]
    fn a_window_is_bounded() {
        assert!(args(&["--coalesce", "5s"]).is_ok());
        assert!(args(&["--coalesce", "0s"]).is_ok());
        assert!(args(&["--coalesce", "5001ms"]).is_err());
    }

    #[test]
    fn the_subcommand_makes_a_token_that_the_server_takes() {
        let path =
            std::env::temp_dir().join(format!("sockeye-presence-key-{}", std::process::id()));
        std::fs::write(&path, "0123456789abcdef0123456789abcdef\n").expect("a file");
        let key = path.to_str().expect("text");
        let made = args(&["token", "--id", "ana", "--ttl", "1m", "--jwt-key", key]);
        let Some(Command::Token(made)) = made.expect("flags").command else {
            panic!("not a token");
        };
        let token = made.token().expect("a token");
        let server = args(&["--jwt-key", key]).expect("flags");
        let verifier = server.key.verifier().expect("a key").expect("given");
        std::fs::remove_file(&path).expect("removed");
        let wall = Clock::system().wall();
        let claims = verifier.verify(&token, wall).expect("valid");
        assert_eq!(claims.id.as_str(), "ana");
        let left = claims.left(wall).as_secs_f64();
        assert!((58.0..=61.0).contains(&left), "{left}");

        let without = args(&["token", "--id", "ana"]).expect("flags");
        let Some(Command::Token(without)) = without.command else {
            panic!("not a token");
        };
        assert!(matches!(without.token(), Err(Refusal::NoSigningKey)));
        assert!(args(&["token", "--id", "a b", "--jwt-key", key]).is_err());
    }
}

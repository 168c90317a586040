//! The flags that all programs have.

use core::time::Duration;
use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
#[cfg(feature = "tls")]
use std::path::PathBuf;
use std::process;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, Parser, ValueEnum};
#[cfg(feature = "tls")]
use sockeye_common::tls::{TlsClient, TlsServer};
use sockeye_handler::{Config, SharedConfig};

#[cfg(feature = "deflate")]
use crate::deflate::Compression;
use crate::failure::Failure;
use crate::value::{Bytes, Interval, duration};

/// What moves the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Adapter {
    /// The tokio runtime.
    #[cfg(feature = "tokio")]
    Tokio,
    /// The async-std runtime.
    #[cfg(feature = "async-std")]
    AsyncStd,
    /// The smol runtime.
    #[cfg(feature = "smol")]
    Smol,
    /// An event loop per thread, without an asynchronous runtime.
    #[cfg(feature = "mio")]
    Mio,
}

/// The flags that all programs have; flatten them into a program's own.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    /// Address to listen on: host and port; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    pub listen: String,

    /// Runtime that moves the bytes.
    #[arg(long, value_enum, default_value_t = Adapter::value_variants()[0])]
    pub adapter: Adapter,

    /// Worker threads; as many as there are processors if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// What to log on standard error: off, error, warn, info, debug or trace, or
    /// several such as `info,sockeye_tokio=debug`.
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    pub log: tracing_subscriber::filter::Targets,

    /// Certificate to serve wss:// with, in PEM, those of its issuers below it.
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = "TLS")]
    pub tls_cert: Option<PathBuf>,

    /// Private key of that certificate, in PEM.
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = "TLS")]
    pub tls_key: Option<PathBuf>,

    /// Certificates that a client trusts behind wss://, in PEM, instead of those of
    /// the platform.
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub tls_roots: Option<PathBuf>,

    /// Compress messages, if the peer agrees: a list of `takeover`, `window=BITS`,
    /// `level=N` and `min=BYTES`.
    ///
    /// `--deflate` alone means window=12,level=1,min=256. The first two may stand for one
    /// direction, as in `send-takeover,receive-window=10`. With `takeover` messages refer
    /// to earlier ones: shorter, but each connection then holds memory for it.
    #[cfg(feature = "deflate")]
    #[arg(
        long,
        value_name = "PARAMETERS",
        num_args = 0..=1,
        default_missing_value = "",
        require_equals = true
    )]
    pub deflate: Option<Compression>,

    /// Connections at a time; upgrades beyond that are answered with 503.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10_000,
        help_heading = "Limits"
    )]
    pub max_connections: usize,

    /// Largest message that is accepted; a larger one closes with 1009.
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "1MiB",
        help_heading = "Limits"
    )]
    pub max_message: Bytes,

    /// Fragments that a message may have before its bytes pay for them; more close
    /// with 1008.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4096,
        help_heading = "Limits"
    )]
    pub max_fragments: u32,

    /// Queued output above which a connection is not read from.
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "64KiB",
        help_heading = "Limits"
    )]
    pub soft_mark: Bytes,

    /// Queued output above which sending is refused.
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "1MiB",
        help_heading = "Limits"
    )]
    pub hard_mark: Bytes,

    /// Time for the whole opening handshake.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration, help_heading = "Time-outs")]
    pub handshake_timeout: Duration,

    /// Silence after which a Ping is sent, or `off`.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "25s",
        help_heading = "Time-outs"
    )]
    pub ping_interval: Interval,

    /// Time to answer that Ping, by anything at all.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration, help_heading = "Time-outs")]
    pub pong_timeout: Duration,

    /// Time without a message in either direction after which a connection is
    /// closed with 1001, or `off`.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "off",
        help_heading = "Time-outs"
    )]
    pub idle_timeout: Interval,

    /// Time to take some output while there is any.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration, help_heading = "Time-outs")]
    pub write_timeout: Duration,

    /// Time to answer a Close.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration, help_heading = "Time-outs")]
    pub close_timeout: Duration,

    /// Time for all connections to close when the program is told to end.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration, help_heading = "Time-outs")]
    pub drain_timeout: Duration,
}

impl Args {
    /// The limits and time-outs of each connection.
    pub(crate) fn config(&self) -> Result<SharedConfig, Failure> {
        let mut config = Config::default();
        config.max_message = self.max_message.0;
        config.max_fragments = self.max_fragments;
        config.soft_mark = self.soft_mark.0;
        config.hard_mark = self.hard_mark.0;
        config.handshake_timeout = self.handshake_timeout;
        config.ping_interval = self.ping_interval.0;
        config.pong_timeout = self.pong_timeout;
        config.idle_timeout = self.idle_timeout.0;
        config.write_timeout = self.write_timeout;
        config.close_timeout = self.close_timeout;
        #[cfg(feature = "deflate")]
        {
            config.deflate = self.deflate.map(|given| given.0);
        }
        config.share().map_err(Failure::Config)
    }

    /// What to serve `wss` with.
    #[cfg(feature = "tls")]
    pub(crate) fn tls_server(&self) -> Result<Option<TlsServer>, Failure> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => TlsServer::from_pem_files(certificate, key)
                .map(Some)
                .map_err(Failure::Tls),
            _ => Ok(None),
        }
    }

    /// Whom a client trusts.
    #[cfg(feature = "tls")]
    pub(crate) fn tls_client(&self) -> Result<Option<TlsClient>, Failure> {
        let given = self.tls_roots.as_ref().map(TlsClient::from_pem_file);
        given.transpose().map_err(Failure::Tls)
    }

    /// The scheme of the URLs that a server has.
    pub(crate) fn scheme(&self) -> &'static str {
        #[cfg(feature = "tls")]
        if self.tls_cert.is_some() {
            return "wss";
        }
        "ws"
    }
}

/// The program's arguments; `defaults` are those of the shared flags that differ in
/// this program, by the name of their field, and `unused` those that it does not have.
///
/// Ends the process if they are wrong, or if `--help` or `--version` is among them.
#[must_use]
pub fn parse<A: Parser>(defaults: &[(&'static str, &'static str)], unused: &[&str]) -> A {
    match try_parse(command::<A>(defaults), unused, env::args_os()) {
        Ok(args) => args,
        Err(help) if !help.use_stderr() => help.exit(),
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}", sentence(&error.render().to_string()));
            process::exit(2)
        }
    }
}

/// The first paragraph of clap's message, which says what is wrong, as one line.
fn sentence(message: &str) -> String {
    let paragraph = message.lines().take_while(|line| !line.is_empty());
    let words: Vec<&str> = paragraph.flat_map(str::split_whitespace).collect();
    format!("{}; see --help", words.join(" "))
}

fn try_parse<A: Parser>(
    mut command: clap::Command,
    unused: &[&str],
    given: impl IntoIterator<Item = OsString>,
) -> Result<A, clap::Error> {
    for &flag in unused {
        // There are fewer without some features.
        if command.get_arguments().any(|arg| arg.get_id() == flag) {
            command = command.mut_arg(flag, |arg| arg.hide(true));
        }
    }
    let matches = command.try_get_matches_from_mut(given)?;
    let is_given = |flag: &str| {
        let known = matches.try_contains_id(flag).unwrap_or(false);
        known && matches.value_source(flag) == Some(ValueSource::CommandLine)
    };
    if let Some(flag) = unused.iter().find(|flag| is_given(flag)) {
        let flag = flag.replace('_', "-");
        let message = format!("unexpected argument '--{flag}' found");
        return Err(command.error(ErrorKind::UnknownArgument, message));
    }
    A::from_arg_matches(&matches)
}

fn command<A: CommandFactory>(defaults: &[(&'static str, &'static str)]) -> clap::Command {
    // So that the error for -1 names its flag.
    let command = A::command().allow_negative_numbers(true);
    defaults.iter().fold(command, |command, (flag, value)| {
        command.mut_arg(flag, |arg| arg.default_value(*value))
    })
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        run: Args,
    }

    #[test]
    fn the_flags_are_consistent_and_their_defaults_are_those_of_the_library() {
        let matches = command::<Program>(&[]).get_matches_from(["program"]);
        let args = Program::from_arg_matches(&matches).expect("defaults").run;
        let (ours, theirs) = (args.config().expect("valid"), Config::default());
        assert_eq!(format!("{:?}", *ours), format!("{theirs:?}"));
    }

    #[test]
    fn a_wrong_flag_is_told_in_one_line() {
        let error = command::<Program>(&[])
            .try_get_matches_from(["program", "--adapter", "steam"])
            .expect_err("no such adapter");
        let known = Adapter::value_variants().iter();
        let known: Vec<_> = known
            .filter_map(|adapter| Some(adapter.to_possible_value()?.get_name().to_owned()))
            .collect();
        assert_eq!(
            sentence(&error.render().to_string()),
            format!(
                "error: invalid value 'steam' for '--adapter <ADAPTER>' \
                 [possible values: {}]; see --help",
                known.join(", ")
            )
        );
    }

    #[test]
    fn a_program_can_have_its_own_defaults() {
        let command = command::<Program>(&[("max_message", "16KiB")]);
        let help = command.clone().render_long_help().to_string();
        assert!(help.contains("[default: 16KiB]"), "{help}");
        let matches = command.get_matches_from(["program"]);
        let args = Program::from_arg_matches(&matches).expect("defaults").run;
        assert_eq!(args.max_message, Bytes(16 << 10));
    }

    #[test]
    fn a_flag_that_the_program_does_not_have_is_refused_and_not_shown() {
        let unused = ["hard_mark", "nothing"];
        let parse = |given: &[&str]| {
            let given = given.iter().map(OsString::from);
            try_parse::<Program>(command::<Program>(&[]), &unused, given)
        };
        let help = parse(&["program", "--help"]).expect_err("the help");
        assert!(!help.to_string().contains("hard-mark"));
        let refused = parse(&["program", "--hard-mark", "1MiB"]).expect_err("not here");
        assert_eq!(
            sentence(&refused.render().to_string()),
            "error: unexpected argument '--hard-mark' found; see --help"
        );
        parse(&["program", "--soft-mark", "1KiB"]).expect("all others");
    }

    #[test]
    fn limits_that_cannot_work_are_refused() {
        let given = ["program", "--soft-mark", "2MiB", "--hard-mark", "1MiB"];
        let matches = command::<Program>(&[]).get_matches_from(given);
        let args = Program::from_arg_matches(&matches).expect("flags").run;
        assert!(args.config().is_err());
    }
}

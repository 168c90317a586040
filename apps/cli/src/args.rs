//! The flags.

use core::time::Duration;
use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};
use sockeye_runner::{Bytes, Compression, Interval, duration};

use crate::bench;
use crate::request::Field;
use crate::retry::Codes;

/// Talk to a WebSocket server: by hand, from a script, or with a load.
///
/// On a terminal you type messages and see the answers; lines that begin with /
/// are commands, and /help lists them. Ctrl-D closes with code 1000 and leaves,
/// Ctrl-C too, at once. In a pipe each line of input is one message, and each
/// message that comes in is one line of output; what is said about the connection
/// goes to standard error.
#[derive(Debug, Parser)]
#[command(
    name = "sockeye",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = SHORT_EXAMPLES,
    after_long_help = EXAMPLES
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) client: Client,
}

const SHORT_EXAMPLES: &str = "`--help` says more, with examples and the exit codes.";

const EXAMPLES: &str = "\
Examples:
  sockeye ws://127.0.0.1:9001/                       talk to an echo server
  echo hello | sockeye ws://127.0.0.1:9001/          send a line, print the answer
  sockeye -s chat.v1.json ws://127.0.0.1:9003/talking
  sockeye -x '{\"type\":\"ping\"}' --one --timeout 2s URL  one request, one answer
  sockeye --json --no-input --wait forever URL | jq  watch what comes in
  sockeye --script login.txt URL                     send, expect, judge
  sockeye --ping --count 5 URL                       round-trip times
  sockeye --reconnect --no-input --wait forever URL  stay connected
  sockeye bench --connections 100 --rate 10k URL     a load, and its latencies

Exit codes:
  0  the connection ended as it should: code 1000, 1001 or none
  1  it was lost, or closed with another code
  2  there was no connection, or a flag, a file or a line of input is wrong
  3  a time was over: --timeout, or that of /expect in a script
  4  something else came than was expected, or the end before it";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Put a load on a server that answers each message, and measure the latencies.
    Bench(bench::Args),
}

/// What is done with one connection.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Client {
    #[command(flatten)]
    pub(crate) request: Request,

    /// Message to send first, after each connecting; may be repeated.
    #[arg(short = 'x', long, value_name = "TEXT", help_heading = "Messages")]
    pub(crate) send: Vec<String>,

    /// Send input as text; this is the default.
    #[arg(short, long, overrides_with = "binary", help_heading = "Messages")]
    pub(crate) text: bool,

    /// Send input as binary messages.
    #[arg(short, long, help_heading = "Messages")]
    pub(crate) binary: bool,

    /// Send the whole of standard input as one message instead of each line.
    #[arg(long, help_heading = "Messages", conflicts_with_all = ["json_input", "script"])]
    pub(crate) whole: bool,

    /// Take each line of input as a JSON object, in the form that --json prints:
    /// {"type":"text","text":T}, {"type":"binary","base64":B}, ping with text,
    /// close with code and reason.
    #[arg(long, help_heading = "Messages", conflicts_with_all = ["binary", "script"])]
    pub(crate) json_input: bool,

    /// Run a script of messages and commands from this file, or `-` for standard
    /// input; /help on a terminal explains the commands.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Messages",
        conflicts_with = "reconnect"
    )]
    pub(crate) script: Option<PathBuf>,

    /// Do not read standard input.
    #[arg(short, long, help_heading = "Messages", conflicts_with = "script")]
    pub(crate) no_input: bool,

    /// End after this many messages have come in. Input that is typed is not waited
    /// for then.
    #[arg(
        long,
        value_name = "N",
        help_heading = "Ending",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(crate) count: Option<u64>,

    /// End after one message: --count 1.
    #[arg(long, help_heading = "Ending", conflicts_with = "count")]
    pub(crate) one: bool,

    /// Go on receiving for this long after the end of the input, or `forever`. What
    /// the server sends before it answers the Close is printed in any case.
    #[arg(short, long, value_name = "TIME", default_value = "0s", help_heading = "Ending", value_parser = wait)]
    pub(crate) wait: Wait,

    /// Time for all of it, connecting included; then it closes, and the exit code is 3.
    #[arg(long, value_name = "TIME", help_heading = "Ending", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    /// Print each event as one JSON object per line, with its time: open, text,
    /// binary (base64), ping, pong, close, error.
    #[arg(short, long, help_heading = "Output")]
    pub(crate) json: bool,

    /// Print payloads as they are, binary ones too, and no line ends between them.
    #[arg(long, help_heading = "Output", conflicts_with = "json")]
    pub(crate) raw: bool,

    /// Say nothing about the connection unless something is wrong.
    #[arg(short, long, help_heading = "Output", conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Show the fields of the server's response, Pings and Pongs.
    #[arg(short, long, help_heading = "Output")]
    pub(crate) verbose: bool,

    /// Send Pings instead of messages and print round-trip times, every second or
    /// every --ping-interval; --count ends it.
    #[arg(long, help_heading = "Pings", conflicts_with_all = ["script", "whole", "json_input"])]
    pub(crate) ping: bool,

    /// Silence after which a Ping is sent, or `off` [default: 25s].
    #[arg(long, value_name = "TIME", help_heading = "Pings")]
    pub(crate) ping_interval: Option<Interval>,

    /// Time to answer a Ping, by anything at all.
    #[arg(long, value_name = "TIME", default_value = "10s", help_heading = "Pings", value_parser = duration)]
    pub(crate) pong_timeout: Duration,

    /// Connect again when there is no connection or it ends, after a pause that
    /// doubles from attempt to attempt and varies at random. What was typed meanwhile
    /// is sent then; what was sent and not delivered is lost.
    #[arg(short, long, help_heading = "Reconnecting")]
    pub(crate) reconnect: bool,

    /// Attempts in a row before it gives up [default: no limit].
    #[arg(
        long,
        value_name = "N",
        help_heading = "Reconnecting",
        requires = "reconnect"
    )]
    pub(crate) retries: Option<u32>,

    /// First pause.
    #[arg(long, value_name = "TIME", default_value = "500ms", help_heading = "Reconnecting", value_parser = duration)]
    pub(crate) retry_min: Duration,

    /// Longest pause.
    #[arg(long, value_name = "TIME", default_value = "30s", help_heading = "Reconnecting", value_parser = duration)]
    pub(crate) retry_max: Duration,

    /// Close codes of the server after which connecting again is no use.
    #[arg(
        long,
        value_name = "CODES",
        default_value = "1000,1002,1003,1007-1010,4009",
        help_heading = "Reconnecting"
    )]
    pub(crate) final_codes: Codes,
}

/// How a server is asked for a connection.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Request {
    /// Address of the server: `ws://HOST[:PORT]/PATH`, or `wss://` for TLS.
    ///
    /// ws:// may be left out, http and https mean the same, and a name and password
    /// before the host (ws://NAME:PASSWORD@HOST/) are sent as basic authentication.
    #[arg(required = true, value_name = "URL")]
    pub(crate) url: Option<String>,

    /// Header field to send, or `@FILE` with one on each line; may be repeated.
    #[arg(
        short = 'H',
        long = "header",
        value_name = "NAME: VALUE",
        help_heading = "Request"
    )]
    pub(crate) fields: Vec<Field>,

    /// Subprotocol to offer, the preferred one first; may be repeated.
    #[arg(
        short,
        long = "subprotocol",
        value_name = "NAME",
        help_heading = "Request"
    )]
    pub(crate) subprotocols: Vec<String>,

    /// Origin to send, as a browser would; none if not given.
    #[arg(short, long, value_name = "ORIGIN", help_heading = "Request")]
    pub(crate) origin: Option<String>,

    /// Host to ask for, instead of the one in the URL that is connected to.
    #[arg(long, value_name = "HOST", help_heading = "Request")]
    pub(crate) host: Option<String>,

    /// Name and password to send as basic authentication.
    #[arg(
        long,
        value_name = "NAME:PASSWORD",
        env = "SOCKEYE_AUTH",
        hide_env_values = true,
        help_heading = "Request"
    )]
    pub(crate) auth: Option<String>,

    /// Trust the certificates in this file, in PEM, instead of the platform's.
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(crate) tls_roots: Option<PathBuf>,

    /// Accept any certificate: whoever is in between can read and change everything.
    #[arg(short = 'k', long, help_heading = "TLS", action = ArgAction::SetTrue, conflicts_with = "tls_roots")]
    pub(crate) insecure: bool,

    /// Time to connect, TLS and the opening handshake included.
    #[arg(long, value_name = "TIME", default_value = "10s", help_heading = "Limits", value_parser = duration)]
    pub(crate) connect_timeout: Duration,

    /// Time for the server to answer a Close.
    #[arg(long, value_name = "TIME", default_value = "5s", help_heading = "Limits", value_parser = duration)]
    pub(crate) close_timeout: Duration,

    /// Offer compression: a list of `takeover`, `window=BITS`, `level=N` and `min=BYTES`,
    /// which `--deflate` alone leaves at 12, 1 and 256.
    #[arg(
        long,
        value_name = "PARAMETERS",
        num_args = 0..=1,
        default_missing_value = "",
        require_equals = true,
        help_heading = "Request"
    )]
    pub(crate) deflate: Option<Compression>,

    /// Largest message that is accepted; a larger one closes with 1009.
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "64MiB",
        help_heading = "Limits"
    )]
    pub(crate) max_message: Bytes,
}

/// How long to go on after the end of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    For(Duration),
    Forever,
}

fn wait(text: &str) -> Result<Wait, String> {
    match text {
        "forever" => Ok(Wait::Forever),
        text => duration(text)
            .map(Wait::For)
            .map_err(|error| format!("{error}, or forever")),
    }
}

impl Client {
    /// After how many messages it ends.
    pub(crate) fn count(&self) -> Option<u64> {
        if self.one { Some(1) } else { self.count }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Args::command().debug_assert();
        let args = Args::try_parse_from(["sockeye", "--one", "ws://h/"]).expect("flags");
        assert_eq!(args.client.count(), Some(1));
        assert_eq!(args.client.request.url.as_deref(), Some("ws://h/"));
        assert!(Args::try_parse_from(["sockeye"]).is_err());
        let bench = Args::try_parse_from(["sockeye", "bench", "ws://h/"]).expect("flags");
        assert!(bench.command.is_some());
    }

    #[test]
    fn waiting_has_a_time_or_no_end() {
        assert_eq!(wait("2s"), Ok(Wait::For(Duration::from_secs(2))));
        assert_eq!(wait("forever"), Ok(Wait::Forever));
        assert!(wait("long").is_err());
    }
}

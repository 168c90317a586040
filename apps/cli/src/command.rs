//! What a line asks for: a message to send, or a command.

use core::fmt;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sockeye_core::{CloseCode, OwnedMessage};

use crate::failure::{LineFault, parse_time};
use crate::pattern::Pattern;
use crate::request::byte;

/// What `/help` says.
pub(crate) const HELP: &str = "\
a line           send it
/text TEXT       send TEXT, whatever it begins with, or an empty message
/binary HEX      send these bytes, as in /binary 00 ff 41
/ping [TEXT]     send a Ping, and show how long the Pong takes
/close [CODE [REASON]]  close, with 1000 if no code is given
/help            this
In scripts (--script), where lines that begin with # and empty ones are skipped, also:
/expect PATTERN  wait for a message like this, among all that came and were not
                 taken yet, and take it
/next PATTERN    the oldest that was not taken has to be like this
/silence TIME [PATTERN]  nothing (like this) may be there or come within TIME
/forget          forget what has come so far
/closed [CODE [REASON]]  wait for the server to close, with this code
/keep NAME POINTER  keep a value of the message taken last, as in
                 /keep token /resume, to stand where ${token} is written after that
/pause TIME      wait
/timeout TIME    the longest that each of the following waits; at first 5s
A PATTERN is a JSON object or array, whose members the message has to have, besides
others; =TEXT for exactly that; ~REGEX; or TEXT that it contains.";

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    Send(OwnedMessage),
    Ping(Vec<u8>),
    Close(CloseCode, String),
    Help,
    /// Nothing.
    Skip,
    /// What only scripts can do.
    Script(Step),
}

/// What only scripts can do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Expect(Pattern),
    Next(Pattern),
    Silence(Duration, Option<Pattern>),
    Forget,
    Closed(Option<CloseCode>, Option<String>),
    Keep { name: String, pointer: String },
    Pause(Duration),
    Timeout(Duration),
}

/// Why a line is no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InvalidCommand {
    Unknown(String),
    Hex,
    ControlTooLong,
    Code,
    Reason,
    Time,
    Pattern(String),
    Missing(&'static str),
    Unkept(String),
    OnlyInScripts,
}

impl Command {
    /// Of a line that may be a command, as on a terminal and in scripts.
    pub(crate) fn parse(line: &str) -> Result<Self, InvalidCommand> {
        let Some(command) = line.strip_prefix('/') else {
            return Ok(Self::Send(line.into()));
        };
        let (name, rest) = match command.split_once(' ') {
            Some((name, rest)) => (name, rest),
            None => (command, ""),
        };
        let script = |step| Ok(Self::Script(step));
        match name {
            "text" => Ok(Self::Send(rest.into())),
            "binary" => Ok(Self::Send(hex(rest).ok_or(InvalidCommand::Hex)?.into())),
            "ping" => control(rest).map(Self::Ping),
            "close" => {
                let (code, reason) = code_and_reason(rest)?;
                let reason = reason.unwrap_or_default();
                Ok(Self::Close(code.unwrap_or(CloseCode::NORMAL), reason))
            }
            "help" => Ok(Self::Help),
            "expect" => script(Step::Expect(pattern(rest)?)),
            "next" => script(Step::Next(pattern(rest)?)),
            "silence" => {
                let (within, like) = rest.split_once(' ').unwrap_or((rest, ""));
                let like = (!like.is_empty()).then(|| pattern(like)).transpose()?;
                script(Step::Silence(time(within)?, like))
            }
            "forget" => script(Step::Forget),
            "closed" => {
                let (code, reason) = code_and_reason(rest)?;
                script(Step::Closed(code, reason))
            }
            "keep" => {
                let missing = InvalidCommand::Missing("a name and a JSON pointer");
                let (name, pointer) = rest.split_once(' ').ok_or(missing)?;
                let (name, pointer) = (name.into(), pointer.trim().into());
                script(Step::Keep { name, pointer })
            }
            "pause" => script(Step::Pause(time(rest)?)),
            "timeout" => script(Step::Timeout(time(rest)?)),
            other => Err(InvalidCommand::Unknown(other.into())),
        }
    }

    /// Of a line of a script.
    pub(crate) fn parse_script(line: &str) -> Result<Self, InvalidCommand> {
        if line.trim().is_empty() || line.starts_with('#') {
            return Ok(Self::Skip);
        }
        Self::parse(line)
    }

    /// Of an event in JSON.
    pub(crate) fn parse_json(line: &[u8]) -> Result<Self, LineFault> {
        #[derive(Deserialize)]
        #[serde(tag = "type", rename_all = "lowercase")]
        enum Event {
            Text {
                text: String,
            },
            Binary {
                base64: String,
            },
            Ping {
                #[serde(default)]
                text: String,
            },
            Close {
                code: Option<u16>,
                #[serde(default)]
                reason: String,
            },
        }
        let command = |result: Result<Self, InvalidCommand>| result.map_err(LineFault::Command);
        match serde_json::from_slice(line) {
            Ok(Event::Text { text }) => Ok(Self::Send(text.into())),
            Ok(Event::Binary { base64 }) => match STANDARD.decode(base64) {
                Ok(bytes) => Ok(Self::Send(bytes.into())),
                Err(error) => Err(LineFault::Json(error.to_string())),
            },
            Ok(Event::Ping { text }) => command(control(&text).map(Self::Ping)),
            Ok(Event::Close { code, reason }) => {
                let code = code.map_or(CloseCode::NORMAL, CloseCode::new);
                command(sendable(code).and_then(|code| Ok(Self::Close(code, short(reason)?))))
            }
            Err(error) => Err(LineFault::Json(error.to_string())),
        }
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|c| !c.is_ascii_whitespace()).collect();
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => byte(*high, *low),
        _ => None,
    });
    pairs.collect()
}

/// RFC 6455 §5.5: at most 125 bytes.
fn control(payload: &str) -> Result<Vec<u8>, InvalidCommand> {
    match payload.len() {
        ..=125 => Ok(payload.into()),
        _ => Err(InvalidCommand::ControlTooLong),
    }
}

fn code_and_reason(rest: &str) -> Result<(Option<CloseCode>, Option<String>), InvalidCommand> {
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    if code.is_empty() {
        return Ok((None, None));
    }
    let code = code.parse().map_err(|_| InvalidCommand::Code)?;
    let code = match CloseCode::new(code) {
        // Not on the wire, but a script may expect it.
        code @ (CloseCode::NO_STATUS | CloseCode::ABNORMAL) => code,
        code => sendable(code)?,
    };
    let reason = (!reason.is_empty()).then(|| short(reason.into()));
    Ok((Some(code), reason.transpose()?))
}

fn sendable(code: CloseCode) -> Result<CloseCode, InvalidCommand> {
    code.is_sendable()
        .then_some(code)
        .ok_or(InvalidCommand::Code)
}

/// RFC 6455 §5.5.1: what is left of a control frame beside the code.
fn short(reason: String) -> Result<String, InvalidCommand> {
    match reason.len() {
        ..=123 => Ok(reason),
        _ => Err(InvalidCommand::Reason),
    }
}

fn time(text: &str) -> Result<Duration, InvalidCommand> {
    parse_time(text.trim()).ok_or(InvalidCommand::Time)
}

fn pattern(text: &str) -> Result<Pattern, InvalidCommand> {
    if text.is_empty() {
        return Err(InvalidCommand::Missing("a pattern"));
    }
    Pattern::parse(text).map_err(InvalidCommand::Pattern)
}

impl fmt::Display for InvalidCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(
                f,
                "has no command: there is no /{name} (see /help; /text sends any text)"
            ),
            Self::Hex => f.write_str("has bytes that are not pairs of hexadecimal digits"),
            Self::ControlTooLong => f.write_str("has a payload of more than 125 bytes"),
            Self::Code => f.write_str("has a close code that cannot be sent"),
            Self::Reason => f.write_str("has a reason of more than 123 bytes"),
            Self::Time => f.write_str("has no time such as 250ms, 10s or 1m30s"),
            Self::Pattern(error) => write!(f, "has a pattern that is none: {error}"),
            Self::Missing(what) => write!(f, "lacks {what}"),
            Self::Unkept(name) => write!(f, "names ${{{name}}}, which was not kept"),
            Self::OnlyInScripts => f.write_str("has a command that only scripts know (--script)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_messages_or_commands() {
        let send = |text: &str| Ok(Command::Send(text.into()));
        assert_eq!(Command::parse("hello /x"), send("hello /x"));
        assert_eq!(Command::parse("/text /x"), send("/x"));
        assert_eq!(Command::parse("/text"), send(""));
        assert_eq!(
            Command::parse("/binary 00ff 41"),
            Ok(Command::Send(vec![0, 255, 65].into()))
        );
        assert_eq!(
            Command::parse("/close 4000 that is all"),
            Ok(Command::Close(CloseCode::new(4000), "that is all".into()))
        );
        assert_eq!(
            Command::parse("/closed 1006"),
            Ok(Command::Script(Step::Closed(
                Some(CloseCode::ABNORMAL),
                None
            )))
        );
        for (line, error) in [
            ("/nothing", InvalidCommand::Unknown("nothing".into())),
            ("/binary 0", InvalidCommand::Hex),
            ("/close 999", InvalidCommand::Code),
            ("/pause long", InvalidCommand::Time),
            ("/expect", InvalidCommand::Missing("a pattern")),
        ] {
            assert_eq!(Command::parse(line), Err(error), "{line}");
        }
        assert_eq!(Command::parse_script("# /nothing"), Ok(Command::Skip));
    }

    #[test]
    fn an_event_in_json_is_what_it_would_be_printed_as() {
        let parse = |line: &str| Command::parse_json(line.as_bytes());
        assert_eq!(
            parse(r#"{"type":"binary","time":"any","base64":"AP8=","size":2}"#),
            Ok(Command::Send(vec![0, 255].into()))
        );
        assert_eq!(
            parse(r#"{"type":"close"}"#),
            Ok(Command::Close(CloseCode::NORMAL, String::new()))
        );
        for line in ["", "{}", r#"{"type":"text"}"#, r#"{"type":"open"}"#] {
            assert!(matches!(parse(line), Err(LineFault::Json(_))), "{line}");
        }
        assert_eq!(
            parse(r#"{"type":"close","code":1005}"#),
            Err(LineFault::Command(InvalidCommand::Code))
        );
    }
}

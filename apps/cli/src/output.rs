//! What is shown of a connection: for people, for pipes, or as JSON.

use core::cell::{Cell, RefCell};
use core::fmt::Write as _;
use core::time::Duration;
use std::io::{self, IsTerminal, Write};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sockeye_core::handshake::Response;
use sockeye_core::{Closed, Initiator, OwnedMessage};
use sockeye_runner::Escaped;

use crate::args::Client;
use crate::failure::{End, Failure};
use crate::terminal::Printer;

/// Bytes of a binary message that a terminal shows.
const SHOWN: usize = 256;

/// Where all that happens is written to.
pub(crate) struct Output {
    form: Form,
    verbosity: Verbosity,
    /// Standard output is a terminal: what the peer sends must not control it.
    is_terminal: bool,
    has_colors: bool,
    /// The line that is being typed, above which everything has to appear.
    printer: RefCell<Option<Printer>>,
    /// Nobody reads standard output any more.
    is_gone: Cell<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    Raw,
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verbosity {
    Quiet,
    Normal,
    Verbose,
}

/// One line of `--json`; the order of the fields is that of the output.
#[derive(Default, Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subprotocol: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<(&'a str, String)>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clean: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Output {
    pub(crate) fn new(args: &Client) -> Self {
        let is_terminal = io::stdout().is_terminal();
        // https://no-color.org
        let is_wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            form: match (args.json, args.raw) {
                (true, _) => Form::Json,
                (false, true) => Form::Raw,
                (false, false) => Form::Lines,
            },
            verbosity: match (args.quiet, args.verbose) {
                (true, _) => Verbosity::Quiet,
                (false, false) => Verbosity::Normal,
                (false, true) => Verbosity::Verbose,
            },
            is_terminal,
            has_colors: is_terminal && is_wanted,
            printer: RefCell::new(None),
            is_gone: Cell::new(false),
        }
    }

    /// From here on everything goes through `printer`.
    pub(crate) fn set_printer(&self, printer: Printer) {
        *self.printer.borrow_mut() = Some(printer);
    }

    /// The printer, if there is one: from here on nothing goes through it.
    pub(crate) fn take_printer(&self) -> Option<Printer> {
        self.printer.borrow_mut().take()
    }

    /// Whether standard output was closed by whoever read it.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.get()
    }

    pub(crate) fn opened(&self, url: &str, subprotocol: Option<&str>, response: Option<&Response>) {
        let fields = || response.into_iter().flat_map(Response::fields);
        if self.form == Form::Json {
            let all = fields().map(|(name, value)| (name, lossy(value)));
            return self.json(Event {
                kind: "open",
                url: Some(url),
                subprotocol,
                fields: Some(all.collect()),
                ..Event::default()
            });
        }
        match subprotocol {
            Some(name) => self.notice(&format!("connected to {url}, speaking {}", Escaped(name))),
            None => self.notice(&format!("connected to {url}")),
        }
        for (name, value) in fields() {
            let value = lossy(value);
            self.detail(&format!("{}: {}", Escaped(name), Escaped(&value)));
        }
    }

    pub(crate) fn message(&self, message: &OwnedMessage) {
        match self.form {
            Form::Raw => self.bytes(message.as_bytes()),
            Form::Json => self.json(match message {
                OwnedMessage::Text(text) => Event {
                    kind: "text",
                    text: Some(text.as_str()),
                    ..Event::default()
                },
                OwnedMessage::Binary(bytes) => Event {
                    kind: "binary",
                    base64: Some(STANDARD.encode(&**bytes)),
                    size: Some(bytes.len()),
                    ..Event::default()
                },
            }),
            Form::Lines => match message {
                OwnedMessage::Text(text) if self.is_terminal => {
                    self.incoming(&for_terminal(text));
                }
                OwnedMessage::Text(text) => self.line(text),
                OwnedMessage::Binary(bytes) if self.is_terminal => {
                    self.incoming(&hex(bytes, SHOWN));
                }
                OwnedMessage::Binary(bytes) => self.line(&hex(bytes, usize::MAX)),
            },
        }
    }

    pub(crate) fn ping(&self, payload: &[u8]) {
        if self.form == Form::Json {
            return self.json(Event {
                kind: "ping",
                text: Some(&lossy(payload)),
                ..Event::default()
            });
        }
        self.detail(&format!("ping, answered: {}", Escaped(&lossy(payload))));
    }

    /// `rtt` is given if it answers a Ping of ours; `is_asked_for` if that is what the
    /// program was started for.
    pub(crate) fn pong(&self, payload: &[u8], rtt: Option<Duration>, is_asked_for: bool) {
        if self.form == Form::Json {
            return self.json(Event {
                kind: "pong",
                text: Some(&lossy(payload)),
                rtt_ms: rtt.map(|rtt| (rtt.as_secs_f64() * 1e6).round() / 1e3),
                ..Event::default()
            });
        }
        let text = lossy(payload);
        match rtt {
            Some(rtt) if is_asked_for => {
                self.line(&format!(
                    "pong {} after {}",
                    Escaped(&text),
                    milliseconds(rtt)
                ));
            }
            Some(rtt) => self.notice(&format!("pong after {}", milliseconds(rtt))),
            None => self.detail(&format!("pong: {}", Escaped(&text))),
        }
    }

    pub(crate) fn closed(&self, closed: &Closed) {
        if self.form == Form::Json {
            return self.json(Event {
                kind: "close",
                code: Some(closed.code.as_u16()),
                reason: Some(&closed.reason),
                by: Some(match closed.initiator {
                    Initiator::Local => "client",
                    Initiator::Peer => "server",
                    Initiator::Transport => "transport",
                }),
                clean: Some(closed.is_clean()),
                ..Event::default()
            });
        }
        self.notice(&End(closed).to_string());
    }

    /// What is wrong, whatever the verbosity.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.form == Form::Json {
            self.json(Event {
                kind: "error",
                error: Some(failure.to_string()),
                ..Event::default()
            });
        }
        // An end that was shown already needs no second line.
        let is_told = matches!(failure, Failure::Ended(_)) && self.verbosity > Verbosity::Quiet;
        if !is_told {
            self.to_stderr(&format!("error: {failure}"));
        }
    }

    /// What people want to know, and programs do not.
    pub(crate) fn notice(&self, text: &str) {
        if self.verbosity >= Verbosity::Normal && self.form != Form::Json {
            self.to_stderr(&self.dimmed(text));
        }
    }

    /// What some people want to know.
    fn detail(&self, text: &str) {
        if self.verbosity >= Verbosity::Verbose {
            self.to_stderr(&self.dimmed(&format!("  {text}")));
        }
    }

    /// A result that is no message, such as a summary.
    pub(crate) fn line(&self, text: &str) {
        if let Some(printer) = &mut *self.printer.borrow_mut() {
            return printer.print(format!("{text}\n"));
        }
        self.bytes(&[text.as_bytes(), b"\n"].concat());
    }

    fn incoming(&self, text: &str) {
        if self.has_colors {
            self.line(&format!("\x1b[36m<\x1b[0m {text}"));
        } else {
            self.line(&format!("< {text}"));
        }
    }

    fn json(&self, mut event: Event<'_>) {
        event.time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        // There is nothing in it that JSON has no form for.
        let line = serde_json::to_string(&event).unwrap_or_default();
        self.line(&line);
    }

    fn bytes(&self, bytes: &[u8]) {
        let mut out = io::stdout().lock();
        if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
            self.is_gone.set(true);
        }
    }

    fn to_stderr(&self, text: &str) {
        if let Some(printer) = &mut *self.printer.borrow_mut() {
            return printer.print(format!("{text}\n"));
        }
        // There is nobody to tell that this failed.
        let _ = writeln!(io::stderr(), "{text}");
    }

    fn dimmed(&self, text: &str) -> String {
        if self.has_colors {
            format!("\x1b[2m{text}\x1b[0m")
        } else {
            text.into()
        }
    }
}

/// Lines stay lines; all else that controls a terminal is escaped.
fn for_terminal(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            shown.push_str("\n  ");
        }
        for (at, part) in line.split('\t').enumerate() {
            let tab = if at > 0 { "\t" } else { "" };
            // A string takes everything.
            let _ = write!(shown, "{tab}{}", Escaped(part));
        }
    }
    shown
}

fn hex(bytes: &[u8], shown: usize) -> String {
    let unit = if bytes.len() == 1 { "byte" } else { "bytes" };
    let mut text = format!("binary, {} {unit}:", bytes.len());
    for byte in bytes.iter().take(shown) {
        // A string takes everything.
        let _ = write!(text, " {byte:02x}");
    }
    if bytes.len() > shown {
        text.push_str(" …");
    }
    text
}

pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_control_the_terminal() {
        assert_eq!(
            for_terminal("a\tb\n\x1b[2J\r\u{9b}x\x07é"),
            "a\tb\n  \\u{1b}[2J\\r\\u{9b}x\\u{7}é"
        );
    }

    #[test]
    fn binary_is_shown_as_hex_with_its_size() {
        assert_eq!(hex(b"\x00\xffA", 256), "binary, 3 bytes: 00 ff 41");
        assert_eq!(hex(b"ab", 1), "binary, 2 bytes: 61 …");
        assert_eq!(hex(b"", 1), "binary, 0 bytes:");
    }
}

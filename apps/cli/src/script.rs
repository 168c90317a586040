//! What only scripts can do: wait for messages, and judge them.

use alloc::collections::{BTreeMap, VecDeque};
use core::cell::RefCell;
use core::time::Duration;
use std::time::Instant;

use async_channel::Receiver;
use async_io::Timer;
use futures_lite::future::or;
use serde_json::Value;
use sockeye_core::{CloseCode, Closed, OwnedMessage};
use sockeye_runner::Escaped;

use crate::command::{InvalidCommand, Step};
use crate::failure::{End, Failure, LineFault};
use crate::pattern::Pattern;

/// Messages that a script may leave untaken; older ones are forgotten.
const KEPT_MAX: usize = 10_000;

/// The state of a script.
pub(crate) struct Script<'a> {
    messages: Receiver<OwnedMessage>,
    /// How the connection ended; set before `messages` ends.
    ended: &'a RefCell<Option<Closed>>,
    /// What has come and was not taken yet.
    untaken: VecDeque<OwnedMessage>,
    /// The message that was taken last.
    taken: Option<OwnedMessage>,
    kept: BTreeMap<String, String>,
    timeout: Duration,
}

/// Why there is no further message.
enum Over {
    Time,
    Connection,
}

impl<'a> Script<'a> {
    pub(crate) fn new(
        messages: Receiver<OwnedMessage>,
        ended: &'a RefCell<Option<Closed>>,
    ) -> Self {
        Self {
            messages,
            ended,
            untaken: VecDeque::new(),
            taken: None,
            kept: BTreeMap::new(),
            timeout: Duration::from_secs(5),
        }
    }

    /// Does what line `number` says.
    pub(crate) async fn run(&mut self, step: Step, number: usize) -> Result<(), Failure> {
        match step {
            Step::Expect(pattern) => self.expect(&pattern, number).await,
            Step::Next(pattern) => self.next(&pattern, number).await,
            Step::Silence(time, like) => self.silence(time, like.as_ref(), number).await,
            Step::Forget => {
                self.take_in();
                self.untaken.clear();
                Ok(())
            }
            Step::Closed(code, reason) => self.closed(code, reason.as_deref(), number).await,
            Step::Keep { name, pointer } => self.keep(name, &pointer, number),
            Step::Pause(time) => {
                Timer::after(time).await;
                Ok(())
            }
            Step::Timeout(time) => {
                self.timeout = time;
                Ok(())
            }
        }
    }

    /// The line with the values of what was kept.
    pub(crate) fn filled_in(&self, line: &str) -> Result<String, LineFault> {
        let mut filled = String::with_capacity(line.len());
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("${") {
            filled.push_str(before);
            rest = after;
            match after.split_once('}') {
                Some((name, after)) if is_name(name) => {
                    let unkept = || LineFault::Command(InvalidCommand::Unkept(name.into()));
                    filled.push_str(self.kept.get(name).ok_or_else(unkept)?);
                    rest = after;
                }
                _ => filled.push_str("${"),
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// What it means that line `number` cannot be sent any more.
    pub(crate) fn too_late(&self, number: usize) -> Failure {
        Failure::Unexpected {
            number,
            awaited: "a connection to send on".into(),
            came: self.end(),
        }
    }

    async fn expect(&mut self, pattern: &Pattern, number: usize) -> Result<(), Failure> {
        let until = Instant::now() + self.timeout;
        let mut seen = 0;
        loop {
            let unseen = self.untaken.iter().skip(seen);
            if let Some(at) = unseen
                .into_iter()
                .position(|message| pattern.matches(message))
            {
                self.taken = self.untaken.remove(seen + at);
                return Ok(());
            }
            seen = self.untaken.len().min(KEPT_MAX - 1);
            match self.receive(until).await {
                Ok(()) => {}
                Err(Over::Time) => return Err(overdue(pattern, number)),
                Err(Over::Connection) => return Err(self.unexpected(pattern, self.end(), number)),
            }
        }
    }

    async fn next(&mut self, pattern: &Pattern, number: usize) -> Result<(), Failure> {
        let until = Instant::now() + self.timeout;
        loop {
            if let Some(message) = self.untaken.pop_front() {
                if pattern.matches(&message) {
                    self.taken = Some(message);
                    return Ok(());
                }
                return Err(self.unexpected(pattern, shown(&message), number));
            }
            match self.receive(until).await {
                Ok(()) => {}
                Err(Over::Time) => return Err(overdue(pattern, number)),
                Err(Over::Connection) => return Err(self.unexpected(pattern, self.end(), number)),
            }
        }
    }

    async fn silence(
        &mut self,
        time: Duration,
        like: Option<&Pattern>,
        number: usize,
    ) -> Result<(), Failure> {
        let until = Instant::now() + time;
        loop {
            let breaks = |message: &&OwnedMessage| like.is_none_or(|like| like.matches(message));
            if let Some(message) = self.untaken.iter().find(breaks) {
                return Err(Failure::Unexpected {
                    number,
                    awaited: "silence".into(),
                    came: shown(message),
                });
            }
            match self.receive(until).await {
                Ok(()) => {}
                // After the end there is silence, too.
                Err(Over::Time | Over::Connection) => return Ok(()),
            }
        }
    }

    async fn closed(
        &mut self,
        code: Option<CloseCode>,
        reason: Option<&str>,
        number: usize,
    ) -> Result<(), Failure> {
        let until = Instant::now() + self.timeout;
        let awaited = match (code, reason) {
            (None, _) => "end of the connection".into(),
            (Some(code), None) => format!("end with code {code}"),
            (Some(code), Some(reason)) => format!("end with code {code}: {}", Escaped(reason)),
        };
        loop {
            match self.receive(until).await {
                Ok(()) => {}
                Err(Over::Time) => return Err(Failure::Overdue { number, awaited }),
                Err(Over::Connection) => break,
            }
        }
        let fits = self.ended.borrow().as_ref().is_some_and(|closed| {
            code.is_none_or(|code| closed.code == code)
                && reason.is_none_or(|reason| &*closed.reason == reason)
        });
        if fits {
            return Ok(());
        }
        let came = self.end();
        Err(Failure::Unexpected {
            number,
            awaited: format!("the {awaited}"),
            came,
        })
    }

    fn keep(&mut self, name: String, pointer: &str, number: usize) -> Result<(), Failure> {
        let text = self.taken.as_ref().and_then(OwnedMessage::as_text);
        let value: Option<Value> = text.and_then(|text| serde_json::from_str(text).ok());
        let Some(found) = value.as_ref().and_then(|value| value.pointer(pointer)) else {
            return Err(Failure::Unexpected {
                number,
                awaited: format!("a value at {}", Escaped(pointer)),
                came: self.taken.as_ref().map_or("no message".into(), shown),
            });
        };
        let json = found.to_string();
        // Text stands without its quotes, so that it can be put between others.
        let quoted = json
            .strip_prefix('"')
            .and_then(|json| json.strip_suffix('"'));
        self.kept.insert(name, quoted.unwrap_or(&json).into());
        Ok(())
    }

    /// Waits for one more message.
    async fn receive(&mut self, until: Instant) -> Result<(), Over> {
        let came = async { self.messages.recv().await.map_err(|_| Over::Connection) };
        let over = async {
            Timer::at(until).await;
            Err(Over::Time)
        };
        let message = or(came, over).await?;
        self.add(message);
        Ok(())
    }

    /// Takes in what has come already.
    fn take_in(&mut self) {
        while let Ok(message) = self.messages.try_recv() {
            self.add(message);
        }
    }

    fn add(&mut self, message: OwnedMessage) {
        if self.untaken.len() == KEPT_MAX {
            self.untaken.pop_front();
        }
        self.untaken.push_back(message);
    }

    fn end(&self) -> String {
        match &*self.ended.borrow() {
            Some(closed) => format!("the connection was {}", End(closed)),
            None => "the connection ended".into(),
        }
    }

    fn unexpected(&self, pattern: &Pattern, came: String, number: usize) -> Failure {
        Failure::Unexpected {
            number,
            awaited: format!("a {pattern}"),
            came,
        }
    }
}

fn overdue(pattern: &Pattern, number: usize) -> Failure {
    let awaited = pattern.to_string();
    Failure::Overdue { number, awaited }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The beginning of a message, for one line.
fn shown(message: &OwnedMessage) -> String {
    const LONGEST: usize = 200;
    match message.as_text() {
        Some(text) => {
            let beginning: String = text.chars().take(LONGEST).collect();
            let more = if beginning.len() < text.len() {
                "…"
            } else {
                ""
            };
            format!("{}{more} came", Escaped(&beginning))
        }
        None => format!(
            "a binary message of {} bytes came",
            message.as_bytes().len()
        ),
    }
}

#[cfg(test)]
mod tests {
    use async_io::block_on;

    use super::*;
    use crate::command::Command;

    /// Runs lines over messages that have all come, and after which the server closed.
    fn run(messages: &[&str], lines: &[&str]) -> Result<(), Failure> {
        let (sender, receiver) = async_channel::unbounded();
        for message in messages {
            sender.try_send(OwnedMessage::from(*message)).expect("room");
        }
        drop(sender);
        let ended = RefCell::new(None);
        let mut script = Script::new(receiver, &ended);
        for (number, line) in (1..).zip(lines) {
            let line = script.filled_in(line).expect("kept");
            match Command::parse_script(&line) {
                Ok(Command::Script(step)) => block_on(script.run(step, number))?,
                Ok(Command::Skip) => {}
                other => panic!("{other:?}"),
            }
        }
        Ok(())
    }

    fn failed(messages: &[&str], lines: &[&str]) -> String {
        run(messages, lines).expect_err("a failure").to_string()
    }

    #[test]
    fn what_is_expected_may_have_come_in_any_order() {
        let came = [r#"{"type":"msg","off":7}"#, r#"{"type":"ok"}"#, "third"];
        let in_order = [
            "/expect {\"type\":\"ok\"}",
            "# a comment",
            "/expect {\"type\":\"msg\"}",
            "/keep off /off",
            "/next third",
            "/silence 0s",
        ];
        assert!(run(&came, &in_order).is_ok());
        let twice = ["/expect third", "/expect third"];
        assert_eq!(
            failed(&came, &twice),
            "line 2 of the script: the connection ended instead of a message with \"third\""
        );
    }

    #[test]
    fn the_next_message_is_the_oldest_that_was_not_taken() {
        assert_eq!(
            failed(&["a", "b\x1b"], &["/expect a", "/next =c"]),
            "line 2 of the script: b\\u{1b} came instead of a message \"c\""
        );
    }

    #[test]
    fn silence_is_broken_by_what_is_there_already() {
        let came = ["a", "b"];
        assert!(run(&came, &["/silence 1ms =c"]).is_ok());
        assert!(run(&came, &["/forget", "/silence 1ms"]).is_ok());
        assert_eq!(
            failed(&came, &["/silence 1ms =b"]),
            "line 1 of the script: b came instead of silence"
        );
    }

    #[test]
    fn what_was_kept_stands_in_later_lines() {
        let came = [r#"{"resume":"a\"b","n":[1]}"#, r#"a\"b [1] ${x y}"#];
        let lines = [
            "/expect {\"resume\":\"a\\\"b\"}",
            "/keep r /resume",
            "/keep n /n",
            "/next =${r} ${n} ${x y}",
        ];
        assert!(run(&came, &lines).is_ok());
        assert!(failed(&came, &["/next resume", "/keep x /none"]).contains("a value at /none"));
    }

    #[test]
    fn waiting_has_an_end() {
        let (sender, receiver) = async_channel::unbounded();
        let ended = RefCell::new(None);
        let mut script = Script::new(receiver, &ended);
        block_on(script.run(Step::Timeout(Duration::from_millis(1)), 1)).expect("always");
        let pattern = Pattern::parse("x").expect("pattern");
        let failure = block_on(script.run(Step::Expect(pattern), 2)).expect_err("nothing");
        assert_eq!(failure.exit_code(), 3);
        drop(sender);
    }
}

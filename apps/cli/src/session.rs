//! One connection, from its first message to its last.

use alloc::collections::VecDeque;
use core::cell::{Cell, RefCell};
use core::future::pending;
use core::pin::pin;
use core::time::Duration;
use std::time::Instant;

use async_channel::{Receiver, Sender};
use async_io::Timer;
use futures_lite::future::or;
use sockeye_async_std::smol::{RecvHalf, SendHalf, WebSocket};
use sockeye_core::{CloseCode, Closed, Incoming, Outgoing, OwnedMessage, SendError};

use crate::args::{Client, Wait};
use crate::command::{Command, HELP, InvalidCommand, Step};
use crate::failure::{Failure, LineFault};
use crate::input::{Entered, Input};
use crate::output::Output;
use crate::script::Script;
use crate::stop::Stop;

/// Pings whose Pongs are waited for; more are counted as lost.
const PINGS_MAX: usize = 1024;

/// How input is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// Each line is a message.
    Text,
    /// Each line is a message, of bytes.
    Binary,
    /// Each line is an event.
    Json,
    /// Lines are messages or commands: a terminal.
    Typed,
    /// The same, and commands that expect something: a script.
    Script,
}

/// What stays the same from connection to connection.
pub(crate) struct Plan<'a> {
    pub(crate) args: &'a Client,
    pub(crate) syntax: Syntax,
    pub(crate) output: &'a Output,
    pub(crate) stop: &'a Stop,
    pub(crate) deadline: Option<Instant>,
    /// Messages that have come in on all connections, or Pongs with `--ping`.
    pub(crate) received: &'a Cell<u64>,
}

/// How it ended, and why we closed if it was us.
pub(crate) struct Ended {
    pub(crate) closed: Option<Closed>,
    pub(crate) why: Option<Why>,
}

/// Why we close.
pub(crate) enum Why {
    /// The input said so, or its end.
    Done,
    /// As many messages have come as were asked for.
    Counted,
    /// The server has closed, as a script said it would.
    AsExpected,
    /// Ctrl-C, or a signal.
    Interrupted,
    /// Something is wrong.
    Failed(Failure),
}

struct Goodbye {
    code: CloseCode,
    reason: String,
    why: Why,
}

impl From<Why> for Goodbye {
    fn from(why: Why) -> Self {
        Self {
            code: CloseCode::NORMAL,
            reason: String::new(),
            why,
        }
    }
}

/// Talks until the connection has ended.
pub(crate) async fn talk(ws: WebSocket, plan: &Plan<'_>, input: &mut Input) -> Ended {
    let (sender, receiver) = ws.split();
    let (leave, leaving) = async_channel::bounded(1);
    let (inbox, messages) = async_channel::unbounded();
    let (ended, why) = (RefCell::new(None), RefCell::new(None));
    let session = Session {
        plan,
        leave,
        inbox,
        ended: &ended,
        pings: RefCell::default(),
    };
    let script = Script::new(messages, &ended);
    let mut sending = pin!(session.send_until_closed(sender, &leaving, input, script, &why));
    or(session.receive(receiver), sending.as_mut()).await;
    if plan.syntax == Syntax::Script && why.borrow().is_none() {
        // The server was first. The script goes on with what came before.
        session.inbox.close();
        sending.await;
    }
    Ended {
        closed: ended.take(),
        why: why.take(),
    }
}

struct Session<'a> {
    plan: &'a Plan<'a>,
    leave: Sender<Why>,
    /// For the script.
    inbox: Sender<OwnedMessage>,
    ended: &'a RefCell<Option<Closed>>,
    /// Ours that were not answered yet.
    pings: RefCell<VecDeque<(Vec<u8>, Instant)>>,
}

impl Session<'_> {
    /// Shows what comes in, until the end.
    async fn receive(&self, mut receiver: RecvHalf) {
        let output = self.plan.output;
        while let Some(incoming) = receiver.incoming().await {
            match incoming {
                // It came together with the last that was asked for.
                Incoming::Message(_) if self.has_enough() => {}
                Incoming::Message(message) => {
                    output.message(&message);
                    if self.plan.syntax == Syntax::Script {
                        // If the script is over, it needs no more.
                        let _ = self.inbox.try_send(message);
                    }
                    if !self.plan.args.ping {
                        self.count();
                    }
                }
                Incoming::Ping(payload) => output.ping(&payload),
                Incoming::Pong(payload) => self.handle_pong(&payload),
                Incoming::Closed(how) => {
                    output.closed(&how);
                    *self.ended.borrow_mut() = Some(how);
                }
                _ => {}
            }
            if output.is_gone() {
                let _ = self.leave.try_send(Why::Done);
            }
        }
    }

    fn handle_pong(&self, payload: &[u8]) {
        let mut pings = self.pings.borrow_mut();
        let at = pings.iter().position(|(ours, _)| ours == payload);
        // RFC 6455 §5.5.3: a Pong may answer only the newest of several Pings.
        let answered = at.and_then(|at| pings.drain(..=at).next_back());
        let rtt = answered.map(|(_, sent)| sent.elapsed());
        let is_asked_for = self.plan.args.ping;
        self.plan.output.pong(payload, rtt, is_asked_for);
        if is_asked_for && rtt.is_some() {
            self.count();
        }
    }

    fn has_enough(&self) -> bool {
        let count = self.plan.args.count();
        count.is_some_and(|count| self.plan.received.get() >= count)
    }

    fn count(&self) {
        self.plan.received.set(self.plan.received.get() + 1);
        if self.has_enough() {
            let _ = self.leave.try_send(Why::Counted);
        }
    }

    /// Sends what there is to send, then says goodbye. Ready when nobody waits for the
    /// server's answer to that.
    async fn send_until_closed(
        &self,
        mut sender: SendHalf,
        leaving: &Receiver<Why>,
        input: &mut Input,
        script: Script<'_>,
        why: &RefCell<Option<Why>>,
    ) {
        let told = async {
            match leaving.recv().await {
                Ok(why) => why.into(),
                Err(_) => pending().await,
            }
        };
        let outside = or(told, or(self.overdue(), self.interrupted()));
        let goodbye = or(outside, self.send(&mut sender, input, script)).await;
        *why.borrow_mut() = Some(goodbye.why);
        // The code and the reason were checked; if it is too late, the end comes anyway.
        let _ = sender.close(goodbye.code, &goodbye.reason).await;
        if self.ended.borrow().is_none() {
            self.plan.stop.wait().await;
        }
    }

    async fn overdue(&self) -> Goodbye {
        match self.plan.deadline {
            Some(deadline) => Timer::at(deadline).await,
            None => pending().await,
        };
        Why::Failed(Failure::TimedOut).into()
    }

    async fn interrupted(&self) -> Goodbye {
        self.plan.stop.wait().await;
        Why::Interrupted.into()
    }

    async fn send(
        &self,
        sender: &mut SendHalf,
        input: &mut Input,
        mut script: Script<'_>,
    ) -> Goodbye {
        for first in &self.plan.args.send {
            if let Err(error) = sender.send(self.outgoing(first)).await {
                return self.refused(0, error).await;
            }
        }
        if self.plan.args.ping {
            return self.ping_on(sender).await;
        }
        loop {
            let line = match input.next().await {
                Entered::Line(line) => line,
                Entered::End => return self.after_input().await,
                Entered::Failed(failure) => return Why::Failed(failure).into(),
            };
            let number = input.number();
            let command = match self.understand(&line, &script) {
                Ok(command) => command,
                Err(fault) if self.is_typed() => {
                    self.plan.output.notice(&format!("your line {fault}"));
                    continue;
                }
                Err(fault) => return Why::Failed(Failure::Line { number, fault }).into(),
            };
            match self.act(command, number, sender, &mut script).await {
                Ok(None) => {}
                Ok(Some(goodbye)) => return goodbye,
                Err(SendError::Closing | SendError::Closed)
                    if self.plan.syntax == Syntax::Script =>
                {
                    return Why::Failed(script.too_late(number)).into();
                }
                Err(SendError::Closing | SendError::Closed) => {
                    input.put_back(line);
                    return pending().await;
                }
                Err(error) => return self.refused(number, error).await,
            }
        }
    }

    /// What follows the end of the input.
    async fn after_input(&self) -> Goodbye {
        let has_ended = self.ended.borrow().is_some();
        if self.is_typed() || (has_ended && self.plan.syntax == Syntax::Script) {
            return Why::Done.into();
        }
        if has_ended || self.plan.args.count().is_some() {
            return pending().await;
        }
        match self.plan.args.wait {
            Wait::Forever => return pending().await,
            Wait::For(time) => Timer::after(time).await,
        };
        Why::Done.into()
    }

    fn understand(&self, line: &[u8], script: &Script<'_>) -> Result<Command, LineFault> {
        let text = || core::str::from_utf8(line).map_err(|_| LineFault::Utf8);
        match self.plan.syntax {
            Syntax::Binary => Ok(Command::Send(line.into())),
            Syntax::Text => Ok(Command::Send(text()?.into())),
            Syntax::Json => Command::parse_json(line),
            Syntax::Typed => match Command::parse_script(text()?).map_err(LineFault::Command)? {
                Command::Send(_) if self.plan.args.binary && !line.starts_with(b"/") => {
                    Ok(Command::Send(line.into()))
                }
                Command::Script(_) => Err(LineFault::Command(InvalidCommand::OnlyInScripts)),
                command => Ok(command),
            },
            Syntax::Script => {
                let line = script.filled_in(text()?)?;
                Command::parse_script(&line).map_err(LineFault::Command)
            }
        }
    }

    /// Does it. A goodbye if that is the end.
    async fn act(
        &self,
        command: Command,
        number: usize,
        sender: &mut SendHalf,
        script: &mut Script<'_>,
    ) -> Result<Option<Goodbye>, SendError> {
        match command {
            Command::Send(message) => sender.send(message).await?,
            Command::Ping(payload) => self.ping(sender, payload).await?,
            Command::Close(code, reason) => {
                let why = Why::Done;
                return Ok(Some(Goodbye { code, reason, why }));
            }
            Command::Help => HELP.lines().for_each(|line| self.plan.output.notice(line)),
            Command::Skip => {}
            Command::Script(step) => {
                let is_end = matches!(step, Step::Closed(..));
                match script.run(step, number).await {
                    Ok(()) if is_end => return Ok(Some(Why::AsExpected.into())),
                    Ok(()) => {}
                    Err(failure) => return Ok(Some(Why::Failed(failure).into())),
                }
            }
        }
        Ok(None)
    }

    async fn ping(&self, sender: &mut SendHalf, payload: Vec<u8>) -> Result<(), SendError> {
        {
            let mut pings = self.pings.borrow_mut();
            if pings.len() == PINGS_MAX {
                pings.pop_front();
            }
            pings.push_back((payload.clone(), Instant::now()));
        }
        sender.ping(&payload).await
    }

    /// A Ping from time to time, numbered, as many as are asked for.
    async fn ping_on(&self, sender: &mut SendHalf) -> Goodbye {
        const INTERVAL: Duration = Duration::from_secs(1);
        let given = self.plan.args.ping_interval.and_then(|given| given.0);
        let interval = given.unwrap_or(INTERVAL);
        let limit = self.plan.args.count().unwrap_or(u64::MAX);
        let mut next = Instant::now();
        for number in self.plan.received.get() + 1..=limit {
            if self.ping(sender, number.to_string().into()).await.is_err() {
                break;
            }
            next += interval;
            Timer::at(next).await;
        }
        // The answer to the last of them, or the end, is still to come.
        pending().await
    }

    /// A message that the protocol refuses to send; if it refuses all, the end comes.
    async fn refused(&self, number: usize, error: SendError) -> Goodbye {
        match error {
            SendError::Closing | SendError::Closed => pending().await,
            error => {
                let fault = LineFault::Send(error);
                Why::Failed(Failure::Line { number, fault }).into()
            }
        }
    }

    fn outgoing<'m>(&self, text: &'m str) -> Outgoing<'m> {
        if self.plan.args.binary {
            Outgoing::binary(text.as_bytes())
        } else {
            Outgoing::text(text)
        }
    }

    /// Whether somebody types, and can type again what was wrong.
    fn is_typed(&self) -> bool {
        self.plan.syntax == Syntax::Typed
    }
}

//! The thread that sends commands.

use alloc::collections::BTreeSet;
use std::time::Instant;

use redis::{Connection, RedisResult, Value};

use super::command::{self, Command, Failed, Reply};
use super::link::Line;
use super::queue::Job;
use super::{BEAT, Backoff, Shared, missed_since};

/// Serves one connection after another, until the store is dropped.
pub(super) fn run(shared: &Shared, first: Option<Connection>) {
    let mut next = first;
    loop {
        let Some(connection) = next.take().or_else(|| reconnect(shared)) else {
            return fail_all(shared);
        };
        shared.link.up(Line::Commands);
        if serve(shared, connection) {
            return fail_all(shared);
        }
    }
}

/// Sends what comes until the connection is lost; `true` at the end of the store.
fn serve(shared: &Shared, connection: Connection) -> bool {
    let mut wire = Wire {
        connection,
        loaded: BTreeSet::new(),
    };
    let mut beat = Instant::now();
    loop {
        let Some(mut jobs) = shared.queue.take(beat) else {
            return true;
        };
        if beat <= Instant::now() {
            beat = Instant::now() + BEAT;
            jobs.extend(beats(shared));
        }
        let sent = Instant::now();
        let (replies, outcome) = wire.exchange(&jobs);
        if let Err(error) = &outcome {
            tracing::warn!("lost Redis at {}: {}", shared.address, error.category());
            // First, so that who sends a command again finds it waiting for a connection.
            shared.link.down(Line::Commands, missed_since(error, sent));
        }
        let lost = (replies.len()..jobs.len()).map(|_| Err(Failed::Away));
        let replies: Vec<Reply> = replies.into_iter().map(judge).chain(lost).collect();
        let mut lame = false;
        for (job, reply) in jobs.into_iter().zip(replies) {
            lame |= job.is_beat() && reply.is_err();
            job.finish(reply);
        }
        if outcome.is_err() {
            return false;
        }
        if lame {
            tracing::warn!("Redis at {} takes no writes", shared.address);
            shared.link.down(Line::Commands, sent);
            return false;
        }
    }
}

/// What is asked every second, so that a silent store is noticed; the subscription hears
/// the second.
fn beats(shared: &Shared) -> [Job; 2] {
    let write = Command::new("SET")
        .arg(&shared.probe)
        .arg(1)
        .arg("PX")
        .arg(5000);
    let publish = Command::new("PUBLISH").arg(&shared.channels[0]).arg("");
    [Job::beat(write), Job::beat(publish)]
}

/// A connection, and the hashes of the scripts that were loaded through it.
struct Wire {
    connection: Connection,
    loaded: BTreeSet<Box<str>>,
}

impl Wire {
    /// Sends all and reads the answers, as many as come.
    fn exchange(&mut self, jobs: &[Job]) -> (Vec<Value>, RedisResult<()>) {
        let mut replies = Vec::with_capacity(jobs.len());
        let outcome = self.send_and_receive(jobs, &mut replies);
        (replies, outcome)
    }

    fn send_and_receive(&mut self, jobs: &[Job], replies: &mut Vec<Value>) -> RedisResult<()> {
        let mut output = Vec::new();
        let mut loads = Vec::with_capacity(jobs.len());
        for job in jobs {
            // A script goes before its first call, and not after the store has asked for it:
            // the commands behind that call would have been run before it.
            let script = job.command.script();
            let new = script.filter(|script| self.loaded.insert(script.hash().into()));
            if let Some(script) = new {
                script.write_load(&mut output);
            }
            loads.push(new.is_some());
            job.command.write(&mut output);
        }
        self.connection.send_packed_command(&output)?;
        for is_loaded in loads {
            if is_loaded {
                self.connection.recv_response()?;
            }
            replies.push(self.connection.recv_response()?);
        }
        for (job, reply) in jobs.iter().zip(replies) {
            if command::lacks_script(reply) {
                *reply = self.load_and_send(&job.command)?;
            }
        }
        Ok(())
    }

    /// Sends a command whose script the store had, and has forgotten.
    fn load_and_send(&mut self, command: &Command) -> RedisResult<Value> {
        let mut output = Vec::new();
        if let Some(script) = command.script() {
            script.write_load(&mut output);
            self.connection.send_packed_command(&output)?;
            self.connection.recv_response()?;
        }
        output.clear();
        command.write(&mut output);
        self.connection.send_packed_command(&output)?;
        self.connection.recv_response()
    }
}

fn judge(value: Value) -> Reply {
    match value {
        Value::ServerError(error) => Err(Failed::from_server(&error)),
        value => Ok(value),
    }
}

/// Tries until it works; `None` at the end of the store.
fn reconnect(shared: &Shared) -> Option<Connection> {
    let mut backoff = Backoff::new();
    loop {
        if shared.link.is_stopped() {
            return None;
        }
        match shared.connect_and_probe() {
            Ok(connection) => return Some(connection),
            Err(error) => tracing::debug!("{error}"),
        }
        shared.link.check();
        if shared.link.is_degraded() {
            fail_all(shared);
        }
        if !shared.link.sleep(backoff.next()) {
            return None;
        }
    }
}

fn fail_all(shared: &Shared) {
    for job in shared.queue.take_all() {
        job.finish(Err(Failed::Away));
    }
}

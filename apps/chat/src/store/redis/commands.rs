//! Calls of the scripts. `None` before the store has started.

use alloc::sync::Arc;
use core::time::Duration;

use sockeye_kit::cluster::{Cluster, FencedScript};
use sockeye_kit::name::Name;
use sockeye_kit::redis::{Command, random};

use super::super::{Claim, Epoch, Post, Session, Via, Whisper};
use super::scripts::{key, partition};
use super::{RedisStore, wire};

/// How long the answer to a request is remembered under what the client calls it by.
const REMEMBER: Duration = Duration::from_secs(300);
/// How long it is when the client does not: for our own second attempt.
const REMEMBER_SHORTLY: Duration = Duration::from_secs(10);
/// How long what belongs to a living node is kept without being renewed.
pub(super) const KEEP: Duration = Duration::from_secs(15 * 60);

impl RedisStore {
    pub(super) fn claim_command(&self, claim: &Claim) -> Option<Command> {
        let resume = claim.resume.as_ref();
        let command = self.command(&self.0.scripts.claim, &[&key("name", &claim.name)])?;
        Some(
            command
                .arg(self.me())
                .arg(claim.session.to_string())
                .arg(hex(claim.secret.expose()))
                .arg(
                    resume
                        .map(|secret| hex(secret.expose()))
                        .unwrap_or_default(),
                )
                .arg(claim.capacity)
                .arg(millis(KEEP)),
        )
    }

    pub(super) fn release_command(&self, name: &Name, session: Session) -> Option<Command> {
        let command = self.command(&self.0.scripts.release, &[&key("name", name)])?;
        Some(command.arg(session.to_string()))
    }

    pub(super) fn post_command(&self, post: &Post) -> Option<Command> {
        let Post {
            room,
            from,
            text,
            via,
            id,
            ..
        } = post;
        let settings = &self.0.hub.settings;
        let called = |id| format!("{}:{room}:{from}:{id}", via.retries());
        let retry = Retry::new(id.as_ref().map(called));
        let keys = [
            key("room", room),
            key("log", room),
            retry.key,
            key("name", from),
        ];
        let keys = keys.each_ref().map(String::as_str);
        let command = self.command(&self.0.scripts.post, &keys)?;
        let lease = match via {
            Via::Member => self.me(),
            Via::Api => String::new(),
        };
        Some(
            command
                .arg(lease)
                .arg(&**room)
                .arg(self.channel(room))
                .arg(&*fresh_epoch().0)
                .arg(wire::entry(*via, from, text))
                .arg(millis(retry.remember))
                .arg(settings.history_count)
                .arg(millis(settings.history_age))
                .arg(settings.history_bytes)
                .arg(millis(self.keep_room())),
        )
    }

    pub(super) fn whisper_command(&self, whisper: &Whisper) -> Option<Command> {
        let Whisper { from, to, id, .. } = whisper;
        let retry = Retry::new(id.as_ref().map(|id| format!("user:{to}:{from}:{id}")));
        let keys = [&*key("name", to), &*key("name", from), &*retry.key];
        let command = self.command(&self.0.scripts.whisper, &keys)?;
        Some(
            command
                .arg(self.me())
                .arg(wire::write_whisper(whisper))
                .arg(millis(retry.remember)),
        )
    }

    pub(super) fn load_command(&self, request: u64, room: &Name) -> Option<Command> {
        let keys = [key("room", room), key("log", room), key("members", room)];
        let keys = keys.each_ref().map(String::as_str);
        let command = self.command(&self.0.scripts.load, &keys)?;
        Some(
            command
                .arg(self.cluster()?.own_channel())
                .arg(request)
                .arg(&**room)
                .arg(&*fresh_epoch().0)
                .arg(millis(self.0.hub.settings.history_age))
                .arg(millis(self.keep_room())),
        )
    }

    pub(super) fn renew_epoch_command(&self, room: &Name, old: &Epoch) -> Option<Command> {
        let keys = [&*key("room", room), &*key("log", room)];
        let command = self.command(&self.0.scripts.renew_epoch, &keys)?;
        let command = command.arg(&**room).arg(self.channel(room));
        Some(command.arg(&*old.0).arg(&*fresh_epoch().0))
    }

    pub(super) fn enter_command(&self, room: &Name, user: &Name) -> Option<Command> {
        let command = self.command(&self.0.scripts.enter, &[&key("members", room)])?;
        let command = self.tell_of("e", command, room, user);
        Some(command.arg(millis(KEEP)))
    }

    pub(super) fn leave_command(&self, room: &Name, user: &Name) -> Option<Command> {
        let command = self.command(&self.0.scripts.leave, &[&key("members", room)])?;
        Some(self.tell_of("l", command, room, user))
    }

    pub(super) fn typing_command(&self, room: &Name, user: &Name) -> Option<Command> {
        let command = self.command(&self.0.scripts.typing, &[])?;
        Some(self.tell_of("t", command, room, user))
    }

    /// Keeps a room that has members, though nothing is said in it.
    pub(super) fn keep_command(&self, room: &Name) -> Option<Command> {
        let keep = Command::new("PEXPIRE").arg(key("room", room));
        self.cluster().map(|_| keep.arg(millis(self.keep_room())))
    }

    /// Adds the member, where to tell of it, and what.
    fn tell_of(&self, kind: &str, command: Command, room: &Name, user: &Name) -> Command {
        let me = self.me();
        let published = format!("{kind} {room} {me} {user}");
        command
            .arg(format!("{user} {me}"))
            .arg(self.channel(room))
            .arg(published)
    }

    fn command(&self, script: &FencedScript, keys: &[&str]) -> Option<Command> {
        Some(self.cluster()?.command(script, keys))
    }

    fn cluster(&self) -> Option<&Cluster> {
        self.0.cluster.get()
    }

    fn me(&self) -> String {
        self.cluster()
            .map(|cluster| cluster.me().to_string())
            .unwrap_or_default()
    }

    /// The channel on which a room is told of.
    fn channel(&self, room: &str) -> &str {
        &self.0.partitions[partition(room)]
    }

    /// A room outlives its messages: its numbers must not begin again under its members.
    fn keep_room(&self) -> Duration {
        self.0.hub.settings.history_age.max(KEEP)
    }
}

/// Under what a request is remembered.
struct Retry {
    key: String,
    remember: Duration,
}

impl Retry {
    /// By what the client calls it, or for our own second attempt only.
    fn new(called: Option<String>) -> Self {
        match called {
            Some(called) => Self {
                key: key("retry", &called),
                remember: REMEMBER,
            },
            None => Self {
                key: key("retry", &format!("once:{:016x}{:016x}", random(), random())),
                remember: REMEMBER_SHORTLY,
            },
        }
    }
}

fn fresh_epoch() -> Epoch {
    Epoch(Arc::from(format!("{:016x}", random())))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! `path`: one hot path again and again, for whoever counts its instructions.

use sockeye_core::Frame;

use crate::codec::{self, Contender, Content, Handled, Job, Role, Sockeye, Task};
use crate::peers::Peer;
use crate::sessions::Crowd;

/// A path that is repeated.
#[derive(Clone, Copy)]
enum Path {
    Codec(&'static dyn Contender, Task, Content, usize),
    /// A session from its first byte to its handler.
    Upgrade,
    /// One message of a broadcast, from its `Peer` to the transport.
    Delivery,
}

const SERVER: Role = Role::Server;
const CLIENT: Role = Role::Client;

const fn send(role: Role, per_flush: usize) -> Task {
    Task::Send { role, per_flush }
}

const PATHS: &[(&str, Path)] = &[
    (
        "receive-16",
        Path::Codec(&Sockeye::Lent, Task::Receive, Content::Binary, 16),
    ),
    (
        "receive-1k",
        Path::Codec(&Sockeye::Lent, Task::Receive, Content::Binary, 1 << 10),
    ),
    (
        "receive-16k",
        Path::Codec(&Sockeye::Lent, Task::Receive, Content::Binary, 16 << 10),
    ),
    (
        "receive-text-16",
        Path::Codec(&Sockeye::Lent, Task::Receive, Content::Ascii, 16),
    ),
    (
        "receive-text-1k",
        Path::Codec(&Sockeye::Lent, Task::Receive, Content::Multibyte, 1 << 10),
    ),
    (
        "receive-owned-16",
        Path::Codec(&Sockeye::Owned, Task::Receive, Content::Binary, 16),
    ),
    (
        "recv-16",
        Path::Codec(&Sockeye::Recv, Task::Receive, Content::Binary, 16),
    ),
    (
        "echo-16",
        Path::Codec(&Sockeye::Lent, Task::Echo, Content::Binary, 16),
    ),
    (
        "handler-echo-16",
        Path::Codec(&Handled::Plain, Task::Echo, Content::Binary, 16),
    ),
    (
        "linear-echo-16",
        Path::Codec(&Handled::Linear, Task::Echo, Content::Binary, 16),
    ),
    (
        "loop-receive-16",
        Path::Codec(&Peer::Sockeye, Task::Receive, Content::Binary, 16),
    ),
    (
        "loop-echo-16",
        Path::Codec(&Peer::Sockeye, Task::Echo, Content::Binary, 16),
    ),
    (
        "server-send-16",
        Path::Codec(&Sockeye::Lent, send(SERVER, 32), Content::Binary, 16),
    ),
    (
        "server-send-16k",
        Path::Codec(&Sockeye::Lent, send(SERVER, 1), Content::Binary, 16 << 10),
    ),
    (
        "client-send-125",
        Path::Codec(&Sockeye::Lent, send(CLIENT, 32), Content::Binary, 125),
    ),
    ("upgrade", Path::Upgrade),
    ("delivery", Path::Delivery),
];

/// The names there are.
pub fn names() -> impl Iterator<Item = &'static str> {
    PATHS.iter().map(|(name, _)| *name)
}

/// Takes a path `count` times. `None`: there is no such path, or it failed.
pub fn run(name: &str, count: usize) -> Option<()> {
    let (_, path) = PATHS.iter().find(|(known, _)| *known == name)?;
    match *path {
        Path::Codec(contender, task, content, len) => {
            let job = Job {
                task,
                content,
                len,
                messages: count,
            };
            codec::once(contender, job)
        }
        Path::Upgrade => {
            let mut crowd = Crowd::new(count, false);
            (0..count).for_each(|_| crowd.open());
            Some(())
        }
        Path::Delivery => {
            const SESSIONS: usize = 100;
            let mut crowd = Crowd::new(SESSIONS, true);
            (0..SESSIONS).for_each(|_| crowd.open());
            let frame = Frame::new(&[7_u8; 64][..]);
            (0..count / SESSIONS).for_each(|_| crowd.broadcast(&frame));
            Some(())
        }
    }
}

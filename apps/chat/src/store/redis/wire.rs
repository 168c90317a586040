//! What nodes publish, and what stands in a room's log: text, fields between spaces.
//!
//! Names hold no space, texts no control character but tab and newline. What cannot be read
//! is left out: it comes from a newer node, or from somebody who should not write here.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use sockeye_kit::name::Name;

use super::super::{Epoch, Message, Node, Session, Snapshot, Stamp, Via, Whisper};

/// Between the parts of a snapshot.
pub(super) const PART: char = '\x1e';
/// Between the members in it.
pub(super) const MEMBER: char = '\x1f';

/// What comes on a channel.
#[derive(Debug)]
pub(super) enum Published<'a> {
    /// `m ROOM EPOCH OFF ENTRY`
    Message(&'a str, Unread<'a>),
    /// `n ROOM EPOCH`: the room has begun anew.
    Epoch(&'a str, &'a str),
    /// `e ROOM LEASE USER`
    Enter(&'a str, Elsewhere<'a>),
    /// `l ROOM LEASE USER`
    Leave(&'a str, Elsewhere<'a>),
    /// `t ROOM LEASE USER`
    Typing(&'a str, Elsewhere<'a>),
    /// `s REQUEST ROOM EPOCH OFF`, members, entries.
    Snapshot(u64, Snapshot),
    /// `r NAME SESSION`: this node's connection has lost its name.
    Replace(Name, Session),
    /// `w FROM TO TS TEXT`
    Whisper(Whisper),
}

/// A message that has not been looked at: the room may not be needed here.
#[derive(Debug)]
pub(super) struct Unread<'a>(&'a str);

/// A user, on a node.
#[derive(Debug)]
pub(super) struct Elsewhere<'a> {
    pub(super) lease: &'a str,
    user: &'a str,
}

impl<'a> Published<'a> {
    /// `None` for what is not of ours.
    pub(super) fn read(payload: &'a [u8]) -> Option<Self> {
        let text = core::str::from_utf8(payload).ok()?;
        let (kind, rest) = text.split_once(' ')?;
        let (first, rest) = rest.split_once(' ')?;
        Some(match kind {
            "m" => Self::Message(first, Unread(rest)),
            "n" => Self::Epoch(first, rest),
            "e" => Self::Enter(first, Elsewhere::read(rest)?),
            "l" => Self::Leave(first, Elsewhere::read(rest)?),
            "t" => Self::Typing(first, Elsewhere::read(rest)?),
            "s" => {
                let (_, rest) = rest.split_once(' ')?;
                Self::Snapshot(first.parse().ok()?, snapshot(rest)?)
            }
            "r" => Self::Replace(Name::parse(first).ok()?, rest.parse().ok()?),
            "w" => Self::Whisper(whisper(first, rest)?),
            _ => return None,
        })
    }
}

impl Unread<'_> {
    pub(super) fn message(&self) -> Option<Message> {
        let (epoch, rest) = self.0.split_once(' ')?;
        let (off, entry) = rest.split_once(' ')?;
        let epoch = Epoch(epoch.into());
        let off = off.parse().ok()?;
        read_entry(entry, Stamp { off, epoch })
    }
}

impl<'a> Elsewhere<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (lease, user) = text.split_once(' ')?;
        Some(Self { lease, user })
    }

    pub(super) fn node(&self) -> Node {
        Node(self.lease.into())
    }

    pub(super) fn user(&self) -> Option<Name> {
        Name::parse(self.user).ok()
    }
}

/// `TS VIA FROM TEXT`; the script puts the time before it.
pub(super) fn entry(via: Via, from: &Name, text: &str) -> String {
    let via = match via {
        Via::Member => 'm',
        Via::Api => 'a',
    };
    format!("{via} {from} {text}")
}

pub(super) fn read_entry(entry: &str, stamp: Stamp) -> Option<Message> {
    let mut fields = entry.splitn(4, ' ');
    let ts = time(fields.next()?)?;
    let via = match fields.next()? {
        "m" => Via::Member,
        "a" => Via::Api,
        _ => return None,
    };
    Some(Message {
        stamp,
        from: Name::parse(fields.next()?).ok()?,
        text: fields.next()?.into(),
        ts,
        via,
    })
}

/// `OFF EPOCH`, as scripts answer.
pub(super) fn read_stamp(text: &str) -> Option<Stamp> {
    let (off, epoch) = text.split_once(' ')?;
    Some(Stamp {
        off: off.parse().ok()?,
        epoch: Epoch(epoch.into()),
    })
}

pub(super) fn write_whisper(whisper: &Whisper) -> String {
    let Whisper {
        from, to, text, ts, ..
    } = whisper;
    let ts = ts
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    format!("w {from} {to} {ts} {text}")
}

fn whisper(from: &str, rest: &str) -> Option<Whisper> {
    let mut fields = rest.splitn(3, ' ');
    Some(Whisper {
        from: Name::parse(from).ok()?,
        to: Name::parse(fields.next()?).ok()?,
        ts: time(fields.next()?)?,
        text: fields.next()?.into(),
        id: None,
    })
}

/// Entries have the offsets up to that of the newest.
fn snapshot(text: &str) -> Option<Snapshot> {
    let mut parts = text.split(PART);
    let (epoch, off) = parts.next()?.split_once(' ')?;
    let newest = Stamp {
        off: off.parse().ok()?,
        epoch: Epoch(epoch.into()),
    };
    let members = parts.next()?.split(MEMBER).filter_map(|member| {
        let (user, lease) = member.split_once(' ')?;
        Some((Node(lease.into()), Name::parse(user).ok()?))
    });
    let members = members.collect();
    let entries: Vec<&str> = parts.filter(|entry| !entry.is_empty()).collect();
    let first = (newest.off + 1).checked_sub(entries.len() as u64)?;
    let messages = (first..).zip(entries).map(|(off, entry)| {
        let epoch = newest.epoch.clone();
        read_entry(entry, Stamp { off, epoch })
    });
    // One that cannot be read would be a hole: then there is no history.
    let messages: Option<Vec<Message>> = messages.collect();
    Some(Snapshot {
        messages: messages.unwrap_or_default(),
        newest,
        members,
    })
}

fn time(milliseconds: &str) -> Option<SystemTime> {
    let since = Duration::from_millis(milliseconds.parse().ok()?);
    UNIX_EPOCH.checked_add(since)
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Session {
    type Err = core::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

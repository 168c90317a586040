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
    let first = newest.off.checked_sub(entries.len() as u64)? + 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn read(text: &str) -> Option<Published<'_>> {
        Published::read(text.as_bytes())
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        for (via, text) in [(Via::Member, "hello  there "), (Via::Api, "a\n\tb m x")] {
            let entry = entry(via, &name("ana"), text);
            let published = format!("m lobby e1 7 1795251600123 {entry}");
            let Some(Published::Message("lobby", unread)) = read(&published) else {
                panic!("{published}");
            };
            let message = unread.message().expect("a message");
            assert_eq!(&*message.text, text);
            assert_eq!((&*message.from, message.via), ("ana", via));
            assert_eq!(message.stamp, read_stamp("7 e1").expect("a stamp"));
            let since = message.ts.duration_since(UNIX_EPOCH).expect("later");
            assert_eq!(since, Duration::from_millis(1_795_251_600_123));
        }
    }

    #[test]
    fn a_whisper_is_read_as_it_was_written() {
        let whisper = Whisper {
            from: name("ana"),
            to: name("ben"),
            text: "psst: r w".into(),
            ts: UNIX_EPOCH + Duration::from_millis(42),
            id: None,
        };
        let written = write_whisper(&whisper);
        let Some(Published::Whisper(read)) = read(&written) else {
            panic!("{written}");
        };
        assert_eq!(format!("{read:?}"), format!("{whisper:?}"));
    }

    #[test]
    fn the_entries_of_a_snapshot_end_at_its_newest_offset() {
        let text = "s 9 lobby e1 12\x1eana n1.1\x1fben n2.4\x1e1 m ana one\x1e2 a server two";
        let Some(Published::Snapshot(9, snapshot)) = read(text) else {
            panic!("{text}");
        };
        let offsets = snapshot.messages.iter().map(|message| message.stamp.off);
        assert_eq!(offsets.collect::<Vec<_>>(), [11, 12]);
        assert_eq!(snapshot.newest, read_stamp("12 e1").expect("a stamp"));
        let members = [("n1.1", "ana"), ("n2.4", "ben")];
        let members = members.map(|(node, user)| (Node(node.into()), name(user)));
        assert_eq!(snapshot.members, members);
    }

    #[test]
    fn a_snapshot_may_be_empty_and_has_no_holes() {
        for (text, off) in [
            ("s 9 lobby e1 0\x1e\x1e", 0),
            ("s 9 lobby e1 7\x1e\x1e", 7),
            // One entry is of a kind that is not known here.
            ("s 9 lobby e1 2\x1e\x1e1 m ana one\x1e2 z ana two", 2),
        ] {
            let Some(Published::Snapshot(9, snapshot)) = read(text) else {
                panic!("{text}");
            };
            assert_eq!(snapshot.newest.off, off);
            assert!(
                snapshot.messages.is_empty() && snapshot.members.is_empty(),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_ours_is_left_out() {
        for text in [
            "",
            "m",
            "q lobby x",
            "e lobby n1.1",
            "s x lobby e1 0\x1e\x1e",
            // More entries than messages that ever were.
            "s 9 lobby e1 1\x1e\x1e1 m ana one\x1e2 m ana two",
            "r ana session",
            "r not:a:name 00ff",
            "w ana ben soon hello",
        ] {
            assert!(read(text).is_none(), "{text}");
        }
        assert!(Published::read(b"m lobby \xff").is_none());
    }
}

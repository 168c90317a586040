//! The connections of a room.

use core::mem;
use std::collections::HashMap;

use sockeye_handler::Peer;
use sockeye_kit::name::Name;

use super::roster::Mark;
use crate::protocol::{Dialect, Listing};

/// One connection in a room.
#[derive(Debug)]
pub(crate) struct Member {
    /// The number of the connection on this node.
    pub(crate) connection: u64,
    pub(crate) peer: Peer,
    pub(crate) user: Name,
    pub(crate) dialect: Dialect,
    pub(crate) listing: Listing,
    /// What it knows of the changes of this window.
    pub(crate) mark: Mark,
    /// It has missed something and is due the whole list.
    pub(crate) is_stale: bool,
}

/// The connections of a room: quick to go through, and to find.
#[derive(Default)]
pub(crate) struct Members {
    list: Vec<Member>,
    /// Where in the list a connection stands.
    index: HashMap<u64, u32>,
}

impl Members {
    pub(crate) fn insert(&mut self, member: Member) {
        // There are fewer connections than that.
        let at = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.index.insert(member.connection, at);
        self.list.push(member);
    }

    pub(crate) fn remove(&mut self, connection: u64) -> Option<Member> {
        let at = self.index.remove(&connection)?;
        let member = self.list.swap_remove(at as usize);
        if let Some(moved) = self.list.get(at as usize) {
            self.index.insert(moved.connection, at);
        }
        if self.list.is_empty() {
            drop(mem::take(self));
        }
        Some(member)
    }

    pub(crate) fn contains(&self, connection: u64) -> bool {
        self.index.contains_key(&connection)
    }

    pub(crate) fn find(&mut self, connection: u64) -> Option<&mut Member> {
        let at = *self.index.get(&connection)?;
        self.list.get_mut(at as usize)
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.list.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.list.iter_mut()
    }
}

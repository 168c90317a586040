//! All connections of a node, in the order in which they came.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sockeye_handler::{Peer, Time};

/// All connections. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Connections(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    peers: BTreeMap<u64, Peer>,
    last: u64,
    /// Those up to this number have to go.
    gone_until: u64,
    drain: Option<Drain>,
}

/// How those who are there are sent away one after the other.
struct Drain {
    start: Time,
    spread: Duration,
    /// How many there were.
    count: usize,
    /// How many have been told.
    told: usize,
}

/// A place in the table, for as long as the connection lives.
pub(crate) struct Ticket {
    connections: Connections,
    number: u64,
}

impl Connections {
    /// How often some are told to go while the node drains.
    const STEP: Duration = Duration::from_millis(20);

    pub(crate) fn enter(&self, peer: Peer) -> Ticket {
        let mut table = self.lock();
        table.last += 1;
        let number = table.last;
        table.peers.insert(number, peer);
        Ticket {
            connections: self.clone(),
            number,
        }
    }

    /// Wakes all of them.
    pub(crate) fn wake(&self) {
        self.lock().peers.values().for_each(Peer::wake);
    }

    /// From here on those who are there have to go, spread over so long.
    pub(crate) fn drain(&self, spread: Duration, now: Time) {
        let mut table = self.lock();
        table.drain = Some(Drain {
            start: now,
            spread,
            count: table.peers.len(),
            told: 0,
        });
    }

    /// Tells those to go whose time has come. Returns when to call again.
    pub(crate) fn handle_timeout(&self, now: Time) -> Option<Time> {
        let mut table = self.lock();
        let Table {
            peers,
            last,
            gone_until,
            drain,
        } = &mut *table;
        let drain = drain.as_mut()?;
        let passed = now.saturating_since(drain.start);
        let due = if passed >= drain.spread {
            drain.count
        } else {
            // The first at once, and the last before the end.
            let share = passed.as_secs_f64() / drain.spread.as_secs_f64();
            (drain.count as f64 * share) as usize + 1
        };
        let count = due.min(drain.count) - drain.told;
        drain.told += count;
        let mut left = peers.range(*gone_until + 1..);
        for (number, peer) in left.by_ref().take(count) {
            *gone_until = *number;
            peer.wake();
        }
        if drain.told < drain.count {
            return Some(now + Self::STEP);
        }
        // And whoever came in the meantime.
        left.for_each(|(_, peer)| peer.wake());
        *gone_until = *last;
        None
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing is left half-done under the lock, so a poisoned one is as good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Whether this connection has to go.
    pub(crate) fn has_to_go(&self) -> bool {
        self.number <= self.connections.lock().gone_until
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.connections.lock().peers.remove(&self.number);
    }
}

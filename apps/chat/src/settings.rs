//! What an operator can set.

use core::num::NonZeroU32;
use core::time::Duration;

/// The limits and times of the service; the defaults are those of the flags.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Requests a second that a connection may make; 20.
    pub rate: NonZeroU32,
    /// Requests that it may make at once; 40.
    pub burst: NonZeroU32,
    /// Rooms that a connection may be in; 100.
    pub rooms_per_connection: usize,
    /// Connections that may be in a room; 10,000.
    pub room_size: usize,
    /// Connections of one user, where tokens prove who that is; 10.
    pub connections_per_user: u32,
    /// Messages that a room remembers; 1,000.
    pub history_count: usize,
    /// How long it remembers them; 24 h.
    pub history_age: Duration,
    /// Bytes that the messages of a room may take; 4 MiB.
    pub history_bytes: usize,
    /// Bytes that the messages of all rooms may take; 256 MiB.
    pub history_total: usize,
    /// Bytes that may be queued for a connection; 1 MiB. What adapters call the hard mark.
    pub queue_bytes: usize,
    /// Within how long changes of members are told together; 250 ms.
    pub coalesce: Duration,
    /// Members above which only their number is told; 200.
    pub max_listed: usize,
    /// How long a lost connection still shows; 5 s.
    pub grace: Duration,
    /// How long after a loss a connection can be resumed; 60 s.
    pub resume: Duration,
    /// How long a connection may wait with its login; 5 s.
    pub login_timeout: Duration,
    /// How long before its end an overdue token is told of; 30 s.
    pub expiring: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let number = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            rate: number(20),
            burst: number(40),
            rooms_per_connection: 100,
            room_size: 10_000,
            connections_per_user: 10,
            history_count: 1000,
            history_age: Duration::from_secs(24 * 3600),
            history_bytes: 4 << 20,
            history_total: 256 << 20,
            queue_bytes: 1 << 20,
            coalesce: Duration::from_millis(250),
            max_listed: 200,
            grace: Duration::from_secs(5),
            resume: Duration::from_secs(60),
            login_timeout: Duration::from_secs(5),
            expiring: Duration::from_secs(30),
        }
    }
}

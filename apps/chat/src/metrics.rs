//! What is counted.

use core::sync::atomic::{AtomicU64, Ordering};

/// Counts of a node.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    delivered: AtomicU64,
}

impl Metrics {
    /// So many messages were queued for connections.
    pub(crate) fn delivered(&self, messages: u64) {
        self.delivered.fetch_add(messages, Ordering::Relaxed);
    }
}

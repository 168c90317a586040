//! Scripts that a node without a lease cannot run.

use crate::redis::{Command, FENCED, Script};

/// A script that does nothing, and fails with [`Failed::Fenced`](crate::redis::Failed::Fenced),
/// unless the lease of its caller is valid when it runs. Called by
/// [`Cluster::command`](super::Cluster::command).
///
/// In it, `alive(lease)` says whether a [`Lease`](super::Lease), as text, is valid.
#[derive(Clone)]
pub struct FencedScript(Script);

impl FencedScript {
    /// For the cluster whose keys begin with `prefix`.
    #[must_use]
    pub fn new(prefix: &str, body: &str) -> Self {
        Self(Script::new(&format!(
            "\
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return redis.error_reply('{FENCED} the lease of this node has expired')
end
table.remove(KEYS, 1)
table.remove(ARGV, 1)
local function alive(lease)
  local node, incarnation = string.match(lease, '^(%x+)%.(%d+)$')
  return node and redis.call('GET', '{prefix}node:' .. node) == incarnation
end
{body}"
        )))
    }

    pub(super) fn call(&self, lease_key: &str, incarnation: u64, keys: &[&str]) -> Command {
        let all: Vec<&str> = core::iter::once(lease_key)
            .chain(keys.iter().copied())
            .collect();
        self.0.call(&all).arg(incarnation)
    }
}

//! Scripts that a node without a lease cannot run.

use crate::redis::{Command, FENCED, Script};

/// A script that checks the lease of its caller; made by
/// [`Cluster::fenced`](super::Cluster::fenced).
#[derive(Clone)]
pub struct FencedScript(Script);

impl FencedScript {
    pub(super) fn new(prefix: &str, body: &str) -> Self {
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

//! What stands in Redis, and the scripts that change it.
//!
//! Each node keeps a hash of those whom it holds, under its lease; it counts while the lease
//! does. For other services there is a hash for each user, which says `True` while any node
//! holds them. Both change in one step with the message that tells the other nodes.

use alloc::collections::BTreeMap;
use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sockeye_kit::cluster::{Cluster, FencedScript, Lease};
use sockeye_kit::name::Name;
use sockeye_kit::redis::{Command, Refused, Reply};

use crate::directory::Hold;

/// What all keys begin with that are nobody else's business.
pub(crate) const PREFIX: &str = "sockeye:presence:";
/// How long a user's key says `True` without being renewed.
const ONLINE: Duration = Duration::from_secs(30);
/// How long a node's hash stays without being renewed: longer than any lease.
const KEPT: Duration = Duration::from_secs(2 * 3600);

/// The keys of the deployment: who holds whom.
const HELD: &str = "sockeye:presence:held:";
const HOLDERS: &str = "sockeye:presence:holders";

/// What every script begins with. A lease that was lost between two steps of the caller must
/// not be claimed under.
const COMMON: &str = "\
local lease = ARGV[1]
if not alive(lease) then
  return redis.error_reply('FENCED the lease of this node has expired')
end
local held_prefix, user_prefix, online, offline, kept = unpack(ARGV, 2, 6)
local holders = KEYS[1]
local held = held_prefix .. lease

local others
local function is_held_elsewhere(user)
  if not others then
    others = {}
    for _, other in ipairs(redis.call('SMEMBERS', holders)) do
      if other ~= lease and alive(other) then
        others[#others + 1] = held_prefix .. other
      end
    end
  end
  for _, other in ipairs(others) do
    if redis.call('HEXISTS', other, user) == 1 then
      return true
    end
  end
  return false
end

-- What stands at a user's key may be of somebody else, and no hash: that is not our fault.
local function tell(user, connected, expiry)
  redis.pcall('HSET', user_prefix .. user, 'connected', connected)
  redis.pcall('PEXPIRE', user_prefix .. user, expiry)
end

local function reap(dead)
  for _, user in ipairs(redis.call('HKEYS', held_prefix .. dead)) do
    if redis.call('HEXISTS', held, user) == 0 and not is_held_elsewhere(user) then
      tell(user, 'False', offline)
    end
  end
  redis.call('DEL', held_prefix .. dead)
  redis.call('SREM', holders, dead)
end
";

/// Takes and releases users. Further arguments: the channel, the message, whether what is not
/// named is released, and pairs of a user and the time of their coming, empty if they go.
const CLAIM: &str = "\
local channel, message, all = unpack(ARGV, 7, 9)
local function release(user)
  redis.call('HDEL', held, user)
  if not is_held_elsewhere(user) then
    tell(user, 'False', offline)
  end
end
redis.call('SADD', holders, lease)
if all == '1' then
  local named = {}
  for i = 10, #ARGV, 2 do
    named[ARGV[i]] = true
  end
  for _, user in ipairs(redis.call('HKEYS', held)) do
    if not named[user] then
      release(user)
    end
  end
end
for i = 10, #ARGV, 2 do
  local user, since = ARGV[i], ARGV[i + 1]
  if since == '' then
    release(user)
  else
    redis.call('HSET', held, user, since)
    tell(user, 'True', online)
  end
end
redis.call('PEXPIRE', held, kept)
redis.call('PUBLISH', channel, message)
return 1";

/// Tells this node alone whom the others hold, and forgets the dead ones. Further argument: its
/// channel.
const READ: &str = "\
local parts = {}
for _, other in ipairs(redis.call('SMEMBERS', holders)) do
  if not alive(other) then
    reap(other)
  elseif other ~= lease then
    local users = redis.call('HGETALL', held_prefix .. other)
    -- An empty table would become an object.
    parts[#parts + 1] = cjson.encode({lease = other, users = users[1] and users})
  end
end
redis.call('PUBLISH', ARGV[7], '[' .. table.concat(parts, ',') .. ']')
return 1";

/// Forgets a dead node. Further argument: its lease.
const REAP: &str = "\
if not alive(ARGV[7]) then
  reap(ARGV[7])
end
return 1";

/// Looks after the keys of users, some at a time. Further arguments: a cursor, and whether
/// they are renewed; if not, only what is wrong is put right.
const SWEEP: &str = "\
local cursor, renew = unpack(ARGV, 7, 8)
local scanned = redis.call('HSCAN', held, cursor, 'COUNT', 500)
for i = 1, #scanned[2], 2 do
  local user = scanned[2][i]
  if renew == '1' or redis.pcall('HGET', user_prefix .. user, 'connected') ~= 'True' then
    tell(user, 'True', online)
  end
end
if renew == '1' then
  redis.call('PEXPIRE', held, kept)
end
return scanned[1]";

/// The scripts, and with what they are called.
pub(crate) struct Store {
    cluster: Cluster,
    channel: String,
    key_prefix: String,
    offline_ttl: Duration,
    claim: FencedScript,
    read: FencedScript,
    reap: FencedScript,
    sweep: FencedScript,
}

/// What a node tells the others.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Claims {
    pub(crate) lease: String,
    /// Whom it does not name it does not hold.
    pub(crate) all: bool,
    /// Users, and since when they are there, in milliseconds since 1970.
    pub(crate) taken: Vec<(String, u64)>,
    pub(crate) released: Vec<String>,
}

/// What another node holds, as it was read: users and times alternate.
#[derive(Debug, Deserialize)]
pub(crate) struct Held {
    pub(crate) lease: String,
    #[serde(default)]
    pub(crate) users: Vec<String>,
}

impl Store {
    pub(crate) fn new(
        cluster: Cluster,
        channel: String,
        key_prefix: String,
        offline_ttl: Duration,
    ) -> Self {
        let script = |body: &str| cluster.fenced(&format!("{COMMON}{body}"));
        Self {
            claim: script(CLAIM),
            read: script(READ),
            reap: script(REAP),
            sweep: script(SWEEP),
            cluster,
            channel,
            key_prefix,
            offline_ttl,
        }
    }

    /// Claims all whom this node holds, and nobody else.
    pub(crate) fn claim_all<'a>(
        &self,
        held: impl Iterator<Item = (&'a Name, SystemTime)>,
        done: impl FnOnce(Reply) + Send + 'static,
    ) -> Result<(), Refused> {
        let claims = Claims {
            lease: self.me(),
            all: true,
            taken: held
                .map(|(user, since)| (user.to_string(), millis(since)))
                .collect(),
            released: Vec::new(),
        };
        self.send_claims(&claims, done)
    }

    /// Takes and releases some, in this order.
    pub(crate) fn claim(
        &self,
        holds: impl IntoIterator<Item = Hold>,
        done: impl FnOnce(Reply) + Send + 'static,
    ) -> Result<(), Refused> {
        // Only the last word about a user counts.
        let last: BTreeMap<Name, Option<SystemTime>> = holds
            .into_iter()
            .map(|hold| match hold {
                Hold::Taken { user, since } => (user, Some(since)),
                Hold::Released { user } => (user, None),
            })
            .collect();
        let mut claims = Claims {
            lease: self.me(),
            all: false,
            taken: Vec::new(),
            released: Vec::new(),
        };
        for (user, since) in last {
            match since {
                Some(since) => claims.taken.push((user.to_string(), millis(since))),
                None => claims.released.push(user.to_string()),
            }
        }
        self.send_claims(&claims, done)
    }

    /// Has what the others hold published to this node's own channel.
    pub(crate) fn read(&self) {
        let command = self.command(&self.read, &self.me());
        let command = command.arg(self.cluster.own_channel());
        self.send(command);
    }

    /// Forgets what a dead node held.
    pub(crate) fn reap(&self, dead: &Lease) {
        let command = self.command(&self.reap, &self.me()).arg(dead.to_string());
        self.send(command);
    }

    /// Looks after the keys of users from `cursor` on; the answer is the next one.
    pub(crate) fn sweep(
        &self,
        cursor: &str,
        renewal: Renewal,
        done: impl FnOnce(Reply) + Send + 'static,
    ) -> Result<(), Refused> {
        let command = self.command(&self.sweep, &self.me()).arg(cursor);
        let renews = match renewal {
            Renewal::Renew => "1",
            Renewal::Mend => "0",
        };
        self.cluster.send(command.arg(renews), done)
    }

    /// The node ends: the others hear of it at once.
    pub(crate) fn leave(&self) {
        self.cluster.leave();
    }

    /// This node's lease, as text.
    pub(crate) fn me(&self) -> String {
        self.cluster.me().to_string()
    }

    /// Whether this is one of this node's leases.
    pub(crate) fn is_me(&self, lease: &Lease) -> bool {
        lease.node() == self.cluster.me().node()
    }

    /// The channel of the deployment.
    pub(crate) fn channel(&self) -> &str {
        &self.channel
    }

    fn send_claims(
        &self,
        claims: &Claims,
        done: impl FnOnce(Reply) + Send + 'static,
    ) -> Result<(), Refused> {
        let mut command = self
            .command(&self.claim, &claims.lease)
            .arg(&self.channel)
            .arg(crate::wire::json(claims))
            .arg(u8::from(claims.all));
        for (user, since) in &claims.taken {
            command = command.arg(user).arg(since);
        }
        for user in &claims.released {
            command = command.arg(user).arg("");
        }
        self.cluster.send(command, done)
    }

    /// A call with what all scripts get.
    fn command(&self, script: &FencedScript, lease: &str) -> Command {
        self.cluster
            .command(script, &[HOLDERS])
            .arg(lease)
            .arg(HELD)
            .arg(&self.key_prefix)
            .arg(in_millis(ONLINE))
            .arg(in_millis(self.offline_ttl))
            .arg(in_millis(KEPT))
    }

    /// Sends what is asked again if it fails, because then the node enters anew.
    fn send(&self, command: Command) {
        let sent = self.cluster.send(command, |reply| {
            if let Err(error) = reply {
                tracing::debug!("presence: {error}");
            }
        });
        if let Err(refused) = sent {
            tracing::debug!("presence: {refused}");
        }
    }
}

/// What a sweep does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// Writes all keys, and their expiry.
    Renew,
    /// Writes what somebody else has overwritten.
    Mend,
}

/// A time as it stands in the store.
pub(crate) fn millis(time: SystemTime) -> u64 {
    in_millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn in_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A time from the store.
pub(crate) fn time(millis: u64) -> SystemTime {
    let since = UNIX_EPOCH.checked_add(Duration::from_millis(millis));
    since.unwrap_or(UNIX_EPOCH)
}

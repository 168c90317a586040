//! What is done in one step, in the store.
//!
//! | key, below `sockeye:chat:` | what |
//! |---|---|
//! | `name:NAME` | hash: session → lease and secret of each connection that holds the name |
//! | `room:ROOM` | hash: `epoch`, `off` of the newest message, `bytes` of the log |
//! | `log:ROOM` | list: the entries of the history, oldest first |
//! | `members:ROOM` | hash: `USER LEASE` |
//! | `retry:…` | what a request was answered with, under what it is called by |
//!
//! The time is the store's own, so the messages of a room are never younger than later ones
//! because of a node's clock. All scripts are fenced: they do nothing for a node that has lost
//! its lease.

use sockeye_kit::cluster::FencedScript;
use sockeye_kit::redis::Settings;

/// What all keys and channels begin with.
pub(super) const PREFIX: &str = "sockeye:chat:";

/// How many channels rooms are told of on; which one is a room's, its name says.
const PARTITIONS: usize = 16;

#[derive(Clone)]
pub(super) struct Scripts {
    pub(super) claim: FencedScript,
    pub(super) release: FencedScript,
    pub(super) post: FencedScript,
    pub(super) whisper: FencedScript,
    pub(super) load: FencedScript,
    pub(super) renew_epoch: FencedScript,
    pub(super) enter: FencedScript,
    pub(super) leave: FencedScript,
    pub(super) typing: FencedScript,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let fenced = |body: &str| FencedScript::new(PREFIX, &body.replace("PREFIX", PREFIX));
        Self {
            claim: fenced(CLAIM),
            release: fenced(RELEASE),
            post: fenced(&format!("{TRIM}{HOLDS}{POST}")),
            whisper: fenced(&format!("{HOLDS}{WHISPER}")),
            load: fenced(&format!("{TRIM}{LOAD}")),
            renew_epoch: fenced(RENEW_EPOCH),
            enter: fenced(ENTER),
            leave: fenced(LEAVE),
            typing: fenced(TYPING),
        }
    }
}

pub(super) fn key(kind: &str, name: &str) -> String {
    format!("{PREFIX}{kind}:{name}")
}

/// Channels on which rooms are told of.
pub(super) fn partitions(settings: &Settings) -> Vec<String> {
    let partition = |number| settings.channel(&format!("rooms:{number}"));
    (0..PARTITIONS).map(partition).collect()
}

/// Which of them is a room's.
pub(super) fn partition(room: &str) -> usize {
    // FNV-1a: the same on every node, whatever it was built with.
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = room.bytes().fold(0x811c_9dc5, step);
    hash as usize % PARTITIONS
}

/// Keys: the name. Arguments: lease, session, secret, the secret to resume by or nothing, how
/// many may hold the name, how long in milliseconds without being renewed.
const CLAIM: &str = "\
local lease, session, secret, resume, capacity, valid = unpack(ARGV)
local held = 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local its_lease, its_secret = string.match(all[i + 1], '^(%S+) (%S+)$')
  if all[i] ~= session then
    if not alive(its_lease) then
      redis.call('HDEL', KEYS[1], all[i])
    elseif resume ~= '' and resume == its_secret then
      redis.call('HDEL', KEYS[1], all[i])
      local node = string.match(its_lease, '^%x+')
      redis.call('PUBLISH', 'PREFIXto:' .. node, 'r ' .. string.sub(KEYS[1], #'PREFIXname:' + 1) .. ' ' .. all[i])
    else
      held = held + 1
    end
  end
end
if held >= tonumber(capacity) then
  return 0
end
redis.call('HSET', KEYS[1], session, lease .. ' ' .. secret)
redis.call('PEXPIRE', KEYS[1], valid)
return 1";

/// Keys: the name. Arguments: the session.
const RELEASE: &str = "return redis.call('HDEL', KEYS[1], ARGV[1])";

/// Ends the script unless this node holds the name of who speaks: a node that was thought dead
/// may have lost it to another.
const HOLDS: &str = "\
local function holds(name, lease)
  for _, holder in ipairs(redis.call('HVALS', name)) do
    if string.match(holder, '^%S+') == lease then
      return true
    end
  end
  return false
end
local not_held = redis.error_reply('FENCED this node does not hold the name')
";

/// Forgets the oldest entries of a log as far as its bounds ask for it.
const TRIM: &str = "\
local function trim(room, log, now, count, age, bytes)
  local held = tonumber(redis.call('HGET', room, 'bytes')) or 0
  local before = held
  local length = redis.call('LLEN', log)
  local oldest = redis.call('LINDEX', log, 0)
  while oldest and (length > count or held > bytes or now - tonumber(string.match(oldest, '^%d+')) >= age) do
    redis.call('LPOP', log)
    held = held - #oldest
    length = length - 1
    oldest = redis.call('LINDEX', log, 0)
  end
  if held ~= before then
    redis.call('HSET', room, 'bytes', held)
  end
end
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
";

/// Keys: room, log, retry key, the speaker's name. Arguments: the node's lease, or nothing if
/// the speaker is no connection; the room's name and channel, an epoch if there is none, the entry without its time, how long to remember the retry key, the log's bounds of
/// count, age and bytes, how long to keep the room. Answers `OFF EPOCH`.
const POST: &str = "\
local room, log, retry, from = unpack(KEYS)
local lease, name, channel, fresh, entry, remember, count, age, bytes, keep = unpack(ARGV)
if lease ~= '' and not holds(from, lease) then
  return not_held
end
local seen = redis.call('GET', retry)
if seen then
  return seen
end
local epoch = redis.call('HGET', room, 'epoch')
if not epoch then
  epoch = fresh
  redis.call('HSET', room, 'epoch', epoch, 'off', 0, 'bytes', 0)
  redis.call('DEL', log)
end
local now = clock()
local off = redis.call('HINCRBY', room, 'off', 1)
entry = string.format('%d', now) .. ' ' .. entry
if redis.call('RPUSH', log, entry) == 1 then
  redis.call('HSET', room, 'bytes', #entry)
else
  redis.call('HINCRBY', room, 'bytes', #entry)
end
trim(room, log, now, tonumber(count), tonumber(age), tonumber(bytes))
redis.call('PEXPIRE', room, keep)
redis.call('PEXPIRE', log, keep)
local stamp = string.format('%d', off) .. ' ' .. epoch
redis.call('SET', retry, stamp, 'PX', remember)
redis.call('PUBLISH', channel, 'm ' .. name .. ' ' .. epoch .. ' ' .. string.format('%d', off) .. ' ' .. entry)
return stamp";

/// Keys: the names of the recipient and of the sender, retry key. Arguments: the node's lease,
/// what to publish, how long to remember the retry key. Answers whether anybody holds the first name.
const WHISPER: &str = "\
local to, from, retry = unpack(KEYS)
local lease, published, remember = unpack(ARGV)
if not holds(from, lease) then
  return not_held
end
if redis.call('EXISTS', retry) == 1 then
  return 1
end
local nodes = {}
local function collect(name)
  local found = false
  for _, holder in ipairs(redis.call('HVALS', name)) do
    local lease = string.match(holder, '^%S+')
    if alive(lease) then
      found = true
      nodes[string.match(lease, '^%x+')] = true
    end
  end
  return found
end
if not collect(to) then
  return 0
end
collect(from)
for node in pairs(nodes) do
  redis.call('PUBLISH', 'PREFIXto:' .. node, published)
end
redis.call('SET', retry, 1, 'PX', remember)
return 1";

/// Keys: room, log, members. Arguments: the node's own channel, its number for the request, the
/// room's name, an epoch if there is none, the age of what is too old, how long to keep the
/// room. The answer is published on that channel, so that it stands in one order with what is
/// published of the room.
const LOAD: &str = "\
local room, log, members = unpack(KEYS)
local own, request, name, fresh, age, keep = unpack(ARGV)
local epoch = redis.call('HGET', room, 'epoch')
if not epoch then
  epoch = fresh
  redis.call('HSET', room, 'epoch', epoch, 'off', 0, 'bytes', 0)
  redis.call('DEL', log)
end
trim(room, log, clock(), math.huge, tonumber(age), math.huge)
redis.call('PEXPIRE', room, keep)
redis.call('PEXPIRE', log, keep)
local known, there = {}, {}
for _, member in ipairs(redis.call('HKEYS', members)) do
  local lease = string.match(member, '%S+$')
  if known[lease] == nil then
    known[lease] = alive(lease)
  end
  if known[lease] then
    there[#there + 1] = member
  else
    redis.call('HDEL', members, member)
  end
end
local head = 's ' .. request .. ' ' .. name .. ' ' .. epoch .. ' ' .. redis.call('HGET', room, 'off')
local entries = table.concat(redis.call('LRANGE', log, 0, -1), '\\30')
redis.call('PUBLISH', own, head .. '\\30' .. table.concat(there, '\\31') .. '\\30' .. entries)
return 1";

/// Keys: room, log. Arguments: the room's name and channel, the epoch to end, the next. Nothing
/// happens if somebody was faster.
const RENEW_EPOCH: &str = "\
local name, channel, old, new = unpack(ARGV)
if redis.call('HGET', KEYS[1], 'epoch') ~= old then
  return 0
end
redis.call('HSET', KEYS[1], 'epoch', new, 'off', 0, 'bytes', 0)
redis.call('DEL', KEYS[2])
redis.call('PUBLISH', channel, 'n ' .. name .. ' ' .. new)
return 1";

/// Keys: members. Arguments: user and lease, channel, what to publish, how long to keep it.
const ENTER: &str = "\
redis.call('HSET', KEYS[1], ARGV[1], '')
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1";

/// Keys and arguments: as above, as far as they go.
const LEAVE: &str = "\
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1";

/// Arguments: as above.
const TYPING: &str = "return redis.call('PUBLISH', ARGV[2], ARGV[3])";

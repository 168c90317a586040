//! The thread that keeps the lease, and looks after the others'.

use core::time::Duration;
use std::sync::{LazyLock, PoisonError};
use std::time::Instant;

use super::{Cluster, Lease, Node, Stage, Tenure};
use crate::redis::{Command, Failed, Script, from_value};

/// Keys: the nodes, the lease. Arguments: the node, its incarnation, how to go on, for how
/// many milliseconds, the channel of the nodes, what lease keys begin with.
/// Answers whether the node has its lease, and all leases.
static BEAT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "\
local nodes, lease = KEYS[1], KEYS[2]
local node, incarnation, step, valid, channel, prefix = unpack(ARGV)
if step == 'enter' then
  redis.call('SET', lease, incarnation, 'PX', valid)
  redis.call('SADD', nodes, node)
  redis.call('PUBLISH', channel, node .. '.' .. incarnation)
elseif redis.call('GET', lease) ~= incarnation then
  return {0}
elseif step == 'renew' then
  redis.call('PEXPIRE', lease, valid)
  redis.call('SADD', nodes, node)
end
local all = {1}
for _, other in ipairs(redis.call('SMEMBERS', nodes)) do
  local alive = redis.call('GET', prefix .. other)
  if alive then
    all[#all + 1] = other .. '.' .. alive
  else
    redis.call('SREM', nodes, other)
  end
end
return all",
    )
});

/// Keys and arguments: as above, as far as they go.
static LEAVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "\
if redis.call('GET', KEYS[2]) == ARGV[2] then
  redis.call('DEL', KEYS[2])
  redis.call('SREM', KEYS[1], ARGV[1])
  redis.call('PUBLISH', ARGV[3], '')
end
return 1",
    )
});

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// With a new incarnation.
    Enter,
    /// Keep the lease for longer.
    Renew,
    /// See how the others are.
    Look,
}

/// Beats until the node leaves.
pub(super) fn run(cluster: &Cluster) {
    let node = &*cluster.node;
    let period = node.valid_for / 15;
    let mut renew_at = Instant::now();
    let mut next = Instant::now();
    while let Some(link) = node.wait(next) {
        let step = node.step(renew_at);
        if step == Step::Enter {
            node.lose(link);
        }
        let known = node.lock().others.clone();
        let sent = Instant::now();
        next = sent + period;
        match ask(cluster, step) {
            Ok(Some(leases)) => {
                if step != Step::Look {
                    renew_at = sent + node.valid_for / 3;
                    node.lock().valid_until = Some(sent + node.valid_for);
                }
                for dead in node.tell(link, known, leases) {
                    tell_gone(cluster, &dead);
                }
            }
            // Lost: enter at once.
            Ok(None) => {
                node.lock().valid_until = None;
                next = sent;
            }
            Err(Failed::Away) => {}
            Err(error) => tracing::warn!("the lease could not be renewed: {error}"),
        }
    }
    leave(cluster);
}

/// All leases, or `None` if ours is not among them.
fn ask(cluster: &Cluster, step: Step) -> Result<Option<Vec<Lease>>, Failed> {
    let node = &*cluster.node;
    let mut tenure = node.lock();
    if step == Step::Enter {
        tenure.incarnation += 1;
    }
    let incarnation = tenure.incarnation;
    drop(tenure);
    let valid = u64::try_from(node.valid_for.as_millis()).unwrap_or(u64::MAX);
    let command = BEAT
        .call(&[&node.nodes_key, &node.lease_key])
        .arg(&*node.id)
        .arg(incarnation)
        .arg(step.word())
        .arg(valid)
        .arg(&*node.nodes_channel)
        .arg(format!("{}node:", node.prefix));
    let reply: Vec<String> = from_value(cluster.store.call(command)?)?;
    let leases = match reply.split_first() {
        Some((held, leases)) if held == "1" => leases,
        _ => return Ok(None),
    };
    Ok(Some(
        leases
            .iter()
            .filter_map(|lease| lease.parse().ok())
            .collect(),
    ))
}

/// Has the subscription tell of a node that is gone: behind all that the node published
/// while it had its lease. If the message is lost, so was the connection, and the program
/// is told to read everything anew.
fn tell_gone(cluster: &Cluster, dead: &Lease) {
    tracing::info!("node {dead} is gone");
    let publish = Command::new("PUBLISH").arg(&*cluster.node.gone_channel);
    let _ = cluster.store.send(publish.arg(dead.to_string()), |_| ());
}

/// Gives the lease back.
fn leave(cluster: &Cluster) {
    let node = &*cluster.node;
    let incarnation = node.lock().incarnation;
    let command = LEAVE
        .call(&[&node.nodes_key, &node.lease_key])
        .arg(&*node.id)
        .arg(incarnation)
        .arg(&*node.nodes_channel);
    if let Err(error) = cluster.store.call(command) {
        tracing::debug!("the lease could not be given back: {error}");
    }
    node.lock().stage = Stage::Left;
    node.changed.notify_all();
}

impl Step {
    fn word(self) -> &'static str {
        match self {
            Self::Enter => "enter",
            Self::Renew => "renew",
            Self::Look => "look",
        }
    }
}

impl Node {
    /// Waits for the next beat, and for the store to be there; how often that has come or
    /// gone. `None` at the end.
    fn wait(&self, next: Instant) -> Option<u64> {
        let mut tenure = self.lock();
        while tenure.stage == Stage::Beating {
            let left = match (tenure.link_up, tenure.hurry) {
                (true, true) => Duration::ZERO,
                (true, false) => next.saturating_duration_since(Instant::now()),
                // Its coming wakes us.
                (false, _) => Duration::MAX,
            };
            if left.is_zero() {
                tenure.hurry = false;
                return Some(tenure.link);
            }
            let waited = self.changed.wait_timeout(tenure, left.min(LONG));
            tenure = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        None
    }

    fn step(&self, renew_at: Instant) -> Step {
        let now = Instant::now();
        match self.lock().valid_until {
            Some(until) if until > now && renew_at > now => Step::Look,
            Some(until) if until > now => Step::Renew,
            _ => Step::Enter,
        }
    }

    /// The lease is gone; tells so, unless the program thinks so anyway.
    fn lose(&self, link: u64) {
        let _telling = self.telling();
        let mut tenure = self.lock();
        tenure.valid_until = None;
        if tenure.may_tell(link) && tenure.told_up && tenure.told.take().is_some() {
            drop(tenure);
            tracing::warn!("this node has lost its lease, and enters anew");
            self.events.fenced();
        }
    }

    /// Tells what has come of a beat, unless the store has come or gone since. Returns who is
    /// gone: those that were `known` before it and are not among the `leases`.
    fn tell(&self, link: u64, known: Vec<Lease>, leases: Vec<Lease>) -> Vec<Lease> {
        let _telling = self.telling();
        let mut tenure = self.lock();
        if !tenure.may_tell(link) {
            return Vec::new();
        }
        let me = self.lease(tenure.incarnation);
        let news = tenure.told != Some(me.incarnation());
        tenure.told = Some(me.incarnation());
        let back = !core::mem::replace(&mut tenure.told_up, true);
        let gone: Vec<Lease> = known
            .into_iter()
            .filter(|lease| !leases.contains(lease))
            .collect();
        tenure.others.retain(|lease| !gone.contains(lease));
        leases
            .into_iter()
            .filter(|lease| *lease != me)
            .for_each(|lease| tenure.meet(lease));
        drop(tenure);
        if news {
            tracing::info!("entered the cluster as {me}");
            self.events.entered(&me);
        } else if back {
            self.events.resumed(&me);
        }
        self.changed.notify_all();
        gone
    }
}

impl Tenure {
    /// Another node is there.
    pub(super) fn meet(&mut self, other: Lease) {
        if !self.others.contains(&other) {
            self.others.push(other);
        }
    }

    fn may_tell(&self, link: u64) -> bool {
        self.link == link && self.link_up && self.stage == Stage::Beating
    }
}

/// As long as a wait may be.
const LONG: Duration = Duration::from_secs(3600);

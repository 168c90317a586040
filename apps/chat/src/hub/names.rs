//! Who holds which name on this node.

use alloc::vec::Vec;
use core::hash::BuildHasher;
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sockeye_handler::Peer;
use sockeye_kit::name::Name;
use sockeye_kit::secret::Secret;

use crate::protocol::Dialect;
use crate::store::{Claim, Claimed, Session};

/// The names of this node, each with the connections that hold it.
pub(crate) struct Names {
    hasher: RandomState,
    shards: Box<[Shard]>,
}

type Shard = Mutex<HashMap<Name, Vec<Holder>>>;

/// A connection that holds a name.
pub(crate) struct Holder {
    pub(crate) session: Session,
    pub(crate) secret: Secret,
    pub(crate) capacity: u32,
    pub(crate) peer: Peer,
    pub(crate) dialect: Dialect,
}

/// What became of a claim on this node.
pub(crate) struct Outcome {
    pub(crate) claimed: Claimed,
    /// Who held the name before, by the same secret.
    pub(crate) replaced: Option<Peer>,
}

impl Names {
    const SHARDS: usize = 16;

    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..Self::SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Claims a name here. With a store, which has decided already, nobody can object.
    pub(crate) fn claim(&self, claim: &Claim, peer: Peer, dialect: Dialect) -> Outcome {
        let mut shard = self.shard(&claim.name);
        let holders = shard.entry(claim.name.clone()).or_default();
        let is_meant = |holder: &Holder| {
            let resume = claim.resume.as_ref();
            resume.is_some_and(|resume| holder.secret.matches(resume.expose()))
        };
        let replaced = holders.iter().position(is_meant);
        let replaced = replaced.map(|at| holders.swap_remove(at).peer);
        if holders.len() >= claim.capacity as usize {
            return Outcome {
                claimed: Claimed::Taken,
                replaced,
            };
        }
        holders.push(Holder {
            session: claim.session,
            secret: claim.secret.clone(),
            capacity: claim.capacity,
            peer,
            dialect,
        });
        Outcome {
            claimed: Claimed::Granted,
            replaced,
        }
    }

    /// Gives a name back; whether it was still held.
    pub(crate) fn release(&self, name: &Name, session: Session) -> Option<Peer> {
        let mut shard = self.shard(name);
        let holders = shard.get_mut(name)?;
        let at = holders.iter().position(|h| h.session == session)?;
        let holder = holders.swap_remove(at);
        if holders.is_empty() {
            shard.remove(name);
        }
        Some(holder.peer)
    }

    /// The connections that hold a name.
    pub(crate) fn peers(&self, name: &Name) -> Vec<(Peer, Dialect)> {
        let shard = self.shard(name);
        let holders = shard.get(name).into_iter().flatten();
        holders
            .map(|holder| (holder.peer.clone(), holder.dialect))
            .collect()
    }

    /// All claims of this node, as they stand.
    pub(crate) fn claims(&self) -> Vec<Claim> {
        let mut claims = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for (name, holders) in shard.iter() {
                claims.extend(holders.iter().map(|holder| Claim {
                    name: name.clone(),
                    session: holder.session,
                    secret: holder.secret.clone(),
                    resume: None,
                    capacity: holder.capacity,
                }));
            }
        }
        claims
    }

    fn shard(&self, name: &Name) -> MutexGuard<'_, HashMap<Name, Vec<Holder>>> {
        // The index is below the number of shards.
        let shard = &self.shards[self.hasher.hash_one(name) as usize % Self::SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! How many connections one address and one user may have.

use alloc::sync::Arc;
use core::fmt;
use core::hash::Hash;
use core::net::{IpAddr, Ipv6Addr};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sockeye_handler::Response;

use crate::http;
use crate::name::Name;

/// The flags about caps; flatten them into a program's own.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct CapsArgs {
    /// Connections at a time from one address; upgrades beyond that are answered with 429.
    #[arg(long, value_name = "N", default_value_t = 256, help_heading = "Limits")]
    pub max_per_address: u32,

    /// Connections at a time of one user.
    #[arg(long, value_name = "N", default_value_t = 10, help_heading = "Limits")]
    pub max_per_user: u32,
}

impl CapsArgs {
    /// The caps that the flags say.
    #[must_use]
    pub fn caps(&self) -> Caps {
        Caps::new(self.max_per_address, self.max_per_user)
    }
}

/// Counts connections. Cheap to clone.
#[derive(Clone)]
pub struct Caps(Arc<Shared>);

struct Shared {
    per_address: u32,
    per_user: u32,
    addresses: Mutex<HashMap<IpAddr, u32>>,
    users: Mutex<HashMap<Name, u32>>,
}

impl Caps {
    /// At most so many connections from one address and of one user.
    #[must_use]
    pub fn new(per_address: u32, per_user: u32) -> Self {
        Self(Arc::new(Shared {
            per_address,
            per_user,
            addresses: Mutex::default(),
            users: Mutex::default(),
        }))
    }

    /// Lets an upgrade in, as [`client_ip`](http::client_ip) has found it. The handler keeps
    /// what it gets for as long as it lives.
    ///
    /// Of an IPv6 address the first 64 bits count: who has one has them all. Transports
    /// without addresses are not counted.
    ///
    /// # Errors
    ///
    /// The answer if there are too many from there: 429.
    pub fn admit(&self, client: Option<IpAddr>) -> Result<Admission, Response> {
        let key = match client {
            None => Key::Nothing,
            Some(ip) => Key::Address(network(ip)),
        };
        if let Key::Address(network) = key
            && !enter(&self.0.addresses, &network, self.0.per_address)
        {
            let response = http::error(
                429,
                "too-many",
                "there are too many connections from this address",
            );
            // A name and digits: they can be sent.
            let response = response
                .clone()
                .field("Retry-After", "30")
                .unwrap_or(response);
            return Err(response);
        }
        Ok(Admission {
            caps: self.clone(),
            key,
        })
    }

    /// Counts a connection of this user; `None` if there are too many. The handler keeps what
    /// it gets for as long as it lives.
    #[must_use]
    pub fn admit_user(&self, user: &Name) -> Option<Admission> {
        enter(&self.0.users, user, self.0.per_user).then(|| Admission {
            caps: self.clone(),
            key: Key::User(user.clone()),
        })
    }
}

impl fmt::Debug for Caps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caps")
            .field("per_address", &self.0.per_address)
            .field("per_user", &self.0.per_user)
            .finish_non_exhaustive()
    }
}

/// A place among those that a cap allows. Dropping it makes room.
pub struct Admission {
    caps: Caps,
    key: Key,
}

enum Key {
    Address(IpAddr),
    User(Name),
    Nothing,
}

impl Drop for Admission {
    fn drop(&mut self) {
        match &self.key {
            Key::Address(network) => leave(&self.caps.0.addresses, network),
            Key::User(user) => leave(&self.caps.0.users, user),
            Key::Nothing => {}
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").finish_non_exhaustive()
    }
}

fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

fn enter<K: Hash + Eq + Clone>(counts: &Mutex<HashMap<K, u32>>, key: &K, max: u32) -> bool {
    // Nothing is left half-done under the lock, so a poisoned one is as good.
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    match counts.get_mut(key) {
        Some(count) if *count >= max => false,
        Some(count) => {
            *count += 1;
            true
        }
        None if max == 0 => false,
        None => {
            counts.insert(key.clone(), 1);
            true
        }
    }
}

fn leave<K: Hash + Eq>(counts: &Mutex<HashMap<K, u32>>, key: &K) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    match counts.get_mut(key) {
        Some(count) if *count > 1 => *count -= 1,
        _ => {
            counts.remove(key);
        }
    }
}

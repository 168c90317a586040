//! The rows. `Adapter` is the one that they are mounted for.

mod autobahn;
mod bench;
mod chat;
mod presence;
mod quart;
mod shallot;
mod yawf;

use super::{Adapter, NAME};

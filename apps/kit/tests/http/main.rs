//! What the programs answer in plain HTTP, and whom they refuse.

mod answers;
mod bearer;
mod bench;
mod caps;
mod hosts;
mod metrics;
mod pages;

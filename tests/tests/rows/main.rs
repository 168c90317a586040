//! What Sockeye owes to the systems whose features it has taken over: a test for each row of
//! `docs/features.md`, mounted once for each adapter.

#![expect(
    clippy::duplicate_mod,
    reason = "the suite is loaded once for each adapter"
)]

extern crate alloc;

mod async_std;
mod mio;
mod smol;
mod table;
mod tokio;

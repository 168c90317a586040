//! One suite, mounted once for each adapter: a difference between them is a bug.

#![expect(
    clippy::duplicate_mod,
    reason = "the suite is loaded once for each adapter"
)]

extern crate alloc;

mod async_std;
mod mio;
mod smol;
mod tokio;

//! What the fuzz targets do, as plain functions: `cargo fuzz` calls them with inputs of its own,
//! `tests/replay.rs` with the corpora.
//!
//! Each panics if the input shows a fault.
#![forbid(unsafe_code)]

mod connection;
mod deflate;
mod frame;
mod handshake_client;
mod handshake_server;

pub use connection::connection;
pub use deflate::{deflate, extensions};
pub use frame::frame;
pub use handshake_client::handshake_client;
pub use handshake_server::handshake_server;

use std::path::Path;
use std::{fs, io};

/// Runs `target` on a file, or on each file below a directory.
pub fn replay(path: &Path, target: fn(&[u8])) -> io::Result<()> {
    if path.is_dir() {
        let mut entries = fs::read_dir(path)?;
        return entries.try_for_each(|entry| replay(&entry?.path(), target));
    }
    // The last one named is the one that failed.
    eprintln!("{}", path.display());
    target(&fs::read(path)?);
    Ok(())
}

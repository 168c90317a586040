//! TLS without I/O of its own: whom to trust, what to present, and one state
//! machine for both roles on every adapter.

mod config;
mod error;
mod machine;

pub use config::{TlsClient, TlsServer};
pub use error::{TlsConfigError, TlsError};
pub use machine::Tls;

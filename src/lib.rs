//! WebSocket for any runtime.
pub use sockeye_core as core;

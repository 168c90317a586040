//! Handshake.
/// Bounds on the head.
#[derive(Clone, Debug, Default)]
pub struct HeadLimits {}

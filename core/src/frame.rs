//! Frames on the wire (RFC 6455 §5.2).
use crate::message::Outgoing;
use bytes::Bytes;

/// A message encoded once, for any number of connections: cheap to clone.
///
/// A server's frames carry no mask, so the same bytes go to every client. A
/// client masks a copy.
#[derive(Clone, Debug)]
pub struct Frame {
    pub(crate) encoded: Bytes,
}

impl Frame {
    /// Encodes a message.
    #[must_use]
    pub fn new<'m>(message: impl Into<Outgoing<'m>>) -> Self {
        let _ = message.into();
        todo!()
    }
    /// Bytes on the wire, header included.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.encoded.len()
    }
}

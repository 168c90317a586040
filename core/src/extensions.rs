//! What both sides agreed on beyond RFC 6455.

#[cfg(feature = "deflate")]
use crate::deflate::Agreed;

/// What the handshake agreed on beyond RFC 6455: nothing, unless the feature `deflate`
/// is enabled and [`Config::deflate`](crate::Config) is set.
///
/// It goes from the handshake to
/// [`Connection::with_extensions`](crate::Connection::with_extensions).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    #[cfg(feature = "deflate")]
    deflate: Option<Agreed>,
}

impl Extensions {
    /// Nothing.
    pub const NONE: Self = Self {
        #[cfg(feature = "deflate")]
        deflate: None,
    };
}

#[cfg(feature = "deflate")]
impl Extensions {
    /// Messages may be compressed. For a connection whose handshake somebody else made.
    #[must_use]
    pub const fn with_deflate(agreed: Agreed) -> Self {
        Self {
            deflate: Some(agreed),
        }
    }

    /// How messages may be compressed, if they may.
    #[must_use]
    pub const fn deflate(&self) -> Option<Agreed> {
        self.deflate
    }
}

//! Whether received messages may take the shortest path.

/// Why a received message cannot take the shortest path, and what is not a reason.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gate(pub(super) u8);

impl Gate {
    /// The application does not want input.
    pub(super) const PAUSED: u8 = 1;
    /// Output above the soft mark waits.
    pub(super) const FULL: u8 = 2;
    /// Closing or later.
    pub(super) const CLOSING: u8 = 4;
    /// Settings that look at each message: pieces, or an idle deadline.
    pub(super) const SETTINGS: u8 = 8;
    const OBSTACLES: u8 = Self::PAUSED | Self::FULL | Self::CLOSING | Self::SETTINGS;
    /// Output never holds input back.
    pub(super) const DUPLEX: u8 = 16;
    /// A Ping is out, and nothing has come since.
    pub(super) const AWAITING_PONG: u8 = 32;
    /// Receiving was paused when the Ping went out or after it, so its answer may be late.
    /// Means nothing before a Ping, which sets it anew.
    pub(super) const FORGIVING: u8 = 64;

    #[inline]
    pub(crate) fn is_clear(self) -> bool {
        self.0 & Self::OBSTACLES == 0
    }

    /// The pong deadline does not count when it is next reached.
    pub(crate) fn forgive(&mut self) {
        self.set(Self::FORGIVING, true);
    }

    /// Whether receiving waits for the application or for the peer to take output.
    #[inline]
    pub(crate) fn is_paused(self) -> bool {
        self.0 & (Self::PAUSED | Self::FULL) != 0
    }

    #[inline]
    pub(super) fn set(&mut self, bit: u8, on: bool) {
        self.0 = if on { self.0 | bit } else { self.0 & !bit };
    }
}

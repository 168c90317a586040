//! Compression: permessage-deflate (RFC 7692).
//!
//! Off by default: it costs twenty to three hundred times what all the rest of a short
//! message costs, it multiplies what a peer can make us hold, and it leaks secrets that
//! share a message with what an attacker chooses (RFC 7692 §8, CRIME). Where messages are
//! long and alike, or the network is narrow, set [`Config::deflate`](crate::Config):
//!
//! ```
//! use sockeye_core::{Config, Deflate};
//!
//! let mut config = Config::default();
//! config.deflate = Some(Deflate::default());
//! ```
//!
//! That offers the extension as a client and accepts it as a server; whether a
//! connection has it is for its peer to say, too. What is agreed on is
//! [`Extensions`](crate::Extensions), which goes from the handshake to the connection.
//!
//! # What it costs
//!
//! By default neither side refers to earlier messages (*no context takeover*). Each thread
//! then has one compressor and one decompressor, and a connection that is idle holds
//! nothing: ten thousand of them cost what plain ones cost.
//!
//! With takeover small messages that are alike shrink far more. A connection that has
//! received holds the last bytes that it received, up to the window; one that has sent
//! holds a compressor, 150 KiB and six times the window.
//!
//! While a compressed message is open, because it was cut by the end of a read or comes
//! in fragments, the connection holds what has come of it, compressed, as it would hold a
//! plain one: it is decompressed once it is whole. Only with
//! [`Delivery::Chunks`](crate::Delivery) does each open message hold a decompressor and a
//! piece to hand out, 56 KiB.
//!
//! # What is not compressed
//!
//! Messages below [`Deflate::min_size`], those that would not get shorter, and those that
//! say so with [`Outgoing::uncompressed`](crate::Outgoing::uncompressed): do that with
//! whatever holds a secret.

mod codec;
mod history;
mod inflation;
mod offer;
mod pool;
mod shared;

pub(crate) use self::codec::{Deflater, End};
pub(crate) use self::history::History;
pub(crate) use self::inflation::{Inflation, Status};
pub(crate) use self::offer::{Offer, Offers, accept, check};
pub(crate) use self::pool::Pool;
pub(crate) use self::shared::Shared;

/// How messages are compressed, and which windows are asked for.
///
/// A plain value: change the fields of [`Deflate::default`]. [`Config::share`] checks it.
///
/// [`Config::share`]: crate::Config::share
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deflate {
    /// What we compress with, at most: 12 bits, 9 to 15, no takeover. A peer may ask
    /// for less.
    pub send: Window,
    /// What the peer is asked to compress with, at most: 12 bits, 8 to 15, no takeover.
    ///
    /// Takeover is refused to every peer if it is off here. A peer that cannot choose its
    /// window uses 15 bits, and may.
    pub receive: Window,
    /// From 1, fast, to 9, short; 1.
    ///
    /// On JSON of 1 KiB level 6 takes four times as long as level 1 and saves a quarter.
    pub level: u8,
    /// The shortest message that is compressed, in bytes; 256. Below that there is little
    /// to gain.
    pub min_size: usize,
}

impl Default for Deflate {
    fn default() -> Self {
        let window = Window {
            bits: 12,
            takeover: false,
        };
        Self {
            send: window,
            receive: window,
            level: 1,
            min_size: 256,
        }
    }
}

impl Deflate {
    /// The smallest window that the compressor has.
    const LEAST_SEND: u8 = 9;

    pub(crate) fn has_possible_windows(&self) -> bool {
        (Self::LEAST_SEND..=Window::MOST).contains(&self.send.bits)
            && (Window::LEAST..=Window::MOST).contains(&self.receive.bits)
    }

    pub(crate) fn has_possible_level(&self) -> bool {
        (1..=9).contains(&self.level)
    }
}

/// How far back one direction of a connection may refer to what was sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The base-2 logarithm of its size in bytes: 8 to 15.
    pub bits: u8,
    /// Whether it goes on from message to message, rather than begin anew with each.
    pub takeover: bool,
}

impl Window {
    const LEAST: u8 = 8;
    const MOST: u8 = 15;

    /// Its size in bytes.
    #[must_use]
    pub const fn size(self) -> usize {
        1 << self.bits
    }
}

/// What both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// What we compress with.
    pub send: Window,
    /// What the peer compresses with.
    pub receive: Window,
}

//! Limits and time-outs, with their defaults and the reasons for them.

use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;
use core::time::Duration;

#[cfg(feature = "deflate")]
use crate::deflate::Deflate;
use crate::handshake::HttpLimits;

/// How received messages are handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Whole messages, assembled within [`Config::max_message`].
    #[default]
    Messages,
    /// Pieces of payload as they arrive, as [`Event::Chunk`](crate::Event::Chunk):
    /// for messages larger than memory. Only [`Config::max_frame`] and the
    /// fragment rule bound them.
    Chunks,
}

/// Everything about a connection that can be set.
///
/// A plain value: change the fields of [`Config::default`], then [`share`] it
/// among any number of connections. Sizes are in bytes of payload.
///
/// [`share`]: Config::share
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Largest message that is accepted, after reassembly; 1 MiB.
    ///
    /// One byte more closes with 1009, as soon as a frame header announces it.
    pub max_message: usize,
    /// Largest frame that is accepted; by default there is no bound of its own
    /// below `max_message`.
    pub max_frame: u64,
    /// Fragments that a message may have before its payload pays for them; 4,096.
    ///
    /// One more is allowed for every 32 bytes of payload that have arrived.
    /// Beyond that the connection closes with 1008: tiny fragments cost far more
    /// than their bytes.
    pub max_fragments: u32,
    /// Whole messages or pieces.
    pub delivery: Delivery,
    /// Silence after which a Ping is sent; 25 s, below the 30 to 60 s after which
    /// middleboxes forget a connection. `None` sends none.
    pub ping_interval: Option<Duration>,
    /// How long after that Ping the peer may stay silent; 10 s.
    pub pong_timeout: Duration,
    /// Time without a message in either direction after which the connection
    /// closes with 1001; off.
    pub idle_timeout: Option<Duration>,
    /// How long the peer may take to answer our Close, and to end the transport
    /// after that; 5 s each.
    ///
    /// The first runs while nothing of what is queued up to our Close moves, and
    /// from when that is written.
    pub close_timeout: Duration,
    /// How long input is discarded after a failed connection, so that the Close
    /// frame which says why is not destroyed by a reset; 1 s.
    pub linger: Duration,
    /// How long the transport may take no output at all while some waits; 10 s.
    pub write_timeout: Duration,
    /// Queued output above which receiving pauses until it is below again; 64 KiB.
    pub soft_mark: usize,
    /// Queued output above which sending is refused; 1 MiB. Tested before a
    /// message is added, so one message of any size always fits.
    pub hard_mark: usize,
    /// How long the opening handshake may take as a whole, TLS included; 10 s.
    pub handshake_timeout: Duration,
    /// Bounds on the head of an HTTP request or response.
    pub head: HttpLimits,
    /// Compression; off. If set it is offered to servers and accepted from clients.
    ///
    /// What a message inflates to counts for `max_message`, and what it is on the wire
    /// must not be more than that, a sixteenth of it, 1 KiB and 5 bytes a fragment:
    /// either way it ends with 1009. A message that is not whole is kept as it came, and
    /// costs what a plain one costs; only with [`Delivery::Chunks`] does an open one hold
    /// a decompressor and a piece to hand out, 56 KiB for its first byte.
    #[cfg(feature = "deflate")]
    pub deflate: Option<Deflate>,
}

impl Config {
    /// No limit: an explicit name, because leaving a limit out never means this.
    pub const UNLIMITED: usize = usize::MAX;

    /// Checks the values and makes them cheap to share among connections.
    ///
    /// # Errors
    ///
    /// Names the first setting under which no connection could work.
    pub fn share(self) -> Result<SharedConfig, ConfigError> {
        // Shorter than the clock counts is no time at all: a deadline that is due when
        // it is set could be set again without end.
        let passes = |time: Duration| time.as_micros() > 0;
        let checks = [
            (self.max_message > 0, ConfigError::MaxMessage),
            (self.max_frame > 0, ConfigError::MaxFrame),
            (self.max_fragments > 0, ConfigError::MaxFragments),
            (
                self.ping_interval.is_none_or(passes),
                ConfigError::PingInterval,
            ),
            (passes(self.pong_timeout), ConfigError::PongTimeout),
            (
                self.idle_timeout.is_none_or(passes),
                ConfigError::IdleTimeout,
            ),
            (passes(self.close_timeout), ConfigError::CloseTimeout),
            (passes(self.write_timeout), ConfigError::WriteTimeout),
            (
                passes(self.handshake_timeout),
                ConfigError::HandshakeTimeout,
            ),
            (
                self.soft_mark > 0 && self.soft_mark <= self.hard_mark,
                ConfigError::Marks,
            ),
            #[cfg(feature = "deflate")]
            (
                self.deflate
                    .is_none_or(|deflate| deflate.has_possible_windows()),
                ConfigError::DeflateWindow,
            ),
            #[cfg(feature = "deflate")]
            (
                self.deflate
                    .is_none_or(|deflate| deflate.has_possible_level()),
                ConfigError::DeflateLevel,
            ),
        ];
        match checks.into_iter().find(|(holds, _)| !holds) {
            Some((_, error)) => Err(error),
            None => Ok(SharedConfig(Arc::new(self))),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_message: 1 << 20,
            max_frame: u64::MAX,
            max_fragments: 4096,
            delivery: Delivery::Messages,
            ping_interval: Some(Duration::from_secs(25)),
            pong_timeout: Duration::from_secs(10),
            idle_timeout: None,
            close_timeout: Duration::from_secs(5),
            linger: Duration::from_secs(1),
            write_timeout: Duration::from_secs(10),
            soft_mark: 64 << 10,
            hard_mark: 1 << 20,
            handshake_timeout: Duration::from_secs(10),
            head: HttpLimits::default(),
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }
}

/// A checked [`Config`], shared by reference count.
#[derive(Clone, Debug)]
pub struct SharedConfig(Arc<Config>);

impl Default for SharedConfig {
    fn default() -> Self {
        Self(Arc::new(Config::default()))
    }
}

impl Deref for SharedConfig {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.0
    }
}

/// Which setting of a [`Config`] cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// `max_message` is zero.
    MaxMessage,
    /// `max_frame` is zero.
    MaxFrame,
    /// `max_fragments` is zero.
    MaxFragments,
    /// `ping_interval` is less than a microsecond.
    PingInterval,
    /// `pong_timeout` is less than a microsecond.
    PongTimeout,
    /// `idle_timeout` is less than a microsecond.
    IdleTimeout,
    /// `close_timeout` is less than a microsecond.
    CloseTimeout,
    /// `write_timeout` is less than a microsecond.
    WriteTimeout,
    /// `handshake_timeout` is less than a microsecond.
    HandshakeTimeout,
    /// `soft_mark` is zero or above `hard_mark`.
    Marks,
    /// A window of `deflate` is not of 8 to 15 bits, or that to send with is not of 9 to 15.
    DeflateWindow,
    /// The level of `deflate` is not from 1 to 9.
    DeflateLevel,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MaxMessage => "the message limit is zero",
            Self::MaxFrame => "the frame limit is zero",
            Self::MaxFragments => "the fragment limit is zero",
            Self::PingInterval => "the ping interval is zero or less than a microsecond",
            Self::PongTimeout => "the pong timeout is zero or less than a microsecond",
            Self::IdleTimeout => "the idle timeout is zero or less than a microsecond",
            Self::CloseTimeout => "the close timeout is zero or less than a microsecond",
            Self::WriteTimeout => "the write timeout is zero or less than a microsecond",
            Self::HandshakeTimeout => "the handshake timeout is zero or less than a microsecond",
            Self::Marks => "the soft mark of the output queue is zero or above the hard mark",
            Self::DeflateWindow => {
                "a compression window is not of 8 to 15 bits, or that to send with not of 9 to 15"
            }
            Self::DeflateLevel => "the compression level is not from 1 to 9",
        })
    }
}

impl core::error::Error for ConfigError {}

//! What goes over the wire: two dialects, one set of requests.

mod event;
mod fields;
mod id;
mod original;
mod request;
mod text;

pub use id::Id;

pub(crate) use event::{Event, Position, frame, history, original};
pub(crate) use fields::{Field, Fields};
pub(crate) use original::Said;
pub(crate) use request::{BadRequest, Listing, Request, Since};
pub(crate) use text::{TextFault, check_text};

/// The subprotocol of the newer dialect.
pub(crate) const V1: &str = "chat.v1.json";

/// How a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `chat.v1.json`.
    V1,
    /// The three messages of the chat that this one follows; no subprotocol.
    Original,
}

/// Why a request was refused, as clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    NotLoggedIn,
    NameTaken,
    BadName,
    BadToken,
    Expired,
    NoSuchUser,
    NotAMember,
    TooManyRooms,
    RoomFull,
    TooManyConnections,
    TooLong,
    TooFast,
    BadRequest,
    Degraded,
}

impl Code {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NotLoggedIn => "not-logged-in",
            Self::NameTaken => "name-taken",
            Self::BadName => "bad-name",
            Self::BadToken => "bad-token",
            Self::Expired => "expired",
            Self::NoSuchUser => "no-such-user",
            Self::NotAMember => "not-a-member",
            Self::TooManyRooms => "too-many-rooms",
            Self::RoomFull => "room-full",
            Self::TooManyConnections => "too-many-connections",
            Self::TooLong => "too-long",
            Self::TooFast => "too-fast",
            Self::BadRequest => "bad-request",
            Self::Degraded => "degraded",
        }
    }

    /// The sentence beside it, unless there is a better one.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::NotLoggedIn => "log in first",
            Self::NameTaken => "somebody else has this name now",
            Self::BadName => "this is not a name",
            Self::BadToken => "the token is not valid",
            Self::Expired => "the token has expired",
            Self::NoSuchUser => "nobody of this name is here",
            Self::NotAMember => "join the room first",
            Self::TooManyRooms => "this connection is in as many rooms as it may be",
            Self::RoomFull => "the room is full",
            Self::TooManyConnections => "this user has as many connections as there may be",
            Self::TooLong => "the text has more than 4,096 characters",
            Self::TooFast => "too many requests in a short time",
            Self::BadRequest => "this is not a request that is known here",
            Self::Degraded => "the other nodes cannot be reached just now",
        }
    }
}

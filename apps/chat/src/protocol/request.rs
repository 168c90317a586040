//! What a client of `chat.v1.json` asks for.

use alloc::borrow::Cow;

use super::fields::{Field, Fields};

/// A request, of the right shape. Names and texts are still to be checked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    Login {
        nickname: Option<Cow<'a, str>>,
        token: Option<Cow<'a, str>>,
        resume: Option<Cow<'a, str>>,
    },
    Join {
        room: Cow<'a, str>,
        since: Option<Since>,
    },
    Leave {
        room: Cow<'a, str>,
    },
    Msg {
        room: Cow<'a, str>,
        text: Cow<'a, str>,
    },
    Private {
        to: Cow<'a, str>,
        text: Cow<'a, str>,
    },
    Typing {
        room: Cow<'a, str>,
    },
    History {
        room: Cow<'a, str>,
        before: Option<u64>,
        limit: u64,
    },
    Members {
        room: Cow<'a, str>,
        listing: Listing,
    },
    Refresh {
        token: Cow<'a, str>,
    },
    Ping,
}

/// The last message that a client has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Since {
    pub(crate) epoch: Box<str>,
    pub(crate) off: u64,
}

/// How much a member wants to know about the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    /// Their names.
    Full,
    /// How many they are.
    Count,
}

/// A request of a type that is unknown, or with a wrong or missing member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadRequest;

impl<'a> Request<'a> {
    /// How many messages `history` brings if it does not say, and at most.
    const LIMIT: u64 = 50;
    const MAX_LIMIT: u64 = 200;

    /// What the members of an object ask for.
    pub(crate) fn parse(fields: Fields<'a>) -> Result<Self, BadRequest> {
        if fields.has_repetition || (fields.id.is_some() && fields.id().is_none()) {
            return Err(BadRequest);
        }
        let kind = text(fields.kind)?;
        Ok(match &*kind {
            "login" => Self::Login {
                nickname: optional(fields.nickname, Field::into_text)?,
                token: optional(fields.token, Field::into_text)?,
                resume: optional(fields.resume, Field::into_text)?,
            },
            "join" => Self::Join {
                room: text(fields.room)?,
                since: optional(fields.since, since)?,
            },
            "leave" => Self::Leave {
                room: text(fields.room)?,
            },
            "msg" => Self::Msg {
                room: text(fields.room)?,
                text: text(fields.text)?,
            },
            "private" => Self::Private {
                to: text(fields.to)?,
                text: text(fields.text)?,
            },
            "typing" => Self::Typing {
                room: text(fields.room)?,
            },
            "history" => Self::History {
                room: text(fields.room)?,
                before: optional(fields.before, Field::into_count)?,
                limit: match optional(fields.limit, Field::into_count)? {
                    None => Self::LIMIT,
                    Some(0) => return Err(BadRequest),
                    Some(limit) => limit.min(Self::MAX_LIMIT),
                },
            },
            "members" => Self::Members {
                room: text(fields.room)?,
                listing: match optional(fields.mode, Field::into_text)?.as_deref() {
                    None | Some("full") => Listing::Full,
                    Some("count") => Listing::Count,
                    Some(_) => return Err(BadRequest),
                },
            },
            "refresh" => Self::Refresh {
                token: text(fields.token)?,
            },
            "ping" => Self::Ping,
            _ => return Err(BadRequest),
        })
    }
}

fn text(field: Option<Field<'_>>) -> Result<Cow<'_, str>, BadRequest> {
    field.and_then(Field::into_text).ok_or(BadRequest)
}

/// A member that may be absent, but not of another type.
fn optional<'a, T>(
    field: Option<Field<'a>>,
    read: impl FnOnce(Field<'a>) -> Option<T>,
) -> Result<Option<T>, BadRequest> {
    field.map(|field| read(field).ok_or(BadRequest)).transpose()
}

fn since(field: Field<'_>) -> Option<Since> {
    let inner = field.into_object()?;
    Some(Since {
        epoch: inner.epoch?.into_text()?.into(),
        off: inner.off?.into_count()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(message: &str) -> Result<Request<'_>, BadRequest> {
        Request::parse(Fields::parse(message).expect("an object"))
    }

    #[test]
    fn requests_are_told_by_their_type_whatever_else_they_hold() {
        assert_eq!(
            parse(r#"{"type":"msg","room":"a","text":"b","from":"eve","x":{}}"#),
            Ok(Request::Msg {
                room: "a".into(),
                text: "b".into()
            })
        );
        assert_eq!(
            parse(r#"{"since":{"off":7,"epoch":"e"},"room":"a","type":"join"}"#),
            Ok(Request::Join {
                room: "a".into(),
                since: Some(Since {
                    epoch: "e".into(),
                    off: 7
                })
            })
        );
        assert_eq!(
            parse(r#"{"type":"history","room":"a","limit":1000}"#),
            Ok(Request::History {
                room: "a".into(),
                before: None,
                limit: 200
            })
        );
        assert_eq!(parse(r#"{"type":"ping","id":"x"}"#), Ok(Request::Ping));
    }

    #[test]
    fn an_unknown_type_and_a_wrong_or_missing_field_are_bad_requests() {
        for message in [
            r#"{}"#,
            r#"{"type":1}"#,
            r#"{"type":"Login","nickname":"a"}"#,
            r#"{"type":"hello"}"#,
            r#"{"type":"login","nickname":5}"#,
            r#"{"type":"login","nickname":null}"#,
            r#"{"type":"join"}"#,
            r#"{"type":"join","room":"a","since":3}"#,
            r#"{"type":"join","room":"a","since":{"off":3}}"#,
            r#"{"type":"join","room":"a","since":{"epoch":"e","off":-3}}"#,
            r#"{"type":"join","room":"a","since":{"epoch":"e","off":9007199254740992}}"#,
            r#"{"type":"msg","room":"a"}"#,
            r#"{"type":"msg","room":"a","text":["b"]}"#,
            r#"{"type":"msg","room":"a","text":"b","text":"c"}"#,
            r#"{"type":"msg","room":"a","text":"b","id":""}"#,
            r#"{"type":"private","text":"b"}"#,
            r#"{"type":"typing"}"#,
            r#"{"type":"history","room":"a","limit":0}"#,
            r#"{"type":"history","room":"a","before":"x"}"#,
            r#"{"type":"members","room":"a","mode":"some"}"#,
            r#"{"type":"refresh"}"#,
            r#"{"type":"ping","id":1.5}"#,
        ] {
            assert_eq!(parse(message), Err(BadRequest), "{message}");
        }
    }
}

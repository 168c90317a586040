//! What a client of the original dialect says.

use alloc::borrow::Cow;

use super::fields::{Field, Fields};

/// One of the three messages, of the right shape.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    Login {
        nickname: Cow<'a, str>,
        room: Cow<'a, str>,
    },
    Room {
        to: Cow<'a, str>,
        text: Cow<'a, str>,
    },
    Private {
        to: Cow<'a, str>,
        text: Cow<'a, str>,
    },
}

impl<'a> Said<'a> {
    /// What the members of an object say; `None` if it is none of the three.
    pub(crate) fn parse(fields: Fields<'a>) -> Option<Self> {
        if fields.has_repetition {
            return None;
        }
        match &*fields.kind?.into_text()? {
            "login" => Some(Self::Login {
                nickname: fields.nickname?.into_text()?,
                room: fields.room?.into_text()?,
            }),
            "room" => Some(Self::Room {
                to: fields.to?.into_text()?,
                text: text(fields.message?)?,
            }),
            "private" => Some(Self::Private {
                to: fields.to?.into_text()?,
                text: text(fields.message?)?,
            }),
            _ => None,
        }
    }
}

fn text(message: Field<'_>) -> Option<Cow<'_, str>> {
    message.into_object()?.text?.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(message: &str) -> Option<Said<'_>> {
        Said::parse(Fields::parse(message)?)
    }

    #[test]
    fn the_three_shapes_are_read_whatever_else_they_hold() {
        assert_eq!(
            parse(r#"{"type":"login","nickname":"ana","room":"r","connectedAt":{"any":[1]}}"#),
            Some(Said::Login {
                nickname: "ana".into(),
                room: "r".into()
            })
        );
        assert_eq!(
            parse(
                r#"{"type":"room","from":"eve","to":"r","sendAt":1,"message":{"text":"hi","x":2}}"#
            ),
            Some(Said::Room {
                to: "r".into(),
                text: "hi".into()
            })
        );
        assert_eq!(
            parse(r#"{"type":"private","to":"bob","message":{"text":"hi"}}"#),
            Some(Said::Private {
                to: "bob".into(),
                text: "hi".into()
            })
        );
    }

    #[test]
    fn other_shapes_are_none() {
        for message in [
            "[]",
            "{}",
            r#"{"type":"ping"}"#,
            r#"{"type":"login","nickname":"ana"}"#,
            r#"{"type":"login","nickname":1,"room":"r"}"#,
            r#"{"type":"room","to":"r"}"#,
            r#"{"type":"room","to":"r","message":"hi"}"#,
            r#"{"type":"room","to":"r","message":{"text":1}}"#,
            r#"{"type":"private","message":{"text":"hi"}}"#,
        ] {
            assert_eq!(parse(message), None, "{message}");
        }
    }
}

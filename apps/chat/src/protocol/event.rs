//! What the server says.

use serde::Serialize;
use sockeye_handler::{Frame, Outgoing};
use sockeye_kit::name::Name;

use super::id::Id;
use crate::store::Epoch;

/// What a client of `chat.v1.json` is told.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Event<'a> {
    Hello {
        #[serde(skip_serializing_if = "Option::is_none")]
        re: Option<&'a Id>,
        nickname: &'a Name,
        resume: &'a str,
        resume_ms: u64,
    },
    Ok {
        #[serde(skip_serializing_if = "Option::is_none")]
        re: Option<&'a Id>,
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<&'a Name>,
        #[serde(flatten)]
        stamp: Option<Position<'a>>,
        #[serde(skip_serializing_if = "is_false")]
        degraded: bool,
    },
    Err {
        #[serde(skip_serializing_if = "Option::is_none")]
        re: Option<&'a Id>,
        code: &'a str,
        reason: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_ms: Option<u64>,
    },
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        re: Option<&'a Id>,
    },
    Msg {
        room: &'a Name,
        from: &'a Name,
        text: &'a str,
        ts: &'a str,
        off: u64,
        epoch: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        via: Option<&'a str>,
    },
    Recovered {
        room: &'a Name,
        ok: bool,
        from: u64,
        to: u64,
    },
    State {
        #[serde(skip_serializing_if = "Option::is_none")]
        re: Option<&'a Id>,
        room: &'a Name,
        rev: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        members: Option<&'a [&'a Name]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        count: Option<usize>,
        #[serde(skip_serializing_if = "is_false")]
        degraded: bool,
    },
    Diff {
        room: &'a Name,
        rev: u64,
        join: &'a [&'a Name],
        leave: &'a [&'a Name],
    },
    Typing {
        room: &'a Name,
        from: &'a Name,
    },
    Private {
        from: &'a Name,
        to: &'a Name,
        text: &'a str,
        ts: &'a str,
    },
    Expiring {
        in_ms: u64,
    },
    Drain {
        retry_ms: u64,
    },
}

/// Where a room stands, or a message in it.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Position<'a> {
    pub(crate) off: u64,
    pub(crate) epoch: &'a str,
}

impl<'a> Position<'a> {
    pub(crate) fn new(off: u64, epoch: &'a Epoch) -> Self {
        Self {
            off,
            epoch: &epoch.0,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "this is how serde asks")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Encodes what is told, once for however many clients.
pub(crate) fn frame(event: &Event<'_>) -> Frame {
    let message = Outgoing::from(json(event));
    Frame::new(match event {
        // What resumes a session is a secret: a length must tell nobody anything about it.
        Event::Hello { .. } => message.uncompressed(),
        _ => message,
    })
}

/// Encodes the answer to `history`, of messages that are encoded already.
pub(crate) fn history<'m>(
    re: Option<&Id>,
    room: &Name,
    more: bool,
    messages: impl Iterator<Item = &'m Frame>,
) -> Frame {
    #[derive(Serialize)]
    struct Head<'a> {
        r#type: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        re: Option<&'a Id>,
        room: &'a Name,
        more: bool,
        messages: [(); 0],
    }
    let mut text = json(&Head {
        r#type: "history",
        re,
        room,
        more,
        messages: [],
    });
    // The list is the last member: `…"messages":[]}`.
    text.truncate(text.len().saturating_sub(2));
    for (index, message) in messages.enumerate() {
        if index > 0 {
            text.push(',');
        }
        // It was made from text.
        text.push_str(core::str::from_utf8(message.payload()).unwrap_or("null"));
    }
    text.push_str("]}");
    Frame::new(text)
}

/// Encodes a delivery in the original dialect.
pub(crate) fn original(kind: &str, from: &Name, to: &Name, text: &str, ts: &str) -> Frame {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Delivery<'a> {
        r#type: &'a str,
        from: &'a Name,
        to: &'a Name,
        send_at: &'a str,
        message: Body<'a>,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        text: &'a str,
    }
    Frame::new(json(&Delivery {
        r#type: kind,
        from,
        to,
        send_at: ts,
        message: Body { text },
    }))
}

fn json(value: &impl Serialize) -> String {
    // It can only fail for maps whose keys are no text, and there are none here.
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Name {
        Name::parse(name).expect("a name")
    }

    fn text(frame: &Frame) -> &str {
        core::str::from_utf8(frame.payload()).expect("text")
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let ok = |re, room, stamp| {
            frame(&Event::Ok {
                re,
                room,
                stamp,
                degraded: false,
            })
        };
        assert_eq!(text(&ok(None, None, None)), r#"{"type":"ok"}"#);
        let (room, epoch) = (name("r"), Epoch("e".into()));
        let stamp = Some(Position::new(3, &epoch));
        assert_eq!(
            text(&ok(Some(&Id::Integer(7)), Some(&room), stamp)),
            r#"{"type":"ok","re":7,"room":"r","off":3,"epoch":"e"}"#
        );
    }

    #[test]
    fn text_is_escaped() {
        let (from, to) = (name("ana"), name("r"));
        let frame = original("room", &from, &to, "\"\\\n<é>", "2026-11-21T09:00:00.123Z");
        assert_eq!(
            text(&frame),
            "{\"type\":\"room\",\"from\":\"ana\",\"to\":\"r\",\
             \"sendAt\":\"2026-11-21T09:00:00.123Z\",\"message\":{\"text\":\"\\\"\\\\\\n<é>\"}}"
        );
    }

    #[test]
    fn a_history_is_made_of_encoded_messages() {
        let room = name("r");
        let messages = [Frame::new("{\"off\":1}"), Frame::new("{\"off\":2}")];
        assert_eq!(
            text(&history(None, &room, true, messages.iter())),
            r#"{"type":"history","room":"r","more":true,"messages":[{"off":1},{"off":2}]}"#
        );
        assert_eq!(
            text(&history(Some(&Id::Integer(1)), &room, false, [].iter())),
            r#"{"type":"history","re":1,"room":"r","more":false,"messages":[]}"#
        );
    }
}

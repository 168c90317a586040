//! The message of `/echo`: a JSON object with one member, `jwt`.

use alloc::borrow::Cow;
use core::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Value, json};

/// What a client of `/echo` says, each time: who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The token, which is not checked yet.
    pub jwt: Cow<'a, str>,
}

/// What was received is not a [`Message`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidMessage;

impl<'a> Message<'a> {
    /// The longest token, in bytes.
    pub const MAX_JWT: usize = 8192;

    /// Reads a message: exactly one object, with exactly one member.
    ///
    /// # Errors
    ///
    /// Everything else, a repeated member and a byte order mark included.
    pub fn parse(text: &'a str) -> Result<Self, InvalidMessage> {
        let Strict(jwt) = serde_json::from_str(text).map_err(|_| InvalidMessage)?;
        match jwt.len() {
            1..=Self::MAX_JWT => Ok(Self { jwt }),
            _ => Err(InvalidMessage),
        }
    }

    /// The same rule as a JSON Schema (2020-12), for those who make messages.
    ///
    /// A schema cannot say that a member must not be repeated, and counts code points; what
    /// a token is made of has one byte each.
    #[must_use]
    pub fn schema() -> Value {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "A message of /echo",
            "type": "object",
            "properties": {
                "jwt": {
                    "description": "A JSON Web Token (RFC 7519) that names its user in `id` and ends at `exp`.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": Self::MAX_JWT,
                },
            },
            "required": ["jwt"],
            "additionalProperties": false,
        })
    }
}

/// The one member of an object. What is derived would take an array as well.
struct Strict<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Strict<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OneMember)
    }
}

struct OneMember;

impl<'de> Visitor<'de> for OneMember {
    type Value = Strict<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the member `jwt`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strict<'de>, A::Error> {
        match map.next_entry::<Text<'de>, Text<'de>>()? {
            Some((Text(name), Text(jwt))) if name == "jwt" => match map.next_key::<Text<'de>>()? {
                None => Ok(Strict(jwt)),
                Some(_) => Err(A::Error::custom("another member")),
            },
            _ => Err(A::Error::missing_field("jwt")),
        }
    }
}

/// A string, which is copied only if it holds escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyString;

        impl<'de> Visitor<'de> for AnyString {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.into())))
            }
        }

        deserializer.deserialize_str(AnyString)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<String> {
        let message = Message::parse(text).ok();
        message.map(|message| message.jwt.into_owned())
    }

    #[test]
    fn an_object_with_a_token_is_a_message() {
        assert_eq!(parse(r#"{"jwt":"abc"}"#).as_deref(), Some("abc"));
        let spacious = " \t\r\n{ \"jwt\" :\n\"abc\" } \n";
        assert_eq!(parse(spacious).as_deref(), Some("abc"));
        let escaped = r#"{"\u006aw\u0074":"a\u0062\/"}"#;
        assert_eq!(parse(escaped).as_deref(), Some("ab/"));
    }

    #[test]
    fn a_token_has_1_to_8192_bytes() {
        let message = |jwt: &str| parse(&format!(r#"{{"jwt":"{jwt}"}}"#));
        assert_eq!(message(""), None);
        assert!(message("x").is_some());
        assert!(message(&"x".repeat(8192)).is_some());
        assert_eq!(message(&"x".repeat(8193)), None);
        // Bytes, not code points.
        assert!(message(&"é".repeat(4096)).is_some());
        assert_eq!(message(&"é".repeat(4097)), None);
    }

    #[test]
    fn nothing_else_is_a_message() {
        for text in [
            "",
            " ",
            "{}",
            "[]",
            r#"["abc"]"#,
            r#""abc""#,
            "null",
            "1",
            "true",
            "abc",
            r#"{"jwt":null}"#,
            r#"{"jwt":1}"#,
            r#"{"jwt":["abc"]}"#,
            r#"{"jwt":{"jwt":"abc"}}"#,
            r#"{"JWT":"abc"}"#,
            r#"{"jwt ":"abc"}"#,
            r#"{"token":"abc"}"#,
            r#"{"jwt":"abc","jwt":"abc"}"#,
            r#"{"jwt":"abc","other":1}"#,
            r#"{"other":1,"jwt":"abc"}"#,
            r#"{"jwt":"abc",}"#,
            r#"{"jwt":"abc"}{}"#,
            r#"{"jwt":"abc"} x"#,
            r#"{"jwt":"abc"}{"jwt":"abc"}"#,
            r#"{"jwt":"abc""#,
            r#"{"jwt":"abc"#,
            r#"{'jwt':'abc'}"#,
            r#"{jwt:"abc"}"#,
            "{\"jwt\":\"a\nb\"}",
            r#"{"jwt":"\ud800"}"#,
            r#"{"jwt":"\x61"}"#,
            "\u{feff}{\"jwt\":\"abc\"}",
            "\u{a0}{\"jwt\":\"abc\"}",
            "{\"jwt\":\"abc\"}\0",
            "// a comment\n{\"jwt\":\"abc\"}",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        let deep = "{\"jwt\":".repeat(10_000);
        assert_eq!(parse(&deep), None);
    }

    #[test]
    fn the_schema_says_what_the_parser_does() {
        let schema = Message::schema();
        assert_eq!(schema["required"], json!(["jwt"]));
        assert_eq!(schema["additionalProperties"], json!(false));
        let jwt = &schema["properties"]["jwt"];
        let of_length = |length: &Value| {
            let length = length.as_u64().expect("a number") as usize;
            parse(&format!(r#"{{"jwt":"{}"}}"#, "x".repeat(length)))
        };
        assert!(of_length(&jwt["minLength"]).is_some());
        assert!(of_length(&jwt["maxLength"]).is_some());
    }
}

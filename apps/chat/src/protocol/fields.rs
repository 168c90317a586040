//! The members of a JSON object, as far as either dialect knows them.

use alloc::borrow::Cow;
use core::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::id::Id;

/// How deep a message may be nested.
const DEPTH: usize = 32;

/// The known members of a message; what is unknown is skipped.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) kind: Slot<'a>,
    pub(crate) id: Slot<'a>,
    pub(crate) nickname: Slot<'a>,
    pub(crate) token: Slot<'a>,
    pub(crate) resume: Slot<'a>,
    pub(crate) room: Slot<'a>,
    pub(crate) since: Slot<'a>,
    pub(crate) text: Slot<'a>,
    pub(crate) to: Slot<'a>,
    pub(crate) before: Slot<'a>,
    pub(crate) limit: Slot<'a>,
    pub(crate) mode: Slot<'a>,
    pub(crate) message: Slot<'a>,
    pub(crate) from: Slot<'a>,
    /// A known member came twice: which of the two was meant cannot be known.
    pub(crate) has_repetition: bool,
}

/// The value of a member, if there is one.
pub(crate) type Slot<'a> = Option<Field<'a>>;

/// A value, as far as any known member may have it.
#[derive(Debug)]
pub(crate) enum Field<'a> {
    Text(Cow<'a, str>),
    Integer(i128),
    Object(Box<Inner<'a>>),
    Other,
}

/// The known members of an object inside a message.
#[derive(Debug, Default)]
pub(crate) struct Inner<'a> {
    pub(crate) epoch: Slot<'a>,
    pub(crate) off: Slot<'a>,
    pub(crate) text: Slot<'a>,
}

impl<'a> Fields<'a> {
    /// Reads a message; `None` if it is no JSON object, or nested deeper than 32.
    pub(crate) fn parse(message: &'a str) -> Option<Self> {
        if is_too_deep(message.as_bytes()) {
            return None;
        }
        serde_json::from_str(message).ok()
    }

    /// The `type`, if it is a text.
    pub(crate) fn kind(&self) -> Option<&str> {
        match self.kind.as_ref()? {
            Field::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The `id`, if there is one and it can be one.
    pub(crate) fn id(&self) -> Option<Id> {
        match self.id.as_ref()? {
            Field::Text(text) => Id::text(text),
            Field::Integer(integer) => Some(Id::Integer(*integer)),
            Field::Object(_) | Field::Other => None,
        }
    }
}

impl<'a> Field<'a> {
    pub(crate) fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// An integer from 0 to 2^53 − 1.
    pub(crate) fn into_count(self) -> Option<u64> {
        match self {
            Self::Integer(integer) => u64::try_from(integer).ok().filter(|n| *n < 1 << 53),
            _ => None,
        }
    }

    pub(crate) fn into_object(self) -> Option<Inner<'a>> {
        match self {
            Self::Object(inner) => Some(*inner),
            _ => None,
        }
    }
}

/// Objects and arrays within each other, counted outside of strings.
fn is_too_deep(json: &[u8]) -> bool {
    let opens = |byte: &u8| matches!(byte, b'{' | b'[');
    if json.iter().filter(|byte| opens(byte)).count() <= DEPTH {
        return false;
    }
    let mut depth = 0_usize;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        // Whatever is escaped does not end the string.
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH {
            return true;
        }
    }
    false
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Fields::default();
                while let Some(key) = map.next_key::<Key<'de>>()? {
                    let slot = match &*key.0 {
                        "type" => &mut fields.kind,
                        "id" => &mut fields.id,
                        "nickname" => &mut fields.nickname,
                        "token" => &mut fields.token,
                        "resume" => &mut fields.resume,
                        "room" => &mut fields.room,
                        "since" => &mut fields.since,
                        "text" => &mut fields.text,
                        "to" => &mut fields.to,
                        "before" => &mut fields.before,
                        "limit" => &mut fields.limit,
                        "mode" => &mut fields.mode,
                        "message" => &mut fields.message,
                        "from" => &mut fields.from,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    let value = map.next_value()?;
                    fields.has_repetition |= slot.replace(value).is_some();
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The name of a member; lent unless it holds escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(Value)? {
            Field::Text(text) => Ok(Self(text)),
            _ => Ok(Self(Cow::Borrowed(""))),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Field<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Value)
    }
}

struct Value;

impl<'de> Visitor<'de> for Value {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Owned(text.into())))
    }

    fn visit_u64<E>(self, integer: u64) -> Result<Field<'de>, E> {
        Ok(Field::Integer(integer.into()))
    }

    fn visit_i64<E>(self, integer: i64) -> Result<Field<'de>, E> {
        Ok(Field::Integer(integer.into()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Field<'de>, E> {
        Ok(Field::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Field<'de>, E> {
        Ok(Field::Other)
    }

    fn visit_unit<E>(self) -> Result<Field<'de>, E> {
        Ok(Field::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Field<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field<'de>, A::Error> {
        let mut inner = Inner::default();
        let mut has_repetition = false;
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let slot = match &*key.0 {
                "epoch" => &mut inner.epoch,
                "off" => &mut inner.off,
                "text" => &mut inner.text,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            has_repetition |= slot.replace(map.next_value()?).is_some();
        }
        Ok(if has_repetition {
            Field::Other
        } else {
            Field::Object(Box::new(inner))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_json_object_is_a_message() {
        for message in [
            "",
            " ",
            "null",
            "1",
            "\"x\"",
            "[]",
            "[{}]",
            "{",
            "{}{}",
            "{} x",
            "{\"a\":}",
            "{'a':1}",
            "\u{feff}{}",
            "{\"a\":1,}",
            "{\"type\":\"\\ud800\"}",
            "{\"a\":01}",
            "nonsense",
        ] {
            assert!(Fields::parse(message).is_none(), "{message}");
        }
        for message in ["{}", " {\"a\":[1,{\"b\":null}]}\n", "{\"\\u0074ype\":1}"] {
            assert!(Fields::parse(message).is_some(), "{message}");
        }
    }

    #[test]
    fn a_message_is_at_most_32_deep() {
        let nested =
            |arrays: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(arrays), "]".repeat(arrays));
        assert!(Fields::parse(&nested(31)).is_some());
        assert!(Fields::parse(&nested(32)).is_none());
        // A known member that wants no array, and ten thousand of them.
        for arrays in [32, 10_000] {
            let message = nested(arrays).replace("\"a\"", "\"since\"");
            assert!(Fields::parse(&message).is_none());
        }
        let wide = format!(
            r#"{{"a":[{}],"b":"[[{{\"[[{}"}}"#,
            "[],".repeat(50) + "[]",
            "[".repeat(50)
        );
        assert!(Fields::parse(&wide).is_some());
    }

    #[test]
    fn members_are_found_whatever_is_around_them() {
        let fields = Fields::parse(
            r#"{"x":{"room":"no"},"room":"caf\u00e9","id":-5,"since":{"off":3,"epoch":"e","y":[]}}"#,
        );
        let fields = fields.expect("an object");
        assert_eq!(fields.id(), Some(Id::Integer(-5)));
        assert_eq!(
            fields.room.and_then(Field::into_text).as_deref(),
            Some("café")
        );
        let since = fields
            .since
            .and_then(Field::into_object)
            .expect("an object");
        assert_eq!(since.off.and_then(Field::into_count), Some(3));
        assert!(!fields.has_repetition);
    }

    #[test]
    fn a_repeated_member_is_noticed() {
        let fields = Fields::parse(r#"{"room":"a","room":"a"}"#).expect("an object");
        assert!(fields.has_repetition);
        let fields = Fields::parse(r#"{"since":{"off":1,"off":2}}"#).expect("an object");
        assert!(fields.since.and_then(Field::into_object).is_none());
    }

    #[test]
    fn an_id_is_an_integer_or_a_text_of_1_to_64_characters() {
        let id = |id: &str| {
            let message = format!(r#"{{"id":{id}}}"#);
            Fields::parse(&message).and_then(|fields| fields.id())
        };
        for good in ["0", "-9223372036854775808", "18446744073709551615", "\"a\""] {
            let back = id(good).map(|id| serde_json::to_string(&id).expect("a value"));
            assert_eq!(back.as_deref(), Some(good));
        }
        assert!(id(&format!("\"{}\"", "é".repeat(64))).is_some());
        for bad in [
            "\"\"",
            "1.0",
            "1.5",
            "null",
            "true",
            "[]",
            "{}",
            "18446744073709551616",
        ] {
            assert_eq!(id(bad), None, "{bad}");
        }
        assert_eq!(id(&format!("\"{}\"", "é".repeat(65))), None);
        assert_ne!(id("1"), id("\"1\""));
    }

    #[test]
    fn counts_are_integers_below_2_to_the_53() {
        let count = |value| Field::Integer(value).into_count();
        assert_eq!(count(0), Some(0));
        assert_eq!(count((1 << 53) - 1), Some((1 << 53) - 1));
        assert_eq!(count(1 << 53), None);
        assert_eq!(count(-1), None);
    }
}

//! What a script expects of a message.

use core::fmt;

use regex_lite::Regex;
use serde_json::Value;
use sockeye_core::OwnedMessage;
use sockeye_runner::Escaped;

/// What a message has to be like.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    /// JSON that has all of this.
    Json(Value),
    /// Exactly this text.
    Exactly(String),
    /// Text in which this is found.
    Regex(Regex),
    /// Text that contains this.
    Contains(String),
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with(['{', '[']) {
            let value = serde_json::from_str(text);
            return value.map(Self::Json).map_err(|error| error.to_string());
        }
        if let Some(exactly) = text.strip_prefix('=') {
            return Ok(Self::Exactly(exactly.into()));
        }
        match text.strip_prefix('~') {
            Some(regex) => match Regex::new(regex) {
                Ok(regex) => Ok(Self::Regex(regex)),
                Err(error) => Err(error.to_string()),
            },
            None => Ok(Self::Contains(text.into())),
        }
    }

    pub(crate) fn matches(&self, message: &OwnedMessage) -> bool {
        let Some(text) = message.as_text() else {
            return false;
        };
        match self {
            Self::Json(wanted) => {
                serde_json::from_str(text).is_ok_and(|found| contains(&found, wanted))
            }
            Self::Exactly(exactly) => text == exactly,
            Self::Regex(regex) => regex.is_match(text),
            Self::Contains(part) => text.contains(part.as_str()),
        }
    }
}

/// Objects may have more members than are wanted; all else is the same.
fn contains(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, wanted)| found.get(name).is_some_and(|found| contains(found, wanted))),
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len()
                && found
                    .iter()
                    .zip(wanted)
                    .all(|(found, wanted)| contains(found, wanted))
        }
        (found, wanted) => found == wanted,
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(value) => write!(f, "message with {}", Escaped(&value.to_string())),
            Self::Exactly(text) => write!(f, "message \"{}\"", Escaped(text)),
            Self::Regex(regex) => write!(f, "message like {}", Escaped(regex.as_str())),
            Self::Contains(text) => write!(f, "message with \"{}\"", Escaped(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_what_the_pattern_wants() {
        for (pattern, message, matches) in [
            (r#"{"type":"msg"}"#, r#"{"type":"msg","off":1}"#, true),
            (r#"{"a":{"b":1}}"#, r#"{"a":{"b":1,"c":2},"d":3}"#, true),
            (r#"{"a":{"b":1}}"#, r#"{"a":{"b":2}}"#, false),
            (r#"{"a":null}"#, "{}", false),
            ("[1,{}]", r#"[1,{"x":1}]"#, true),
            ("[1]", "[1,2]", false),
            ("{}", "no JSON", false),
            ("=hello", "hello", true),
            ("=hello", "hello!", false),
            ("~^h.*o$", "hallo", true),
            ("~^h.*o$", "hallo!", false),
            ("ell", "hello", true),
            ("elL", "hello", false),
        ] {
            let parsed = Pattern::parse(pattern).expect(pattern);
            assert_eq!(parsed.matches(&message.into()), matches, "{pattern}");
        }
        let anything = Pattern::parse("~").expect("pattern");
        assert!(!anything.matches(&vec![1].into()), "binary has no text");
        assert!(Pattern::parse("{").is_err() && Pattern::parse("~(").is_err());
    }
}

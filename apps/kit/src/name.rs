//! The names of users and rooms.

use alloc::sync::Arc;
use core::borrow::Borrow;
use core::fmt;
use core::ops::Deref;
use core::str::FromStr;

use serde::{Serialize, Serializer};
use unicode_normalization::is_nfc;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// The name of a user or a room. Cheap to clone; compared by code points.
///
/// 1 to 64 code points: letters, marks and decimal digits of any script, and `_ - . @`. The
/// first is not a mark, and the whole is in normal form C, so that two names which look the
/// same are the same more often. No name holds a space, a colon or a control character, so it
/// can stand in a key or a line of a log as it is.
///
/// ```
/// use sockeye_kit::name::{InvalidName, Name};
///
/// assert_eq!(Name::parse("ana.müller@example.com")?.as_str(), "ana.müller@example.com");
/// assert_eq!(Name::parse("a b"), Err(InvalidName::Character(' ')));
/// # Ok::<_, InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The longest name, in code points.
    pub const MAX: usize = 64;

    /// Checks a name; nothing is converted.
    ///
    /// # Errors
    ///
    /// Says the first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        for (index, character) in text.chars().enumerate() {
            if index == Self::MAX {
                return Err(InvalidName::TooLong);
            }
            match kind(character) {
                Kind::Other => return Err(InvalidName::Character(character)),
                Kind::Mark if index == 0 => return Err(InvalidName::LeadingMark),
                Kind::Mark | Kind::Base => {}
            }
        }
        if text.is_empty() {
            return Err(InvalidName::Empty);
        }
        if !is_nfc(text) {
            return Err(InvalidName::NotNormal);
        }
        Ok(Self(text.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

enum Kind {
    /// A letter, a digit or one of the four signs.
    Base,
    Mark,
    Other,
}

fn kind(character: char) -> Kind {
    if character.is_ascii() {
        return match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' | '.' | '@' => Kind::Base,
            _ => Kind::Other,
        };
    }
    match character.general_category_group() {
        GeneralCategoryGroup::Letter => Kind::Base,
        GeneralCategoryGroup::Mark => Kind::Mark,
        _ if character.general_category() == GeneralCategory::DecimalNumber => Kind::Base,
        _ => Kind::Other,
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::parse(text)
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Why a text is not a [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidName {
    /// There is nothing.
    Empty,
    /// It has more than [`Name::MAX`] code points.
    TooLong,
    /// This is no letter, mark or decimal digit, and not one of `_ - . @`.
    Character(char),
    /// It begins with a mark, which has nothing to stand on.
    LeadingMark,
    /// It is not in Unicode's normal form C.
    NotNormal,
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a name has at least one character"),
            Self::TooLong => write!(f, "a name has at most {} characters", Name::MAX),
            Self::Character(character) => write!(
                f,
                "a name is made of letters, digits and _ - . @, which {character:?} is not"
            ),
            Self::LeadingMark => f.write_str("a name does not begin with a combining mark"),
            Self::NotNormal => f.write_str("the name is not in Unicode normal form C"),
        }
    }
}

impl core::error::Error for InvalidName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_marks_and_decimal_digits_of_any_script_are_allowed_and_four_signs() {
        for name in [
            "a",
            "Z9",
            "_",
            "-",
            ".",
            "@",
            "ana@example.com",
            "Müller",
            "Ωμέγα",
            "李雷",
            "ひらがな",
            "हिन्दी",     // holds marks of the categories Mn and Mc
            "x\u{20dd}", // enclosing circle, Me
            "٣",         // Arabic-Indic digit, Nd
            "ǅ",         // title case, Lt
            "ʰ",         // modifier, Lm
            "𝒜",         // beyond the basic plane
            "q\u{0323}\u{0307}",
        ] {
            assert_eq!(Name::parse(name).as_deref(), Ok(name));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for character in [
            ' ', '\t', '\n', '\0', '\u{1b}', '\u{7f}', ':', '/', '\\', '<', '>', '"', '\'', '&',
            '%', '+', ',', '*', '#', '?', '½', 'Ⅷ', '²', '€', '😀', '\u{a0}', '\u{2028}',
            '\u{200b}', '\u{200d}', '\u{202e}', '\u{feff}', '\u{e000}', '\u{fffd}', '、',
        ] {
            for text in [format!("{character}"), format!("a{character}b")] {
                let refused = Name::parse(&text);
                assert_eq!(refused, Err(InvalidName::Character(character)), "{text:?}");
            }
        }
    }

    #[test]
    fn a_name_has_1_to_64_code_points_however_long_they_are() {
        assert_eq!(Name::parse(""), Err(InvalidName::Empty));
        for character in ["a", "é", "𝒜"] {
            assert!(Name::parse(&character.repeat(64)).is_ok(), "{character}");
            let longer = Name::parse(&character.repeat(65));
            assert_eq!(longer, Err(InvalidName::TooLong), "{character}");
        }
    }

    #[test]
    fn the_first_is_not_a_mark() {
        assert_eq!(Name::parse("\u{301}a"), Err(InvalidName::LeadingMark));
        assert_eq!(Name::parse("\u{93f}"), Err(InvalidName::LeadingMark));
        assert!(Name::parse("_\u{301}").is_ok());
    }

    #[test]
    fn what_is_not_in_normal_form_c_is_refused_and_not_converted() {
        assert_eq!(Name::parse("e\u{301}"), Err(InvalidName::NotNormal));
        // The sign of the kelvin is the letter K.
        assert_eq!(Name::parse("\u{212a}"), Err(InvalidName::NotNormal));
        // Marks in another order than the canonical one.
        assert_eq!(Name::parse("q\u{307}\u{323}"), Err(InvalidName::NotNormal));
        assert_eq!(Name::parse("é").as_deref(), Ok("é"));
    }

    #[test]
    fn names_are_compared_by_code_points() {
        let name = |text| Name::parse(text).expect("a name");
        assert_ne!(name("Ana"), name("ana"));
        let mut names = [name("é"), name("b"), name("Z")];
        names.sort();
        assert_eq!(names, [name("Z"), name("b"), name("é")]);
        let map = std::collections::HashMap::from([(name("ana"), 1)]);
        assert_eq!(map.get("ana"), Some(&1));
    }
}

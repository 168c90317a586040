//! What may be said.

/// The longest text of a message, in code points.
const MAX: usize = 4096;

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextFault {
    Empty,
    TooLong,
    /// A control character other than tab and line feed.
    Control,
}

/// Checks the text of a message: 1 to 4,096 code points, no control characters but two.
pub(crate) fn check_text(text: &str) -> Result<(), TextFault> {
    if text.is_empty() {
        return Err(TextFault::Empty);
    }
    // A text of so many bytes is not longer in code points.
    if text.len() > MAX && text.chars().count() > MAX {
        return Err(TextFault::TooLong);
    }
    let is_control = |c: char| c.is_control() && c != '\t' && c != '\n';
    if text.chars().any(is_control) {
        return Err(TextFault::Control);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_1_to_4096_code_points_however_long_they_are() {
        assert_eq!(check_text(""), Err(TextFault::Empty));
        for character in ["a", "é", "😀"] {
            assert_eq!(check_text(&character.repeat(4096)), Ok(()));
            assert_eq!(check_text(&character.repeat(4097)), Err(TextFault::TooLong));
        }
    }

    #[test]
    fn tab_and_newline_are_the_only_control_characters() {
        assert_eq!(check_text("a\tb\nc <img src=x onerror=alert(1)>"), Ok(()));
        for control in ["\0", "\r", "\u{1b}[2J", "\u{7f}", "\u{85}", "\u{9f}"] {
            assert_eq!(check_text(control), Err(TextFault::Control), "{control:?}");
        }
        assert_eq!(check_text("\u{2028}\u{202e}\u{feff}"), Ok(()));
    }
}

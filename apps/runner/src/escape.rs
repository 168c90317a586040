//! Text of somebody else's, fit for a terminal or a log.

use core::fmt::{self, Write};

/// Shows text with its control characters escaped: they could rewrite the
/// operator's terminal, and line feeds could forge lines.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| {
            if c.is_control() {
                write!(f, "{}", c.escape_default())
            } else {
                f.write_char(c)
            }
        })
    }
}

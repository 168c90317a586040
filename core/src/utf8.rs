//! Incremental UTF-8: text is checked as it arrives, each byte once.
//!
//! What is assembled does not come here as long as it is ASCII: see `receive::assembly`.

use crate::close::Violation;

/// The length up to which glibc copies without a slow path that unlucky pairs of
/// addresses fall into (3 instead of 60 GB/s).
pub(crate) const COPY_PIECE: usize = 2048;

/// The start of a character that the end of the last piece cut off.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Utf8 {
    cut: [u8; 3],
    len: u8,
}

impl Utf8 {
    /// Checks the next piece of a text and hands on every character that is whole.
    ///
    /// The first byte that cannot continue a valid text is an error at once, even
    /// inside a character that is not complete.
    pub(crate) fn feed(
        &mut self,
        piece: &[u8],
        mut whole: impl FnMut(&str),
    ) -> Result<(), Violation> {
        let mut piece = self.complete(piece, &mut whole)?;
        while !piece.is_empty() {
            let window = piece.get(..COPY_PIECE).unwrap_or(piece);
            let cut = cut_suffix(window);
            let (text, suffix) = window.split_at(window.len() - cut);
            whole(simdutf8::basic::from_utf8(text).map_err(|_| Violation::Utf8)?);
            if window.len() == piece.len() {
                return self.keep(suffix);
            }
            piece = piece.get(text.len()..).unwrap_or_default();
        }
        Ok(())
    }

    /// Whether the text may end here: not inside a character.
    pub(crate) fn is_boundary(self) -> bool {
        self.len == 0
    }

    /// The start of a character that is not complete.
    pub(crate) fn cut(&self) -> &[u8] {
        self.cut.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Completes the character that was cut, and returns what follows it.
    fn complete<'p>(
        &mut self,
        piece: &'p [u8],
        whole: &mut impl FnMut(&str),
    ) -> Result<&'p [u8], Violation> {
        let mut rest = piece;
        while let (Some((&octet, after)), 1..) = (rest.split_first(), self.len) {
            let mut character = [0; 4];
            let len = usize::from(self.len);
            let (front, back) = character.split_at_mut(len);
            front.copy_from_slice(self.cut.get(..len).unwrap_or_default());
            if let Some(next) = back.first_mut() {
                *next = octet;
            }
            rest = after;
            let character = character.get(..=len).unwrap_or_default();
            match core::str::from_utf8(character) {
                Ok(text) => {
                    self.len = 0;
                    whole(text);
                }
                Err(_) => self.keep(character)?,
            }
        }
        Ok(rest)
    }

    /// Keeps what may be the start of a character.
    fn keep(&mut self, suffix: &[u8]) -> Result<(), Violation> {
        match core::str::from_utf8(suffix) {
            // Only an incomplete character has no error length.
            Err(error) if error.error_len().is_none() => {
                let Some(kept) = self.cut.get_mut(..suffix.len()) else {
                    return Err(Violation::Utf8);
                };
                kept.copy_from_slice(suffix);
                self.len = suffix.len() as u8;
                Ok(())
            }
            Err(_) => Err(Violation::Utf8),
            Ok(_) => Ok(()),
        }
    }
}

/// How many bytes at the end belong to a character that is not whole: 0 to 3.
fn cut_suffix(bytes: &[u8]) -> usize {
    for (back, &octet) in (1..=3).zip(bytes.iter().rev()) {
        let width = match octet {
            0x00..=0x7f => return 0,
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
        };
        return if width > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn check(pieces: &[&[u8]]) -> Result<String, Violation> {
        let mut utf8 = Utf8::default();
        let mut text = String::new();
        for piece in pieces {
            utf8.feed(piece, |whole| text.push_str(whole))?;
        }
        if utf8.is_boundary() {
            Ok(text)
        } else {
            Err(Violation::Utf8)
        }
    }

    #[test]
    fn the_first_bad_byte_fails_even_inside_a_character() {
        // Each of these is a valid prefix and then one byte that ends all hope.
        let cases: [(&[u8], u8); 8] = [
            (b"", 0x80),
            (b"", 0xc0),
            (b"", 0xf5),
            (b"\xe0", 0x9f),     // overlong
            (b"\xed", 0xa0),     // surrogate
            (b"\xf0", 0x8f),     // overlong
            (b"\xf4", 0x90),     // above U+10FFFF
            (b"\xf4\x8f", 0x41), // not a continuation
        ];
        for (prefix, bad) in cases {
            let mut utf8 = Utf8::default();
            assert_eq!(utf8.feed(prefix, |_| ()), Ok(()), "{prefix:x?}");
            assert_eq!(
                utf8.feed(&[bad], |_| ()),
                Err(Violation::Utf8),
                "{prefix:x?} {bad:x}"
            );
            let whole: Vec<u8> = prefix.iter().copied().chain([bad]).collect();
            assert_eq!(
                Utf8::default().feed(&whole, |_| ()),
                Err(Violation::Utf8),
                "{whole:x?}"
            );
        }
    }

    #[test]
    fn an_unfinished_character_is_no_boundary() {
        for text in ["é", "€", "𝄞"] {
            for len in 1..text.len() {
                let mut utf8 = Utf8::default();
                assert_eq!(utf8.feed(&text.as_bytes()[..len], |_| ()), Ok(()));
                assert!(!utf8.is_boundary());
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_cut_anywhere_give_what_std_says(
            bytes in prop_oneof![
                any::<Vec<u8>>(),
                "\\PC{0,40}".prop_map(String::into_bytes),
                ("\\PC{0,9}", any::<u8>(), "\\PC{0,9}")
                    .prop_map(|(a, b, c)| [a.as_bytes(), &[b], c.as_bytes()].concat()),
                "[é€𝄞a]{1500,1600}".prop_map(String::into_bytes),
            ],
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let expected = core::str::from_utf8(&bytes).map(String::from).map_err(|_| Violation::Utf8);
            prop_assert_eq!(check(&pieces), expected);
        }
    }
}

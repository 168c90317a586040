//! What nobody else may know.

use core::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use subtle::ConstantTimeEq;

/// A secret: it is not shown, and compared in constant time only.
///
/// ```
/// use sockeye_kit::secret::Secret;
///
/// let secret = Secret::new(b"correct horse".to_vec());
/// assert!(secret.matches(b"correct horse"));
/// assert!(!secret.matches(b"battery staple"));
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// ```
///
/// It has no `==`, which would tell by its duration how much is right:
///
/// ```compile_fail,E0369
/// use sockeye_kit::secret::Secret;
///
/// let secret = Secret::new(b"correct horse".to_vec());
/// secret == Secret::new(b"correct horse".to_vec());
/// ```
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// No file with a secret is longer; what is, was not meant.
    const MAX_FILE: u64 = 64 << 10;

    /// These bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// `N` bytes of the system's randomness.
    ///
    /// # Errors
    ///
    /// The system has none to give.
    pub fn random<const N: usize>() -> io::Result<Self> {
        let mut bytes = [0; N];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes.into()))
    }

    /// What stands in a file, less one final line feed.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is longer than 64 KiB.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(Self::MAX_FILE + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > Self::MAX_FILE {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        Ok(Self(bytes.into()))
    }

    /// Whether this is it. The time it takes tells its length at most.
    #[must_use]
    pub fn matches(&self, candidate: &[u8]) -> bool {
        self.0.ct_eq(candidate).into()
    }

    /// The bytes, for those who have to use them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ones_differ() {
        let [one, other] = [(); 2].map(|()| Secret::random::<16>().expect("randomness"));
        assert_eq!(one.expose().len(), 16);
        assert!(!one.matches(other.expose()));
    }

    #[test]
    fn only_the_whole_matches() {
        let secret = Secret::new(*b"abc");
        for wrong in [&b""[..], b"ab", b"abcd", b"abd", b"ABC"] {
            assert!(!secret.matches(wrong));
        }
    }

    #[test]
    fn a_file_loses_one_line_feed() {
        let path = std::env::temp_dir().join(format!("sockeye-kit-secret-{}", std::process::id()));
        for (content, expected) in [("abc", "abc"), ("abc\n", "abc"), ("abc\n\n", "abc\n")] {
            std::fs::write(&path, content).expect("a file");
            let secret = Secret::read(&path).expect("readable");
            assert!(secret.matches(expected.as_bytes()), "{content:?}");
        }
        std::fs::write(&path, vec![b'x'; 65_537]).expect("a file");
        let too_long = Secret::read(&path).expect_err("too long");
        assert_eq!(too_long.kind(), io::ErrorKind::FileTooLarge);
        std::fs::remove_file(&path).expect("removed");
        assert!(Secret::read(&path).is_err());
    }
}

//! Whose claim something is.

use alloc::sync::Arc;
use core::fmt;
use core::str::FromStr;

/// A node, in one of its incarnations. As text it stands beside each of its claims.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease {
    node: Arc<str>,
    incarnation: u64,
}

/// Not the text of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotALease;

impl Lease {
    pub(super) fn new(node: &str, incarnation: u64) -> Self {
        Self {
            node: node.into(),
            incarnation,
        }
    }

    /// The node, whose name is random and new with each start of the program.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// How often that node has entered.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.incarnation)
    }
}

impl FromStr for Lease {
    type Err = NotALease;

    fn from_str(text: &str) -> Result<Self, NotALease> {
        let (node, incarnation) = text.split_once('.').ok_or(NotALease)?;
        let incarnation = incarnation.parse().map_err(|_| NotALease)?;
        Ok(Self::new(node, incarnation))
    }
}

impl fmt::Display for NotALease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a lease")
    }
}

impl core::error::Error for NotALease {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_its_text() {
        let lease = Lease::new("3f9a", 12);
        assert_eq!(lease.to_string(), "3f9a.12");
        assert_eq!("3f9a.12".parse(), Ok(lease));
        for text in ["", "3f9a", "3f9a.", "3f9a.-1", "3f9a.1.2"] {
            assert_eq!(text.parse::<Lease>(), Err(NotALease), "{text}");
        }
    }
}

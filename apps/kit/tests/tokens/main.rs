//! Tokens, those that are refused first of all.

mod bench;
mod claims;
mod keys;
mod signatures;

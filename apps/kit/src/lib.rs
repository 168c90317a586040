//! What the presence and chat programs share: names, tokens, HTTP, caps, metrics, the store.

#![forbid(unsafe_code)]

use sockeye_tests::adapter::tokio::Tokio as Adapter;

/// As `--adapter` says it.
const NAME: &str = "tokio";

#[path = "suite/mod.rs"]
mod suite;

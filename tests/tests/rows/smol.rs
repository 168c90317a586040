use sockeye_tests::adapter::smol::Smol as Adapter;

/// As `--adapter` says it.
const NAME: &str = "smol";

#[path = "suite/mod.rs"]
mod suite;

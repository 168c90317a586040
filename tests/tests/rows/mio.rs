use sockeye_tests::adapter::mio::Mio as Adapter;

/// As `--adapter` says it.
const NAME: &str = "mio";

#[path = "suite/mod.rs"]
mod suite;

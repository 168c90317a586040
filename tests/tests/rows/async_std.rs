use sockeye_tests::adapter::async_std::AsyncStd as Adapter;

/// As `--adapter` says it.
const NAME: &str = "async-std";

#[path = "suite/mod.rs"]
mod suite;

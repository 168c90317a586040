use sockeye_tests::adapter::tokio::Tokio as Adapter;

#[path = "suite/mod.rs"]
mod suite;

#[path = "suite/streams.rs"]
mod streams;

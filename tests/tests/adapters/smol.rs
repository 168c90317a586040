use sockeye_tests::adapter::smol::Smol as Adapter;

#[path = "suite/mod.rs"]
mod suite;

#[path = "suite/streams.rs"]
mod streams;

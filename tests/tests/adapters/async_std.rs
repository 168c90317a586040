use sockeye_tests::adapter::async_std::AsyncStd as Adapter;

#[path = "suite/mod.rs"]
mod suite;

#[path = "suite/streams.rs"]
mod streams;

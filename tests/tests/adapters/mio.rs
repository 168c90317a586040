use sockeye_tests::adapter::mio::Mio as Adapter;

#[path = "suite/mod.rs"]
mod suite;

//! The service without sockets, under a clock that only the tests move.

#![forbid(unsafe_code)]

#[path = "suite/bench.rs"]
mod bench;
#[path = "suite/drain.rs"]
mod drain;
#[path = "suite/echo.rs"]
mod echo;
#[path = "suite/reading.rs"]
mod reading;
#[path = "suite/watch.rs"]
mod watch;

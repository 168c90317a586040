//! A runtime of one's own on io_uring: the echo program's service, unchanged, on one thread.
//!
//! ```sh
//! cargo run --release -- [ADDRESS]
//! ```
//!
//! One system call for each round of the loop hands over all that is to be sent and takes what has
//! come, however many connections it is about. Needs Linux 6.1 or newer.

mod ring;
mod server;

use std::io;
use std::net::TcpListener;
use std::process::ExitCode;

use sockeye_echo::Echo;
use sockeye_handler::Config;

fn main() -> ExitCode {
    let address = std::env::args().nth(1);
    match run(address.as_deref().unwrap_or("127.0.0.1:9001")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on ws://{}", listener.local_addr()?);
    let mut config = Config::default();
    config.max_message = 16 << 20;
    let config = config.share().map_err(io::Error::other)?;
    server::serve(listener, Echo::new("", Vec::new()), config)
}

//! A load, and its latencies.

use std::process::ExitCode;

use crate::args::Request;

/// A load.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) request: Request,
}

pub(crate) fn run(_: &Args) -> ExitCode {
    ExitCode::FAILURE
}

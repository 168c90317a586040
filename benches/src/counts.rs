//! `codec-counts`: what `codec` asks for the allocations that a message takes.
#![forbid(unsafe_code)]

use std::alloc::System;
use std::process::ExitCode;

use alloc_tracker::{Allocator, Session};
use sockeye_benches::codec::counts;

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::system();

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(filter), Some(only)) = (args.next(), args.next()) else {
        eprintln!("usage: codec-counts FILTER ONLY");
        return ExitCode::from(2);
    };
    counts::tell(&filter, &only, allocations);
    ExitCode::SUCCESS
}

/// How often memory is asked for while this thread is at `work`, to allocate or to grow.
fn allocations(work: &mut dyn FnMut()) -> u64 {
    let session = Session::new();
    let operation = session.operation("work");
    {
        let _span = operation.measure_thread();
        work();
    }
    let report = session.to_report();
    let counts = report.operations();
    counts.map(|(_, op)| op.total_allocations_count()).sum()
}

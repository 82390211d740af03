//! The `polliwog` binary.

use std::process::ExitCode;

/// Keeps a parked poll at two thirds of the memory that the system's allocator takes.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    polliwog::cli::main(std::env::args_os(), std::env::vars_os(), polliwog::app::prepare, polliwog::load::run)
}

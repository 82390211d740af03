//! The `polliwog` binary.

use std::process::ExitCode;

/// A parked poll takes two thirds of the memory that it takes with the system's allocator.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    use polliwog::{app, cli, load};

    cli::main(std::env::args_os(), std::env::vars_os(), app::prepare, app::inspect, app::compare, load::run)
}

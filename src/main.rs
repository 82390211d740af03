//! The `polliwog` binary.

use std::process::ExitCode;

/// A parked poll takes two thirds of the memory that it takes with the system's allocator.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    use polliwog::{app, cli, doctor, load};

    let actions = cli::Actions {
        prepare: app::prepare,
        inspect: app::inspect,
        compare: app::compare,
        health: app::health,
        load: load::run,
        doctor: doctor::run,
    };
    cli::main(std::env::args_os(), std::env::vars_os(), &actions)
}

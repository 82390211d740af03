//! The `polliwog` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    polliwog::cli::main(std::env::args_os(), std::env::vars_os(), polliwog::app::run)
}

//! The load generator inside a test of one's own: a server must serve two hundred clients without losing a message.
//!
//! ```sh
//! cargo run --example load http://127.0.0.1:8080/
//! ```

use std::error::Error;
use std::process::ExitCode;

use clap::{Args as _, Command, FromArgMatches as _};
use polliwog::load::{self, Options};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: load URL")?;
    let flags =
        ["load", "--sessions", "200", "--duration", "5s", "--transport", "polling=80,upgrade=20", &url];
    // The options of `polliwog load` (docs/load.md), as on its command line.
    let matches = Options::augment_args(Command::new("load")).try_get_matches_from(flags)?;
    // 0, unless a message was lost, duplicated or reordered, or a session ended that should not.
    Ok(load::run(Options::from_arg_matches(&matches)?))
}

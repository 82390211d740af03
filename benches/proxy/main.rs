//! What the running proxy costs: memory of sessions that wait, and CPU of each kind of message.
//!
//! The proxy is a process of its own, whose memory and scheduler time are read from `/proc`; backend and clients live in
//! this one. Everything is printed, nothing asserted. `benches/memory` and `benches/cpu` run it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

mod backend;
mod bare;
mod client;
mod cpu;
mod frame;
mod memory;
mod subject;

use std::process::ExitCode;

use anyhow::{Context as _, bail};

/// The proxy's own, for the sake of the yardstick.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Without it a runner of tests has called, for which there is nothing here.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let words: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| *argument != "--bench").collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> anyhow::Result<()> {
    let number = |word: &str| word.parse::<u32>().with_context(|| format!("{word} is no number"));
    if let ["bare", address] = words {
        return bare::run(address.parse()?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        match words {
            [] => {
                memory::run(SESSIONS).await?;
                cpu::run(SECONDS).await
            }
            ["memory"] => memory::run(SESSIONS).await,
            ["memory", sessions] => memory::run(number(sessions)?).await,
            ["cpu"] => cpu::run(SECONDS).await,
            ["cpu", "--instructions"] => cpu::run_instructions().await,
            ["cpu", seconds] => cpu::run(number(seconds)?).await,
            _ => bail!("usage: [memory [SESSIONS] | cpu [SECONDS | --instructions]]"),
        }
    })
}

const SESSIONS: u32 = 4_000;
const SECONDS: u32 = 5;

//! Polliwog beside its peers on one machine, in turns: CPU of each kind of message, latency, and memory of waiting clients.
//!
//! Each subject is a process of its own, whose memory and scheduler time are read from `/proc`; clients and the backend
//! behind a proxy live in this one. Everything is printed, nothing asserted. `benches/compare` builds and runs it.

#![expect(clippy::missing_docs_in_private_items, reason = "a benchmark has no reader but its own")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

mod about;
mod backend;
mod budgets;
mod client;
mod engineioxide;
mod figures;
mod frame;
mod hold;
mod hyper;
mod idle;
mod line;
mod load;
mod measure;
mod memory;
mod million;
mod mux;
mod operation;
mod own_server;
mod peer;
mod process;
mod receiver;
mod report;
mod secured;
mod serve;
mod settings;
mod stream;
mod subject;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, ValueEnum as _};

use crate::about::About;
use crate::figures::Figures;
use crate::measure::{Effort, measure};
use crate::operation::{Operation, Section};

/// Polliwog's allocator, for the servers that are part of this program.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures Polliwog beside its peers and prints tables; without --quick and --only it writes them to benches/RESULTS.md.
#[derive(Parser)]
#[command(name = "benches/compare")]
struct Arguments {
    /// One short round: shows that everything works; its figures mean little.
    #[arg(long)]
    quick: bool,
    /// Only these, with commas between them.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Section>,
    /// How many rounds of everything, in turns.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long each subject works for one figure.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How many sessions wait for a figure of memory.
    #[arg(long, default_value_t = 4000)]
    sessions: usize,
    /// Where the results go instead.
    #[arg(long)]
    results: Option<PathBuf>,
    /// The flag that cargo passes to every benchmark that it runs.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).skip(1).collect();
    let done = match words[..] {
        ["--bench", "serve", ref words @ ..] => own_server::run(words),
        ["--bench", "hold", ref words @ ..] => hold::run(words),
        ["--bench", "idle", ref words @ ..] => idle::run(words),
        ["million", count, "--bench"] => million::run(count),
        // A test runner starts it without that flag, and there are no tests here.
        ref words if !words.contains(&"--bench") => Ok(()),
        _ => compare(&Arguments::parse()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: &Arguments) -> anyhow::Result<()> {
    process::step_aside()?;
    let about = About::begin()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sections = if arguments.only.is_empty() { Section::value_variants() } else { &arguments.only };
    let (mut figures, mut all) = (Figures::default(), Vec::new());
    for section in sections {
        for round in 0..arguments.rounds(*section) {
            for operation in section.operations() {
                // Everything that a round left behind ends with its tasks.
                let local = tokio::task::LocalSet::new();
                local.block_on(&runtime, take_turns(*operation, round, arguments.effort(), &mut figures));
            }
        }
        all.extend_from_slice(section.operations());
    }
    let page = format!(
        "{}{}",
        about.end(arguments.rounds(Section::Push), arguments.effort())?,
        report::tables(&figures, &all)
    );
    println!("{page}");
    let whole = !arguments.quick && arguments.only.is_empty();
    let own = whole.then(|| concat!(env!("CARGO_MANIFEST_DIR"), "/benches/RESULTS.md").into());
    if let Some(file) = arguments.results.clone().or(own) {
        report::write(&file, &page).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Measures one figure of each peer, one right after the other.
async fn take_turns(operation: Operation, round: u32, effort: Effort, figures: &mut Figures) {
    for peer in operation.peers() {
        let figure = match peer.version() {
            Ok(_) => measure(operation, *peer, effort).await,
            Err(gap) => Err(gap),
        };
        let said = match &figure {
            Ok(figure) => format!("{:.*} {}", operation.digits(), figure.value, operation.unit()),
            Err(error) => format!("{error:#}"),
        };
        eprintln!("round {}: {}: {}: {said}", round + 1, operation.name(), peer.name());
        figures.note(operation, *peer, figure);
    }
}

impl Arguments {
    fn rounds(&self, section: Section) -> u32 {
        match section {
            _ if self.quick => 1,
            // These figures hardly differ from round to round.
            Section::Instructions => self.rounds.min(2),
            Section::Memory => self.rounds.min(3),
            Section::Push
            | Section::Post
            | Section::Echo
            | Section::Nodes
            | Section::Websocket
            | Section::Latency
            | Section::Growth => self.rounds,
        }
    }

    fn effort(&self) -> Effort {
        if self.quick {
            let time = Duration::from_millis(300);
            return Effort {
                warm_up: time,
                time,
                waiting: self.sessions.min(500),
                connections: 2000,
                counted: 640,
            };
        }
        Effort {
            warm_up: Duration::from_secs(1),
            time: Duration::from_secs_f64(self.seconds),
            waiting: self.sessions,
            connections: 100_000,
            counted: 6400,
        }
    }
}

//! `polliwog load`: a load generator that behaves like real clients and checks every answer.
//!
//! A run is a `Plan`; each `Session` is a task that carries what its pure
//! `Conversation` wants to say, over connections that count their bytes; all of them write into one
//! `Stats`, of which the reports are made.
//!
//! ```
//! use std::process::ExitCode;
//!
//! use clap::{Args as _, Command, FromArgMatches as _};
//! use polliwog::load::{self, Options};
//!
//! let options = |args: &[&str]| {
//!     let matches = Options::augment_args(Command::new("load")).try_get_matches_from(args)?;
//!     Options::from_arg_matches(&matches)
//! };
//! // What doesn't fit together is said before anything is sent.
//! let both = options(&["load", "--eio", "3", "--dialect", "websocket", "ws://127.0.0.1:1/"])?;
//! assert_eq!(load::run(both), ExitCode::from(2));
//! // Nobody listens on port 1.
//! let nobody = options(&["load", "-n", "1", "-d", "10ms", "http://127.0.0.1:1/"])?;
//! assert_eq!(load::run(nobody), ExitCode::FAILURE);
//! # Ok::<(), clap::Error>(())
//! ```

mod client;
mod conversation;
mod fault;
mod mix;
mod net;
mod options;
mod order;
mod pace;
mod payloads;
mod plan;
mod progress;
mod report;
mod sources;
mod stats;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use tokio::runtime::Builder;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::client::{Session, lock};
pub use self::options::Options;
use self::plan::Plan;
use self::progress::Progress;
use self::report::Report;
use self::report::units::count;
use self::stats::Stats;
use crate::chain::Chain;

/// Loads a server and prints the results.
pub fn run(options: Options) -> ExitCode {
    if let Some(fault) = options.fault() {
        return fail(USAGE, fault);
    }
    let threads = usize::from(options.threads);
    // A single thread needs no locks and no other workers, which leaves more of the machine to the server.
    let mut builder = if threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(FAILED, error),
    };
    let code = runtime.block_on(load(options));
    // A pending name look-up would delay the exit.
    runtime.shutdown_background();
    code
}

async fn load(options: Options) -> ExitCode {
    let mut report = match Report::create(&options) {
        Ok(report) => report,
        Err(error) => return fail(FAILED, error),
    };
    let began = Instant::now();
    let (stats, stop) = (
        Arc::new(Mutex::new(Stats::new(began, options.ramp().saturating_add(options.duration)))),
        CancellationToken::new(),
    );
    let plan = match Plan::new(options, &stats, &stop).await {
        Ok(plan) => plan,
        Err(error) => return fail(if error.is_usage() { USAGE } else { FAILED }, Chain(&error)),
    };
    let tracker = TaskTracker::new();
    for start in plan.starts(began) {
        tracker.spawn(Session::run(Arc::clone(&plan.common), start));
    }
    tracker.close();
    let mut progress = Progress::new(&plan, began);
    let ended = watch(&tracker, &stop, &stats, &mut progress, plan.end(began)).await;
    progress.clear();
    if ended == Ended::Cut {
        return fail(FAILED, "interrupted");
    }
    let stats = lock(&stats).clone();
    let all = stats.all();
    let told = report.write(&plan.options, &stats, began.elapsed());
    if let Err(error) = told {
        return fail(FAILED, error);
    }
    if all.connected == 0 && all.begun > 0 {
        let trouble = all.errors.values().next();
        let why = trouble.map(|trouble| format!(": {}", trouble.example)).unwrap_or_default();
        let hint =
            trouble.and_then(|trouble| trouble.hint).map(|hint| format!("; {hint}")).unwrap_or_default();
        return fail(FAILED, format!("nothing could connect to {}{why}{hint}", plan.options.url));
    }
    if all.disconnected > 0 {
        let (broken, connected) = (count(all.disconnected), count(all.connected));
        return fail(FAILED, format!("{broken} of {connected} sessions were disconnected"));
    }
    if all.has_disorder() { ExitCode::from(FAILED) } else { ExitCode::SUCCESS }
}

/// How the sessions ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ended {
    /// By themselves.
    Orderly,
    /// By a second signal.
    Cut,
}

/// Waits until all sessions have ended, and stops them at the end of the run or on a signal.
async fn watch(
    tracker: &TaskTracker,
    stop: &CancellationToken,
    stats: &Mutex<Stats>,
    progress: &mut Progress,
    end: Instant,
) -> Ended {
    loop {
        tokio::select! {
            () = tracker.wait() => return Ended::Orderly,
            () = sleep_until(end), if !stop.is_cancelled() => stop.cancel(),
            // If no signal handler can be installed, the first signal ends the process anyway.
            Ok(()) = tokio::signal::ctrl_c() => {
                if stop.is_cancelled() {
                    return Ended::Cut;
                }
                stop.cancel();
            }
            () = progress.due() => progress.show(&lock(stats), Instant::now()),
        }
    }
}

fn fail(code: u8, why: impl std::fmt::Display) -> ExitCode {
    // If the standard error is closed, the exit code is enough.
    let _unread = writeln!(io::stderr(), "polliwog: {why}");
    ExitCode::from(code)
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;

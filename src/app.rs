//! Builds a running proxy from a configuration: loads, listens, and drains. Besides its wiring, it is the only place
//! that knows every folder.
//!
//! ```
//! use std::net::TcpListener;
//! use std::process::ExitCode;
//!
//! use polliwog::config::{Config, Origin, Source};
//!
//! let taken = TcpListener::bind("127.0.0.1:0")?;
//! let routes = "[[routes]]\npath = '/'\ndialect = 'http'\nupstream = 'a'\n[upstreams.a]\nkind = 'http'\nurl = 'http://127.0.0.1:3000'\n";
//! let listen = format!("[server]\nlisten = ['{}']\n[admin]\nlisten = '127.0.0.1:0'\n", taken.local_addr()?);
//! let config = Config::parse(&(listen + routes), "config.toml", [].into_iter())?;
//! let run = polliwog::app::prepare().expect("signals can be handled");
//! // It would serve until a signal ends it; where an address is taken it says so and fails.
//! let origin = Origin { source: Source::File("config.toml".into()), env: Vec::new() };
//! assert_eq!(run(config, origin), ExitCode::FAILURE);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ask;
mod compare;
mod directory;
mod ending;
mod endings;
mod expiry;
mod gates;
mod given;
mod health;
mod hints;
#[cfg_attr(not(fuzzing), cfg(test))]
pub(crate) mod in_memory;
mod inspect;
mod limit;
mod listed;
mod listeners;
mod log;
mod memory;
mod peers;
mod process;
mod readiness;
mod reload;
mod succession;
mod wiring;

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

pub use self::compare::compare;
use self::given::Given;
pub use self::health::health;
pub use self::inspect::inspect;
use self::limit::raise_limit;
use self::log::Logs;
use self::process::{End, Process};
use self::reload::watch::{Held, Watch};
use crate::background::Vital;
use crate::config::{Config, Origin};
use crate::drain::Signals;
use crate::server::BindError;
use crate::succession::{Activated, ActivationError, notify_alive, notify_ready};
use crate::upstream::BuildError;

/// Prepares to run the proxy, before anything slow: from here on, signals have their meaning for a proxy. A signal that
/// comes in the meantime takes effect as soon as the proxy runs.
///
/// # Errors
/// The exit code; the reason has been printed.
pub fn prepare() -> Result<impl FnOnce(Config, Origin) -> ExitCode, ExitCode> {
    Activated::read();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start").map_err(|error| fail(&error))?;
    let listening = runtime.block_on(async { Signals::listen() });
    let signals = listening.context("cannot handle signals").map_err(|error| fail(&error))?;
    Ok(move |config: Config, origin: Origin| run(runtime, signals, config, origin))
}

/// Runs the proxy until it is told to stop.
fn run(runtime: Runtime, signals: Signals, config: Config, origin: Origin) -> ExitCode {
    let logs = match Logs::start(&config.log) {
        Ok(logs) => logs,
        Err(error) => return fail(&anyhow::Error::new(error).context("cannot open the logs")),
    };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), config = %origin.source, "starting");
    raise_limit(config.server.max_sessions);
    // Before anything slow: whatever changes from now on is noticed.
    let watch = Watch::new(&config, &origin, Held::new());
    let given = Given { config, origin, logs: logs.clone(), watch };
    let ended = runtime.block_on(serve_or_fail(given, signals, Vital::default()));
    logs.finish();
    let code = match ended {
        Ok(End::Clean) => ExitCode::SUCCESS,
        Ok(End::Cut) => ExitCode::FAILURE,
        Err(error) => fail(&error),
    };
    // What is left was aborted, so nothing waits for it.
    runtime.shutdown_background();
    code
}

/// Serves until a drain is over or a vital task has panicked: a process without one of those is less useful than one
/// that is restarted.
async fn serve_or_fail(given: Given, signals: Signals, vital: Vital) -> anyhow::Result<End> {
    tokio::select! {
        ended = serve(given, signals, &vital) => ended,
        () = vital.failed() => Err(anyhow::anyhow!("a vital task panicked")),
    }
}

async fn serve(given: Given, signals: Signals, vital: &Vital) -> anyhow::Result<End> {
    let process = Process::begin(given, signals, vital).await?;
    notify_ready();
    // On the runtime's own threads, where the connections are. Dropped at the end.
    let mut beside = JoinSet::new();
    let left = process.endings.left.clone();
    beside.spawn(vital.guard("the watchdog", async move {
        // systemd would not notice that the successor hangs while this process stays for its sessions.
        let _left = left.run_until_cancelled(notify_alive()).await;
    }));
    process.stay().await;
    Ok(process.end().await)
}

/// Prints an error with all its causes.
fn fail(error: &anyhow::Error) -> ExitCode {
    let _unread = writeln!(io::stderr(), "polliwog: {error:#}");
    // An unusable certificate is the configuration's fault (sysexits, EX_CONFIG), and so is a listener that it does not name.
    let is_configured = error.chain().any(|cause| {
        matches!(cause.downcast_ref(), Some(BindError::Tls(_)))
            || matches!(cause.downcast_ref(), Some(BuildError::Tls(_)))
            || cause.is::<ActivationError>()
    });
    if is_configured { ExitCode::from(78) } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    #[tokio::test]
    async fn a_vital_task_that_panics_ends_the_process_with_1() {
        let text = "[server]\nlisten = '127.0.0.1:0'\n[admin]\nlisten = '127.0.0.1:0'\n[[routes]]\npath = '/'\n\
                    dialect = 'http'\nupstream = 'b'\n[upstreams.b]\nkind = 'http'\nurl = 'http://127.0.0.1:1'\n";
        let config = Config::parse(text, "this test", std::iter::empty()).unwrap();
        let vital = Vital::default();
        let origin = Origin { source: Source::BuiltIn, env: Vec::new() };
        let watch = Watch::new(&config, &origin, Held::new());
        let given = Given { config, origin, logs: Logs::default(), watch };
        let served = serve_or_fail(given, Signals::listen().unwrap(), vital.clone());
        let panics = vital.guard("a task of this test", async { panic!("on purpose") });
        let (ended, ()) = tokio::join!(served, panics);
        let error = ended.map(drop).unwrap_err();
        assert_eq!(fail(&error), ExitCode::FAILURE, "{error:#}");
    }
}

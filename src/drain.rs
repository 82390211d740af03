//! When to stop: the first SIGTERM or SIGINT starts a drain, the second cuts whatever is left.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::background::Vital;
use crate::bridge::Registry;

/// The two decisions to stop, each taken once. Whoever else may take them cancels the token.
#[derive(Debug)]
pub struct Drain {
    /// Sessions are to end, in good order and within the drain's time.
    pub started: CancellationToken,
    /// Time is up.
    pub cut: CancellationToken,
    /// Ends with this value; it is not on the tracker, which waits for tasks that end by themselves.
    _listening: JoinSet<()>,
}

impl Drain {
    /// Listens for signals from now on, for as long as the value lives.
    ///
    /// # Errors
    /// The operating system did not let signals be handled.
    pub fn listen(vital: &Vital) -> io::Result<Self> {
        let signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        let (started, cut) = (CancellationToken::new(), CancellationToken::new());
        let mut listening = JoinSet::new();
        listening.spawn(vital.guard("the handling of signals", obey(signals, started.clone(), cut.clone())));
        Ok(Self { started, cut, _listening: listening })
    }
}

/// Ends every session in good order, spread over a quarter of `within`; ready when none is left.
///
/// A client has half of `within` to fetch what is left for it.
/// Their clients would otherwise all come back elsewhere in the same moment. A handshake that was under way when the
/// drain began may still bring a session, so the index is looked at until it stays empty.
pub async fn end_sessions(registry: &Registry, within: Duration) {
    let spread = within / 4;
    loop {
        let sessions = registry.all();
        let step = (spread / u32::try_from(sessions.len()).unwrap_or(u32::MAX).max(1)).min(STEP);
        let mut due = Instant::now();
        for session in sessions {
            session.drain(within / 2);
            due += step;
            sleep_until(due).await;
        }
        if registry.is_empty() {
            return;
        }
        sleep(LOOK).await;
    }
}

/// Between two sessions' ends.
const STEP: Duration = Duration::from_millis(1);
const LOOK: Duration = Duration::from_millis(20);

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

async fn obey(mut signals: Signals, started: CancellationToken, cut: CancellationToken) {
    loop {
        let signal = signals.next().await;
        match step(&started, &cut) {
            Step::Drain => info!(signal, "draining; a second signal cuts"),
            Step::Cut => warn!(signal, "cutting what is left"),
            Step::Nothing => info!(signal, "already stopping"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Drain,
    Cut,
    Nothing,
}

/// What one more signal means. It goes by the tokens, so that a signal cuts a drain that something else started.
fn step(started: &CancellationToken, cut: &CancellationToken) -> Step {
    if !started.is_cancelled() {
        started.cancel();
        return Step::Drain;
    }
    if !cut.is_cancelled() {
        cut.cancel();
        return Step::Cut;
    }
    Step::Nothing
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[test]
    fn the_first_signal_drains_and_the_second_cuts() {
        let (started, cut) = (CancellationToken::new(), CancellationToken::new());
        assert_eq!(step(&started, &cut), Step::Drain);
        assert!(started.is_cancelled() && !cut.is_cancelled());
        assert_eq!(step(&started, &cut), Step::Cut);
        assert!(cut.is_cancelled());
        assert_eq!(step(&started, &cut), Step::Nothing);
    }

    #[test]
    fn a_signal_cuts_a_drain_that_something_else_started() {
        let (started, cut) = (CancellationToken::new(), CancellationToken::new());
        started.cancel();
        assert_eq!(step(&started, &cut), Step::Cut);
    }

    #[tokio::test]
    async fn real_signals_of_either_kind_are_heard() {
        let drain = Drain::listen(&Vital::default()).unwrap();
        send("TERM");
        timeout(PATIENCE, drain.started.cancelled()).await.expect("SIGTERM starts the drain");
        assert!(!drain.cut.is_cancelled());
        send("INT");
        timeout(PATIENCE, drain.cut.cancelled()).await.expect("SIGINT cuts it");
    }

    /// Sends a signal to this very process.
    fn send(signal: &str) {
        let status =
            Command::new("kill").args(["-s", signal, &std::process::id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    const PATIENCE: Duration = Duration::from_secs(10);
}

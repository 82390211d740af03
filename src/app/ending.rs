//! How a process ends: when its sessions must, and in what order all else does.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::succession::Succession;
use super::wiring::{Wiring, Work};
use crate::bridge::Registry;
use crate::config::Config;
use crate::drain::{Drain, end_sessions};
use crate::server;
use crate::succession::notify_stopping;

/// How each server ends, and all of them leave.
pub(super) struct Endings {
    /// Cancelled once another process accepts.
    pub(super) left: CancellationToken,
    pub(super) public: server::Signals,
    pub(super) admin: server::Signals,
    pub(super) peers: server::Signals,
}

impl Default for Endings {
    fn default() -> Self {
        let left = CancellationToken::new();
        let signals = || server::Signals { leave: left.clone(), ..server::Signals::default() };
        Self { public: signals(), admin: signals(), peers: signals(), left: left.clone() }
    }
}

/// Returns when the sessions must end: the process was told to stop, or another one has taken over a while ago.
pub(super) async fn stay(
    config: &Config,
    drain: &Drain,
    endings: &Endings,
    registry: &Registry,
    work: &Work,
    succession: Option<&Succession>,
) {
    tokio::select! {
        () = drain.started.cancelled() => {
            notify_stopping();
            // A load balancer that polls `/readyz` needs time to notice before its clients are refused.
            tokio::select! {
                () = sleep(config.server.drain_delay) => {}
                () = drain.cut.cancelled() => {}
            }
        }
        () = endings.left.cancelled() => {
            let linger = succession.map_or(Duration::ZERO, |succession| succession.linger);
            tracing::info!(sessions = registry.taken(), "this process stays until its sessions have ended");
            tokio::select! {
                () = work.done(registry) => {}
                () = sleep(linger) => {}
                () = drain.started.cancelled() => {}
            }
            // From now on, a signal aborts what is left.
            drain.started.cancel();
        }
    }
}

/// Ends the sessions first, while the listeners stay open for their polls and for those of the processes before this one,
/// then the connections. Returns whether all ended in time.
pub(super) async fn finish(
    wiring: &Wiring,
    endings: &server::Signals,
    succession: Option<&Succession>,
    deadline: Instant,
    drain_timeout: Duration,
) -> bool {
    let Wiring { registry, work, cluster, .. } = wiring;
    let own = end_sessions(registry, drain_timeout);
    let own = async {
        match cluster {
            Some(cluster) => cluster.release(drain_timeout, own).await,
            None => own.await,
        }
    };
    let predecessors = async {
        if let Some(succession) = succession {
            succession.end_predecessors().await;
        }
    };
    let (ended, _) = tokio::join!(timeout_at(deadline, own), timeout_at(deadline, predecessors));
    let ended = ended.is_ok();
    if let Some(succession) = succession {
        succession.keep_listeners();
    }
    endings.end.cancel();
    let gone = async {
        for tracker in [&work.connections, &work.sessions, &work.forwards] {
            tracker.close();
            tracker.wait().await;
        }
    };
    // An idle connection is not a session: closing it loses nothing.
    let _ = timeout_at(deadline.max(Instant::now() + CONNECTIONS_TIMEOUT), gone).await;
    ended && nothing_is_cut(registry, work)
}

/// Returns whether the process may exit now without losing anything.
pub(super) fn nothing_is_cut(registry: &Registry, work: &Work) -> bool {
    registry.is_settled() && registry.cut() == 0 && work.forwards.is_empty()
}

/// An idle connection ends at once; one that is writing a response gets this long after the drain.
pub(super) const CONNECTIONS_TIMEOUT: Duration = Duration::from_millis(500);

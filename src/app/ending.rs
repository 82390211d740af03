//! How a process ends: when its sessions must, and in what order all else does.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::process::{End, Process};
use super::wiring::{Wiring, Work};
use crate::bridge::Registry;
use crate::cluster::FINISH_TIMEOUT;
use crate::drain::end_sessions;
use crate::succession::notify_stopping;

impl Process {
    /// Returns when the sessions must end: the process was told to stop, or another one has taken over a while ago.
    pub(super) async fn stay(&self) {
        let Self { drain, endings, wiring, .. } = self;
        tokio::select! {
            () = drain.started.cancelled() => {
                notify_stopping();
                // A load balancer that polls `/readyz` needs time to notice before its clients are refused.
                let delay = self.config.borrow().server.drain_delay;
                tokio::select! {
                    () = sleep(delay) => {}
                    () = drain.cut.cancelled() => {}
                }
            }
            () = endings.left.cancelled() => {
                let linger = self.config.borrow().succession.as_ref().map(|succession| succession.linger);
                let linger = linger.unwrap_or_default();
                let Wiring { registry, work, .. } = &**wiring;
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

    /// Ends the sessions, and then all else.
    pub(super) async fn end(self) -> End {
        let drain_timeout = self.config.borrow().server.drain_timeout;
        let Wiring { registry, work, helpers, cluster, .. } = &*self.wiring;
        self.wiring.draining.cancel();
        // Once it is shown, handshakes are refused.
        self.wiring.metrics.draining();
        if self.config.borrow().cluster.is_some() {
            // A balancer knows by now, so another connection leads to another node, which asks this one.
            self.endings.public.drain.cancel();
        }
        for upstream in self.wiring.upstreams() {
            upstream.drain(drain_timeout);
        }
        let ended = tokio::select! {
            biased;
            () = self.drain.cut.cancelled() => nothing_is_cut(registry, work),
            ended = self.finish(drain_timeout) => ended,
        };
        if let Some(cluster) = cluster {
            // Its clients have sessions at other nodes, which live on.
            cluster.fall_mute();
        }
        self.endings.public.cut.cancel();
        // An aborted connection reports to its session what was lost.
        work.connections.close();
        let _ = timeout(CONNECTIONS_TIMEOUT, work.connections.wait()).await;
        // So does one to another node, with what its clients have not taken. The listener ends first, so a node that
        // asks again hears that this one is gone.
        self.endings.peers.end.cancel();
        self.asked.stop.cancel();
        self.asked.tracker.close();
        let _ = timeout(FINISH_TIMEOUT + CONNECTIONS_TIMEOUT, self.asked.tracker.wait()).await;
        let clean = ended && registry.cut() == 0;
        if !clean {
            report_cut(registry, work);
        }
        registry.log_cut();
        self.endings.admin.end.cancel();
        helpers.stop.cancel();
        helpers.tracker.close();
        let _ = timeout(HELPERS_TIMEOUT, helpers.tracker.wait()).await;
        tracing::info!(clean, "stopped");
        if clean { End::Clean } else { End::Cut }
    }

    /// Ends the sessions first, while the listeners stay open for their polls and for those of the processes before
    /// this one, then the connections. Returns whether all ended in time.
    async fn finish(&self, drain_timeout: Duration) -> bool {
        let Wiring { registry, work, cluster, .. } = &*self.wiring;
        let deadline = Instant::now() + drain_timeout;
        let own = end_sessions(registry, drain_timeout);
        let own = async {
            match cluster {
                Some(cluster) => cluster.release(drain_timeout, own).await,
                None => own.await,
            }
        };
        let predecessors = async {
            if let Some(succession) = &self.succession {
                succession.end_predecessors().await;
            }
        };
        let (ended, _) = tokio::join!(timeout_at(deadline, own), timeout_at(deadline, predecessors));
        let ended = ended.is_ok();
        if let Some(succession) = &self.succession {
            succession.keep_listeners();
        }
        self.endings.public.end.cancel();
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
}

/// Logs what a drain has not delivered. Clients and backends learn that their sessions have ended, but not what was lost.
fn report_cut(registry: &Registry, work: &Work) {
    tracing::warn!(
        cut_sessions = registry.cut(),
        lost_messages = registry.lost(),
        open_sessions = registry.taken(),
        open_forwards = work.forwards.len(),
        "the drain ended before everything was delivered"
    );
}

/// Returns whether the process may exit now without losing anything.
fn nothing_is_cut(registry: &Registry, work: &Work) -> bool {
    registry.is_settled() && registry.cut() == 0 && work.forwards.is_empty()
}

/// An idle connection ends at once; one that is writing a response gets this long after the drain.
const CONNECTIONS_TIMEOUT: Duration = Duration::from_millis(500);
const HELPERS_TIMEOUT: Duration = Duration::from_secs(1);

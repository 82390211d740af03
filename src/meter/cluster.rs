//! What passes between the nodes of a cluster.

use std::array::from_fn;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::sizes::Waits;
use super::table::Nodes;
use super::words::{Asked, PeerState, Side, Way};
use crate::budget::{Budget, Charge};

/// Counts for all other nodes together.
#[derive(Clone, Debug)]
pub struct ClusterMeter(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    asks: [[Counter; Asked::ALL.len()]; Side::ALL.len()],
    open: [Gauge; Side::ALL.len()],
    tunnels: Gauge,
    peers: [Gauge; PeerState::ALL.len()],
    traffic: Traffic,
    ask_waits: Waits,
    config_differs: Gauge,
}

/// Counts the bytes of connections between nodes, and what waits on them.
#[derive(Clone, Default, Debug)]
pub struct Traffic {
    sent: Counter,
    received: Counter,
    budget: Budget,
}

/// A WebSocket that leads through this node to another one.
#[derive(Debug)]
pub struct OpenTunnel(Gauge);

/// A request between two nodes. Dropped before its end is told, its client hung up.
#[derive(Debug)]
pub struct OpenAsk {
    counters: Arc<Counters>,
    side: Side,
    has_ended: bool,
}

impl ClusterMeter {
    pub(super) fn new(families: &Nodes, budget: Budget) -> Self {
        let role = |side: usize| ("role", Cow::Borrowed(Side::ALL[side].word()));
        let outcome = |asked: usize| ("outcome", Cow::Borrowed(Asked::ALL[asked].word()));
        let way = |way: usize| vec![("direction", Cow::Borrowed(Way::ALL[way].word()))];
        let [sent, received] = from_fn(|i| families.bytes.series(way(i)));
        let state = |state: usize| vec![("state", Cow::Borrowed(PeerState::ALL[state].word()))];
        Self(Arc::new(Counters {
            asks: from_fn(|i| from_fn(|j| families.asks.series(vec![role(i), outcome(j)]))),
            open: from_fn(|i| families.asks_open.series(vec![role(i)])),
            tunnels: families.tunnels.clone(),
            peers: from_fn(|i| families.peers.series(state(i))),
            traffic: Traffic { sent, received, budget },
            ask_waits: families.ask_waits.clone(),
            config_differs: families.config_differs.clone(),
        }))
    }

    /// Counts a request between two nodes once it has ended.
    pub fn ask(&self, side: Side) -> OpenAsk {
        self.0.open[side as usize].inc();
        OpenAsk { counters: Arc::clone(&self.0), side, has_ended: false }
    }

    /// Counts a WebSocket that leads to another node, until the value is dropped.
    pub fn tunnel(&self) -> OpenTunnel {
        self.0.tunnels.inc();
        OpenTunnel(self.0.tunnels.clone())
    }

    /// Records how long a request with a body took until the header of its response.
    pub fn answered_after(&self, wait: Duration) {
        self.0.ask_waits.observe(wait);
    }

    /// Returns what counts the bytes of a connection.
    pub fn traffic(&self) -> Traffic {
        self.0.traffic.clone()
    }

    /// Moves a node from one state to another; `None` is a node that is not there.
    pub fn peer_moved(&self, from: Option<PeerState>, to: Option<PeerState>) {
        if let Some(from) = from {
            self.0.peers[from as usize].dec();
        }
        if let Some(to) = to {
            self.0.peers[to as usize].inc();
        }
    }

    /// Notes that the routes of one more node differ, or those of one less.
    pub fn config_differs(&self, differs: bool) {
        self.0.config_differs.inc_by(if differs { 1 } else { -1 });
    }
}

/// A meter that nobody reads.
impl Default for ClusterMeter {
    fn default() -> Self {
        super::Metrics::new().cluster()
    }
}

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Traffic {
    /// Creates the charge of what waits of a request.
    pub fn charge(&self) -> Charge {
        self.budget.charge()
    }

    /// Counts bytes to the other node.
    pub fn sent(&self, bytes: usize) {
        self.sent.inc_by(bytes as u64);
    }

    /// Counts bytes from the other node.
    pub fn received(&self, bytes: usize) {
        self.received.inc_by(bytes as u64);
    }
}

impl OpenAsk {
    /// Tells how the request has ended.
    pub fn end(mut self, outcome: Asked) {
        self.count(outcome);
    }

    fn count(&mut self, outcome: Asked) {
        self.has_ended = true;
        self.counters.open[self.side as usize].dec();
        self.counters.asks[self.side as usize][outcome as usize].inc();
    }
}

impl Drop for OpenAsk {
    fn drop(&mut self) {
        if !self.has_ended {
            self.count(Asked::HungUp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    #[test]
    fn requests_between_nodes_are_counted_by_their_side_and_end() {
        let metrics = Metrics::new();
        assert!(!metrics.render().contains("polliwog_cluster_asks_total"), "there is no cluster");
        let meter = metrics.cluster();
        meter.ask(Side::Asker).end(Asked::Answered);
        drop(meter.ask(Side::Owner));
        let _open = meter.ask(Side::Owner);
        meter.traffic().sent(5);
        meter.traffic().received(7);
        meter.peer_moved(None, Some(PeerState::Idle));
        meter.peer_moved(Some(PeerState::Idle), Some(PeerState::Down));
        meter.config_differs(true);
        let _tunnel = meter.tunnel();
        drop(meter.tunnel());
        let text = metrics.render();
        for line in [
            r#"polliwog_cluster_asks_total{role="asker",outcome="answered"} 1"#,
            r#"polliwog_cluster_asks_total{role="owner",outcome="hung_up"} 1"#,
            r#"polliwog_cluster_asks_total{role="owner",outcome="answered"} 0"#,
            r#"polliwog_cluster_asks_open{role="asker"} 0"#,
            r#"polliwog_cluster_asks_open{role="owner"} 1"#,
            r#"polliwog_cluster_bytes_total{direction="sent"} 5"#,
            r#"polliwog_cluster_bytes_total{direction="received"} 7"#,
            r#"polliwog_cluster_peers{state="idle"} 0"#,
            r#"polliwog_cluster_peers{state="down"} 1"#,
            "polliwog_cluster_config_differs 1",
            "polliwog_cluster_tunnels 1",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in {text}");
        }
    }
}

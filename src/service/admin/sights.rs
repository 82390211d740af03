//! The upstreams, the nodes of a cluster, and the processes of this host, as JSON, for dashboards.

use serde_json::{Value, json};

use super::readiness::UpstreamState;
use crate::cluster::{Sight, Unreached};
use crate::sid::Node;
use crate::upstream;

/// What an operator may see of other nodes and processes.
#[derive(Default, Debug)]
pub struct Seen {
    /// The nodes of the cluster, this one first; none without a cluster.
    pub nodes: Vec<Sight>,
    /// The other processes of this host; none without a succession.
    pub processes: Vec<(Node, Sight)>,
}

/// An upstream as an operator may see it.
#[derive(Debug)]
pub struct SeenUpstream {
    /// Its name and the result of the last attempt to reach it.
    pub state: UpstreamState,
    /// Its addresses.
    pub sight: upstream::Sight,
}

/// Returns them as `/api/upstreams` shows them.
pub(super) fn shown_upstreams(upstreams: &[SeenUpstream]) -> Value {
    let upstreams: Vec<Value> = upstreams.iter().map(upstream).collect();
    json!({ "upstreams": upstreams })
}

fn upstream(SeenUpstream { state, sight }: &SeenUpstream) -> Value {
    let address = |one: &upstream::AddressSight| {
        json!({
            "address": one.address,
            "state": one.state.word(),
            "state_seconds": one.lasts.as_secs_f64(),
            "reason": one.reason,
            "connections": one.connections,
            "sessions": one.sessions,
            "share": one.share,
        })
    };
    json!({
        "name": state.name,
        "health": state.health.word(),
        "required": state.required,
        "max_sessions": sight.max_sessions,
        "waiting": sight.waiting,
        "addresses": sight.addresses.iter().map(address).collect::<Vec<_>>(),
    })
}

/// Returns it as `/api/nodes` shows it. What is not known is `null`; times are in seconds.
pub(super) fn shown(seen: &Seen) -> Value {
    let nodes: Vec<Value> = seen.nodes.iter().map(node).collect();
    let processes: Vec<Value> = seen.processes.iter().map(process).collect();
    json!({ "nodes": nodes, "processes": processes })
}

/// Returns a process, whose name is the beginning of its sessions' ids.
fn process((process, sight): &(Node, Sight)) -> Value {
    json!({
        "name": process.to_string(),
        "state": sight.state.word(),
        "state_seconds": sight.lasts.as_secs_f64(),
        "sessions": sight.sessions,
        "requests_asked": sight.asked,
    })
}

fn node(sight: &Sight) -> Value {
    let failure = sight.failure.map(|failure| match failure {
        Unreached::Absent => "nobody listens there",
        Unreached::Silent => "it does not answer",
        Unreached::Refused => "it refuses this node",
    });
    json!({
        "name": sight.node.to_string(),
        "address": sight.address,
        "self": sight.is_self,
        "state": sight.state.word(),
        "state_seconds": sight.lasts.as_secs_f64(),
        "failure": failure,
        "version": sight.version,
        "age_seconds": sight.age.map(|age| age.as_secs_f64()),
        "routes_differ": sight.routes_differ,
        "sessions": sight.sessions,
        "requests_asked": sight.asked,
        "requests_answered": sight.answered,
        "round_trip_seconds": sight.round_trip.map(|trip| trip.as_secs_f64()),
    })
}

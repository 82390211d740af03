//! The nodes of a cluster as JSON, for dashboards.

use serde_json::{Value, json};

use crate::cluster::{Sight, Unreached};

/// Returns the nodes as the text of `/api/nodes`. What is not known is `null`; times are in seconds.
pub(super) fn shown(sights: &[Sight]) -> String {
    let nodes: Vec<Value> = sights.iter().map(node).collect();
    format!("{:#}\n", json!({ "nodes": nodes }))
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

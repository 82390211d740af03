//! What the admin listener's pages are told: the state of the upstreams and of the other nodes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::acme::Orders;
use crate::bridge::Registry;
use crate::cluster::Cluster;
use crate::directory::Directory;
use crate::service::admin::{
    Dialects, NodesState, Readiness, Seen, SeenUpstream, Sights, State, UpstreamState, Upstreams,
};
use crate::service::{Current, Served};
use crate::upstream::InUse;

/// Returns what readiness is judged by.
pub(super) fn readiness(
    draining: &CancellationToken,
    current: Current,
    cluster: Option<Arc<Cluster>>,
    directory: Option<Directory>,
    orders: Orders,
) -> Readiness {
    let draining = draining.clone();
    Arc::new(move || {
        let upstreams = current.load().upstreams().to_vec();
        let (draining, cluster, directory) = (draining.clone(), cluster.clone(), directory.clone());
        let uncertified = orders.missing();
        Box::pin(async move {
            // An upstream that was not used yet counts as down until it was reached.
            let _ =
                timeout(HEALTH_TIMEOUT, join_all(upstreams.iter().map(|upstream| upstream.check_health())))
                    .await;
            let upstreams = upstreams.iter().map(condition).collect();
            let nodes = cluster.map(|cluster| NodesState {
                are_known: cluster.is_known(),
                twin: cluster.twin(),
                sights: cluster.sights(0),
                is_directory_down: directory.is_some_and(|directory| !directory.is_up()),
            });
            State { draining: draining.is_cancelled(), upstreams, nodes, uncertified }
        })
    })
}

fn condition(upstream: &Arc<InUse>) -> UpstreamState {
    UpstreamState {
        name: upstream.name().to_owned(),
        required: upstream.settings().required,
        health: upstream.health(),
    }
}

/// Returns what shows the upstreams of the configuration.
pub(super) fn upstreams(current: Current) -> Upstreams {
    let one = |upstream: &Arc<InUse>| SeenUpstream { state: condition(upstream), sight: upstream.sight() };
    Arc::new(move || current.load().upstreams().iter().map(one).collect())
}

/// Returns what tells the dialect of each route.
pub(super) fn dialects(current: Current) -> Dialects {
    let one =
        |served: &Served| (served.route.path.clone(), served.route.upstream.clone(), served.route.dialect);
    Arc::new(move || current.load().all_routes().map(one).collect())
}

/// Returns what shows the nodes, if there are any, and the processes of this host.
pub(super) fn nodes(cluster: Option<Arc<Cluster>>, has_nodes: bool, registry: Registry) -> Sights {
    Arc::new(move || {
        let Some(cluster) = &cluster else { return Seen::default() };
        let nodes = if has_nodes { cluster.sights(registry.taken()) } else { Vec::new() };
        Seen { nodes, processes: cluster.kin().sights() }
    })
}

/// Shorter than the timeout of a load balancer's or an orchestrator's probe (a second).
const HEALTH_TIMEOUT: Duration = Duration::from_millis(500);

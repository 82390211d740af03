//! The directory of a cluster, and the nodes that are written into it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::sleep;

use crate::background::Background;
use crate::bridge::Registry;
use crate::cluster::Roster;
use crate::config::Config;
use crate::directory::{self, Directory, Meeting};
use crate::meter::Metrics;
use crate::sid::Node;

/// Returns the directory, if there is one, which is kept from now on.
pub(super) fn kept(
    config: &Config,
    me: Option<Node>,
    registry: &Registry,
    helpers: &Background,
    metrics: &Metrics,
) -> anyhow::Result<Option<Directory>> {
    let (Some(me), Some(settings), Some(cluster)) = (me, &config.directory, &config.cluster) else {
        return Ok(None);
    };
    let engine = directory::engine(settings, me, &cluster.advertise).context("[cluster] directory")?;
    let directory = Directory::new(me, settings.ttl, engine, metrics.directory());
    let kept = directory.clone().run(registry.clone(), helpers.stop.clone());
    helpers.spawn_vital("the directory", kept);
    Ok(Some(directory))
}

/// Returns the nodes that are written into the directory.
pub(super) fn written(directory: Option<&Directory>, helpers: &Background) -> Roster {
    let (keeper, roster) = Roster::kept();
    let Some(directory) = directory.cloned() else { return roster };
    let stop = helpers.stop.clone();
    helpers.spawn_vital("the nodes of the directory", async move {
        let mut members = directory.members();
        let follow = async {
            while members.changed().await.is_ok() {
                let meeting = members.borrow_and_update().clone();
                let Some(Meeting { members, begun }) = meeting else { continue };
                let mut nodes = BTreeMap::<_, Vec<_>>::new();
                for member in members {
                    nodes.entry(member.node.tag).or_default().push(member.address);
                }
                keeper.publish(nodes, begun);
            }
        };
        // Beside it: a pause between looks holds nobody up who waits for the first.
        let look = async {
            loop {
                keeper.wanted().await;
                directory.look_again();
                sleep(LOOK_PACE).await;
            }
        };
        let both = async {
            tokio::select! {
                () = follow => {}
                () = look => {}
            }
        };
        let _stopped = stop.run_until_cancelled(both).await;
    });
    roster
}

/// Requests that name nodes which are not known make no more looks than these.
const LOOK_PACE: Duration = Duration::from_millis(100);

//! Ids that name no node, invented in numbers: how much they cost all nodes is bounded.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::time::{Duration, Instant};

use super::net::Net;
use super::pair::{node, roster, settle};
use super::site::{Common, Site};
use crate::session;

/// Three nodes without a directory.
struct Trio {
    net: Net,
    nodes: [Arc<Site>; 3],
}

impl Trio {
    async fn start() -> Self {
        let net = Net::default();
        let common = Common::of("sockjs", "/sockjs/", session::Settings::default());
        let all = roster(&[("a", "a:1"), ("b", "b:1"), ("c", "c:1")]);
        let start = |name, address| Site::start(&net, &common, node(name, 0), address, |_| all.clone());
        let nodes = [start("a", "a:1"), start("b", "b:1"), start("c", "c:1")];
        settle().await;
        Self { net, nodes }
    }

    /// Has so many clients send to sessions that nobody has, all at once, and returns the statuses of the responses.
    async fn invent(&self, count: usize) -> Vec<u16> {
        let post = |number| {
            let node = &self.nodes[0];
            async move { node.post(&format!("/sockjs/000/{number}/xhr_send")).await.0 }
        };
        let asked = join_all((0..count).map(post));
        let watch = async {
            settle().await;
            self.nodes[0].cluster.tables().0
        };
        let (statuses, at_once) = tokio::join!(asked, watch);
        assert!(at_once <= 2 * 1024, "{at_once} questions at once");
        statuses
    }
}

#[tokio::test(start_paused = true)]
async fn invented_ids_ask_all_nodes_in_turns() {
    let trio = Trio::start().await;
    let since = Instant::now();
    let statuses = trio.invent(3000).await;
    assert!(statuses.iter().all(|status| *status == 404), "all had their turn");
    assert!(since.elapsed() < Duration::from_millis(100), "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_hangs_does_not_make_invented_ids_pile_up() {
    let trio = Trio::start().await;
    trio.net.freeze("a:1", "c:1");
    let since = Instant::now();
    let statuses = trio.invent(3000).await;
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    // Those whose turn did not come are not told that their session does not exist.
    assert_eq!((count(404), count(503)), (1024, 3000 - 1024));
    assert!(since.elapsed() < Duration::from_secs(12), "{:?}", since.elapsed());
    // And a session that might begin is not begun twice.
    let receivers = (0..2000).map(|number| {
        let node = &trio.nodes[0];
        async move { node.post(&format!("/sockjs/000/r{number}/xhr")).await.0 }
    });
    let statuses = join_all(receivers).await;
    // Its backend is not there.
    assert!(statuses.iter().all(|status| [502, 503].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&503));
    assert_eq!(trio.nodes[0].registry.taken(), 0);
}

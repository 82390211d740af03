//! Two nodes: the owner of the sessions, and one that asks it for its clients.

use std::sync::Arc;

use tokio::time::{Duration, sleep};

use super::net::Net;
use super::site::{Common, Site};
use crate::cluster::Roster;
use crate::session;
use crate::sid::{Node, Tag};

/// An owner and an asker.
pub(super) struct Pair {
    pub(super) net: Net,
    /// Node `a`, at `a:1`.
    pub(super) owner: Arc<Site>,
    /// Node `b`, at `b:1`.
    pub(super) asker: Arc<Site>,
}

impl Pair {
    /// Starts both. No poll lingers.
    pub(super) async fn start(settings: session::Settings) -> Self {
        let net = Net::default();
        let settings = session::Settings { linger: Duration::ZERO, ..settings };
        let common = Common::of("engine.io", "/engine.io/", settings);
        let all = roster(&[("a", "a:1"), ("b", "b:1")]);
        let start = |name, address| Site::start(&net, &common, node(name, 0), address, |_| all.clone());
        let (owner, asker) = (start("a", "a:1"), start("b", "b:1"));
        settle().await;
        Self { net, owner, asker }
    }

    /// Fails if a table of either node has a request left.
    pub(super) async fn assert_nothing_left(&self) {
        // Until the other node was asked what it has.
        sleep(Duration::from_secs(40)).await;
        assert_eq!((self.asker.cluster.tables(), self.owner.cluster.tables()), ((0, 0), (0, 0)));
        assert!(self.owner.asked.is_empty() && self.asker.asked.is_empty());
    }
}

/// Returns a list of nodes; several addresses may have one name.
pub(super) fn roster(nodes: &[(&str, &str)]) -> Roster {
    let mut listed = std::collections::BTreeMap::<Tag, Vec<String>>::new();
    for (name, address) in nodes {
        listed.entry(Tag::of_name(name).unwrap()).or_default().push((*address).to_owned());
    }
    Roster::fixed(listed)
}

/// Returns a start of a node.
pub(super) fn node(name: &str, start: u8) -> Node {
    Node::from_random(Tag::of_name(name).unwrap(), [start; 2])
}

/// Returns the target of a session's polls.
pub(super) fn target(sid: &str) -> String {
    format!("/engine.io/?EIO=4&transport=polling&sid={sid}")
}

/// Returns a text of this length.
pub(super) fn text(len: usize) -> String {
    let mut text = "abcdefghij".repeat(len / 10 + 1);
    text.truncate(len);
    text
}

/// Lets everything happen that can happen now.
pub(super) async fn settle() {
    // The clock is paused.
    sleep(MS).await;
}

pub(super) const MS: Duration = Duration::from_millis(1);

//! The other nodes that are connected to the server, as they say themselves. Pure: time is passed in.

use std::collections::HashMap;
use std::time::Duration;

use super::super::engine::Member;
use crate::sid::Node;

/// The other nodes.
#[derive(Default, Debug)]
pub(super) struct Present {
    nodes: HashMap<Node, Seen>,
    changes: u64,
}

#[derive(Debug)]
struct Seen {
    address: String,
    /// Names the node's connection.
    mark: String,
    at: Duration,
}

impl Present {
    /// Notes that a node says it is there.
    pub(super) fn hear(&mut self, node: Node, address: &str, mark: &str, now: Duration) {
        let seen = Seen { address: address.to_owned(), mark: mark.to_owned(), at: now };
        if self.nodes.insert(node, seen).is_none_or(|before| before.mark != mark) {
            self.changes += 1;
        }
    }

    /// Notes that a node says it is going.
    pub(super) fn leave(&mut self, node: Node) {
        self.nodes.remove(&node);
    }

    /// Returns the nodes that have said lately that they are there.
    pub(super) fn list(&mut self, now: Duration) -> Vec<Member> {
        let count = self.nodes.len();
        self.nodes.retain(|_, seen| now.saturating_sub(seen.at) < LATELY);
        if self.nodes.len() != count {
            self.changes += 1;
        }
        let member = |(node, seen): (&Node, &Seen)| Member { node: *node, address: seen.address.clone() };
        self.nodes.iter().map(member).collect()
    }

    /// Counts the times that the server may have lost a node's subscriptions: a node vanished, or came, or came again.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }
}

/// How long a node counts as there after it has said so.
const LATELY: Duration = Duration::from_secs(6);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sid::Tag;

    #[test]
    fn a_node_that_vanishes_or_comes_again_may_have_lost_its_subscriptions() {
        let (node, second) = (Node::from_random(Tag::of_name("a").unwrap(), [0; 2]), Duration::from_secs(1));
        let mut present = Present::default();
        present.hear(node, "a:1", "first", second);
        assert_eq!((present.list(6 * second).len(), present.changes()), (1, 1));
        present.hear(node, "a:1", "first", 3 * second);
        assert_eq!((present.list(8 * second).len(), present.changes()), (1, 1));
        present.hear(node, "a:1", "second", 8 * second);
        assert_eq!((present.list(9 * second).len(), present.changes()), (1, 2));
        assert_eq!((present.list(14 * second).len(), present.changes()), (0, 3));
        present.hear(node, "a:1", "second", 15 * second);
        assert_eq!(present.changes(), 4);
        present.leave(node);
        assert_eq!((present.list(30 * second).len(), present.changes()), (0, 4), "it has said so");
    }
}

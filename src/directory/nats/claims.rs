//! The ids that this node is subscribed to: those that it has, and those that it claims. Pure.
//!
//! A node claims an id in two steps: it subscribes to the id's subject, and then asks there. It gets no question of its own,
//! so if it is the only subscriber, the server answers that there are no responders, and the id is its own. The server handles a
//! connection's commands in order, so of two nodes that ask, one at least asks a node that is subscribed already. A node that
//! has the id says so, and the claim ends. Of two that claim it, the larger one unsubscribes before it says that it does not
//! have it; a node that hears that asks again, so every winner has had that answer of the server. The one that gave way takes the
//! smaller one for the winner: if it subscribed and asked once more, both could go on so without end.

use std::collections::HashMap;

use super::super::engine::Verdict;
use super::super::id::Id;
use crate::sid::Node;

/// The ids, each with an `S` that ends its subscription when it is dropped.
#[derive(Debug)]
pub(super) struct Claims<S> {
    me: Node,
    all: HashMap<Id, Claim<S>>,
    /// Which node each claim gave way to whose answer is awaited.
    gave_way: HashMap<Id, Node>,
}

#[derive(Debug)]
struct Claim<S> {
    is_won: bool,
    _subscription: S,
}

/// What a node asks the subscribers of an id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Question {
    /// Who has it?
    Find,
    /// Who has it? Otherwise it is the asker's.
    Claim {
        /// The asker.
        by: Node,
        /// A node that is known not to have the session.
        instead_of: Option<Node>,
    },
}

/// The first answer to a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// The server's: no other node is subscribed.
    Nobody,
    /// A node's that has the id.
    Of(Node),
    /// A node's that was subscribed until now.
    NoMore,
    /// There was none in time.
    Silence,
}

impl<S> Claims<S> {
    pub(super) fn new(me: Node) -> Self {
        Self { me, all: HashMap::new(), gave_way: HashMap::new() }
    }

    /// Returns whether this node has an id.
    pub(super) fn is_won(&self, id: Id) -> bool {
        self.all.get(&id).is_some_and(|claim| claim.is_won)
    }

    /// Returns whether this node is subscribed to an id.
    pub(super) fn is_begun(&self, id: Id) -> bool {
        self.all.contains_key(&id)
    }

    /// Notes a subscription. It must have been sent to the server before this, and all questions of the claim after this.
    pub(super) fn begin(&mut self, id: Id, subscription: S) {
        self.gave_way.remove(&id);
        self.all.entry(id).or_insert(Claim { is_won: false, _subscription: subscription });
    }

    /// Ends an id's subscription.
    pub(super) fn release(&mut self, id: Id) {
        self.all.remove(&id);
    }

    /// Answers another node's question. If the answer is that this node does not have the id, its subscription must end
    /// before the answer is sent.
    pub(super) fn hear(&mut self, id: Id, question: Question) -> Heard {
        let Some(claim) = self.all.get(&id) else { return Heard::NoMore };
        let is_pending = !claim.is_won;
        if let Question::Claim { by, instead_of } = question
            && (instead_of == Some(self.me) || (is_pending && by < self.me))
        {
            self.release(id);
            if is_pending {
                self.gave_way.insert(id, by);
            }
            return Heard::NoMore;
        }
        Heard::Of(self.me)
    }

    /// Takes the answer to a claim. Returns how the claim ends; `None` if it must be made again.
    pub(super) fn settle(&mut self, id: Id, heard: Heard) -> Option<Verdict> {
        let gave_way = self.gave_way.remove(&id);
        let claim = self.all.get_mut(&id);
        match (heard, claim) {
            // Another request for the same session was faster.
            (_, Some(claim)) if claim.is_won => Some(Verdict::Of(self.me)),
            (Heard::Nobody, Some(claim)) => {
                claim.is_won = true;
                Some(Verdict::Of(self.me))
            }
            // It may have given way before it knew that it had won.
            (Heard::Nobody, None) | (Heard::NoMore, _) => gave_way.map(Verdict::Of),
            (Heard::Of(node), _) => {
                self.release(id);
                Some(Verdict::Of(node))
            }
            (Heard::Silence, _) => Some(Verdict::Unsure),
        }
    }
}

#[cfg(test)]
mod tests;

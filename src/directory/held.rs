//! The ids that this node has, whether the engine knows it or not. Pure.

use std::collections::{HashMap, HashSet};

use tokio::time::{Duration, Instant};

use super::engine::Verdict;
use super::id::Id;
use crate::route_id::RouteId;
use crate::sid::Node;

/// The session of an id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// Its route.
    pub route: RouteId,
    /// Its id.
    pub sid: String,
}

/// The sessions of this node.
pub trait Sessions: Send + Sync {
    /// Returns whether a session has this id, or had it and its end is remembered.
    fn is_known(&self, key: &Key) -> bool;

    /// Ends the session of this id, which belongs to one of another node.
    fn give_way(&self, key: &Key, loss: Loss);
}

/// How another node has an id of a session of this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// It was this node's before, so the client has begun its session anew there.
    Taken,
    /// It never was this node's: both sessions were begun while neither node knew of the other's.
    Contested,
}

/// The ids that this node has.
#[derive(Default, Debug)]
pub(super) struct Held {
    all: HashMap<Id, Entry>,
    /// Those that the engine is not known to have for this node.
    unconfirmed: HashSet<Id>,
    /// Those that nothing holds any more. Their ends may still be remembered.
    dropped: Vec<Id>,
    /// Those that are forgotten here, and that the engine may still have for this node.
    unreleased: Vec<Id>,
    /// Those that the engine has for another node, as it has said each time since.
    taken: HashMap<Id, Taken>,
}

#[derive(Debug)]
struct Taken {
    by: Node,
    since: Instant,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    /// How many hold it: a session may begin while the one before it is still here.
    holds: u32,
    /// Whether the engine has had the id for this node since.
    was_ours: bool,
}

impl Held {
    /// Holds an id.
    pub(super) fn hold(&mut self, id: Id, key: Key) {
        let entry = self.all.entry(id).or_insert(Entry { key, holds: 0, was_ours: false });
        entry.was_ours &= entry.holds > 0;
        entry.holds += 1;
        self.unconfirmed.insert(id);
    }

    /// Lets an id go that is held.
    pub(super) fn let_go(&mut self, id: Id) {
        let Some(entry) = self.all.get_mut(&id) else { return };
        entry.holds -= 1;
        if entry.holds == 0 {
            self.dropped.push(id);
        }
    }

    /// Notes what the engine says of an id that the node `me` has.
    pub(super) fn note(&mut self, id: Id, verdict: Verdict, me: Node, now: Instant) {
        if verdict == Verdict::Of(me) {
            self.unconfirmed.remove(&id);
            self.taken.remove(&id);
            if let Some(entry) = self.all.get_mut(&id) {
                entry.was_ours = true;
            }
        } else if self.all.contains_key(&id) {
            self.unconfirmed.insert(id);
            let before = self.taken.remove(&id);
            if let Verdict::Of(by) = verdict {
                let before = before.filter(|before| before.by == by);
                self.taken.insert(id, before.unwrap_or(Taken { by, since: now }));
            }
        }
    }

    /// Returns the sessions whose ids are known to belong to another node that is there.
    ///
    /// A node that is not sure whether an id is free claims it first and asks the other nodes then, which takes less time
    /// than is waited for here. What a node has left that is not there may name it for as long as the engine keeps it.
    pub(super) fn lost(&mut self, is_there: impl Fn(Node) -> bool, now: Instant) -> Vec<(Key, Loss)> {
        let lost = self.taken.extract_if(|_, taken| {
            if !is_there(taken.by) {
                taken.since = now;
            }
            now >= taken.since + DECIDED
        });
        let lost = lost.filter_map(|(id, _)| self.all.get(&id));
        let how = |entry: &Entry| if entry.was_ours { Loss::Taken } else { Loss::Contested };
        lost.map(|entry| (entry.key.clone(), how(entry))).collect()
    }

    /// Returns all ids.
    pub(super) fn all(&self) -> Vec<Id> {
        self.all.keys().copied().collect()
    }

    /// Returns the ids that the engine is not known to have for this node.
    pub(super) fn unconfirmed(&self) -> Vec<Id> {
        self.unconfirmed.iter().copied().collect()
    }

    /// Forgets the ids that nothing holds and that `is_known` does not know any more. Returns all that the engine has to
    /// release.
    pub(super) fn sweep(&mut self, is_known: impl Fn(&Key) -> bool) -> Vec<Id> {
        let gone = &mut self.unreleased;
        let (all, unconfirmed, taken) = (&mut self.all, &mut self.unconfirmed, &mut self.taken);
        self.dropped.retain(|id| {
            let Some(entry) = all.get(id) else { return false };
            if entry.holds > 0 {
                return false;
            }
            if is_known(&entry.key) {
                return true;
            }
            all.remove(id);
            unconfirmed.remove(id);
            taken.remove(id);
            gone.push(*id);
            false
        });
        // What is held again is this node's.
        gone.retain(|id| !all.contains_key(id));
        gone.clone()
    }

    /// Notes that the engine has released everything that was forgotten.
    pub(super) fn released(&mut self) {
        self.unreleased.clear();
    }
}

/// How long an id is another node's before this node's session ends: longer than that node may take to find this one's.
const DECIDED: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sid::Tag;

    fn node(name: &str) -> Node {
        Node::from_random(Tag::of_name(name).unwrap(), [0; 2])
    }

    #[test]
    fn an_id_is_lost_to_a_node_that_has_it_for_long_and_is_there() {
        let (a, b, c) = (node("a"), node("b"), node("c"));
        let key = Key { route: RouteId::new(None, "/"), sid: "one".to_owned() };
        let id = Id::of(&key.route, &key.sid);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut held = Held::default();
        held.note(id, Verdict::Of(b), a, at(0));
        assert_eq!(held.lost(|_| true, at(60)), [], "it was never held");
        held.hold(id, key.clone());
        held.note(id, Verdict::Of(b), a, at(0));
        held.note(id, Verdict::Of(a), a, at(10));
        held.note(id, Verdict::Of(b), a, at(12));
        assert_eq!(held.lost(|_| true, at(20)), [], "it was this node's in between");
        held.note(id, Verdict::Of(c), a, at(20));
        assert_eq!(held.lost(|_| true, at(30)), [], "another node has it");
        held.note(id, Verdict::Unsure, a, at(32));
        held.note(id, Verdict::Of(c), a, at(34));
        assert_eq!(held.lost(|_| true, at(48)), [], "the engine was not sure in between");
        held.note(id, Verdict::Of(c), a, at(48));
        assert_eq!(held.lost(|node| node != c, at(65)), [], "that node was not there");
        assert_eq!(held.lost(|_| true, at(79)), [], "it may let go what it has left");
        assert_eq!(held.lost(|node| node == c, at(80)), [(key.clone(), Loss::Taken)]);
        assert_eq!(held.lost(|_| true, at(90)), [], "it ends once");
        held.let_go(id);
        held.hold(id, key.clone());
        held.note(id, Verdict::Of(c), a, at(90));
        assert_eq!(held.lost(|_| true, at(105)), [(key, Loss::Contested)], "the one after it never was");
    }

    #[test]
    fn an_id_stays_until_its_end_is_forgotten() {
        let key = Key { route: RouteId::new(None, "/"), sid: "one".to_owned() };
        let id = Id::of(&key.route, &key.sid);
        let me = node("a");
        let mut held = Held::default();
        held.hold(id, key.clone());
        assert_eq!(held.unconfirmed(), [id]);
        held.note(id, Verdict::Of(me), me, Instant::now());
        assert_eq!((held.unconfirmed(), held.all()), (vec![], vec![id]));
        assert_eq!(held.sweep(|_| false), [], "it is held");
        held.let_go(id);
        assert_eq!(held.sweep(|_| true), [], "its end is remembered");
        held.hold(id, key);
        assert_eq!(held.sweep(|_| false), [], "it is held again");
        held.let_go(id);
        assert_eq!(held.sweep(|_| false), [id]);
        assert_eq!(held.sweep(|_| false), [id], "the engine was not reached");
        held.released();
        assert_eq!((held.unconfirmed(), held.all(), held.sweep(|_| false)), (vec![], vec![], vec![]));
    }
}

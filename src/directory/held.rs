//! The ids that this node has, whether the engine knows it or not. Pure.

use std::collections::{HashMap, HashSet};

use super::id::Id;
use crate::route_id::RouteId;

/// The session of an id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// Its route.
    pub route: RouteId,
    /// Its id.
    pub sid: String,
}

/// The ids that this node has.
#[derive(Default, Debug)]
pub(super) struct Held {
    all: HashMap<Id, Entry>,
    /// Those that the engine is not known to have for this node.
    unconfirmed: HashSet<Id>,
    /// Those that nothing holds any more. Their ends may still be remembered.
    dropped: Vec<Id>,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    /// How many hold it: a session may begin while the one before it is still here.
    holds: usize,
}

impl Held {
    /// Holds an id.
    pub(super) fn hold(&mut self, id: Id, key: Key) {
        self.all.entry(id).or_insert(Entry { key, holds: 0 }).holds += 1;
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

    /// Notes whether the engine has an id for this node.
    pub(super) fn note(&mut self, id: Id, is_confirmed: bool) {
        if is_confirmed {
            self.unconfirmed.remove(&id);
        } else if self.all.contains_key(&id) {
            self.unconfirmed.insert(id);
        }
    }

    /// Returns all ids.
    pub(super) fn all(&self) -> Vec<Id> {
        self.all.keys().copied().collect()
    }

    /// Returns the ids that the engine is not known to have for this node.
    pub(super) fn unconfirmed(&self) -> Vec<Id> {
        self.unconfirmed.iter().copied().collect()
    }

    /// Forgets the ids that nothing holds and that `is_known` does not know any more, and returns them.
    pub(super) fn sweep(&mut self, is_known: impl Fn(&Key) -> bool) -> Vec<Id> {
        let mut gone = Vec::new();
        let (all, unconfirmed) = (&mut self.all, &mut self.unconfirmed);
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
            gone.push(*id);
            false
        });
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_until_its_end_is_forgotten() {
        let key = Key { route: RouteId::new(None, "/"), sid: "one".to_owned() };
        let id = Id::of(&key.route, &key.sid);
        let mut held = Held::default();
        held.hold(id, key.clone());
        assert_eq!(held.unconfirmed(), [id]);
        held.note(id, true);
        assert_eq!((held.unconfirmed(), held.all()), (vec![], vec![id]));
        assert_eq!(held.sweep(|_| false), [], "it is held");
        held.let_go(id);
        assert_eq!(held.sweep(|_| true), [], "its end is remembered");
        held.hold(id, key);
        assert_eq!(held.sweep(|_| false), [], "it is held again");
        held.let_go(id);
        assert_eq!(held.sweep(|_| false), [id]);
        assert_eq!((held.unconfirmed(), held.all(), held.sweep(|_| false)), (vec![], vec![], vec![]));
    }
}

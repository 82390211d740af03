//! What a session is found by: its route and its id.

use std::hash::{Hash, Hasher};

use equivalent::Equivalent;

use crate::route_id::RouteId;
use crate::sid::Sid;

/// What a session is found by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Key {
    pub(super) route: RouteId,
    pub(super) sid: Sid,
}

/// A key as a request has it.
pub(super) struct Asked<'r> {
    pub(super) route: &'r RouteId,
    pub(super) sid: &'r str,
}

/// Hashes the id only: ids are almost unique on their own, and hashing the route would cost each look-up time.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sid.as_str().hash(state);
    }
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sid.hash(state);
    }
}

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.route == key.route && *self.sid == *key.sid.as_str()
    }
}

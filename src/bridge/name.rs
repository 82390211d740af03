//! What an operator calls a session: a hash of its id under a key of this process, so it opens nothing.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use crate::route_id::RouteId;
use crate::sid::Sid;

/// A session's name for its operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Name(u64);

/// The key of this process, under which ids are hashed.
#[derive(Clone, Default)]
pub struct Names(RandomState);

impl Names {
    /// Returns the name of the session with this id.
    pub fn of(&self, route: &RouteId, sid: &Sid) -> Name {
        Name(self.0.hash_one((route, sid)) >> (u64::BITS - 4 * DIGITS))
    }

    /// Hashes an id that a client has sent.
    pub(super) fn hash(&self, sid: &str) -> u64 {
        self.0.hash_one(sid)
    }
}

/// As hexadecimal digits.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$x}", self.0, width = DIGITS as usize)
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names")
    }
}

/// Enough to tell a million sessions apart.
const DIGITS: u32 = 12;

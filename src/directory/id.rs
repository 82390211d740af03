//! A session's id as other processes may see it.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

use crate::route_id::RouteId;

/// The hash of a session's route and id. The id itself is a bearer secret, and stays here.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id([u8; LEN]);

impl Id {
    /// Returns the hash of an id of a route.
    pub fn of(route: &RouteId, sid: &str) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(route.to_string().as_bytes());
        // Neither of the two has such a byte.
        context.update(b"\0");
        context.update(sid.as_bytes());
        let mut id = [0; LEN];
        id.copy_from_slice(&context.finish().as_ref()[..LEN]);
        Self(id)
    }
}

/// As hexadecimal digits.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

/// 128 bits.
const LEN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_hashed_with_its_route() {
        let id = |path, sid| Id::of(&RouteId::new(None, path), sid);
        assert_eq!(id("/a/", "one"), id("/a/", "one"));
        assert_ne!(id("/a/", "one"), id("/a/", "two"));
        assert_ne!(id("/a/", "one"), id("/b/", "one"));
        assert_eq!(id("/a/", "one").to_string().len(), 32);
    }
}

//! The identity of a route: the host and the path that lead to it, wherever it stands in the configuration.

use std::fmt;
use std::sync::Arc;

/// A route's name, unique in a configuration and the same in the next one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RouteId(Arc<Name>);

#[derive(PartialEq, Eq, Hash)]
struct Name {
    host: Option<String>,
    path: String,
}

impl RouteId {
    /// Creates the name of the route with this path and, optionally, this host.
    pub fn new(host: Option<&str>, path: &str) -> Self {
        Self(Arc::new(Name { host: host.map(str::to_ascii_lowercase), path: path.to_owned() }))
    }
}

impl fmt::Display for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0.host.as_deref().unwrap_or_default(), self.0.path)
    }
}

impl fmt::Debug for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RouteId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_known_by_its_host_and_its_path() {
        let id = RouteId::new(Some("Chat.Example"), "/a/");
        assert_eq!(id, RouteId::new(Some("chat.example"), "/a/"));
        for other in [RouteId::new(None, "/a/"), RouteId::new(Some("chat.example"), "/")] {
            assert_ne!(id, other);
        }
        assert_eq!(id.to_string(), "chat.example/a/");
    }
}

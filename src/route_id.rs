//! The identity of a route: the listeners, the host and the path that lead to it, wherever it stands in the configuration.

use std::fmt;
use std::sync::Arc;

/// A route's name, unique in a configuration and the same in the next one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RouteId(Arc<Name>);

#[derive(PartialEq, Eq, Hash)]
struct Name {
    /// In order; none are all.
    listeners: Vec<Arc<str>>,
    host: Option<String>,
    path: String,
}

impl RouteId {
    /// Creates the name of the route with this path and, optionally, this host.
    pub fn new(host: Option<&str>, path: &str) -> Self {
        Self::on(&[], host, path)
    }

    /// Creates the name of such a route that only clients of these listeners meet.
    pub fn on(listeners: &[Arc<str>], host: Option<&str>, path: &str) -> Self {
        let mut listeners = listeners.to_vec();
        listeners.sort();
        Self(Arc::new(Name { listeners, host: host.map(str::to_ascii_lowercase), path: path.to_owned() }))
    }
}

impl fmt::Display for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Name { listeners, host, path } = &*self.0;
        write!(f, "{}{path}", host.as_deref().unwrap_or_default())?;
        // A path has no spaces.
        listeners.iter().try_for_each(|listener| write!(f, " {listener}"))
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
        let on = |listeners: &[&str]| {
            let listeners: Vec<Arc<str>> = listeners.iter().map(|&name| name.into()).collect();
            RouteId::on(&listeners, Some("chat.example"), "/a/")
        };
        assert_eq!(on(&["a", "b"]), on(&["b", "a"]));
        assert!(on(&["a"]) != on(&["a", "b"]) && on(&["a"]) != id);
        assert_eq!(on(&["b", "a"]).to_string(), "chat.example/a/ a b");
    }
}

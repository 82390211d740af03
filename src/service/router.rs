//! Which route a request takes: the longest prefix, and of equals the one that names the host.

use http::header::HOST;
use http::request::Parts;

use super::settings::Route;

/// The routes, in the order in which they are tried.
#[derive(Debug)]
pub(super) struct Router {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    path: String,
    host: Option<String>,
    index: usize,
}

impl Router {
    /// Orders routes by how much they ask for.
    pub(super) fn new(routes: &[Route]) -> Self {
        let mut entries: Vec<Entry> = routes
            .iter()
            .enumerate()
            .map(|(index, route)| Entry { path: route.path.clone(), host: route.host.clone(), index })
            .collect();
        entries.sort_by_key(|entry| (std::cmp::Reverse(entry.path.len()), entry.host.is_none(), entry.index));
        Self { entries }
    }

    /// The index of the route that a request takes.
    pub(super) fn find(&self, head: &Parts) -> Option<usize> {
        // `OPTIONS *` asks about the server as a whole.
        let path = if head.uri.path() == "*" { "/" } else { head.uri.path() };
        // RFC 9112, section 3.2.2: a target that names the host makes the header void.
        let host = || {
            let named = || head.headers.get(HOST).and_then(|host| host.to_str().ok());
            head.uri.host().or_else(|| named().map(without_port))
        };
        self.entries
            .iter()
            .find(|entry| {
                path.starts_with(&entry.path)
                    && entry
                        .host
                        .as_deref()
                        .is_none_or(|wanted| host().is_some_and(|host| host.eq_ignore_ascii_case(wanted)))
            })
            .map(|entry| entry.index)
    }
}

/// `example.org` of `example.org:8080`; an IPv6 address keeps its brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::Request;

    use super::*;
    use crate::service::{Cors, DemuxSettings};

    fn route(path: &str, host: Option<&str>) -> Route {
        Route {
            path: path.into(),
            host: host.map(Into::into),
            dialect: "engine.io",
            accepts: crate::dialect::Accepts::default(),
            upstream: "a".into(),
            allowed_origins: Vec::new(),
            cors: Cors::default(),
            compression: true,
            cookie: crate::service::Cookie::default(),
            mux: DemuxSettings::default(),
            session: Arc::default(),
        }
    }

    fn find(routes: &[Route], uri: &str, host: &str) -> Option<usize> {
        let (head, ()) = Request::builder().uri(uri).header("Host", host).body(()).unwrap().into_parts();
        Router::new(routes).find(&head)
    }

    #[test]
    fn the_longest_prefix_wins() {
        let routes = [route("/", None), route("/socket.io/", None), route("/socket.io/admin/", None)];
        assert_eq!(find(&routes, "/socket.io/?EIO=4", "a"), Some(1));
        assert_eq!(find(&routes, "/socket.io/admin/x", "a"), Some(2));
        assert_eq!(find(&routes, "/socket.io", "a"), Some(0), "the slash belongs to the prefix");
        assert_eq!(find(&routes[1..], "/other", "a"), None);
        assert_eq!((find(&routes, "*", "a"), find(&routes[1..], "*", "a")), (Some(0), None));
    }

    #[test]
    fn a_route_that_names_the_host_wins_over_one_that_does_not() {
        let routes = [route("/a/", None), route("/a/", Some("chat.example.org"))];
        assert_eq!(find(&routes, "/a/", "Chat.Example.org:8080"), Some(1));
        assert_eq!(find(&routes, "/a/", "example.org"), Some(0));
        assert_eq!(find(&routes[1..], "/a/", "example.org"), None);
        assert_eq!(find(&[route("/", Some("[::1]"))], "/", "[::1]:80"), Some(0));
        assert_eq!(find(&[route("/", Some("[::1]"))], "http://[::1]:80/", "other"), Some(0));
        assert_eq!(find(&routes, "http://example.org/a/", "chat.example.org"), Some(0));
    }
}

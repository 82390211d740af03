//! What serves a request: of the routes at its client's listener the one with the longest prefix, and among equal ones the
//! one that names the host.

use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;

use super::settings::Route;
use super::target;
use crate::dialect;
use crate::dots::{self, Slashes};

/// A path's dot segments leave its route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LeavesRoute;

/// The routes, in the order in which they are tried, each with what serves it.
#[derive(Debug)]
pub(super) struct Router<T> {
    entries: Vec<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    path: String,
    reach: Reach,
    host: Option<String>,
    /// None are all.
    listeners: Vec<Arc<str>>,
    /// The place of its route in the configuration.
    index: usize,
    server: T,
}

/// Which paths of a route an entry matches. The smallest is tried first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Reach {
    /// Those of a Socket.IO server's client files.
    ClientFiles,
    /// All that begin with the entry's.
    Below,
    /// Only the entry's own.
    Exact,
}

/// A route, and what serves it.
pub(super) struct Routed<'r, T> {
    pub(super) route: &'r Route,
    pub(super) server: T,
    /// What serves the backend's client files, if they are not the route's own.
    pub(super) files: Option<T>,
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<T: Clone> Router<T> {
    /// Orders routes by how specific they are.
    pub(super) fn new<'r>(routes: impl Iterator<Item = Routed<'r, T>>) -> Self {
        let mut entries = Vec::new();
        for (index, Routed { route, server, files }) in routes.enumerate() {
            let host = route.host.as_deref().map(|host| target::name(host).to_owned());
            let entry = |path: &str, reach, server| Entry {
                path: path.to_owned(),
                reach,
                host: host.clone(),
                listeners: route.listeners.clone(),
                index,
                server,
            };
            // A base may be written without the slash at the end of its route; and some servers serve what is protected there
            // without it, too.
            if let Some(bare) = route.path.strip_suffix('/').filter(|bare| !bare.is_empty())
                && (route.is_guarded() || dialect::find(route.dialect).is_some_and(|kind| kind.takes_base))
            {
                entries.push(entry(bare, Reach::Exact, server.clone()));
            }
            entries.extend(files.map(|files| entry(&route.path, Reach::ClientFiles, files)));
            entries.push(entry(&route.path, Reach::Below, server));
        }
        entries.sort_by_key(|entry| {
            let is_exact = entry.reach == Reach::Exact;
            (std::cmp::Reverse(entry.path.len()), is_exact, entry.host.is_none(), entry.index, entry.reach)
        });
        Self { entries }
    }

    /// Returns what serves a request of a client that came in at this listener.
    ///
    /// The path as the client wrote it decides, because backends see it so. It must lead to the same route with its dot
    /// segments resolved, its escapes decoded, its double slashes merged, or its segments' parameters cut off: otherwise a
    /// backend that reads it so would serve what another route protects.
    ///
    /// # Errors
    /// The path leaves its route.
    pub(super) fn find(&self, head: &Parts, listener: Option<&str>) -> Result<Option<&T>, LeavesRoute> {
        // `OPTIONS *` asks about the server as a whole.
        let path = if head.uri.path() == "*" { "/" } else { head.uri.path() };
        let found = self.find_path(path, head, listener);
        let index = |entry: Option<&Entry<T>>| entry.map(|entry| entry.index);
        let strays = |path: &str| {
            [Slashes::Kept, Slashes::Merged].into_iter().any(|slashes| {
                index(self.find_path(&dots::resolve(path, slashes), head, listener)) != index(found)
            })
        };
        let strays_somehow = || {
            let decoded = dots::decoded(path);
            let cut = [dots::without_parameters(path), dots::without_parameters(&decoded)];
            let mut cut = cut.into_iter().flatten();
            strays(path) || strays(&decoded) || cut.any(|cut| strays(&cut) || strays(&dots::decoded(&cut)))
        };
        if dots::may_have(path) && strays_somehow() {
            return Err(LeavesRoute);
        }
        Ok(found.map(|entry| &entry.server))
    }

    fn find_path(&self, path: &str, head: &Parts, listener: Option<&str>) -> Option<&Entry<T>> {
        let host = || head.headers.get(HOST).and_then(|host| host.to_str().ok()).map(target::name);
        self.entries.iter().find(|entry| {
            let Some(rest) = path.strip_prefix(&entry.path) else { return false };
            let is_reached = match entry.reach {
                Reach::ClientFiles => is_client_file(&entry.path, rest, head.uri.query().unwrap_or_default()),
                Reach::Below => true,
                Reach::Exact => rest.is_empty(),
            };
            is_reached
                && entry.is_at(listener)
                && entry
                    .host
                    .as_deref()
                    .is_none_or(|wanted| host().is_some_and(|host| host.eq_ignore_ascii_case(wanted)))
        })
    }
}

impl<T> Entry<T> {
    fn is_at(&self, listener: Option<&str>) -> bool {
        self.listeners.is_empty() || self.listeners.iter().any(|one| Some(&**one) == listener)
    }
}

/// Returns whether a request is for a file of the client library that a Socket.IO server serves below its own path
/// (`prefix`); `rest` is the request's path after that.
fn is_client_file(prefix: &str, rest: &str, query: &str) -> bool {
    let rest = if prefix.ends_with('/') { rest } else { rest.strip_prefix('/').unwrap_or_default() };
    let Some(rest) = rest.strip_prefix("socket.io") else { return false };
    // socket.io's own expression: (\.msgpack|\.esm)?(\.min)?\.js(\.map)?
    let rest = rest.strip_prefix(".msgpack").or_else(|| rest.strip_prefix(".esm")).unwrap_or(rest);
    let rest = rest.strip_prefix(".min").unwrap_or(rest);
    let is_transport = |pair: &str| pair.split('=').next() == Some("transport");
    matches!(rest, ".js" | ".js.map") && !query.split('&').any(is_transport)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::networks::Networks;

    fn find(routes: &[Route], uri: &str, host: &str) -> Option<usize> {
        try_find(routes, uri, host).unwrap()
    }

    fn try_find(routes: &[Route], uri: &str, host: &str) -> Result<Option<usize>, LeavesRoute> {
        let (mut head, ()) = Request::builder().uri(uri).header("Host", host).body(()).unwrap().into_parts();
        target::settle(&mut head).unwrap();
        let numbered = |(index, route)| Routed { route, server: index, files: None };
        Router::new(routes.iter().enumerate().map(numbered)).find(&head, None).map(Option::<&usize>::copied)
    }

    #[test]
    fn a_path_whose_dots_lead_out_of_its_route_has_none() {
        let routes = [
            Route::at("/", None),
            Route::at("/api/", None),
            Route::at("/socket.io/", None),
            Route::at("/v1", None),
        ];
        for path in [
            "/api/../admin",
            "/api/%2e%2e/admin",
            "/api/.%2E/admin",
            "/socket.io/../../x",
            "/api//../x",
            "/api/..%2fadmin",
            "/api/..%2Fadmin",
            "/api/..%5cadmin",
            "/api/..\\admin",
            "/api/x/..;/../admin",
            "/api/..",
            "/other/../api/x",
            "/v1/../x",
            "/api%2fx",
            "/%61pi/x",
            "//api/x",
            "/\\api/x",
            "/socket%2eio/",
            "/api;x/y",
            "/api;/y",
            "/api;x%2f..%2f..%2fb/y",
            "/%61pi;x%2fy/z",
            "/a;%2f..%2fapi/x",
            "/;/api/x",
            "/;x/api/y",
            "/a/..;/api/x",
            "/api/;/../x",
            "/%61pi%3bx/y",
        ] {
            assert_eq!(try_find(&routes, path, "a"), Err(LeavesRoute), "{path}");
        }
        for (path, index) in [
            ("/api/./x", 1),
            ("/api/a/../b", 1),
            ("/api//users/../", 1),
            ("/api/a/%2e%2e/", 1),
            ("/../x", 0),
            ("/%2e%2E/%61%00%zz", 0),
            ("/api/a%2fb", 1),
            ("/api/%61//b", 1),
            ("//other/%41", 0),
            ("/%+1pi/x", 0),
            ("/api%2f..%2fadmin", 0),
            ("/socket.io/x.y..z", 2),
            ("/v1x/./y", 3),
            ("/api/a;x=1/b", 1),
            ("/a;x=1/api/", 0),
            ("/v1;x", 3),
        ] {
            assert_eq!(try_find(&routes, path, "a"), Ok(Some(index)), "{path}");
        }
        assert_eq!(try_find(&routes[1..2], "/api/../admin", "a"), Err(LeavesRoute));
        assert_eq!(try_find(&routes[1..2], "/x/../admin", "a"), Ok(None));
    }

    #[test]
    fn a_name_in_full_is_the_same_host() {
        for wanted in ["chat.example", "chat.example."] {
            let routes = [Route::at("/", Some(wanted)), Route::at("/", None)];
            for host in ["chat.example", "chat.example.", "Chat.Example.:8080"] {
                assert_eq!(find(&routes, "/", host), Some(0), "{wanted} {host}");
            }
            assert_eq!(find(&routes, "/", "chat.example.org."), Some(1));
        }
    }

    #[test]
    fn the_longest_prefix_wins() {
        let routes =
            [Route::at("/", None), Route::at("/socket.io/", None), Route::at("/socket.io/admin/", None)];
        assert_eq!(find(&routes, "/socket.io/?EIO=4", "a"), Some(1));
        assert_eq!(find(&routes, "/socket.io/admin/x", "a"), Some(2));
        assert_eq!(find(&routes, "/socket.io", "a"), Some(0), "the slash belongs to the prefix");
        assert_eq!(find(&routes[1..], "/other", "a"), None);
        assert_eq!((find(&routes, "*", "a"), find(&routes[1..], "*", "a")), (Some(0), None));
    }

    #[test]
    fn a_base_is_found_without_the_slash_in_which_its_route_ends() {
        let at = |path, host, dialect| Route { dialect, ..Route::at(path, host) };
        let routes = [
            at("/", None, "http"),
            at("/echo/", None, "sockjs"),
            at("/files/", None, "http"),
            at("/echo/", Some("b"), "websocket"),
        ];
        assert_eq!(find(&routes, "/echo", "a"), Some(1));
        assert_eq!(find(&routes, "/echo?x=1", "a"), Some(1));
        assert_eq!(find(&routes, "/echo", "b"), Some(3));
        assert_eq!(find(&routes, "/echoX", "a"), Some(0));
        assert_eq!(find(&routes, "/files", "a"), Some(0), "its own server says where it leads");
        let both = [at("/echo/", None, "sockjs"), at("/echo", None, "http")];
        assert_eq!((find(&both, "/echo", "a"), find(&both, "/echo/x", "a")), (Some(1), Some(0)));
    }

    #[test]
    fn a_guarded_route_has_its_path_without_the_slash_too() {
        let files = |path| Route { dialect: "http", ..Route::at(path, None) };
        let networks = Networks { allow: vec!["10.0.0.0/8".parse().unwrap()], deny: Vec::new() };
        let guarded = Route { networks, ..files("/admin/") };
        let routes = [files("/"), guarded, files("/files/")];
        assert_eq!((find(&routes, "/admin", "a"), find(&routes, "/files", "a")), (Some(1), Some(0)));
        assert_eq!(find(&routes, "/administration", "a"), Some(0));
        for path in ["/%61dmin", "/admin;x", "/files/../admin", "//admin"] {
            assert_eq!(try_find(&routes, path, "a"), Err(LeavesRoute), "{path}");
        }
    }

    #[test]
    fn a_route_that_names_the_host_wins_over_one_that_does_not() {
        let routes = [Route::at("/a/", None), Route::at("/a/", Some("chat.example.org"))];
        assert_eq!(find(&routes, "/a/", "Chat.Example.org:8080"), Some(1));
        assert_eq!(find(&routes, "/a/", "example.org"), Some(0));
        assert_eq!(find(&routes[1..], "/a/", "example.org"), None);
        assert_eq!(find(&[Route::at("/", Some("[::1]"))], "/", "[::1]:80"), Some(0));
        assert_eq!(find(&[Route::at("/", Some("[::1]"))], "http://[::1]:80/", "other"), Some(0));
        assert_eq!(find(&routes, "http://example.org/a/", "chat.example.org"), Some(0));
    }

    #[test]
    fn a_route_is_found_at_its_listeners_only() {
        let on = |path, listeners: &[&str]| {
            let listeners = listeners.iter().map(|&name| name.into()).collect();
            Route { listeners, ..Route::at(path, None) }
        };
        let routes =
            [on("/", &["public"]), on("/", &["inside", "admin"]), on("/api/", &["inside"]), on("/all/", &[])];
        let numbered = |(index, route)| Routed { route, server: index, files: None };
        let all = Router::new(routes.iter().enumerate().map(numbered));
        let find = |uri: &str, listener| {
            let (head, ()) = Request::builder().uri(uri).header("Host", "a").body(()).unwrap().into_parts();
            all.find(&head, listener).map(Option::<&usize>::copied)
        };
        assert_eq!((find("/x", Some("public")), find("/x", Some("admin"))), (Ok(Some(0)), Ok(Some(1))));
        assert_eq!(
            (find("/api/", Some("public")), find("/api/", Some("inside"))),
            (Ok(Some(0)), Ok(Some(2)))
        );
        assert_eq!((find("/x", Some("other")), find("/x", None)), (Ok(None), Ok(None)));
        for listener in [Some("public"), Some("other"), None] {
            assert_eq!(find("/all/", listener), Ok(Some(3)));
        }
        assert_eq!(find("/api/../x", Some("public")), Ok(Some(0)), "there, it is one route");
        assert_eq!(find("/api/../x", Some("inside")), Err(LeavesRoute));
    }

    fn is_file(uri: &str, prefix: &str) -> bool {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        path.strip_prefix(prefix).is_some_and(|rest| is_client_file(prefix, rest, query))
    }

    #[test]
    fn exactly_the_client_files_of_socket_io_are_known() {
        for name in [
            "socket.io.js",
            "socket.io.js.map",
            "socket.io.min.js",
            "socket.io.msgpack.min.js.map",
            "socket.io.esm.min.js",
            "socket.io.js?v=4",
        ] {
            assert!(is_file(&format!("/socket.io/{name}"), "/socket.io/"), "{name}");
            assert!(is_file(&format!("/socket.io/{name}"), "/socket.io"), "{name}");
        }
        for name in [
            "",
            "socket.io.css",
            "socket.io.min.msgpack.js",
            "socket.io.esm.msgpack.js",
            "socket.io.js/",
            "socket.io.jsx",
            "x/socket.io.js",
            "socketxio.js",
            "socket.io.js?EIO=4&transport=polling",
        ] {
            assert!(!is_file(&format!("/socket.io/{name}"), "/socket.io/"), "{name}");
        }
        assert!(!is_file("/socket.iosocket.io.js", "/socket.io"));
    }

    #[test]
    fn client_files_have_the_server_of_their_own_and_the_route_all_else() {
        let (route, host) = (Route::at("/socket.io/", None), Route::at("/socket.io/", Some("b")));
        let router = Router::new(
            [
                Routed { route: &route, server: "sessions", files: Some("files") },
                Routed { route: &host, server: "b", files: None },
            ]
            .into_iter(),
        );
        let find = |uri: &str, host: &str| {
            let (head, ()) = Request::builder().uri(uri).header("Host", host).body(()).unwrap().into_parts();
            router.find(&head, None).map(Option::<&&str>::copied)
        };
        assert_eq!(find("/socket.io/socket.io.js", "a"), Ok(Some("files")));
        assert_eq!(find("/socket.io/?EIO=4&transport=polling", "a"), Ok(Some("sessions")));
        assert_eq!(
            find("/socket.io/x/../socket.io.js", "a"),
            Ok(Some("sessions")),
            "it stays below the route"
        );
        assert_eq!(find("/socket.io/socket.io.js", "b"), Ok(Some("b")));
        assert_eq!(find("/socket.io/../socket.io.js", "a"), Err(LeavesRoute));
    }
}

//! Which route a request takes: the longest prefix, and among equal ones the one that names the host.

use http::header::HOST;
use http::request::Parts;

use super::settings::Route;
use super::target;
use crate::dialect;
use crate::dots::{self, Slashes};

/// A path's dot segments leave its route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LeavesRoute;

/// The routes, in the order in which they are tried.
#[derive(Default, Debug)]
pub(super) struct Router {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    path: String,
    /// Whether it matches only this path, and none below it.
    is_exact: bool,
    host: Option<String>,
    index: usize,
}

impl Router {
    /// Orders routes by how specific they are.
    pub(super) fn new(routes: &[Route]) -> Self {
        let mut entries: Vec<Entry> = Vec::with_capacity(routes.len());
        for (index, route) in routes.iter().enumerate() {
            let host = route.host.as_deref().map(|host| target::name(host).to_owned());
            // A base may be written without the slash at the end of its route.
            if let Some(bare) = route.path.strip_suffix('/').filter(|bare| !bare.is_empty())
                && dialect::find(route.dialect).is_some_and(|kind| kind.takes_base)
            {
                entries.push(Entry { path: bare.to_owned(), is_exact: true, host: host.clone(), index });
            }
            entries.push(Entry { path: route.path.clone(), is_exact: false, host, index });
        }
        entries.sort_by_key(|entry| {
            (std::cmp::Reverse(entry.path.len()), entry.is_exact, entry.host.is_none(), entry.index)
        });
        Self { entries }
    }

    /// Returns the index of the route that a request takes.
    ///
    /// The path as the client wrote it decides, because backends see it so. With its dot segments resolved, it must
    /// lead to the same route.
    ///
    /// # Errors
    /// The path leaves its route.
    pub(super) fn find(&self, head: &Parts) -> Result<Option<usize>, LeavesRoute> {
        // `OPTIONS *` asks about the server as a whole.
        let path = if head.uri.path() == "*" { "/" } else { head.uri.path() };
        let index = self.find_path(path, head);
        let strays = |slashes| self.find_path(&dots::resolve(path, slashes), head) != index;
        if dots::may_have(path) && [Slashes::Kept, Slashes::Merged].into_iter().any(strays) {
            return Err(LeavesRoute);
        }
        Ok(index)
    }

    fn find_path(&self, path: &str, head: &Parts) -> Option<usize> {
        let host = || head.headers.get(HOST).and_then(|host| host.to_str().ok()).map(target::name);
        self.entries
            .iter()
            .find(|entry| {
                let rest = path.strip_prefix(&entry.path);
                rest.is_some_and(|rest| !entry.is_exact || rest.is_empty())
                    && entry
                        .host
                        .as_deref()
                        .is_none_or(|wanted| host().is_some_and(|host| host.eq_ignore_ascii_case(wanted)))
            })
            .map(|entry| entry.index)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn find(routes: &[Route], uri: &str, host: &str) -> Option<usize> {
        try_find(routes, uri, host).unwrap()
    }

    fn try_find(routes: &[Route], uri: &str, host: &str) -> Result<Option<usize>, LeavesRoute> {
        let (mut head, ()) = Request::builder().uri(uri).header("Host", host).body(()).unwrap().into_parts();
        target::settle(&mut head).unwrap();
        Router::new(routes).find(&head)
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
            ("/api%2fx", 0),
            ("/api%2f..%2fadmin", 0),
            ("/socket.io/x.y..z", 2),
            ("/v1x/./y", 3),
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
    fn a_route_that_names_the_host_wins_over_one_that_does_not() {
        let routes = [Route::at("/a/", None), Route::at("/a/", Some("chat.example.org"))];
        assert_eq!(find(&routes, "/a/", "Chat.Example.org:8080"), Some(1));
        assert_eq!(find(&routes, "/a/", "example.org"), Some(0));
        assert_eq!(find(&routes[1..], "/a/", "example.org"), None);
        assert_eq!(find(&[Route::at("/", Some("[::1]"))], "/", "[::1]:80"), Some(0));
        assert_eq!(find(&[Route::at("/", Some("[::1]"))], "http://[::1]:80/", "other"), Some(0));
        assert_eq!(find(&routes, "http://example.org/a/", "chat.example.org"), Some(0));
    }
}

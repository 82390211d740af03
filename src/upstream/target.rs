//! The parts of an upstream's URL that the backend sees: its path and query in front of the client's, and its
//! authority.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use crate::dots;
use crate::reply::{Refused, Refuser, Reply};
use crate::upstream::{OpenError, OpenRequest};

/// The parts of a URL that go into a request's header.
#[derive(Clone, Debug)]
pub(super) struct Target {
    authority: HeaderValue,
    path: String,
    query: String,
}

impl Target {
    /// Returns `None` if the URL has no host.
    pub(super) fn new(url: &Uri) -> Option<Self> {
        let host = url.host()?;
        // Not the authority itself, which may contain a user's name and password.
        let authority = url.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Some(Self {
            authority: HeaderValue::try_from(authority).ok()?,
            path: url.path().to_owned(),
            query: url.query().unwrap_or_default().to_owned(),
        })
    }

    /// Returns the `Host` that the URL names.
    pub(super) const fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    /// Returns the path and query of a session's request.
    ///
    /// # Errors
    /// The path leaves the upstream's URL.
    pub(super) fn uri_for(&self, request: &OpenRequest, own_query: &str) -> Result<Uri, OpenError> {
        let mut text = self.joined(&request.prefix, &request.path).ok_or_else(refused)?;
        let mut separator = '?';
        for part in [self.query.as_str(), request.query.as_str(), own_query] {
            if !part.is_empty() {
                text.push(separator);
                text.push_str(part);
                separator = '&';
            }
        }
        PathAndQuery::try_from(text).map(Uri::from).map_err(|_| refused())
    }

    /// Returns the path and query of a forwarded request: as the client wrote them, byte for byte, with the URL in
    /// place of `prefix`, if there is one; `None` if the result leaves the URL's path.
    pub(super) fn forwarded(&self, uri: &Uri, prefix: Option<&str>) -> Option<Uri> {
        let asked = uri.path_and_query()?;
        let path = asked.path();
        // `OPTIONS *` asks about the server and not about a path.
        let Some(prefix) = prefix.filter(|_| path != "*") else { return Some(Uri::from(asked.clone())) };
        // The prefix may lack the slash at its end.
        let bare = || prefix.strip_suffix('/').and_then(|bare| path.strip_prefix(bare));
        let mut text = self.joined(prefix, path.strip_prefix(prefix).or_else(bare).unwrap_or(path))?;
        match (self.query.as_str(), asked.query()) {
            ("", None) => {}
            ("", Some(query)) | (query, None) => {
                text.push('?');
                text.push_str(query);
            }
            (own, Some(query)) => {
                text.push('?');
                text.push_str(own);
                text.push('&');
                text.push_str(query);
            }
        }
        PathAndQuery::try_from(text).ok().map(Uri::from)
    }

    /// Returns the URL's path in place of `prefix`, followed by the rest.
    fn joined(&self, prefix: &str, rest: &str) -> Option<String> {
        // Everything on a server is below its root.
        if self.path != "/" && dots::climbs(rest) {
            return None;
        }
        let mut text = self.path.clone();
        let rest = match (text.ends_with('/'), prefix.ends_with('/')) {
            // The prefix has no slash that could stand for the URL's.
            (true, false) => rest.strip_prefix('/').unwrap_or(rest),
            (false, true) if !rest.is_empty() => {
                text.push('/');
                rest
            }
            (true, true) | (false, _) => rest,
        };
        text.push_str(rest);
        Some(text)
    }
}

/// Returns a server's usual refusal of such a path.
fn refused() -> OpenError {
    let reply = Reply {
        status: StatusCode::BAD_REQUEST,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"the path leaves its route\n"),
    };
    OpenError::Refused(Box::new(Refused { reply, by: Refuser::Other }))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn ask(url: &str, path: &str, query: &str, own_query: &str) -> String {
        ask_behind("", url, path, query, own_query).unwrap().to_string()
    }

    fn ask_behind(
        prefix: &str,
        url: &str,
        path: &str,
        query: &str,
        own_query: &str,
    ) -> Result<Uri, OpenError> {
        let request = OpenRequest {
            prefix: prefix.to_owned(),
            dialect: "engine.io",
            transport: crate::packet::Transport::Polling,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: HeaderMap::new(),
            client: SocketAddr::from(([127, 0, 0, 1], 1)).into(),
            revision: None,
            spelling: crate::spelling::Spelling::default(),
        };
        let target = Target::new(&url.parse().unwrap()).unwrap();
        target.uri_for(&request, own_query)
    }

    #[test]
    fn a_room_keeps_both_of_its_slashes() {
        let room = |prefix, url, path| ask_behind(prefix, url, path, "", "").unwrap().to_string();
        assert_eq!(room("/", "ws://h/", "/room"), "//room");
        assert_eq!(room("/", "ws://h", "/room"), "//room");
        assert_eq!(room("/ws/", "ws://h/a/", "/room"), "/a//room");
        assert_eq!(room("/ws", "ws://h/a/", "//room"), "/a//room");
        assert_eq!(room("/ws/", "ws://h/a", "room"), "/a/room");
        assert_eq!(room("/ws", "ws://h/", ""), "/");
        assert_eq!(room("", "ws://h/", "//room"), "//room");
    }

    #[test]
    fn nothing_is_asked_for_above_the_url() {
        let asked = |url: &str, path: &str, prefix: Option<&str>| {
            let target = Target::new(&url.parse().unwrap()).unwrap();
            target.forwarded(&path.parse().unwrap(), prefix).map(|uri| uri.to_string())
        };
        assert_eq!(asked("http://h/v1/", "/api/../api/x", Some("/api/")), None);
        assert_eq!(asked("http://h/v1/", "/api../admin", Some("/api")), None);
        assert_eq!(asked("http://h/v1", "/..%2fadmin", Some("/")), None);
        assert_eq!(asked("http://h/", "/../admin", Some("/")).as_deref(), Some("/../admin"));
        assert_eq!(asked("http://h/v1/", "/api/../x", None).as_deref(), Some("/api/../x"));
        for path in ["../admin", "a/%2e%2e/..\\x"] {
            let refused = ask_behind("/ws/", "ws://h/a/", path, "", "");
            assert!(
                matches!(refused, Err(OpenError::Refused(refused)) if refused.reply.status == 400),
                "{path}"
            );
        }
    }

    #[test]
    fn the_prefix_is_replaced_by_the_url() {
        assert_eq!(ask("ws://h/socket.io/", "", "", ""), "/socket.io/");
        assert_eq!(ask("ws://h", "", "", ""), "/");
        assert_eq!(ask("ws://h/a", "/b", "", ""), "/a/b");
        assert_eq!(ask("ws://h/a/", "/b", "", ""), "/a/b");
        assert_eq!(ask("ws://h/a/", "b%20c", "", ""), "/a/b%20c");
    }

    #[test]
    fn the_urls_own_query_comes_first() {
        assert_eq!(ask("ws://h/?x=1", "", "y=2", "EIO=4"), "/?x=1&y=2&EIO=4");
        assert_eq!(ask("ws://h/", "", "", "EIO=4"), "/?EIO=4");
        assert_eq!(ask("ws://h/", "", "y=a%26b", ""), "/?y=a%26b");
    }

    #[test]
    fn a_forwarded_path_stays_as_it_was_written() {
        let forwarded = |url: &str, asked: &str, prefix: Option<&str>| {
            let target = Target::new(&url.parse().unwrap()).unwrap();
            target.forwarded(&asked.parse().unwrap(), prefix).unwrap().to_string()
        };
        for asked in ["/", "//x", "/a/../b", "/%2e%2E/%61?", "/a?b?c", "/a//b/?x=%20", "*", "/a|b\"{}"] {
            assert_eq!(forwarded("http://h", asked, Some("/")), asked);
            assert_eq!(forwarded("ws://h/socket.io/?x", asked, None), asked);
        }
        assert_eq!(forwarded("http://h", "http://other:1/a?b", Some("/")), "/a?b");
        assert_eq!(forwarded("http://h/v1/", "/api/users", Some("/api/")), "/v1/users");
        assert_eq!(forwarded("http://h/v1/", "/api//users", Some("/api/")), "/v1//users");
        assert_eq!(forwarded("http://h/v1/", "/api/users", Some("/api")), "/v1/users");
        assert_eq!(forwarded("http://h/v1", "/api/users", Some("/api")), "/v1/users");
        assert_eq!(forwarded("http://h/v1", "/api/users", Some("/api/")), "/v1/users");
        assert_eq!(forwarded("http://h/v1", "/api/", Some("/api/")), "/v1");
        assert_eq!(forwarded("http://h/v1?k=1", "/api/?a", Some("/api/")), "/v1?k=1&a");
        assert_eq!(forwarded("http://h/v1?k=1", "/api/", Some("/api/")), "/v1?k=1");
    }

    #[test]
    fn the_host_is_named_without_credentials() {
        let host = |url: &str| Target::new(&url.parse().unwrap()).unwrap().authority().clone();
        assert_eq!(host("ws://user:secret@h:80/"), "h:80");
        assert_eq!(host("ws://[::1]:3000/"), "[::1]:3000");
    }
}

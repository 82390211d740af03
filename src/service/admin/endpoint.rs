//! What the admin listener has, by path and method.

use std::fmt::Write as _;

use http::Method;

/// What a path of the admin listener leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Endpoint {
    Index,
    /// A file of the page.
    Asset,
    Livez,
    Readyz,
    Metrics,
    Sessions,
    /// One session, whose id is the last segment.
    Session,
    Events,
    Upstreams,
    Nodes,
    Differing,
    Reload,
    Drain,
    OpenApi,
}

/// The path, in which `{id}` stands for one segment, the methods, and what the index says.
struct Entry(&'static str, Endpoint, &'static str, &'static str);

impl Endpoint {
    const ALL: &[Entry] = &[
        Entry("/", Self::Index, GET, ""),
        Entry("/page.css", Self::Asset, GET, ""),
        Entry("/page.js", Self::Asset, GET, ""),
        Entry("/charts.js", Self::Asset, GET, ""),
        Entry("/model.js", Self::Asset, GET, ""),
        Entry("/sessions.js", Self::Asset, GET, ""),
        Entry("/words.js", Self::Asset, GET, ""),
        Entry("/icon.svg", Self::Asset, GET, ""),
        Entry("/livez", Self::Livez, GET, "200 while the process runs"),
        Entry(
            "/readyz",
            Self::Readyz,
            GET,
            "200 if the proxy accepts sessions, otherwise 503, with a line for each upstream; ?upstream=NAME checks one",
        ),
        Entry("/metrics", Self::Metrics, GET, "the metrics, for Prometheus"),
        Entry(
            "/api/sessions",
            Self::Sessions,
            GET,
            "the sessions of this process; ?client=, route=, upstream=, dialect=, transport=, text=, sort=, limit=",
        ),
        Entry("/api/sessions/{id}", Self::Session, "DELETE", "DELETE: ends a session"),
        Entry(
            "/api/events",
            Self::Events,
            GET,
            "what happens, as server-sent events: a snapshot every second, and the begins and ends of sessions",
        ),
        Entry("/api/upstreams", Self::Upstreams, GET, "the upstreams with their addresses"),
        Entry(
            "/api/nodes",
            Self::Nodes,
            GET,
            "the nodes of the cluster as this one sees them, and the other processes of this host",
        ),
        // For `polliwog check`.
        Entry("/api/differing", Self::Differing, GET, ""),
        Entry("/api/reload", Self::Reload, "POST", "POST: reads the configuration again"),
        Entry(
            "/api/drain",
            Self::Drain,
            "POST",
            "POST: ends all sessions, then the process, as SIGTERM does",
        ),
        Entry("/api/openapi.json", Self::OpenApi, GET, "a description of all this for programs"),
    ];

    /// Returns what a path leads to, and its last segment.
    pub(super) fn find(path: &str) -> Option<(Self, &str)> {
        let (start, last) = path.rsplit_once('/')?;
        let leads = |Entry(one, ..): &&Entry| match one.strip_suffix("/{id}") {
            Some(before) => before == start && !last.is_empty(),
            None => *one == path,
        };
        Self::ALL.iter().find(leads).map(|Entry(_, endpoint, ..)| (*endpoint, last))
    }

    /// Returns the methods that have a meaning there, as `Allow` says them.
    pub(super) fn allowed(self) -> &'static str {
        Self::ALL.iter().find(|Entry(_, one, ..)| *one == self).map_or("", |Entry(.., methods, _)| methods)
    }

    /// Returns whether a method has a meaning there.
    pub(super) fn allows(self, method: &Method) -> bool {
        self.allowed().split(", ").any(|allowed| allowed == method.as_str())
    }

    /// Returns whether it tells the health alone, for which balancers and orchestrators ask without a token.
    pub(super) fn is_health(self) -> bool {
        matches!(self, Self::Livez | Self::Readyz)
    }

    /// Returns whether it changes something.
    pub(super) fn changes(self) -> bool {
        self.allowed() != GET
    }

    /// Returns the paths that are for others than this binary, with their methods, `HEAD` left out.
    #[cfg(test)]
    pub(super) fn documented() -> std::collections::BTreeSet<(String, String)> {
        let shown = Self::ALL.iter().filter(|Entry(.., about)| !about.is_empty());
        let pairs = |Entry(path, _, methods, _): &Entry| {
            methods
                .split(", ")
                .filter(|one| *one != "HEAD")
                .map(|one| ((*path).to_owned(), one.to_owned()))
                .collect::<Vec<_>>()
        };
        shown.flat_map(pairs).collect()
    }

    /// Returns the text of the index.
    pub(super) fn index() -> String {
        let mut index = "polliwog\n\n".to_owned();
        for Entry(path, .., about) in Self::ALL.iter().filter(|Entry(.., about)| !about.is_empty()) {
            // Writing to a String can't fail.
            let _ = writeln!(index, "{path:<20}{about}");
        }
        index
    }
}

const GET: &str = "GET, HEAD";

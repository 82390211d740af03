//! The part of the configuration that says what happens to a request: routes, and the admin listener.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::dialect;
use crate::route_id::RouteId;
use crate::session;

/// One `[[routes]]` entry, `[defaults]` already applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The prefix that a request's path must have; the longest that fits wins.
    pub path: String,
    /// The host that a request must name, without a port; `None` fits every host and loses against one that names it.
    pub host: Option<String>,
    /// What the clients speak: a name in the table of dialects.
    pub dialect: &'static str,
    /// What concerns its dialect alone.
    pub speech: dialect::Settings,
    /// The upstream's name.
    pub upstream: String,
    /// Origins whose browsers may connect; empty allows all. A request without `Origin` is always allowed.
    pub allowed_origins: Vec<String>,
    /// What its answers tell a browser about pages of other origins.
    pub cors: Cors,
    /// Whether long answers to polls are compressed for clients that take it.
    pub compression: bool,
    /// What it sets and removes in the headers of requests.
    pub request_headers: HeaderRules,
    /// The same in those of responses.
    pub response_headers: HeaderRules,
    /// Whether backends are told that a proxy passes its requests on.
    pub via: bool,
    /// What concerns only dialect `mux`.
    pub mux: DemuxSettings,
    /// What its sessions live by.
    pub session: Arc<session::Settings>,
}

impl Route {
    /// Creates one for tests, with the defaults.
    #[cfg(test)]
    pub(super) fn at(path: &str, host: Option<&str>) -> Self {
        Self {
            path: path.into(),
            host: host.map(Into::into),
            dialect: "engine.io",
            speech: dialect::Settings::default(),
            upstream: "a".into(),
            allowed_origins: Vec::new(),
            cors: Cors::default(),
            compression: true,
            request_headers: HeaderRules::default(),
            response_headers: HeaderRules::default(),
            via: true,
            mux: DemuxSettings::default(),
            session: Arc::default(),
        }
    }

    /// Returns what it is known by.
    pub fn id(&self) -> RouteId {
        RouteId::new(self.host.as_deref().map(super::target::name), &self.path)
    }
}

/// What a route sets in a message's headers, and what it removes (`None`).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct HeaderRules(pub Arc<[(HeaderName, Option<HeaderValue>)]>);

impl HeaderRules {
    /// Has the last word on these headers.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &*self.0 {
            match value {
                Some(value) => headers.insert(name, value.clone()),
                None => headers.remove(name),
            };
        }
    }
}

/// What concerns only routes of dialect `mux` (`[routes.mux]`).
#[derive(Clone, PartialEq, Eq)]
pub struct DemuxSettings {
    /// The `Authorization` that a connection must come with; `None` lets everybody in.
    pub token: Option<HeaderValue>,
    /// Payload bytes that may wait for one session, in each direction.
    pub credit: usize,
}

impl Default for DemuxSettings {
    fn default() -> Self {
        Self { token: None, credit: 256 << 10 }
    }
}

/// Without the token.
impl fmt::Debug for DemuxSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DemuxSettings").field("credit", &self.credit).finish_non_exhaustive()
    }
}

/// Whose word the CORS headers of a route's answers are.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Cors {
    /// Nobody's: there are none, and the backend's are taken off.
    Off,
    /// The backend's: what it says when it accepts or refuses a session, and to a preflight.
    #[default]
    Mirror,
    /// Our own; the backend's are taken off.
    Own(Arc<OwnCors>),
}

/// A list of our own, in the words of the reference server's `cors` option.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnCors {
    /// Origins whose pages may read answers; `*` is every origin.
    pub origins: Vec<String>,
    /// Whether requests with cookies count, too: then `*` names the origin that asks.
    pub credentials: bool,
    /// Headers that a page may send; `None` allows those that it asks for.
    pub headers: Option<Vec<String>>,
    /// Methods that a page may use.
    pub methods: Vec<String>,
    /// How long a browser may remember a preflight's answer.
    pub max_age: Option<Duration>,
}

impl Default for OwnCors {
    fn default() -> Self {
        let methods = ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"];
        Self {
            origins: Vec::new(),
            credentials: false,
            headers: None,
            methods: methods.map(str::to_owned).to_vec(),
            max_age: None,
        }
    }
}

/// The `[admin]` section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdminSettings {
    /// The address of the admin listener, never a public one.
    pub listen: SocketAddr,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9090)) }
    }
}

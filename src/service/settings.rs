//! The part of the configuration for requests: routes, and the admin listener.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::bearer::TokenFrom;
use crate::address::ListenAddress;
use crate::dialect;
use crate::jwt::Rules;
use crate::networks::Networks;
use crate::route_id::RouteId;
use crate::session;
use crate::tls::TlsFiles;
use crate::upstream::{self, BodyLimits, RequestLimits};

/// One `[[routes]]` entry, with `[defaults]` applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The prefix of a request's path; the longest match wins.
    pub path: String,
    /// The host that a request must name, without a port; `None` matches every host, and a route that names the host
    /// has priority.
    pub host: Option<String>,
    /// The listeners whose clients meet it; none are all.
    pub listeners: Vec<Arc<str>>,
    /// The clients' dialect: a name in the table of dialects.
    pub dialect: &'static str,
    /// The settings of its dialect only.
    pub speech: dialect::Settings,
    /// The upstream's name.
    pub upstream: String,
    /// Addresses that may meet it, as the proxies in front that are trusted tell them.
    pub networks: Networks,
    /// The tokens that clients need; without them no token is asked for.
    pub jwt: Option<JwtSettings>,
    /// The server that says who may come in; without one everybody may.
    pub auth: Option<AuthSettings>,
    /// The headers that tell backends who was let in, of all routes: no client can set them itself, wherever it comes in.
    pub identity: Arc<[HeaderName]>,
    /// Origins that may connect; empty allows all. A request without `Origin` is always allowed.
    pub allowed_origins: Vec<String>,
    /// Its CORS rule.
    pub cors: Cors,
    /// Whether long responses to polls are compressed, if the client accepts it.
    pub compression: bool,
    /// The shortest message that is compressed on its clients' own sockets; `None` compresses none.
    pub permessage_deflate: Option<usize>,
    /// The request headers that it sets and removes.
    pub request_headers: HeaderRules,
    /// The response headers that it sets and removes.
    pub response_headers: HeaderRules,
    /// How many forwarded requests are under way at once.
    pub requests: RequestLimits,
    /// How large the bodies of forwarded requests may be, and how slow those of any.
    pub body: BodyLimits,
    /// Whether `Via` is added to requests.
    pub via: bool,
    /// The settings of dialect `mux` only.
    pub mux: DemuxSettings,
    /// The settings of its sessions.
    pub session: Arc<session::Settings>,
}

impl Route {
    /// Creates one for tests, with the defaults.
    #[cfg(test)]
    pub(super) fn at(path: &str, host: Option<&str>) -> Self {
        Self {
            path: path.into(),
            host: host.map(Into::into),
            listeners: Vec::new(),
            dialect: "engine.io",
            speech: dialect::Settings::default(),
            upstream: "a".into(),
            networks: Networks::default(),
            jwt: None,
            auth: None,
            identity: Arc::default(),
            allowed_origins: Vec::new(),
            cors: Cors::default(),
            compression: true,
            permessage_deflate: None,
            request_headers: HeaderRules::default(),
            response_headers: HeaderRules::default(),
            requests: RequestLimits::default(),
            body: BodyLimits::default(),
            via: true,
            mux: DemuxSettings::default(),
            session: Arc::default(),
        }
    }

    /// Returns whether not everybody may come in.
    pub(super) fn is_guarded(&self) -> bool {
        self.jwt.is_some() || self.auth.is_some() || !self.networks.are_all()
    }

    /// Returns the route's identity.
    pub fn id(&self) -> RouteId {
        RouteId::on(&self.listeners, self.host.as_deref().map(super::target::name), &self.path)
    }
}

/// A server that says who may come in (`[routes.auth]`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthSettings {
    /// The server, as an upstream of its own whose URL is what is asked for.
    pub server: upstream::Settings,
    /// The headers of its acceptance that the backend gets. A client's own are always removed.
    pub headers: Vec<HeaderName>,
    /// How long it may take.
    pub timeout: Duration,
}

/// The tokens that clients need (`[routes.jwt]`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JwtSettings {
    /// Where the keys of their issuer are.
    pub keys: KeySettings,
    /// What they must say.
    pub rules: Rules,
    /// Where they are in a request.
    pub from: TokenFrom,
}

/// Where a set of keys is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeySettings {
    /// In a file.
    File(PathBuf),
    /// At a server, as an upstream of its own whose URL is what is asked for.
    Server(Box<upstream::Settings>),
}

/// The headers that a route sets or, with `None`, removes.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct HeaderRules(pub Arc<[(HeaderName, Option<HeaderValue>)]>);

impl HeaderRules {
    /// Applies the rules, after all other changes.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &*self.0 {
            match value {
                Some(value) => headers.insert(name, value.clone()),
                None => headers.remove(name),
            };
        }
    }
}

/// The settings of routes of dialect `mux` only (`[routes.mux]`).
#[derive(Clone, PartialEq, Eq)]
pub struct DemuxSettings {
    /// The `Authorization` required of a connection; `None` accepts all.
    pub token: Option<HeaderValue>,
    /// Payload bytes that may wait for one session, in each direction.
    pub credit: usize,
}

impl Default for DemuxSettings {
    fn default() -> Self {
        Self { token: None, credit: 256 << 10 }
    }
}

/// Without the token, which is secret.
impl fmt::Debug for DemuxSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DemuxSettings").field("credit", &self.credit).finish_non_exhaustive()
    }
}

/// Where the CORS headers of a route's responses come from.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Cors {
    /// Nowhere: there are none, and the backend's are removed.
    Off,
    /// The backend: those of its acceptance or refusal of a session, and of its response to a preflight.
    #[default]
    Mirror,
    /// Our own list; the backend's are removed.
    Own(Arc<OwnCors>),
}

/// Our own list, in the form of the reference server's `cors` option.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnCors {
    /// Origins whose pages may read responses; `*` is every origin.
    pub origins: Vec<String>,
    /// Whether requests with cookies are included: then the requesting origin is named in place of `*`.
    pub credentials: bool,
    /// Headers that a page may send; `None` allows those that it asks for.
    pub headers: Option<Vec<String>>,
    /// Methods that a page may use.
    pub methods: Vec<String>,
    /// How long a browser may cache a preflight's response.
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
    pub listen: ListenAddress,
    /// The mode of its file, if that is a Unix socket.
    pub socket_mode: u32,
    /// What operators must send in `Authorization`, if anything.
    pub token: Option<HeaderValue>,
    /// Its certificates, if it speaks TLS, and the authorities of the certificates that let operators in.
    pub tls: Option<TlsFiles>,
}

impl AdminSettings {
    /// Returns whether operators may show a certificate.
    pub fn knows_certificates(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
    }

    /// Returns whether only operators are let in.
    pub fn is_closed(&self) -> bool {
        self.token.is_some() || self.knows_certificates()
    }
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9090)).into(),
            socket_mode: 0o660,
            token: None,
            tls: None,
        }
    }
}

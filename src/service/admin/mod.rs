//! The admin listener's service: health, metrics, and what an operator sees and does.
//!
//! It knows nothing of upstreams and nodes: the wiring reports their state.

mod access;
mod answer;
mod assets;
mod body;
mod control;
mod endpoint;
mod events;
mod query;
mod readiness;
mod sessions;
mod sights;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::ACCEPT;
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use tower::Service;

use self::access::{has_token, is_of_another_site};
use self::answer::{JSON, Page, ask_for_token, refuse_method};
pub use self::body::Body;
pub use self::control::{Control, Fault, Reloading};
use self::endpoint::Endpoint;
use self::query::Query;
pub use self::readiness::{NodesState, State, UpstreamState};
pub use self::sessions::Sessions;
pub use self::sights::{Seen, SeenUpstream};
use self::sights::{shown, shown_upstreams};
use super::settings::AdminSettings;
use crate::meter::Metrics;

/// Determines the readiness, within the time that a probe waits.
pub type Readiness = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = State> + Send>> + Send + Sync>;

/// Returns the nodes of the cluster, and the processes of this host.
pub type Sights = Arc<dyn Fn() -> Seen + Send + Sync>;

/// Returns the upstreams.
pub type Upstreams = Arc<dyn Fn() -> Vec<SeenUpstream> + Send + Sync>;

/// Returns the dialect of each route, by its path and its upstream.
pub type Dialects = Arc<dyn Fn() -> Vec<(String, String, &'static str)> + Send + Sync>;

/// Returns the settings that are in force.
pub type InForce = Arc<dyn Fn() -> AdminSettings + Send + Sync>;

/// Answers what operators and their tools ask; [`Endpoint`] lists it.
#[derive(Clone)]
pub struct Admin {
    /// Everything that is counted.
    pub metrics: Metrics,
    /// Whether it is ready.
    pub readiness: Readiness,
    /// The upstreams.
    pub upstreams: Upstreams,
    /// The nodes.
    pub sights: Sights,
    /// The sessions.
    pub sessions: Sessions,
    /// The dialects of the routes.
    pub dialects: Dialects,
    /// What may be asked of the process.
    pub control: Control,
    /// Who may ask for anything but its health.
    pub in_force: InForce,
    /// Whether the client of this connection has shown a certificate, which was verified.
    pub has_certificate: bool,
}

impl Admin {
    /// Returns the same for a client, who has shown a certificate or not.
    #[must_use]
    pub fn of_client(&self, has_certificate: bool) -> Self {
        Self { has_certificate, ..self.clone() }
    }

    /// Responds to a request.
    async fn respond(self, head: Parts) -> Response<Body> {
        let Parts { method, uri, headers, .. } = &head;
        // An unknown path is not found by any method.
        let Some((endpoint, rest)) = Endpoint::find(uri.path()) else {
            return Page::text(StatusCode::NOT_FOUND, "not found\n").into();
        };
        if !endpoint.allows(method) {
            return refuse_method(endpoint.allowed());
        }
        let settings = (self.in_force)();
        let is_operator = !settings.is_closed()
            || settings.knows_certificates() && self.has_certificate
            || settings.token.as_ref().is_some_and(|token| has_token(headers, token));
        if !endpoint.is_health() && !is_operator {
            return match &settings.token {
                Some(_) => ask_for_token(),
                None => Page::text(StatusCode::FORBIDDEN, "a client certificate is required\n").into(),
            };
        }
        // By TLS, a browser knows that the name is ours.
        if endpoint.changes()
            && is_of_another_site(headers, settings.token.is_some() || settings.tls.is_some())
        {
            return Page::problem(StatusCode::FORBIDDEN, "a page of another site may not ask for this")
                .into();
        }
        match endpoint {
            Endpoint::Index if !is_browser(headers) => Page::text(StatusCode::OK, Endpoint::index()),
            Endpoint::Index | Endpoint::Asset => return asset(uri.path()),
            Endpoint::Events => return self.watch(),
            Endpoint::Livez => Page::text(StatusCode::OK, "ok\n"),
            Endpoint::Readyz => self.readyz(uri.query()).await,
            Endpoint::Metrics => self.metrics(headers),
            Endpoint::Sessions => self.sessions.list(Query::parse(uri.query())).await,
            Endpoint::Session => self.sessions.end(rest.to_owned()).await,
            Endpoint::Upstreams => Page::json(StatusCode::OK, &shown_upstreams(&(self.upstreams)())),
            Endpoint::Nodes => Page::json(StatusCode::OK, &shown(&(self.sights)())),
            Endpoint::Differing => self.control.differing(uri.query().unwrap_or_default()),
            Endpoint::Reload => self.control.reload().await,
            Endpoint::Drain => self.control.drain(),
            Endpoint::OpenApi => {
                Page { status: StatusCode::OK, media_type: JSON, body: Bytes::from_static(OPENAPI) }
            }
        }
        .into()
    }

    /// A browser shows text, and would save what it does not know.
    fn metrics(&self, headers: &HeaderMap) -> Page {
        let text = self.metrics.render();
        if is_browser(headers) {
            return Page::text(StatusCode::OK, text);
        }
        Page { status: StatusCode::OK, media_type: Metrics::CONTENT_TYPE, body: text.into() }
    }

    /// Only one parameter has a meaning; names of upstreams need no escapes.
    async fn readyz(&self, query: Option<&str>) -> Page {
        let mut parameters = query.unwrap_or_default().split('&');
        let name = parameters.find_map(|one| one.strip_prefix("upstream="));
        let (status, text) = (self.readiness)().await.answer(name);
        Page::text(status, text)
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for Admin {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, _) = request.into_parts();
        Box::pin(self.clone().respond(head).map(Ok))
    }
}

/// Returns whether a browser asks, for a person.
fn is_browser(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

/// Returns a file of the page.
fn asset(path: &str) -> Response<Body> {
    let file = assets::at(path).unwrap_or_else(|| Page::text(StatusCode::NOT_FOUND, "not found\n"));
    let mut response = file.into();
    assets::guard(&mut response);
    response
}

/// The description of all this for programs.
const OPENAPI: &[u8] = include_bytes!("openapi.json");

#[cfg(test)]
mod tests;

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
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
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
use crate::meter::Metrics;

/// Determines the readiness, within the time that a probe waits.
pub type Readiness = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = State> + Send>> + Send + Sync>;

/// Returns the nodes of the cluster, and the processes of this host.
pub type Sights = Arc<dyn Fn() -> Seen + Send + Sync>;

/// Returns the upstreams.
pub type Upstreams = Arc<dyn Fn() -> Vec<SeenUpstream> + Send + Sync>;

/// Returns the dialect of each route, by its path and its upstream.
pub type Dialects = Arc<dyn Fn() -> Vec<(String, String, &'static str)> + Send + Sync>;

/// Returns the token that operators have, as the value of `Authorization`, if they need one.
pub type Token = Arc<dyn Fn() -> Option<HeaderValue> + Send + Sync>;

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
    /// What one must know to ask anything but its health.
    pub token: Token,
}

impl Admin {
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
        let token = (self.token)();
        if !endpoint.is_health() && token.as_ref().is_some_and(|token| !has_token(headers, token)) {
            return ask_for_token();
        }
        if endpoint.changes() && is_of_another_site(headers, token.is_some()) {
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
mod tests {
    use std::collections::BTreeSet;
    use std::future::ready;

    use http::Method;
    use http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
    use http_body_util::BodyExt;
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;

    use super::*;
    use crate::bridge::Registry;
    use crate::upstream::Health;

    #[tokio::test]
    async fn a_process_that_answers_is_alive() {
        assert_eq!(ask(&admin(), Method::GET, "/livez").await, (StatusCode::OK, "ok\n".to_owned()));
    }

    #[tokio::test]
    async fn draining_makes_it_unready_yet_alive() {
        let mut admin = admin();
        admin.readiness = Arc::new(|| Box::pin(ready(State { draining: true, ..State::default() })));
        assert_eq!(ask(&admin, Method::GET, "/livez").await.0, StatusCode::OK);
        let answer = ask(&admin, Method::GET, "/readyz").await;
        assert_eq!(answer, (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned()));
    }

    #[tokio::test]
    async fn readyz_may_be_asked_for_one_upstream() {
        for (query, status) in [("?upstream=a", 200), ("?x=y&upstream=b&z", 503), ("?upstream=c", 404)] {
            let answer = ask(&admin(), Method::GET, &format!("/readyz{query}")).await;
            assert_eq!(answer.0, status, "{query}");
            assert!(answer.1.ends_with("upstream a is up\nupstream b is down\n"), "{}", answer.1);
        }
        for other in ["", "?", "?verbose", "?upstreams=c", "?upstream"] {
            assert_eq!(
                ask(&admin(), Method::GET, &format!("/readyz{other}")).await.0,
                StatusCode::OK,
                "{other}"
            );
        }
    }

    #[tokio::test]
    async fn metrics_come_in_the_format_they_say() {
        let response = admin().oneshot(request(Method::GET, "/metrics")).await.unwrap();
        assert_eq!(
            response.headers()[CONTENT_TYPE],
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        );
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert!(text.ends_with(b"# EOF\n"));
    }

    #[tokio::test]
    async fn a_browser_is_shown_metrics_as_text() {
        let mut asked = request(Method::GET, "/metrics");
        let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        asked.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
        let response = admin().oneshot(asked).await.unwrap();
        assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
    }

    #[tokio::test]
    async fn a_browser_gets_a_page_that_loads_nothing_from_elsewhere() {
        let mut asked = request(Method::GET, "/");
        asked.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"));
        let page = admin().oneshot(asked).await.unwrap();
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'") && !policy.contains("unsafe"));
        let html = page.into_body().collect().await.unwrap().to_bytes();
        let html = String::from_utf8(html.into()).unwrap();
        for what in [" src=\"", " href=\""] {
            for named in html.split(what).skip(1).map(|rest| rest.split('"').next().unwrap()) {
                assert_eq!(
                    ask(&admin(), Method::GET, &format!("/{named}")).await.0,
                    StatusCode::OK,
                    "{named}"
                );
            }
        }
    }

    #[tokio::test]
    async fn with_a_token_only_the_health_is_told_without_it() {
        let mut admin = admin();
        admin.token = Arc::new(|| Some(HeaderValue::from_static("Bearer a-long-secret")));
        for (path, status) in
            [("/livez", 200), ("/readyz", 200), ("/nowhere", 404), ("/", 401), ("/metrics", 401)]
        {
            assert_eq!(ask(&admin, Method::GET, path).await.0, status, "{path}");
        }
        let mut asked = request(Method::GET, "/metrics");
        let refused = admin.clone().oneshot(request(Method::GET, "/metrics")).await.unwrap();
        assert!(refused.headers()[WWW_AUTHENTICATE].as_bytes().starts_with(b"Basic realm="));
        asked.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer a-long-secret"));
        assert_eq!(admin.oneshot(asked).await.unwrap().status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn the_description_for_programs_names_each_path_with_its_methods() {
        let (status, text) = ask(&admin(), Method::GET, "/api/openapi.json").await;
        assert_eq!(status, StatusCode::OK);
        let described: serde_json::Value = serde_json::from_str(&text).unwrap();
        let described: BTreeSet<(String, String)> = described["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().keys().filter(|key| *key != "parameters");
                methods.map(|method| (path.clone(), method.to_ascii_uppercase()))
            })
            .collect();
        assert_eq!(described, Endpoint::documented());
    }

    #[tokio::test]
    async fn the_index_names_what_is_there() {
        let (status, text) = ask(&admin(), Method::GET, "/").await;
        assert_eq!(status, StatusCode::OK);
        for path in ["/livez", "/readyz", "/metrics", "/api/upstreams", "/api/nodes"] {
            assert!(text.contains(path), "{text}");
        }
    }

    #[tokio::test]
    async fn a_path_is_matched_whole_and_without_its_query() {
        assert_eq!(ask(&admin(), Method::GET, "/livez?verbose=1").await.0, StatusCode::OK);
        for path in ["/livez/", "/metrics/x", "/favicon.ico", "//"] {
            assert_eq!(ask(&admin(), Method::GET, path).await.0, StatusCode::NOT_FOUND, "{path}");
        }
        assert_eq!(ask(&admin(), Method::POST, "/nowhere").await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn other_methods_are_told_which_are_allowed() {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let response = admin().oneshot(request(method, "/readyz")).await.unwrap();
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(response.headers()[ALLOW], "GET, HEAD");
        }
        assert_eq!(ask(&admin(), Method::HEAD, "/readyz").await.0, StatusCode::OK);
    }

    fn admin() -> Admin {
        let upstream = |name: &str, health| UpstreamState { name: name.to_owned(), required: false, health };
        let upstreams = vec![upstream("a", Health::Up), upstream("b", Health::Down)];
        let state = State { upstreams, ..State::default() };
        let control = Control {
            reload: Arc::new(|| Box::pin(ready(Ok(())))),
            differing: Arc::new(|_| serde_json::Value::Null),
            drain: CancellationToken::new(),
            stop: CancellationToken::new(),
        };
        let sessions = Sessions(Registry::new(1));
        Admin {
            metrics: Metrics::new(),
            readiness: Arc::new(move || Box::pin(ready(state.clone()))),
            upstreams: Arc::new(Vec::new),
            sights: Arc::new(Seen::default),
            sessions,
            dialects: Arc::new(Vec::new),
            control,
            token: Arc::new(|| None),
        }
    }

    fn request(method: Method, path: &str) -> Request<()> {
        Request::builder().method(method).uri(path).body(()).unwrap()
    }

    async fn ask(admin: &Admin, method: Method, path: &str) -> (StatusCode, String) {
        let response = admin.clone().oneshot(request(method, path)).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.into()).unwrap())
    }
}

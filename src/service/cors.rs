//! CORS (the Fetch standard, "CORS protocol"): the headers that allow a page of another origin to read a response. The
//! rules, and the one place where they are applied to every response of a route.
//!
//! This is about reading responses; `allowed_origins` decides who may connect, and is checked when a session begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use moka::sync::Cache;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Response;
use super::settings::{Cors, HeaderRules, OwnCors};
use crate::transport::Body;

/// A route's rule with its state, and other headers of the route's responses.
#[derive(Debug)]
pub(super) struct CorsLayer {
    rule: Rule,
    /// The other headers, if the route sets or removes any.
    own: Option<HeaderRules>,
}

/// The default rule of a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DefaultRule {
    /// The backend's.
    Backend,
    /// That of a backend of Engine.IO 3.
    OldBackend,
    /// The dialect's.
    Dialect,
}

#[derive(Debug)]
enum Rule {
    Off,
    /// The dialect's own rule, whose headers are already on its responses.
    Dialect,
    Mirror(Box<RecentHeaders>),
    /// The rule of a server of Engine.IO 3, which allows every origin, and says so only on polling.
    Old,
    Own(Box<Own>),
}

/// What is kept of a request until its response is ready: its `Origin`, if the response depends on it.
///
/// A copy: a header's value would keep the whole buffer of the request.
#[derive(Clone, Default, Debug)]
pub(super) struct Asked(Option<Box<[u8]>>);

/// Marks a response for which the backend could set CORS headers itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FromBackend {
    /// It accepted a session: headers that it did not set are not wanted.
    Accepted,
    /// It answered something else, where many servers omit CORS.
    Other,
}

impl CorsLayer {
    /// Creates the layer of a route, whose rule is `default` unless the route sets one.
    pub(super) fn new(settings: &Cors, default: DefaultRule, own: HeaderRules) -> Self {
        Self {
            own: (!own.0.is_empty()).then_some(own),
            rule: match settings {
                Cors::Off => Rule::Off,
                Cors::Mirror => match default {
                    DefaultRule::Backend => Rule::Mirror(Box::default()),
                    DefaultRule::OldBackend => Rule::Old,
                    DefaultRule::Dialect => Rule::Dialect,
                },
                Cors::Own(own) => Rule::Own(Box::new(Own::new(own))),
            },
        }
    }

    /// Reads a request, before it is handled.
    pub(super) fn ask(&self, headers: &HeaderMap) -> Asked {
        if matches!(self.rule, Rule::Off | Rule::Dialect) {
            return Asked::default();
        }
        let Some(origin) = headers.get(ORIGIN) else { return Asked::default() };
        let matters = match &self.rule {
            Rule::Off | Rule::Dialect => false,
            Rule::Mirror(_) | Rule::Old => origin.len() <= ORIGIN_LEN_MAX,
            Rule::Own(own) => own.echoes(origin),
        };
        Asked(matters.then(|| origin.as_bytes().into()))
    }

    /// Returns the response to an `OPTIONS` request if the route's own rule answers it, as the reference's middleware
    /// does, which treats every `OPTIONS` as a preflight.
    pub(super) fn answer_preflight(&self, head: &Parts, asked: &Asked) -> Option<Response> {
        match &self.rule {
            Rule::Own(own) if head.method == Method::OPTIONS => {
                Some(own.answer_preflight(&head.headers, asked))
            }
            Rule::Off | Rule::Dialect | Rule::Mirror(_) | Rule::Old | Rule::Own(_) => None,
        }
    }

    /// Returns the response to an `OPTIONS` request of a session, if servers of Engine.IO 3 have one.
    pub(super) fn answer_options(&self, head: &Parts) -> Option<Response> {
        (matches!(self.rule, Rule::Old) && head.method == Method::OPTIONS).then(|| {
            let mut response = Response::new(Body::default());
            let allowed = HeaderValue::from_static("Content-Type");
            response.headers_mut().insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
            response
        })
    }

    /// Returns whether the backend must be asked first: its middleware, if any, treats every `OPTIONS` as a preflight.
    pub(super) fn mirrors_options(&self, head: &Parts) -> bool {
        matches!(self.rule, Rule::Mirror(_)) && head.method == Method::OPTIONS
    }

    /// Admits a preflight to the backend; `None` if there are too many.
    pub(super) fn admit_preflight(&self) -> Option<SemaphorePermit<'_>> {
        match &self.rule {
            Rule::Mirror(recent) => recent.preflights.try_acquire().ok(),
            Rule::Off | Rule::Dialect | Rule::Old | Rule::Own(_) => None,
        }
    }

    /// Returns whether sessions keep their backend's CORS headers.
    pub(super) fn mirrors(&self) -> bool {
        matches!(self.rule, Rule::Mirror(_))
    }

    /// Learns the backend's headers from another node's response, for those that this node gives once the other has gone.
    pub(super) fn hear(&self, asked: &Asked, headers: &HeaderMap) {
        if let (Rule::Mirror(recent), Some(origin)) = (&self.rule, &asked.0)
            && headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN)
            && !recent.heard.contains_key(origin)
        {
            recent.remember(origin, headers);
        }
    }

    /// Sets the route's headers on a response.
    pub(super) fn apply(&self, asked: &Asked, response: &mut Response) {
        let from_backend = response.extensions_mut().remove::<FromBackend>();
        let status = response.status();
        let headers = response.headers_mut();
        match &self.rule {
            Rule::Off => strip(headers),
            Rule::Dialect => {}
            Rule::Mirror(recent) => recent.apply(asked, from_backend, headers),
            // An old server adds no headers to a refusal.
            Rule::Old if matches!(status, StatusCode::SWITCHING_PROTOCOLS | StatusCode::FORBIDDEN) => {}
            Rule::Old => {
                if let Some(Ok(origin)) = asked.0.as_deref().map(HeaderValue::from_bytes) {
                    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
                } else {
                    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
                }
            }
            Rule::Own(own) => {
                strip(headers);
                own.apply(asked, headers);
            }
        }
        if let Some(own) = &self.own {
            own.apply(headers);
        }
    }
}

/// The backend's last CORS headers for each origin. Responses that did not come from the backend get them too;
/// otherwise a browser would report a network error to its page instead of a 502.
#[derive(Debug)]
struct RecentHeaders {
    heard: Cache<Box<[u8]>, Arc<HeaderMap>>,
    /// Whether there is anything to remember. Most backends set no CORS headers; then no response waits for a look-up.
    has_heard: AtomicBool,
    preflights: Semaphore,
}

impl Default for RecentHeaders {
    fn default() -> Self {
        let heard = Cache::builder().max_capacity(ORIGINS_MAX).time_to_live(MEMORY).build();
        Self { heard, has_heard: AtomicBool::new(false), preflights: Semaphore::new(PREFLIGHTS_MAX) }
    }
}

impl RecentHeaders {
    fn apply(&self, asked: &Asked, from_backend: Option<FromBackend>, headers: &mut HeaderMap) {
        let Some(origin) = &asked.0 else { return };
        if from_backend.is_none() && !self.has_heard.load(Ordering::Relaxed) {
            return;
        }
        match (from_backend, headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN)) {
            (Some(_), true) => self.remember(origin, headers),
            (Some(FromBackend::Accepted), false) => self.heard.invalidate(origin),
            // The session's responses already have its backend's headers.
            (None, true) => {}
            (Some(FromBackend::Other) | None, false) => {
                if let Some(heard) = self.heard.get(origin) {
                    for (name, value) in &*heard {
                        if name == VARY {
                            vary(headers, value);
                        } else {
                            headers.insert(name.clone(), value.clone());
                        }
                    }
                }
            }
        }
    }

    fn remember(&self, origin: &[u8], headers: &HeaderMap) {
        // The other headers of a preflight's response only concern its request.
        let kept =
            [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_EXPOSE_HEADERS];
        let mut heard: HeaderMap =
            kept.into_iter().filter_map(|name| Some((name.clone(), owned(headers.get(&name)?)?))).collect();
        for value in headers.get_all(VARY) {
            vary(&mut heard, value);
        }
        if heard.values().map(HeaderValue::len).sum::<usize>() > HEARD_LEN_MAX {
            return;
        }
        // Most responses repeat the remembered headers.
        if self.heard.get(origin).is_none_or(|before| *before != heard) {
            self.heard.insert(origin.into(), Arc::new(heard));
            self.has_heard.store(true, Ordering::Relaxed);
        }
    }
}

/// Returns whether an `OPTIONS` request is a browser's preflight (the Fetch standard, "CORS-preflight request").
pub(super) fn is_preflight(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Our own list, and the headers derived from it.
#[derive(Debug)]
struct Own {
    origins: Vec<String>,
    /// The value for every origin is `*`.
    star: bool,
    credentials: bool,
    methods: Option<HeaderValue>,
    /// `None` echoes the requested headers.
    headers: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
}

impl Own {
    fn new(settings: &OwnCors) -> Self {
        let join = |words: &[String]| HeaderValue::try_from(words.join(",")).ok();
        let any = settings.origins.iter().any(|origin| origin == "*");
        Self {
            origins: settings.origins.clone(),
            // Browsers don't accept `*` for a request with credentials, so the origin is named then.
            star: any && !settings.credentials,
            credentials: settings.credentials,
            methods: join(&settings.methods).filter(|methods| !methods.is_empty()),
            headers: settings.headers.as_deref().and_then(join),
            max_age: settings.max_age.map(|age| HeaderValue::from(age.as_secs())),
        }
    }

    /// Returns whether the response names this origin.
    fn echoes(&self, origin: &HeaderValue) -> bool {
        let fits = |one: &String| one == "*" || origin.as_bytes().eq_ignore_ascii_case(one.as_bytes());
        !self.star && self.origins.iter().any(fits)
    }

    fn apply(&self, asked: &Asked, headers: &mut HeaderMap) {
        if self.star {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        } else {
            if let Some(Ok(origin)) = asked.0.as_deref().map(HeaderValue::from_bytes) {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            }
            vary(headers, &HeaderValue::from_static("Origin"));
        }
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }

    fn answer_preflight(&self, question: &HeaderMap, asked: &Asked) -> Response {
        let mut response = Response::new(Body::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        self.apply(asked, headers);
        if let Some(methods) = &self.methods {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
        }
        let allowed = if let Some(allowed) = &self.headers {
            Some(allowed.clone())
        } else {
            vary(headers, &HeaderValue::from_static("Access-Control-Request-Headers"));
            question.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned()
        };
        if let Some(allowed) = allowed.filter(|allowed| !allowed.is_empty()) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        }
        if let Some(max_age) = &self.max_age {
            headers.insert(ACCESS_CONTROL_MAX_AGE, max_age.clone());
        }
        // The middleware's `Content-Length: 0` is left out: a 204 must not have one (RFC 9110, section 8.6).
        response
    }
}

/// Returns the CORS headers of a backend's acceptance, for the session's later responses; `None` without any.
pub(super) fn mirrored(headers: &HeaderMap) -> Option<Box<HeaderMap>> {
    let mut kept: HeaderMap = headers
        .iter()
        .filter(|(name, _)| is_cors(name))
        .filter_map(|(name, value)| Some((name.clone(), owned(value)?)))
        .collect();
    if kept.is_empty() {
        return None;
    }
    for value in headers.get_all(VARY) {
        vary(&mut kept, value);
    }
    Some(Box::new(kept))
}

/// Removes a backend's CORS headers from a response, and the fields of `Vary` that belong to them.
fn strip(headers: &mut HeaderMap) {
    let unwanted: Vec<HeaderName> = headers.keys().filter(|name| is_cors(name)).cloned().collect();
    if unwanted.is_empty() {
        return;
    }
    for name in unwanted {
        headers.remove(name);
    }
    let before: Vec<HeaderValue> = headers.get_all(VARY).iter().cloned().collect();
    headers.remove(VARY);
    for value in before {
        let ours = |field: &&str| {
            [ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS]
                .iter()
                .any(|name| field.eq_ignore_ascii_case(name.as_str()))
        };
        let left: Vec<&str> = fields(&value).filter(|field| !ours(field)).collect();
        if let Ok(left) = HeaderValue::from_str(&left.join(", ")) {
            vary(headers, &left);
        }
    }
}

fn is_cors(name: &HeaderName) -> bool {
    name.as_str().starts_with("access-control-")
}

/// Adds fields to `Vary` that it does not name yet, in one line.
fn vary(headers: &mut HeaderMap, more: &HeaderValue) {
    let mut line: Vec<String> = headers.get_all(VARY).iter().flat_map(fields).map(str::to_owned).collect();
    for field in fields(more) {
        if !line.iter().any(|named| named == "*" || named.eq_ignore_ascii_case(field)) {
            line.push(field.to_owned());
        }
    }
    if let Ok(line) = HeaderValue::try_from(line.join(", "))
        && !line.is_empty()
    {
        headers.insert(VARY, line);
    }
}

fn fields(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value.to_str().unwrap_or_default().split(',').map(str::trim).filter(|field| !field.is_empty())
}

/// Returns a copy that does not keep the buffer of the response that it was read from.
fn owned(value: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).ok()
}

/// How many origins of a route are remembered.
const ORIGINS_MAX: u64 = 1000;
const MEMORY: Duration = Duration::from_hours(1);
/// A host's name has at most 253 characters; no browser sends a longer origin.
const ORIGIN_LEN_MAX: usize = 300;
/// What is remembered for one origin.
const HEARD_LEN_MAX: usize = 1024;
/// How many preflights of a route may be pending: each holds a connection to the backend.
const PREFLIGHTS_MAX: usize = 256;
/// How many of them may be one client's.
pub(super) const PREFLIGHTS_OF_ONE: usize = PREFLIGHTS_MAX / 4;

#[cfg(test)]
mod tests;

//! CORS (the Fetch standard, "CORS protocol"): which headers tell a browser that a page of another origin may read an
//! answer. The rules, and the one place where they meet every answer of a route.
//!
//! This is about reading answers; who may connect at all is `allowed_origins`, checked when a session begins.

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

/// A route's rule, at work, and what else the route has to say on its answers.
#[derive(Debug)]
pub(super) struct CorsLayer {
    rule: Rule,
    own: HeaderRules,
}

/// Whose rule holds where the route says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Voice {
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
    /// The dialect's own, which is on its answers already.
    Dialect,
    Mirror(Box<Memory>),
    /// The mirror of a server of Engine.IO 3, which lets in everybody and says so in polling alone.
    Old,
    Own(Box<Own>),
}

/// What is kept of a request until its answer is there: its `Origin`, where the answer depends on it.
///
/// A copy: a header's value would keep the whole buffer that the request was read into.
#[derive(Clone, Default, Debug)]
pub(super) struct Asked(Option<Box<[u8]>>);

/// Marks an answer in which the backend itself had the chance to speak of CORS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FromBackend {
    /// It accepted a session: whatever it did not say, it does not want said.
    Accepted,
    /// It answered something else, where many servers leave CORS out.
    Other,
}

impl CorsLayer {
    /// Creates the layer of a route, whose rule is `voice`'s unless the route says it.
    pub(super) fn new(settings: &Cors, voice: Voice, own: HeaderRules) -> Self {
        Self {
            own,
            rule: match settings {
                Cors::Off => Rule::Off,
                Cors::Mirror => match voice {
                    Voice::Backend => Rule::Mirror(Box::default()),
                    Voice::OldBackend => Rule::Old,
                    Voice::Dialect => Rule::Dialect,
                },
                Cors::Own(own) => Rule::Own(Box::new(Own::new(own))),
            },
        }
    }

    /// Looks at a request, before anything else is done with it.
    pub(super) fn ask(&self, head: &Parts) -> Asked {
        let Some(origin) = head.headers.get(ORIGIN) else { return Asked::default() };
        let matters = match &self.rule {
            Rule::Off | Rule::Dialect => false,
            Rule::Mirror(_) | Rule::Old => origin.len() <= ORIGIN_LEN_MAX,
            Rule::Own(own) => own.echoes(origin),
        };
        Asked(matters.then(|| origin.as_bytes().into()))
    }

    /// Returns the answer to an `OPTIONS` request, where it is the route's own to give: as the reference's middleware,
    /// which takes every `OPTIONS` for a preflight.
    pub(super) fn answer_preflight(&self, head: &Parts, asked: &Asked) -> Option<Response> {
        match &self.rule {
            Rule::Own(own) if head.method == Method::OPTIONS => {
                Some(own.answer_preflight(&head.headers, asked))
            }
            Rule::Off | Rule::Dialect | Rule::Mirror(_) | Rule::Old | Rule::Own(_) => None,
        }
    }

    /// Returns the answer to an `OPTIONS` request of a session, where servers of Engine.IO 3 have one.
    pub(super) fn answer_options(&self, head: &Parts) -> Option<Response> {
        (matches!(self.rule, Rule::Old) && head.method == Method::OPTIONS).then(|| {
            let mut response = Response::new(Body::default());
            let allowed = HeaderValue::from_static("Content-Type");
            response.headers_mut().insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
            response
        })
    }

    /// Returns whether the backend is to be asked first: its middleware, if it has one, takes every `OPTIONS` for a
    /// preflight.
    pub(super) fn mirrors_options(&self, head: &Parts) -> bool {
        matches!(self.rule, Rule::Mirror(_)) && head.method == Method::OPTIONS
    }

    /// Returns a place among the preflights that are on their way to the backend; `None` when there are too many.
    pub(super) fn admit_preflight(&self) -> Option<SemaphorePermit<'_>> {
        match &self.rule {
            Rule::Mirror(memory) => memory.preflights.try_acquire().ok(),
            Rule::Off | Rule::Dialect | Rule::Old | Rule::Own(_) => None,
        }
    }

    /// Returns whether sessions keep what their backend said.
    pub(super) fn mirrors(&self) -> bool {
        matches!(self.rule, Rule::Mirror(_))
    }

    /// Puts the route's word on an answer.
    pub(super) fn apply(&self, asked: &Asked, response: &mut Response) {
        let from_backend = response.extensions_mut().remove::<FromBackend>();
        let status = response.status();
        let headers = response.headers_mut();
        match &self.rule {
            Rule::Off => strip(headers),
            Rule::Dialect => {}
            Rule::Mirror(memory) => memory.apply(asked, from_backend, headers),
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
        self.own.apply(headers);
    }
}

/// What the backend last said to each origin: the answers that never reached it carry that too, or a browser would tell
/// its page of a broken network where it was a 502.
#[derive(Debug)]
struct Memory {
    heard: Cache<Box<[u8]>, Arc<HeaderMap>>,
    /// Whether there has been anything to remember. Most backends say nothing, and then no answer is held up by a
    /// look-up.
    has_heard: AtomicBool,
    preflights: Semaphore,
}

impl Default for Memory {
    fn default() -> Self {
        let heard = Cache::builder().max_capacity(ORIGINS_MAX).time_to_live(MEMORY).build();
        Self { heard, has_heard: AtomicBool::new(false), preflights: Semaphore::new(PREFLIGHTS_MAX) }
    }
}

impl Memory {
    fn apply(&self, asked: &Asked, from_backend: Option<FromBackend>, headers: &mut HeaderMap) {
        let Some(origin) = &asked.0 else { return };
        match (from_backend, headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN)) {
            (Some(_), true) => self.remember(origin, headers),
            (Some(FromBackend::Accepted), false) => self.heard.invalidate(origin),
            // What a session's backend said is on the session's answers already.
            (None, true) => {}
            (Some(FromBackend::Other) | None, false) => {
                if self.has_heard.load(Ordering::Relaxed)
                    && let Some(heard) = self.heard.get(origin)
                {
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
        // What else a preflight says is about its request alone.
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
        // Most answers repeat what was heard before.
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

/// A list of our own, and the headers that follow from it.
#[derive(Debug)]
struct Own {
    origins: Vec<String>,
    /// Every origin is named alike: `*`.
    star: bool,
    credentials: bool,
    methods: Option<HeaderValue>,
    /// `None` echoes what is asked for.
    headers: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
}

impl Own {
    fn new(settings: &OwnCors) -> Self {
        let join = |words: &[String]| HeaderValue::try_from(words.join(",")).ok();
        let any = settings.origins.iter().any(|origin| origin == "*");
        Self {
            origins: settings.origins.clone(),
            // Browsers take no `*` for an answer to a request with credentials, so the origin is named then.
            star: any && !settings.credentials,
            credentials: settings.credentials,
            methods: join(&settings.methods).filter(|methods| !methods.is_empty()),
            headers: settings.headers.as_deref().and_then(join),
            max_age: settings.max_age.map(|age| HeaderValue::from(age.as_secs())),
        }
    }

    /// Returns whether the answer names this origin.
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

/// Returns the CORS headers with which a backend accepted a session, for the session's later answers; `None` without
/// any.
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

/// Takes a backend's CORS headers off an answer, and what its `Vary` said because of them.
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

/// Returns a copy that does not keep the buffer of the answer that it was read from.
fn owned(value: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).ok()
}

/// How many origins of a route are remembered, and for how long.
const ORIGINS_MAX: u64 = 1000;
const MEMORY: Duration = Duration::from_hours(1);
/// A host's name has at most 253 characters; longer origins are no browser's.
const ORIGIN_LEN_MAX: usize = 300;
/// What is remembered for one origin.
const HEARD_LEN_MAX: usize = 1024;
/// How many preflights of a route may be on their way: each holds a connection to the backend.
const PREFLIGHTS_MAX: usize = 256;

#[cfg(test)]
mod tests;

//! A request, as far as it is known, its line and its span.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::header::USER_AGENT;
use http::request::Parts;
use http::{Extensions, HeaderValue, Method, Uri, Version};
use tokio::time::Instant;

use super::line::{Combined, Line, Value};
use crate::spans::{Attribute, Span, Spans};
use crate::trace_context::TraceContext;

/// A request of a client. It is in the request's extensions, where what serves it adds what it learns.
#[derive(Debug)]
pub struct Request {
    began: Instant,
    method: Method,
    version: Version,
    agent: Option<HeaderValue>,
    /// The length of its body, if it says so.
    body_len: Option<u64>,
    /// Whether its query is written where its target is.
    shows_query: bool,
    learned: Mutex<Learned>,
}

/// What only shows while a request is served.
#[derive(Clone, Default, Debug)]
struct Learned {
    client: Option<IpAddr>,
    met: Option<Met>,
    /// What operators call its session.
    session: Option<String>,
    target: Option<String>,
    /// By which other processes know it.
    request_id: Option<String>,
    trace: Option<Traced>,
    /// What it does, if that is worth a span.
    operation: Option<&'static str>,
}

/// The trace that a request is part of.
#[derive(Clone, Debug)]
pub struct Traced {
    /// The trace, and the request's own span.
    pub context: TraceContext,
    /// The span that it came from.
    pub parent: Option<u64>,
    /// Where spans are sent, if they are.
    pub spans: Option<Spans>,
}

/// The route that a request has met.
#[derive(Clone, Debug)]
pub struct Met {
    /// Its name.
    pub route: String,
    /// Its path.
    pub path: String,
    /// Its dialect, by the name in the configuration.
    pub dialect: &'static str,
    /// The name of its upstream.
    pub upstream: String,
}

impl Request {
    /// Creates one that has just come from this client, or from a proxy in front of it.
    pub(super) fn new(
        head: &Parts,
        body_len: Option<u64>,
        client: Option<IpAddr>,
        shows_query: bool,
    ) -> Self {
        Self {
            began: Instant::now(),
            method: head.method.clone(),
            version: head.version,
            agent: head.headers.get(USER_AGENT).cloned(),
            body_len,
            shows_query,
            learned: Mutex::new(Learned { client, ..Learned::default() }),
        }
    }

    /// Returns the request whose extensions these are, if it will have a line.
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get::<Arc<Self>>().map(|request| &**request)
    }

    /// Returns whether it only asks for a response's header.
    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// Notes its route, and its client's address as the proxies in front tell it.
    pub fn meet(&self, met: Met, client: Option<IpAddr>) {
        let mut learned = self.learned();
        (learned.met, learned.client) = (Some(met), client);
    }

    /// Notes its target, which has no secrets of this proxy's.
    pub fn aim(&self, target: &Uri) {
        let path = target.path();
        let query = target.query().filter(|_| self.shows_query);
        self.learned().target =
            Some(query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}")));
    }

    /// Notes by what other processes know it.
    pub fn mark(&self, request_id: Option<String>, trace: Option<Traced>) {
        let mut learned = self.learned();
        (learned.request_id, learned.trace) = (request_id, trace);
    }

    /// Notes what it does, which is worth a span.
    pub fn operate(&self, operation: &'static str) {
        self.learned().operation = Some(operation);
    }

    /// Notes its session, by the name that operators know, and where that leads.
    pub fn find_session(&self, name: String, upstream: &str) {
        let mut learned = self.learned();
        learned.session = Some(name);
        if let Some(met) = &mut learned.met {
            // A session keeps the upstream that it began with.
            upstream.clone_into(&mut met.upstream);
        }
    }

    /// Sends its span, if it has one, now that it is over.
    pub(super) fn send_span(&self, status: Option<u16>) {
        let learned = self.learned();
        let Some((Traced { context, parent, spans: Some(spans) }, operation)) =
            learned.trace.as_ref().zip(learned.operation)
        else {
            return;
        };
        if !context.is_sampled {
            return;
        }
        let took = self.began.elapsed();
        spans.send(Span {
            context: *context,
            parent: *parent,
            name: learned
                .met
                .as_ref()
                .map_or_else(|| operation.to_owned(), |met| format!("{operation} {}", met.path)),
            began: SystemTime::now().checked_sub(took).unwrap_or(SystemTime::UNIX_EPOCH),
            took,
            attributes: self.attributes(&learned, operation, status),
            has_failed: status.is_none_or(|status| status >= 500),
        });
    }

    /// Returns what is known of it, by the names of OpenTelemetry's conventions where there are some.
    fn attributes(
        &self,
        learned: &Learned,
        operation: &str,
        status: Option<u16>,
    ) -> Vec<(&'static str, Attribute)> {
        let text = |text: &str| Attribute::Text(text.to_owned());
        let mut known = vec![
            ("http.request.method", text(self.method.as_str())),
            ("network.protocol.version", text(protocol(self.version).trim_start_matches("HTTP/"))),
            ("polliwog.operation", text(operation)),
        ];
        known.extend(status.map(|status| ("http.response.status_code", Attribute::Number(status.into()))));
        known.extend(learned.client.map(|client| ("client.address", text(&client.to_string()))));
        known.extend(self.agent().map(|agent| ("user_agent.original", Attribute::Text(agent))));
        if let Some(Met { path, dialect, upstream, .. }) = &learned.met {
            known.push(("http.route", text(path)));
            known.push(("polliwog.dialect", text(dialect)));
            known.push(("polliwog.upstream", text(upstream)));
        }
        let target = learned.target.as_ref();
        known.extend(target.map(|target| ("url.path", text(target.split('?').next().unwrap_or_default()))));
        known.extend(learned.session.as_ref().map(|session| ("polliwog.session", text(session))));
        known.extend(learned.request_id.as_ref().map(|id| ("polliwog.request_id", text(id))));
        known
    }

    fn agent(&self) -> Option<String> {
        let agent = String::from_utf8_lossy(self.agent.as_ref()?.as_bytes());
        Some(agent.chars().take(AGENT_MAX).collect())
    }

    /// Returns its line, once it is over.
    pub(super) fn line(&self, status: Option<u16>, bytes: u64) -> RequestLine<'_> {
        let learned = self.learned().clone();
        RequestLine { request: self, learned, agent: self.agent(), status, bytes, took: self.began.elapsed() }
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is over.
#[derive(Debug)]
pub(super) struct RequestLine<'r> {
    request: &'r Request,
    learned: Learned,
    agent: Option<String>,
    /// `None` if its connection ended before there was a response.
    status: Option<u16>,
    /// How much of the response's body was taken.
    bytes: u64,
    took: Duration,
}

fn protocol(version: Version) -> String {
    format!("{version:?}")
}

impl Line for RequestLine<'_> {
    fn kind(&self) -> &'static str {
        "request"
    }

    fn client(&self) -> Option<IpAddr> {
        self.learned.client
    }

    fn fields(&self, put: &mut dyn FnMut(&'static str, Value<'_>)) {
        let Learned { met, session, target, request_id, trace, .. } = &self.learned;
        if let Some(session) = session {
            put("session", Value::Text(session));
        }
        if let Some(Met { route, dialect, upstream, .. }) = met {
            put("route", Value::Text(route));
            put("dialect", Value::Text(dialect));
            put("upstream", Value::Text(upstream));
        }
        put("method", Value::Text(self.request.method.as_str()));
        if let Some(target) = target {
            put("target", Value::Text(target));
        }
        put("protocol", Value::Text(&protocol(self.request.version)));
        if let Some(status) = self.status {
            put("status", Value::Number(status.into()));
        }
        put("seconds", Value::Seconds(self.took));
        if let Some(len) = self.request.body_len {
            put("bytes_from_client", Value::Number(len));
        }
        put("bytes_to_client", Value::Number(self.bytes));
        if let Some(id) = request_id {
            put("request_id", Value::Text(id));
        }
        if let Some(Traced { context, .. }) = trace {
            put("trace_id", Value::Text(&format!("{:032x}", context.trace)));
        }
        if let Some(agent) = &self.agent {
            put("agent", Value::Text(agent));
        }
    }

    fn combined(&self) -> Combined {
        let Learned { met, target, .. } = &self.learned;
        // Any other target may have a session's id in it.
        let target = target.as_deref().or(met.as_ref().map(|met| &*met.path)).unwrap_or("-");
        Combined {
            request: format!("{} {target} {}", self.request.method, protocol(self.request.version)),
            status: self.status,
            bytes: self.bytes,
            agent: self.agent.clone().unwrap_or_default(),
        }
    }
}

/// The most characters of a client's name for itself.
const AGENT_MAX: usize = 256;

//! The access log: a line for the end of each session, and for each request.

mod line;
mod request;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use http::StatusCode;
use http::request::Parts;

pub use self::line::Format;
use self::line::{Line, Value};
pub use self::request::{Met, Request, Traced};
use crate::end::End;
use crate::log_writer::{LogWriter, Target};
use crate::meter::Direction;
use crate::packet::Transport;
use crate::tally::Tally;

/// What is written, how, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// What has a line.
    pub detail: Detail,
    /// The form of a line.
    pub format: Format,
    /// Whether a target that is written has its query.
    pub query: bool,
    /// Where it is written.
    pub to: Target,
}

/// What has a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// Nothing.
    Off,
    /// The end of each session.
    Sessions,
    /// The same, and each request.
    Requests,
}

impl Default for Settings {
    fn default() -> Self {
        Self { detail: Detail::Off, format: Format::Text, query: false, to: Target::Stdout }
    }
}

/// The log of the process, which a reload may change.
#[derive(Clone, Default, Debug)]
pub struct AccessLog(Arc<Shared>);

#[derive(Default, Debug)]
struct Shared {
    active: ArcSwapOption<Active>,
    /// Whether requests have lines. Each request looks.
    has_requests: AtomicBool,
}

/// A log that is written.
#[derive(Debug)]
struct Active {
    settings: Settings,
    writer: LogWriter,
}

/// What a log becomes: everything that can fail is done.
#[derive(Debug)]
pub struct Prepared(Option<Arc<Active>>);

/// A session that has ended.
#[derive(Debug)]
pub struct SessionLine<'s> {
    /// What operators call it.
    pub session: String,
    /// Its route.
    pub route: String,
    /// Its dialect, by the name in the configuration.
    pub dialect: &'s str,
    /// Its last transport.
    pub transport: Transport,
    /// The name of its upstream.
    pub upstream: &'s str,
    /// What it has moved.
    pub tally: &'s Tally,
    /// Why it ended.
    pub end: End,
}

impl AccessLog {
    /// Opens what the settings name, unless it is open; `own` writes the log of the process to the standard error.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn prepare(&self, settings: &Settings, own: Option<&LogWriter>) -> io::Result<Prepared> {
        if settings.detail == Detail::Off {
            return Ok(Prepared(None));
        }
        let before = self.0.active.load();
        let open = before.as_ref().map(|active| &active.writer).into_iter().chain(own);
        let same = open.into_iter().find(|writer| *writer.target() == settings.to).cloned();
        let writer = match same {
            Some(writer) => writer,
            None => LogWriter::start("access", settings.to.clone())?,
        };
        Ok(Prepared(Some(Arc::new(Active { settings: settings.clone(), writer }))))
    }

    /// Writes as prepared from now on.
    pub fn replace(&self, next: Prepared) {
        let has_requests = next.0.as_ref().is_some_and(|next| next.settings.detail == Detail::Requests);
        self.0.active.store(next.0);
        self.0.has_requests.store(has_requests, Ordering::Relaxed);
    }

    /// Returns what writes it, if it is written.
    pub fn writer(&self) -> Option<LogWriter> {
        self.0.active.load().as_ref().map(|active| active.writer.clone())
    }

    /// Writes the line of a session, if it is written.
    pub fn session_ended<'s>(&self, session: impl FnOnce() -> SessionLine<'s>) {
        if let Some(active) = &*self.0.active.load() {
            active.write(&session(), SystemTime::now());
        }
    }

    /// Returns whether requests have lines.
    pub fn has_requests(&self) -> bool {
        self.0.has_requests.load(Ordering::Relaxed)
    }

    /// Begins the line and the span of a request, and adds the request to its extensions. Its header comes from this address;
    /// `body_len` is the length of its body, if it says so.
    pub fn begin(&self, head: &mut Parts, body_len: Option<u64>, peer: Option<IpAddr>) -> OpenRequest {
        let shows_query = self.0.active.load().as_ref().is_some_and(|active| active.settings.query);
        let request = Arc::new(Request::new(head, body_len, peer, shows_query));
        head.extensions.insert(Arc::clone(&request));
        OpenRequest { log: self.clone(), request, status: None, bytes: 0 }
    }
}

/// A request until the end of its response: then, or when it is dropped before, its line is written and its span sent.
#[derive(Debug)]
pub struct OpenRequest {
    log: AccessLog,
    request: Arc<Request>,
    status: Option<u16>,
    /// How much of the response's body was taken.
    bytes: u64,
}

impl OpenRequest {
    /// Notes the status of the response.
    pub fn answer(&mut self, status: StatusCode) {
        self.status = Some(status.as_u16());
    }

    /// Counts bytes of the response's body.
    pub fn count(&mut self, bytes: u64) {
        if !self.request.is_head() {
            self.bytes += bytes;
        }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        // Where lines go now. There is none if a reload has ended them in between.
        if self.log.has_requests()
            && let Some(active) = &*self.log.0.active.load()
        {
            active.write(&self.request.line(self.status, self.bytes), SystemTime::now());
        }
        self.request.send_span(self.status);
    }
}

impl Active {
    fn write(&self, line: &impl Line, now: SystemTime) {
        let mut text = Vec::with_capacity(256);
        line.write(self.settings.format, now, &mut text);
        self.writer.queue(&text);
    }
}

impl Line for SessionLine<'_> {
    fn kind(&self) -> &'static str {
        "session"
    }

    fn client(&self) -> Option<IpAddr> {
        self.tally.client()
    }

    fn fields(&self, put: &mut dyn FnMut(&'static str, Value<'_>)) {
        let moved = [Direction::FromClient, Direction::ToClient].map(|direction| self.tally.moved(direction));
        put("session", Value::Text(&self.session));
        put("route", Value::Text(&self.route));
        put("dialect", Value::Text(self.dialect));
        put("transport", Value::Text(self.transport.word()));
        put("upstream", Value::Text(self.upstream));
        put("seconds", Value::Seconds(self.tally.age()));
        put("messages_from_client", Value::Number(moved[0].messages));
        put("bytes_from_client", Value::Number(moved[0].bytes));
        put("messages_to_client", Value::Number(moved[1].messages));
        put("bytes_to_client", Value::Number(moved[1].bytes));
        put("reason", Value::Text(self.end.word()));
    }

    fn combined(&self) -> line::Combined {
        let Self { route, dialect, transport, tally, end, .. } = self;
        line::Combined {
            // Programs that read this format want a request here, and take what has no status for none.
            request: format!("SESSION {route} {dialect}/{}", transport.word()),
            status: None,
            bytes: tally.moved(Direction::ToClient).bytes,
            agent: format!("{} after {:.3}s", end.word(), tally.age().as_secs_f64()),
        }
    }
}

/// How long the end of the process waits for its logs.
pub const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;

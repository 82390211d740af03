//! The log lines about refused requests: one a minute for each route and reason, with a count.

use std::fmt::Display;

use http::HeaderMap;
use http::header::ORIGIN;
use tracing::field::display;

use crate::throttle::Throttle;
use crate::upstream::OpenError;

/// Writes the lines about one route, or by default about requests without a route.
#[derive(Default, Debug)]
pub struct Refusals {
    /// The route's path.
    route: Option<String>,
    lines: [Throttle; Reason::COUNT],
}

/// Why a request was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reason {
    /// There are already `max_sessions`.
    Full,
    /// Buffers take nearly all of `memory_max`.
    Memory,
    /// The proxy drains.
    Draining,
    /// The route does not accept the client's version of the protocol.
    Version,
    /// The page's origin is not among `allowed_origins`.
    Origin,
    /// The client's address is not among those that may meet the route.
    Address,
    /// The server that says who may come in was not reached.
    Auth,
    /// The client's token lets nobody in.
    Jwt,
    /// There are no keys by which tokens could be judged.
    NoKeys,
    /// Too many preflights are pending at the backend.
    Preflights,
    /// No route has the request's path and host.
    NoRoute,
    /// The request has passed through this proxy before.
    Circle,
    /// A proxy came without the route's token.
    Token,
    /// A proxy violated the protocol of `docs/mux.md`.
    Mux,
    /// The backend did not answer in time.
    Slow,
    /// The backend violated its protocol.
    Protocol,
    /// The backend's header is too large.
    HeaderTooLarge,
    /// Each of the backend's addresses has all the sessions that it may have.
    UpstreamFull,
    /// The process has reached its limit of open files.
    Descriptors,
    /// The system's random source failed.
    Randomness,
}

impl Reason {
    const COUNT: usize = Self::Randomness as usize + 1;

    const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Memory => "memory is scarce",
            Self::Draining => "draining",
            Self::Version => "unsupported version",
            Self::Origin => "foreign origin",
            Self::Address => "address not allowed",
            Self::Auth => "the auth server has not answered",
            Self::Jwt => "token",
            Self::NoKeys => "no keys for tokens",
            Self::Preflights => "too many preflights",
            Self::NoRoute => "no route",
            Self::Circle => "request loop",
            Self::Token => "wrong or missing token",
            Self::Mux => "the proxy violated the protocol",
            Self::Slow => "the upstream timed out",
            Self::Protocol => "the upstream violated its protocol",
            Self::HeaderTooLarge => "the upstream's response header is too large",
            Self::UpstreamFull => "the upstream is full",
            Self::Descriptors => "out of file descriptors",
            Self::Randomness => "the system's random source failed",
        }
    }
}

impl Refusals {
    /// Creates the lines of the route with this path.
    pub fn of(route: &str) -> Self {
        Self { route: Some(route.to_owned()), lines: Default::default() }
    }

    /// Counts a refusal, and writes the line if it is due.
    pub(super) fn note(&self, reason: Reason) {
        self.note_with(reason, None);
    }

    /// Counts a refusal; the line shows what this one was about.
    pub(super) fn note_with(&self, reason: Reason, detail: Option<&dyn Display>) {
        if let Some(count) = self.lines[reason as usize].count() {
            let (route, detail) = (self.route.as_deref(), detail.map(display));
            tracing::warn!(route, reason = reason.word(), detail, count, "refused");
        }
    }

    /// Counts a refusal of a page's origin.
    pub(super) fn note_origin(&self, headers: &HeaderMap) {
        let origin = headers.get(ORIGIN).map(|origin| shown(origin.as_bytes()));
        self.note_with(Reason::Origin, origin.as_ref().map(|origin| origin as &dyn Display));
    }

    /// Counts a refusal of a client's version.
    pub(super) fn note_version(&self, written: &str) {
        self.note_with(Reason::Version, Some(&shown(written.as_bytes())));
    }

    /// Counts a refusal because of the backend. A backend that is down has its own lines, one that refuses its own
    /// reasons.
    pub(super) fn note_upstream(&self, error: &OpenError) {
        match error {
            OpenError::Down(_) | OpenError::Refused(_) => {}
            OpenError::Slow(_) => self.note(Reason::Slow),
            OpenError::Protocol(detail) => self.note_with(Reason::Protocol, Some(detail)),
            OpenError::HeaderTooLarge => self.note(Reason::HeaderTooLarge),
            OpenError::Full => self.note(Reason::UpstreamFull),
            OpenError::NoDescriptor(_) => self.note(Reason::Descriptors),
            OpenError::NoRandomness(error) => self.note_with(Reason::Randomness, Some(error)),
        }
    }
}

/// Returns a client's text, escaped and truncated.
fn shown(text: &[u8]) -> String {
    text[..text.len().min(SHOWN_MAX)].escape_ascii().to_string()
}

const SHOWN_MAX: usize = 80;

//! What a client may make of one connection: how long and how large a request's header is, and how long the connection is
//! used.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};

use crate::hop;
use crate::limited::Limit;

/// The part of `[limits]` that is about each connection, and about the headers of requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionLimits {
    /// How long a TLS handshake may take.
    pub tls_timeout: Duration,
    /// How long a request's header may take, from its first byte.
    pub header_timeout: Duration,
    /// The maximum length of a request's header in bytes, with its first line.
    pub header_max: usize,
    /// The maximum of lines in a request's header.
    pub header_lines: usize,
    /// The maximum length of a request's path and query in bytes.
    pub target_max: usize,
    /// After how many requests a connection closes, behind the last one's response.
    pub connection_requests: u32,
    /// After how much time a connection closes, behind its next response.
    pub connection_lifetime: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            // Long enough for a distant client that loses a packet or two.
            tls_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            header_max: hop::HEADER_MAX,
            header_lines: hop::LINES_MAX,
            target_max: 16 << 10,
            connection_requests: 10_000,
            connection_lifetime: Duration::from_hours(1),
        }
    }
}

impl ConnectionLimits {
    /// Returns which limit a request's header exceeds, if it does. Its length in bytes is for the parser to judge.
    pub(super) fn exceeded<B>(&self, request: &Request<B>) -> Option<Limit> {
        let target_len = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
        if target_len > self.target_max {
            Some(Limit::TargetMax)
        } else if request.headers().len() > self.header_lines {
            Some(Limit::HeaderLines)
        } else {
            None
        }
    }
}

/// A connection was ended because its client exceeded a limit.
#[derive(Debug, thiserror::Error)]
#[error("the client has reached the limit {}", .0.word())]
pub(super) struct Exceeded(pub(super) Limit);

/// Returns the response to a request whose header exceeds this limit.
pub(super) fn refusal<B: From<&'static str>>(limit: Limit) -> Response<B> {
    let (status, text) = if limit == Limit::TargetMax {
        (StatusCode::URI_TOO_LONG, "the request's target is too long\n")
    } else {
        (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the request's header has too many lines\n")
    };
    let mut response = Response::new(B::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

//! What every answer of a transport says besides its own, good or bad.

use http::header::{CACHE_CONTROL, SET_COOKIE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::cross_site::Allowance;

/// What every answer to one request of a transport says besides its own.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Marks {
    /// To pages of other origins, where the transport can be used by their scripts.
    pub(super) allowance: Option<Allowance>,
    /// The cookie to which a balancer in front adds its own.
    pub(super) cookie: Option<HeaderValue>,
    /// Whether a browser must take the answer for what its type says.
    pub(super) nosniff: bool,
    /// Whether the answer is a stream, which a proxy in front must not collect.
    pub(super) streams: bool,
}

impl Marks {
    /// Puts them on an answer.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(FRESH));
        if self.nosniff {
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        }
        if self.streams {
            headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        }
        if let Some(cookie) = &self.cookie {
            headers.append(SET_COOKIE, cookie.clone());
        }
        if let Some(allowance) = &self.allowance {
            allowance.apply(headers);
        }
    }
}

/// Nobody keeps it.
pub(super) const FRESH: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

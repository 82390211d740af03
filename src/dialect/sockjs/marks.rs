//! The headers that all responses of a transport share, errors included.

use http::header::{CACHE_CONTROL, SET_COOKIE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::cross_site::{Allowance, Page};

/// The headers that all responses to one request of a transport share.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Marks {
    /// To pages of other origins, where the transport can be used by their scripts.
    pub(super) allowance: Option<Allowance>,
    /// The cookie to which a balancer in front adds its own.
    pub(super) cookie: Option<HeaderValue>,
    /// Whether a browser must not guess another content type.
    pub(super) nosniff: bool,
    /// Whether the response is a stream, which a proxy in front must not buffer.
    pub(super) streams: bool,
}

impl Marks {
    /// Returns whether the response to such a request has these headers.
    pub(super) fn are_for(&self, page: Page<'_>, cookie: Option<&HeaderValue>) -> bool {
        self.allowance.as_ref().is_some_and(|own| own.is_for(page)) && self.cookie.as_ref() == cookie
    }

    /// Adds them to a response.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(CACHE_CONTROL, const { HeaderValue::from_static(FRESH) });
        if self.nosniff {
            headers.insert(X_CONTENT_TYPE_OPTIONS, const { HeaderValue::from_static("nosniff") });
        }
        if self.streams {
            headers.insert(X_ACCEL_BUFFERING, const { HeaderValue::from_static("no") });
        }
        if let Some(cookie) = &self.cookie {
            headers.append(SET_COOKIE, cookie.clone());
        }
        if let Some(allowance) = &self.allowance {
            allowance.apply(headers);
        }
    }
}

/// The response must not be cached.
pub(super) const FRESH: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

//! What pages of other origins may do: the same as pages of the same origin, as in the reference.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, EXPIRES, ORIGIN,
    SET_COOKIE, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::cookie::cookie;
use super::page::{CACHED, expires};
use super::settings::Settings;
use crate::dialect::Request;
use crate::reply::Reply;

/// The CORS headers of one response, which let a page of another origin read it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Allowance {
    /// The page's origin; a page of the same origin may name none.
    origin: Option<HeaderValue>,
    /// The headers that the page asks to send.
    headers: Option<HeaderValue>,
}

impl Allowance {
    /// Returns the CORS headers for a request.
    pub(super) fn of(sent: &HeaderMap) -> Self {
        Self { origin: copy(sent, &ORIGIN), headers: copy(sent, &ACCESS_CONTROL_REQUEST_HEADERS) }
    }

    /// Creates the same where a page without an origin of its own is one of many: the reference does so for
    /// `EventSource`.
    pub(super) fn without_null(sent: &HeaderMap) -> Self {
        let allowance = Self::of(sent);
        Self { origin: allowance.origin.filter(|origin| origin != "null"), ..allowance }
    }

    /// Adds the headers.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        match &self.origin {
            // SockJS clients send every request with credentials, for which browsers reject `*`.
            Some(origin) => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, const { HeaderValue::from_static("true") });
            }
            None => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, const { HeaderValue::from_static("*") });
            }
        }
        headers.insert(VARY, const { HeaderValue::from_static("Origin") });
        if let Some(asked) = &self.headers {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
    }
}

/// Returns a copy: a header's own value would keep the request's buffer alive for as long as a poll waits.
fn copy(sent: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let value = sent.get(name).filter(|value| !value.is_empty())?;
    HeaderValue::from_bytes(value.as_bytes()).ok()
}

/// Returns the response to a CORS preflight request.
pub(super) fn preflight(settings: &Settings, request: &Request<'_>, methods: &'static str) -> Reply {
    let mut headers = HeaderMap::new();
    if settings.cookie_needed {
        headers.extend(cookie(&request.head.headers).map(|cookie| (SET_COOKIE, cookie)));
    }
    Allowance::of(&request.head.headers).apply(&mut headers);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("31536000"));
    let (name, cached) = CACHED;
    headers.insert(name, HeaderValue::from_static(cached));
    headers.insert(EXPIRES, expires(request));
    Reply { status: StatusCode::NO_CONTENT, headers, body: bytes::Bytes::new() }
}

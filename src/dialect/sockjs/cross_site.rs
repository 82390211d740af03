//! What pages of other origins may do: the same as pages of the same origin, as in the reference.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, EXPIRES, ORIGIN,
    SET_COOKIE, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::cookie::cookie;
use super::page::{CACHED, expires};
use super::settings::Settings;
use crate::dialect::Request;
use crate::reply::Reply;

/// What a request tells about the page that sent it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Page<'h> {
    /// The page's origin; a page of the same origin may name none.
    origin: Option<&'h HeaderValue>,
    /// The headers that the page asks to send.
    headers: Option<&'h HeaderValue>,
}

impl<'h> Page<'h> {
    /// Reads the headers of a request.
    pub(super) fn of(sent: &'h HeaderMap) -> Self {
        let value = |name| sent.get(name).filter(|value| !value.is_empty());
        Self { origin: value(ORIGIN), headers: value(ACCESS_CONTROL_REQUEST_HEADERS) }
    }

    /// Returns the same where a page without an origin of its own is one of many: the reference does so for
    /// `EventSource`.
    pub(super) fn without_null(self) -> Self {
        Self { origin: self.origin.filter(|origin| *origin != "null"), ..self }
    }
}

/// The CORS headers of one response, which let a page of another origin read it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Allowance {
    origin: Option<HeaderValue>,
    headers: Option<HeaderValue>,
}

impl Allowance {
    /// Creates the CORS headers for a page's request.
    pub(super) fn new(page: Page<'_>) -> Self {
        Self { origin: page.origin.and_then(copy), headers: page.headers.and_then(copy) }
    }

    /// Returns whether these are the headers for a page's request.
    pub(super) fn is_for(&self, page: Page<'_>) -> bool {
        page == Page { origin: self.origin.as_ref(), headers: self.headers.as_ref() }
    }

    /// Adds the headers.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        let origin = if let Some(origin) = &self.origin {
            // SockJS clients send every request with credentials, for which browsers reject `*`.
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, const { HeaderValue::from_static("true") });
            origin.clone()
        } else {
            const { HeaderValue::from_static("*") }
        };
        headers.insert(VARY, const { HeaderValue::from_static("Origin") });
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if let Some(asked) = &self.headers {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
    }
}

/// Returns a copy: a header's own value would keep the request's buffer alive for as long as a poll waits.
fn copy(value: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).ok()
}

/// Returns the response to a CORS preflight request.
pub(super) fn preflight(settings: &Settings, request: &Request<'_>, methods: &'static str) -> Reply {
    let mut headers = HeaderMap::new();
    if settings.cookie_needed {
        headers.extend(cookie(&request.head.headers).map(|cookie| (SET_COOKIE, cookie)));
    }
    Allowance::new(Page::of(&request.head.headers)).apply(&mut headers);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("31536000"));
    let (name, cached) = CACHED;
    headers.insert(name, HeaderValue::from_static(cached));
    headers.insert(EXPIRES, expires(request));
    Reply { status: StatusCode::NO_CONTENT, headers, body: bytes::Bytes::new() }
}

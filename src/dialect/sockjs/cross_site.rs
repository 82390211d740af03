//! What pages of other origins may do: all that a page of the same origin may, as the reference has it.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, COOKIE, EXPIRES,
    ORIGIN, SET_COOKIE, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::page::{CACHED, expires};
use super::settings::Settings;
use crate::dialect::Request;
use crate::reply::Reply;

/// Adds the headers by which a browser lets the page that asks read the answer.
pub(super) fn allow(request: &Request<'_>, headers: &mut HeaderMap) {
    let sent = &request.head.headers;
    match sent.get(ORIGIN).filter(|origin| !origin.is_empty()) {
        // Browsers send every request of SockJS with credentials, and `*` would not do for those.
        Some(origin) => {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        None => drop(headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"))),
    }
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    if let Some(asked) = sent.get(ACCESS_CONTROL_REQUEST_HEADERS).filter(|asked| !asked.is_empty()) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
}

/// The answer to a browser's question before a request of another origin's page.
pub(super) fn preflight(settings: &Settings, request: &Request<'_>, methods: &'static str) -> Reply {
    let mut headers = HeaderMap::new();
    if settings.cookie_needed
        && let Some(cookie) = cookie(&request.head.headers)
    {
        headers.insert(SET_COOKIE, cookie);
    }
    allow(request, &mut headers);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("31536000"));
    let (name, cached) = CACHED;
    headers.insert(name, HeaderValue::from_static(cached));
    headers.insert(EXPIRES, expires(request));
    Reply { status: StatusCode::NO_CONTENT, headers, body: bytes::Bytes::new() }
}

/// The cookie to which a balancer in front adds its own: the client's own, or a new one that says nothing.
fn cookie(headers: &HeaderMap) -> Option<HeaderValue> {
    let sent = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let own = sent.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix("JSESSIONID="));
    format!("JSESSIONID={}; path=/", own.unwrap_or("dummy")).try_into().ok()
}

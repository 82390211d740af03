//! Short responses, worded as in the reference.

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::reply::Reply;

/// Returns a text.
pub(super) fn plain(status: StatusCode, text: &str) -> Reply {
    reply(status, [(CONTENT_TYPE, TEXT)], text)
}

/// Returns the response for an unknown path.
pub(super) fn not_found() -> Reply {
    plain(StatusCode::NOT_FOUND, "404 Error: Page not found\n")
}

/// Returns the response for a method that the path does not support.
pub(super) fn bad_method(allowed: &[&str]) -> Reply {
    let mut reply = reply(StatusCode::METHOD_NOT_ALLOWED, [], "");
    reply.headers.extend(HeaderValue::try_from(allowed.join(", ")).map(|allowed| (ALLOW, allowed)));
    reply
}

/// Returns a response with these headers and this text.
pub(super) fn reply<const N: usize>(
    status: StatusCode,
    headers: [(HeaderName, &'static str); N],
    body: &str,
) -> Reply {
    let headers: HeaderMap =
        headers.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
    Reply { status, headers, body: body.to_owned().into() }
}

pub(super) const TEXT: &str = "text/plain; charset=UTF-8";

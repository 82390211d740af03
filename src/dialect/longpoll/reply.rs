//! Responses without messages, each with a JSON object that gives the reason.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::json;
use crate::reply::Reply;
use crate::session::{CursorRefused, Ending};

/// Returns the response for a session that was created at this path.
pub(super) fn begun(base: &str, sid: &str) -> Reply {
    let url = format!("{base}/{sid}");
    let body = format!(r#"{{"session":{},"url":{},"after":0}}"#, json!(sid), json!(url));
    let mut reply = reply(StatusCode::CREATED, body);
    reply.headers.extend(HeaderValue::try_from(url).ok().map(|url| (LOCATION, url)));
    reply
}

/// Returns the response to an invalid request.
pub(super) fn wrong(status: StatusCode, why: &str) -> Reply {
    reply(status, format!(r#"{{"error":{}}}"#, json!(why)))
}

/// Returns the response for an unknown session or path.
pub(super) fn not_found() -> Reply {
    wrong(StatusCode::NOT_FOUND, "no such session")
}

/// Returns the response for a method that the path does not support.
pub(super) fn bad_method(allowed: &'static str) -> Reply {
    let mut reply = wrong(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    reply.headers.insert(ALLOW, HeaderValue::from_static(allowed));
    reply
}

/// Returns the response to an impossible cursor: one before the last acknowledged message conflicts with earlier
/// requests, one after the last message sent is invalid.
pub(super) fn bad_cursor(after: u64, refused: CursorRefused) -> Reply {
    let CursorRefused { acknowledged, sent } = refused;
    let status = if after < acknowledged { StatusCode::CONFLICT } else { StatusCode::BAD_REQUEST };
    reply(status, format!(r#"{{"acknowledged":{acknowledged},"sent":{sent}}}"#))
}

/// Returns the response to a gap in the client's numbers; `expected` is the next one.
pub(super) fn gap(expected: u64) -> Reply {
    reply(StatusCode::CONFLICT, format!(r#"{{"expected":{expected}}}"#))
}

/// Returns the response for a session that has ended.
pub(super) fn ended(ending: &Ending, after: Option<u64>) -> Reply {
    reply(StatusCode::GONE, json::closed(&ending.closing, after.unwrap_or(ending.acknowledged)))
}

/// Returns the response for a session that has left, unless the cursor is one that it would have refused. Its client
/// learns of the messages after its cursor, which were kept for it and are dropped.
pub(super) fn gone(ending: &Ending, after: Option<u64>) -> Reply {
    let &Ending { acknowledged, sent, .. } = ending;
    let after = after.unwrap_or(acknowledged);
    if after < acknowledged || after > sent.max(acknowledged) {
        return bad_cursor(after, CursorRefused { acknowledged, sent });
    }
    let mut body = json::closed(&ending.closing, after);
    let dropped = (ending.unacknowledged as u64).saturating_sub(after - acknowledged);
    if dropped > 0 {
        body.pop();
        body.extend([r#","unacknowledged":"#, &dropped.to_string(), "}"]);
    }
    reply(StatusCode::GONE, body)
}

fn reply(status: StatusCode, body: String) -> Reply {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(NO_STORE));
    Reply { status, headers, body: Bytes::from(body) }
}

pub(super) const JSON: &str = "application/json";
pub(super) const NO_STORE: &str = "no-store";

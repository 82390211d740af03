//! Answers that are no messages, each with a JSON object in which it says why.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::json;
use crate::reply::Reply;
use crate::session::{CursorRefused, Ending};

/// A session has begun at this path.
pub(super) fn begun(base: &str, sid: &str) -> Reply {
    let url = format!("{base}/{sid}");
    let body = format!(r#"{{"session":{},"url":{},"after":0}}"#, json!(sid), json!(url));
    let mut reply = reply(StatusCode::CREATED, body);
    reply.headers.extend(HeaderValue::try_from(url).ok().map(|url| (LOCATION, url)));
    reply
}

/// Something is wrong with the request.
pub(super) fn wrong(status: StatusCode, why: &str) -> Reply {
    reply(status, format!(r#"{{"error":{}}}"#, json!(why)))
}

/// There is no such session, or nothing at this path.
pub(super) fn not_found() -> Reply {
    wrong(StatusCode::NOT_FOUND, "no such session")
}

/// There is something, and not for this method.
pub(super) fn bad_method(allowed: &'static str) -> Reply {
    let mut reply = wrong(StatusCode::METHOD_NOT_ALLOWED, "not for this method");
    reply.headers.insert(ALLOW, HeaderValue::from_static(allowed));
    reply
}

/// The client says that it has come where it can't have: behind what it has acknowledged, which is a conflict with what it
/// said before, or ahead of what it was sent, which is nonsense.
pub(super) fn bad_cursor(after: u64, refused: CursorRefused) -> Reply {
    let CursorRefused { acknowledged, sent } = refused;
    let status = if after < acknowledged { StatusCode::CONFLICT } else { StatusCode::BAD_REQUEST };
    reply(status, format!(r#"{{"acknowledged":{acknowledged},"sent":{sent}}}"#))
}

/// The client leaves out a message of its own: this one's number was expected.
pub(super) fn gap(expected: u64) -> Reply {
    reply(StatusCode::CONFLICT, format!(r#"{{"expected":{expected}}}"#))
}

/// The session has ended, as the client does not know yet, or has forgotten.
pub(super) fn ended(ending: &Ending, after: Option<u64>) -> Reply {
    reply(StatusCode::GONE, json::closed(&ending.closing, after.unwrap_or(ending.acknowledged)))
}

fn reply(status: StatusCode, body: String) -> Reply {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(NO_STORE));
    Reply { status, headers, body: Bytes::from(body) }
}

pub(super) const JSON: &str = "application/json";
pub(super) const NO_STORE: &str = "no-store";

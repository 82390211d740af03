//! `/info`: what a client asks before it tries its transports. The route's settings answer, never the backend.

use std::fmt::Write as _;

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::json;

use super::answer::reply;
use super::cross_site;
use super::settings::Settings;
use crate::dialect::Request;
use crate::reply::Reply;

/// The answer to a GET.
pub(super) fn answer(settings: &Settings, request: &Request<'_>) -> Reply {
    let Settings { websocket, cookie_needed, base_url, .. } = settings;
    let entropy = request.world.random();
    // In the reference's order, for clients that look for text.
    let mut body = format!(
        r#"{{"websocket":{websocket},"origins":["*:*"],"cookie_needed":{cookie_needed},"entropy":{entropy}"#
    );
    if let Some(url) = base_url {
        // Writing to a string can't fail.
        let _ = write!(body, r#","base_url":{}"#, json!(url));
    }
    body.push('}');
    let headers = [(CONTENT_TYPE, "application/json; charset=UTF-8"), (CACHE_CONTROL, FRESH)];
    let mut reply = reply(StatusCode::OK, headers, &body);
    cross_site::allow(request, &mut reply.headers);
    reply
}

/// Nobody keeps it.
const FRESH: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";

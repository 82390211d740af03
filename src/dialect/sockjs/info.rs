//! `/info`, which a client requests before it tries its transports. The response is made of the route's settings,
//! without the backend.

use std::fmt::Write as _;
use std::time::Duration;

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::json;

use super::answer::reply;
use super::cross_site::{Allowance, Page};
use super::marks::FRESH;
use super::settings::Settings;
use crate::dialect::{Answered, Note, Request};
use crate::reply::Reply;

/// Returns the response to a GET.
pub(super) fn answer(settings: &Settings, request: &Request<'_>) -> Box<Answered> {
    let hold = hold(request.environment.handshakes_take());
    Box::new(Answered { reply: body(settings, request), note: Note::Nothing, hold })
}

fn body(settings: &Settings, request: &Request<'_>) -> Reply {
    let Settings { websocket, cookie_needed, base_url, .. } = settings;
    let entropy = request.environment.random();
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
    Allowance::new(Page::of(&request.head.headers)).apply(&mut reply.headers);
    reply
}

/// Returns how long to delay the response if the backend's handshakes take this long. A client measures its round trip
/// on this response and gives each transport a multiple of it. Without the delay it would try every transport, each
/// with a handshake.
fn hold(handshakes_take: Duration) -> Duration {
    if handshakes_take < PATIENCE_MIN {
        return Duration::ZERO;
    }
    (handshakes_take / 3).clamp(HOLD_MIN, HOLD_MAX)
}

/// Even a client with the shortest round trip waits this long.
const PATIENCE_MIN: Duration = Duration::from_millis(250);
/// Beyond 100 ms a client grants eight times what it has measured.
const HOLD_MIN: Duration = Duration::from_millis(101);
const HOLD_MAX: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_backend_makes_clients_patient() {
        for (handshakes_take, held) in [(0, 0), (249, 0), (250, 101), (600, 200), (1500, 500), (9000, 500)] {
            assert_eq!(
                hold(Duration::from_millis(handshakes_take)),
                Duration::from_millis(held),
                "{handshakes_take}"
            );
        }
    }
}

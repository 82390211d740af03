//! Responses to requests that get nothing else of a session, and what becomes of their bodies.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio_util::task::TaskTracker;

use crate::bridge::Bridge;
use crate::dialect::{Framing, PollBody, Refusal, RequestKind, StreamHead};
use crate::packet::{Closing, Packet};
use crate::reply::Reply;
use crate::session::{Ending, PollRefused};
use crate::transport::{Body, InBody, Response};

/// Refuses a request for a session.
pub fn refuse_request(framing: &dyn Framing, refused: PollRefused, bridge: &Bridge) -> Response {
    let refusal = match refused {
        // The dialect decides what a second receiver is sent; its policy has already refused it.
        PollRefused::Overlap | PollRefused::Occupied => Refusal::Overlap,
        PollRefused::WrongTransport => Refusal::WrongTransport,
        PollRefused::Over => return refuse_ended(framing, bridge),
    };
    if let Some(closing) = framing.refuse_in_band(refusal, None) {
        return report_end(framing, closing);
    }
    refuse(framing, refusal)
}

/// Answers a receiver with an end alone, in the form in which a session of this framing reports its end.
pub fn report_end(framing: &dyn Framing, closing: Closing) -> Response {
    let packets = [Packet::Close(Some(Box::new(closing)))];
    let (content_type, body) = if framing.streams() {
        let StreamHead { content_type, prelude, budget: _ } = framing.begin_stream();
        (content_type, Body::pieces(vec![prelude, framing.encode_part(&packets, 0).bytes]))
    } else {
        let PollBody { content_type, bytes, status: _ } = framing.encode_poll(&packets);
        (content_type, Body::from(bytes))
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    framing.add_headers(false, response.headers_mut());
    response
}

/// Returns the response to a request whose session has ended, before it or while it waited.
pub fn refuse_ended(framing: &dyn Framing, bridge: &Bridge) -> Response {
    let ending = bridge.ending();
    if let Some(closing) = framing.refuse_in_band(Refusal::Over, ending.as_ref()) {
        return report_end(framing, closing);
    }
    // A link that broke may have recorded no ending.
    let closing = || Closing { code: Some(1006), ..Closing::default() };
    let lost = || Ending { closing: closing(), ..Ending::default() };
    respond(framing.refuse_ended(&ending.unwrap_or_else(lost)))
}

/// Returns a refusal over plain HTTP.
pub fn refuse(framing: &dyn Framing, refusal: Refusal) -> Response {
    respond(framing.refuse(refusal, RequestKind::Http))
}

/// Returns a response that belongs to no session.
pub fn respond(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}

/// Reads the rest of a refused request's body and discards it, unless its client waits to be asked for it: that has sent
/// nothing, and the connection ends behind the response.
///
/// Closing a connection with unread bytes would reset it, and the reset can overtake the response: a proxy in front
/// then turns a 413 into a 502.
pub fn discard(body: InBody, tracker: &TaskTracker) {
    if !body.is_unasked() {
        skip(body, tracker);
    }
}

/// Reads a body that means nothing, such as that of a poll, also if its client has to be asked for it: the connection goes
/// on.
pub fn skip(mut body: InBody, tracker: &TaskTracker) {
    if body.is_end_stream() {
        return;
    }
    tracker.spawn(async move {
        let mut left = DISCARD_LEN_MAX;
        let rest = async {
            while let Some(Ok(frame)) = body.frame().await {
                let Some(less) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
                left = less;
            }
        };
        let _ = tokio::time::timeout(DISCARD_TIMEOUT, rest).await;
    });
}

/// Returns whether a body is empty, however it is framed. One that does not end in time is not.
pub async fn is_empty(body: &mut InBody) -> bool {
    if body.size_hint().lower() > 0 {
        // It need not be read, nor asked for with a 100.
        return false;
    }
    let empty = async {
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) if frame.data_ref().is_none_or(Bytes::is_empty) => {}
                Ok(_) | Err(_) => return false,
            }
        }
        true
    };
    tokio::time::timeout(DISCARD_TIMEOUT, empty).await.unwrap_or(false)
}

/// Limits on what a client may still send after a refusal, and for how long, before its connection is closed.
const DISCARD_LEN_MAX: usize = 16 << 20;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

//! Tallies requests and answers, and how long their heads are: those that have come whole as they came, others as far as
//! hyper's parsed form tells.

use http::HeaderMap;
use http::request::Parts;
use http_body::Body as _;

use super::Response;
use crate::duplex::Heads;
use crate::meter::{Direction, Meter, Op};

/// A request came; `read` shows how.
pub(super) fn count_request(meter: &Meter, op: Op, head: &Parts, read: &Heads) {
    if let Some(transport) = op.transport() {
        let len = read.request_len().unwrap_or_else(|| of_request(head));
        meter.head(Direction::FromClient, transport, len);
    }
}

/// It has an answer, with all headers of ours.
pub(super) fn count_answer(meter: &Meter, op: Op, response: &Response) {
    meter.request(op, response.status().as_u16());
    if let Some(transport) = op.transport() {
        meter.head(Direction::ToClient, transport, of_response(response));
    }
}

/// A request's head, as a client writes it: one space behind each colon.
fn of_request(head: &Parts) -> usize {
    let target = head.uri.path_and_query().map_or(1, |target| target.as_str().len());
    head.method.as_str().len() + " ".len() + target + " HTTP/1.1\r\n".len() + of_headers(&head.headers)
}

/// An answer's head, with the headers that hyper adds.
fn of_response(response: &Response) -> usize {
    let reason = response.status().canonical_reason().unwrap_or_default();
    let length = match response.body().size_hint().exact() {
        Some(length) if !response.status().is_informational() => {
            "content-length: \r\n".len() + length.checked_ilog10().map_or(1, |digits| digits as usize + 1)
        }
        Some(_) | None => 0,
    };
    "HTTP/1.1 200 \r\n".len() + reason.len() + of_headers(response.headers()) + DATE.len() + length
}

/// Header lines, and the empty one behind them.
fn of_headers(headers: &HeaderMap) -> usize {
    let lines = headers.iter().map(|(name, value)| name.as_str().len() + ": \r\n".len() + value.len());
    lines.sum::<usize>() + "\r\n".len()
}

const DATE: &str = "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";

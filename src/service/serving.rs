//! A request until its response, and the counts of both: their number, and the lengths of their headers. Headers that
//! were read in full count as they came, others as far as hyper's parsed form shows.

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::HeaderMap;
use http::request::Parts;
use http_body::Body as _;

use super::cors::{Asked, CorsLayer};
use super::{Connection, Response};
use crate::meter::{Direction, Meter, Op};
use crate::transport::Abort;
use crate::transport::polling::AnswerPoll;

/// A request until its response. An error means that its connection must be dropped without a response.
///
/// Most requests wait here for long, and these are polls: a poll allocates nothing, and takes little of its
/// connection's memory.
pub enum Serving {
    /// A poll.
    Poll(Parked),
    /// It turns out after a while which of these it is.
    Later(Pin<Box<dyn Future<Output = Self> + Send>>),
    /// Everything else.
    Other(Pin<Box<dyn Future<Output = Result<Response, Abort>> + Send>>),
}

/// A parked poll, and the route's headers for its response.
#[derive(Debug)]
pub struct Parked {
    answer: AnswerPoll,
    cors: Arc<CorsLayer>,
    asked: Asked,
}

impl Serving {
    /// Returns a poll.
    pub(super) const fn poll(answer: AnswerPoll, cors: Arc<CorsLayer>, asked: Asked) -> Self {
        Self::Poll(Parked { answer, cors, asked })
    }

    /// Returns what something that takes time finds.
    pub(super) fn later(work: impl Future<Output = Self> + Send + 'static) -> Self {
        Self::Later(Box::pin(work))
    }

    /// Returns other work that takes time.
    pub(super) fn other(work: impl Future<Output = Result<Response, Abort>> + Send + 'static) -> Self {
        Self::Other(Box::pin(work))
    }

    /// Returns a finished response that is sent after a while.
    pub(super) fn held(response: Response, hold: Duration) -> Self {
        Self::other(async move {
            tokio::time::sleep(hold).await;
            Ok(response)
        })
    }

    /// Returns whether it is a poll that waits.
    pub(super) const fn is_parked(&self) -> bool {
        matches!(self, Self::Poll(_))
    }

    /// Has a poll answered at once, because the way of its client ends.
    pub(super) fn release(&self) {
        if let Self::Poll(Parked { answer, .. }) = self {
            answer.release();
        }
    }

    /// Gives up because it is not known what became of the client, or of the node in between. A poll that nobody was told
    /// of gives its place back, so that its session lives on; anything else is dropped, as with a client that is gone.
    pub(super) fn give_up(self) {
        if let Self::Poll(Parked { answer, .. }) = self {
            answer.withdraw();
        }
    }

    /// Returns a finished response.
    pub(super) fn done(response: Response) -> Self {
        Self::other(ready(Ok(response)))
    }
}

impl Future for Serving {
    type Output = Result<Response, Abort>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match this {
                Self::Poll(parked) => return Pin::new(parked).poll(cx).map(Ok),
                Self::Later(work) => *this = ready!(work.as_mut().poll(cx)),
                Self::Other(other) => return other.as_mut().poll(cx),
            }
        }
    }
}

impl Future for Parked {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let mut response = ready!(Pin::new(&mut self.answer).poll(cx));
        self.cors.apply(&self.asked, &mut response);
        count_answer(self.answer.meter(), Op::Poll, &response);
        Poll::Ready(response)
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Poll(_) => "Poll",
            Self::Later(_) => "Later",
            Self::Other(_) => "Other",
        })
    }
}

/// Counts a request.
pub(super) fn count_request(meter: &Meter, op: Op, head: &Parts, connection: &Connection) {
    if op.transport().is_some() {
        count_head(meter, op, head_len(head, connection));
    }
}

/// Counts a request whose header has this length.
pub(super) fn count_head(meter: &Meter, op: Op, len: usize) {
    if let Some(transport) = op.transport() {
        meter.head(Direction::FromClient, transport, len);
    }
}

/// Returns the length of a request's header: as it came, if that is certain.
pub(super) fn head_len(head: &Parts, connection: &Connection) -> usize {
    let len = connection.head_len_elsewhere().or_else(|| connection.raw_headers.request_len());
    len.unwrap_or_else(|| of_request(head))
}

/// Counts its response, with all headers of ours.
pub(super) fn count_answer(meter: &Meter, op: Op, response: &Response) {
    meter.request(op, response.status().as_u16());
    if let Some(transport) = op.transport() {
        meter.head(Direction::ToClient, transport, of_response(response));
    }
}

/// Returns the length of a request's header as clients write it: one space after each colon.
fn of_request(head: &Parts) -> usize {
    let target = head.uri.path_and_query().map_or(1, |target| target.as_str().len());
    head.method.as_str().len() + " ".len() + target + " HTTP/1.1\r\n".len() + of_headers(&head.headers)
}

/// Returns the length of a response's header, with the headers that hyper adds.
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

/// Returns the length of the header lines and the empty one after them.
fn of_headers(headers: &HeaderMap) -> usize {
    let lines = headers.iter().map(|(name, value)| name.as_str().len() + ": \r\n".len() + value.len());
    lines.sum::<usize>() + "\r\n".len()
}

const DATE: &str = "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
/// A connection has room for one.
const _: () = assert!(size_of::<Serving>() <= 96, "a parked poll is small");

//! A request on its way to its answer.

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::Response;
use super::cors::{Asked, CorsLayer};
use super::tally;
use crate::meter::Op;
use crate::transport::Abort;
use crate::transport::polling::AnswerPoll;

/// A request on its way to its answer. An error means that its connection is to be dropped without one.
///
/// Most requests wait here for long, and each of them is a poll: it takes no memory of its own, and little of its connection's.
pub enum Serving {
    /// A poll.
    Poll(Parked),
    /// Everything else.
    Other(Pin<Box<dyn Future<Output = Result<Response, Abort>> + Send>>),
}

/// A poll that waits, and what the route says on its answer.
#[derive(Debug)]
pub struct Parked {
    answer: AnswerPoll,
    cors: Arc<CorsLayer>,
    asked: Asked,
}

impl Serving {
    /// A poll.
    pub(super) const fn poll(answer: AnswerPoll, cors: Arc<CorsLayer>, asked: Asked) -> Self {
        Self::Poll(Parked { answer, cors, asked })
    }

    /// Something that takes its time.
    pub(super) fn other(work: impl Future<Output = Result<Response, Abort>> + Send + 'static) -> Self {
        Self::Other(Box::pin(work))
    }

    /// An answer that is there at once.
    pub(super) fn done(response: Response) -> Self {
        Self::other(ready(Ok(response)))
    }
}

impl Future for Serving {
    type Output = Result<Response, Abort>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Poll(parked) => Pin::new(parked).poll(cx).map(Ok),
            Self::Other(other) => other.as_mut().poll(cx),
        }
    }
}

impl Future for Parked {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let mut response = ready!(Pin::new(&mut self.answer).poll(cx));
        self.cors.apply(&self.asked, &mut response);
        tally::count_answer(self.answer.meter(), Op::Poll, &response);
        Poll::Ready(response)
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Poll(_) => "Poll",
            Self::Other(_) => "Other",
        })
    }
}

/// A connection has room for one.
const _: () = assert!(size_of::<Serving>() <= 96, "a parked poll is small");

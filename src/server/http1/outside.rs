//! What a connection does while hyper has no part in it.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use tokio::io::ReadBuf;
use tokio::time::Instant;

use super::super::caller::{Answer, BoxError, Call, Serve};
use super::super::connection_limits::ConnectionLimits;
use super::answer::Written;
use super::chunks::Chunks;
use super::usual::{self, Usual};
use crate::duplex::{Outside, RawHeaders};

/// A connection that waits for its client's next request.
pub(super) struct Idle {
    pub(super) io: Outside,
    /// When it began to wait.
    pub(super) since: Instant,
    /// Whether it has waited for long, and has nothing to remember for its next request.
    pub(super) may_rest: bool,
}

/// What comes next.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives for a moment, and a box would be an allocation for each request"
)]
pub(super) enum Next {
    /// A usual request.
    Request(Usual),
    /// Hyper must read it.
    Unusual,
    /// Nothing: the client sends no more.
    End,
}

/// A request that waits for its response.
pub(super) struct Waiting<S: Serve> {
    call: Call<S>,
    /// Keeps what comes after the request.
    io: Outside,
    /// Whether the call was not polled yet, and may look at the request's header as it was sent.
    is_new: bool,
}

/// Who writes a response.
pub(super) enum Begun<S: Serve> {
    Here(Answering<S>),
    /// Hyper must.
    Hypers(Idle, Response<S::Body>),
}

/// A response that is written.
pub(super) struct Answering<S: Serve> {
    writing: Writing<S::Body>,
    io: Outside,
}

enum Writing<B: Body> {
    Whole(Written),
    /// Boxed because each connection would reserve room for it.
    Chunks(Box<Chunks<B>>),
}

impl Idle {
    pub(super) fn new(io: Outside) -> Self {
        Self::since(Instant::now(), io)
    }

    /// Creates one that has waited since then.
    pub(super) const fn since(since: Instant, io: Outside) -> Self {
        Self { io, since, may_rest: false }
    }

    /// Reads the next request. One for hyper stays unread, as does one that exceeds a limit: hyper refuses it.
    ///
    /// # Errors
    /// The stream is broken.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        limits: &ConnectionLimits,
    ) -> Poll<io::Result<Next>> {
        let mut room = [const { MaybeUninit::uninit() }; READ_LEN];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(self.io.poll_begun(cx, &mut read))?;
        let bytes = read.filled();
        if bytes.is_empty() {
            return Poll::Ready(Ok(Next::End));
        }
        let usual = usual::read(bytes).filter(|usual| usual.is_within(limits));
        Poll::Ready(Ok(usual.map_or_else(
            || {
                self.io.put_before(Bytes::copy_from_slice(bytes));
                Next::Unusual
            },
            Next::Request,
        )))
    }

    /// Calls the service. The headers show it the request's as it was sent, until it has been polled once.
    pub(super) fn call<S: Serve>(
        self,
        Usual { request, header }: Usual,
        service: &mut S,
        raw_headers: &RawHeaders,
    ) -> Waiting<S> {
        raw_headers.begin_whole_request(header);
        Waiting { call: Call::new(service, request), io: self.io, is_new: true }
    }
}

impl<S: Serve> Waiting<S> {
    /// Creates a request that hyper has read. `io` keeps what comes after it.
    pub(super) const fn after_hyper(call: Call<S>, io: Outside) -> Self {
        Self { call, io, is_new: false }
    }

    /// Returns the response.
    ///
    /// # Errors
    /// The client is gone.
    pub(super) fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        raw_headers: &RawHeaders,
    ) -> Poll<io::Result<Answer<S>>> {
        let answer = Pin::new(&mut self.call).poll(cx);
        if std::mem::take(&mut self.is_new) {
            // A request that waits does not keep its header.
            raw_headers.await_request(None);
        }
        match answer {
            Poll::Ready(answer) => Poll::Ready(Ok(answer)),
            // Nothing else reads the socket now, so a client that hangs up would not be noticed before its response.
            Poll::Pending => self.io.poll_gone(cx).map(Err),
        }
    }

    /// Begins to write a response, unless hyper must.
    pub(super) fn answer(self, mut response: Response<S::Body>) -> Begun<S> {
        let Self { io, .. } = self;
        let writing = if let Some(written) = Written::of(&mut response) {
            Writing::Whole(written)
        } else if let Some(header) = Chunks::header_of(&response) {
            Writing::Chunks(Box::new(Chunks::new(&header, response.into_body())))
        } else {
            return Begun::Hypers(Idle::new(io), response);
        };
        Begun::Here(Answering { writing, io })
    }

    /// Gives up the call, which has returned.
    pub(super) fn into_idle(self) -> Idle {
        Idle::new(self.io)
    }
}

impl<S: Serve> Answering<S> {
    /// Writes the response.
    ///
    /// # Errors
    /// The stream or the response's body is broken, or the client is gone or has read nothing for too long.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.writing {
            Writing::Whole(written) => written.poll_write(cx, self.io.writer()).map_err(Into::into),
            Writing::Chunks(chunks) => chunks.poll_write(cx, &mut self.io),
        }
    }

    /// Returns the connection, once the response is written.
    pub(super) fn into_idle(self) -> Idle {
        Idle::new(self.io)
    }
}

/// Room for a usual request.
pub(super) const READ_LEN: usize = 8 << 10;

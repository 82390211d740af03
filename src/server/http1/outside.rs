//! What a connection does while hyper has no part in it.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use tokio::io::ReadBuf;

use super::super::caller::{Answer, Call, Caller, Serve};
use super::answer::Written;
use super::usual::{self, Usual};
use crate::duplex::{RawHeaders, Tracked};

/// A connection that waits for its client's next request.
pub(super) struct Idle<S: Serve> {
    pub(super) caller: Caller<S>,
    pub(super) io: Tracked,
}

/// What comes next.
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
    caller: Caller<S>,
    /// Keeps what comes after the request.
    io: Tracked,
    /// Whether the call was not polled yet, and may look at the request's header as it was sent.
    is_new: bool,
}

/// A response that is written.
pub(super) struct Answering<S: Serve> {
    written: Written,
    caller: Caller<S>,
    io: Tracked,
}

impl<S: Serve> Idle<S> {
    /// Reads the next request. One for hyper stays unread.
    ///
    /// # Errors
    /// The stream is broken.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Next>> {
        let mut room = [const { MaybeUninit::uninit() }; READ_LEN];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(self.io.poll_begun(cx, &mut read))?;
        let bytes = read.filled();
        if bytes.is_empty() {
            return Poll::Ready(Ok(Next::End));
        }
        Poll::Ready(Ok(usual::read(bytes).map_or_else(
            || {
                self.io.put_before(Bytes::copy_from_slice(bytes));
                Next::Unusual
            },
            Next::Request,
        )))
    }

    /// Calls the service. The headers show it the request's as it was sent, until it has been polled once.
    pub(super) fn call(self, Usual { request, header }: Usual, raw_headers: &RawHeaders) -> Waiting<S> {
        let Self { mut caller, io } = self;
        raw_headers.begin_whole_request(header);
        let call = caller.call_outside(request);
        Waiting { call, caller, io, is_new: true }
    }
}

impl<S: Serve> Waiting<S> {
    /// Creates a request that hyper has read. `io` keeps what comes after it.
    pub(super) const fn after_hyper(call: Call<S>, caller: Caller<S>, io: Tracked) -> Self {
        Self { call, caller, io, is_new: false }
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
    ///
    /// # Errors
    /// Nothing has changed: hyper must write it.
    pub(super) fn answer(self, response: &mut Response<S::Body>) -> Result<Answering<S>, Idle<S>> {
        let Self { caller, io, .. } = self;
        match Written::of(response) {
            Some(written) => Ok(Answering { written, caller, io }),
            None => Err(Idle { caller, io }),
        }
    }

    /// Gives up the call, which has returned.
    pub(super) fn into_idle(self) -> Idle<S> {
        let Self { caller, io, .. } = self;
        Idle { caller, io }
    }
}

impl<S: Serve> Answering<S> {
    /// Writes the response.
    ///
    /// # Errors
    /// The stream is broken, or its client has read nothing for too long.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.written.poll_write(cx, self.io.writer())
    }

    /// Returns the connection, once the response is written.
    pub(super) fn into_idle(self) -> Idle<S> {
        let Self { caller, io, .. } = self;
        Idle { caller, io }
    }
}

/// Room for a usual request.
const READ_LEN: usize = 8 << 10;

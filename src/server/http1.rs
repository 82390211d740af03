//! HTTP/1.1 over one connection, in which a waiting request takes little memory, and a connection between two requests
//! even less.
//!
//! Hyper has two buffers per connection, and a parked poll would hold both, with the rest of hyper's state, for as long
//! as it waits. So a fully read request that has waited for a while goes on waiting outside: hyper's connection is
//! taken apart around it. When the response is ready, a new one is made around the socket; it reads a stand-in for the
//! request, and answers that.
//!
//! A connection that waits for its client's next request is taken apart, too; what the client sends next makes a new one.
//! Only where a request certainly begins with it: bytes of an earlier request's body would be taken for a request.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1::{Builder, Connection, Parts, UpgradeableConnection};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::caller::{BoxError, Call, CallStatus, Caller, Serve, SharedCall};
use super::ending::EndingStage;
use crate::duplex::{Duplex, RawHeaders, Tracked, Unflushed};
use crate::hop;

/// Serves HTTP/1.1 over one connection, until it ends or switches to another protocol.
pub(super) struct Http<S: Serve> {
    builder: Builder,
    waits: Waits,
    shared: SharedCall<S>,
    raw_headers: RawHeaders,
    unflushed: Unflushed,
    stage: Stage<S>,
    /// Fires when a connection may have waited long enough to leave hyper; not reset by requests that are answered
    /// earlier. Outside of hyper, it fires when an idle connection ends.
    rest_timer: Option<Pin<Box<Sleep>>>,
    /// How many responses there were when the timer was last set for an idle connection.
    answers: u32,
    is_last: bool,
}

/// How long a connection waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    /// Until it leaves hyper: before that, leaving costs more than it saves.
    pub(super) rest_after: Duration,
    /// For its next request, until it ends. Hyper has the same timeout.
    pub(super) idle_timeout: Duration,
}

enum Stage<S: Serve> {
    /// Hyper has the socket.
    Inside(Box<Connection<TokioIo<Tracked>, Caller<S>>>),
    /// The same, after a request has asked for another protocol.
    Upgradeable(Box<UpgradeableConnection<TokioIo<Tracked>, Caller<S>>>),
    /// A request waits, without hyper.
    Outside(Outside<S>),
    /// The next request is waited for, without hyper.
    Idle(Idle<S>),
    Over,
}

struct Outside<S: Serve> {
    call: Call<S>,
    caller: Caller<S>,
    /// Keeps what comes after the request.
    io: Tracked,
}

struct Idle<S: Serve> {
    caller: Caller<S>,
    io: Tracked,
}

impl<S: Serve> Http<S> {
    /// Creates the protocol of a connection. `raw_headers` shows the service each request's header.
    pub(super) fn new(
        builder: Builder,
        waits: Waits,
        duplex: Duplex,
        service: S,
        raw_headers: RawHeaders,
    ) -> Self {
        let unflushed = Unflushed::default();
        let (caller, shared) = Caller::new(service, raw_headers.clone(), unflushed.clone());
        let io = TokioIo::new(Tracked::new(duplex, unflushed.clone(), raw_headers.clone()));
        let stage = Stage::Inside(Box::new(builder.serve_connection(io, caller)));
        Self {
            builder,
            waits,
            shared,
            raw_headers,
            unflushed,
            stage,
            rest_timer: None,
            answers: 0,
            is_last: false,
        }
    }

    /// Does what a stage of the server means for its connections.
    pub(super) fn change(&mut self, stage: EndingStage) {
        match stage {
            EndingStage::Serving | EndingStage::Moving => {}
            EndingStage::Leaving => self.shared.close_behind_answer(),
            EndingStage::Ending => self.end(),
        }
    }

    /// Ends after the current request, or at once if there is none.
    fn end(&mut self) {
        self.is_last = true;
        match &mut self.stage {
            Stage::Inside(connection) => Pin::new(&mut **connection).graceful_shutdown(),
            Stage::Upgradeable(connection) => Pin::new(&mut **connection).graceful_shutdown(),
            // A request that waits is answered first; `reattach_hyper` then closes the connection behind it.
            Stage::Outside(_) | Stage::Over => {}
            Stage::Idle(_) => self.end_idle(),
        }
    }

    /// Ready when a request that was complete at `since` has waited long enough.
    fn poll_rest(&mut self, cx: &mut Context<'_>, since: Instant) -> Poll<()> {
        let due = since + self.waits.rest_after;
        loop {
            let rest_timer = self.rest_timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            ready!(rest_timer.as_mut().poll(cx));
            if Instant::now() >= due {
                self.rest_timer = None;
                return Poll::Ready(());
            }
            rest_timer.as_mut().reset(due);
        }
    }

    /// Returns whether nothing happens but that the next request is waited for. Its beginning must be certain.
    fn is_idle(&self) -> bool {
        self.unflushed.is_done() && self.raw_headers.is_between_requests()
    }

    /// Ready when the connection has been idle for long enough, or for up to twice as long, with so many responses.
    fn poll_idle(&mut self, cx: &mut Context<'_>, answers: u32) -> Poll<()> {
        loop {
            let rest_timer = self.rest_timer.get_or_insert_with(|| {
                self.answers = answers;
                Box::pin(sleep(self.waits.rest_after))
            });
            ready!(rest_timer.as_mut().poll(cx));
            if self.answers == answers {
                return Poll::Ready(());
            }
            self.answers = answers;
            rest_timer.as_mut().reset(Instant::now() + self.waits.rest_after);
        }
    }

    /// Takes hyper's connection apart while there is no request.
    fn detach_idle(&mut self) {
        let Stage::Inside(connection) = std::mem::replace(&mut self.stage, Stage::Over) else { return };
        let parts = connection.into_parts();
        self.raw_headers.rest();
        self.stage = Stage::Idle(Idle { caller: parts.service, io: parts.io.into_inner() });
        if !parts.read_buf.is_empty() {
            // Nothing was read since the last request, so this would be a part of it.
            return self.end_idle();
        }
        if let Some(timer) = &mut self.rest_timer {
            timer
                .as_mut()
                .reset(Instant::now() + self.waits.idle_timeout.saturating_sub(self.waits.rest_after));
        }
    }

    /// Gives hyper the socket of an idle connection.
    fn reattach_idle(&mut self) {
        if let Stage::Idle(Idle { caller, io }) = std::mem::replace(&mut self.stage, Stage::Over) {
            self.rest_timer = None;
            self.stage = Stage::Inside(Box::new(self.builder.serve_connection(TokioIo::new(io), caller)));
        }
    }

    /// Ends an idle connection, as hyper does it.
    fn end_idle(&mut self) {
        self.reattach_idle();
        if let Stage::Inside(connection) = &mut self.stage {
            Pin::new(&mut **connection).graceful_shutdown();
        }
    }

    /// Takes hyper's connection apart around the one request that it waits for.
    fn detach_hyper(&mut self) {
        let Some(call) = self.shared.take() else { return };
        let Stage::Inside(connection) = std::mem::replace(&mut self.stage, Stage::Over) else { return };
        let parts = connection.into_parts();
        self.raw_headers.rest();
        // Copied, because the buffer is hyper's.
        let io = parts.io.into_inner().behind(Bytes::copy_from_slice(&parts.read_buf));
        self.stage = Stage::Outside(Outside { call, caller: parts.service, io });
    }

    fn allow_upgrade(&mut self) {
        if let Stage::Inside(connection) = std::mem::replace(&mut self.stage, Stage::Over) {
            self.stage = Stage::Upgradeable(Box::new(connection.with_upgrades()));
        }
    }

    /// Returns whether a connection ended because of a header that a higher maximum may fit.
    fn wants_reread(&self, ended: &hyper::Result<()>) -> bool {
        ended.as_ref().is_err_and(hyper::Error::is_parse_too_large) && self.raw_headers.take_refused()
    }

    /// Has the header that hyper refused read again, with the highest maximum. It costs each request some 5,000
    /// instructions, so it is only for connections with such a request.
    fn reread_header(&mut self) {
        self.builder.max_headers(hop::LINES_MAX);
        let again = |parts: Parts<TokioIo<Tracked>, Caller<S>>| {
            let io = parts.io.into_inner().again(Bytes::copy_from_slice(&parts.read_buf));
            Box::new(self.builder.serve_connection(TokioIo::new(io), parts.service))
        };
        self.stage = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Inside(connection) => Stage::Inside(again(connection.into_parts())),
            Stage::Upgradeable(connection) => match connection.into_parts() {
                Some(parts) => Stage::Upgradeable(Box::new(again(parts).with_upgrades())),
                None => Stage::Over,
            },
            other @ (Stage::Outside(_) | Stage::Idle(_) | Stage::Over) => other,
        };
    }

    /// Gives hyper the response to a request that waited outside.
    fn reattach_hyper(&mut self, caller: Caller<S>, io: Tracked) {
        let stand_in = Bytes::from_static(if self.is_last { LAST_STAND_IN } else { STAND_IN });
        let io = TokioIo::new(io.behind(stand_in));
        self.stage = Stage::Inside(Box::new(self.builder.serve_connection(io, caller)));
    }
}

impl<S: Serve> Future for Http<S> {
    type Output = Result<(), BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match &mut this.stage {
                Stage::Inside(connection) => {
                    if let Poll::Ready(ended) = Pin::new(&mut **connection).poll(cx) {
                        if this.wants_reread(&ended) {
                            this.reread_header();
                            continue;
                        }
                        return Poll::Ready(ended.map_err(Into::into));
                    }
                    match this.shared.status() {
                        CallStatus::WantsUpgrade => this.allow_upgrade(),
                        // What is not written yet would be lost.
                        CallStatus::WaitsSince(since) if !this.unflushed.get() => {
                            ready!(this.poll_rest(cx, since));
                            this.detach_hyper();
                        }
                        CallStatus::Between(answers) if this.is_idle() => {
                            ready!(this.poll_idle(cx, answers));
                            this.detach_idle();
                        }
                        CallStatus::WaitsSince(_) | CallStatus::Between(_) | CallStatus::Busy => {
                            return Poll::Pending;
                        }
                    }
                }
                Stage::Idle(idle) => match idle.io.poll_begun(cx) {
                    Poll::Ready(Ok(true)) => this.reattach_idle(),
                    Poll::Ready(Ok(false)) => this.end_idle(),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                    Poll::Pending => {
                        if let Some(timer) = &mut this.rest_timer {
                            ready!(timer.as_mut().poll(cx));
                        }
                        this.end_idle();
                    }
                },
                Stage::Upgradeable(connection) => {
                    let ended = ready!(Pin::new(&mut **connection).poll(cx));
                    if this.wants_reread(&ended) {
                        this.reread_header();
                        continue;
                    }
                    return Poll::Ready(ended.map_err(Into::into));
                }
                Stage::Outside(outside) => {
                    let Poll::Ready(answer) = Pin::new(&mut outside.call).poll(cx) else {
                        // Nothing else reads the socket now, so a client that hangs up would not be noticed before its
                        // response.
                        return outside.io.poll_gone(cx).map(|gone| Err(gone.into()));
                    };
                    let Stage::Outside(Outside { caller, io, .. }) =
                        std::mem::replace(&mut this.stage, Stage::Over)
                    else {
                        return Poll::Ready(Ok(()));
                    };
                    this.shared.answer_next(answer);
                    this.reattach_hyper(caller, io);
                }
                Stage::Over => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// A stand-in for a request that waited outside, with the same effect on its response and its connection.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
/// The same, if the connection closes after it.
const LAST_STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";

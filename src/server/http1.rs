//! HTTP/1.1 over one connection, most of which does without hyper: it takes less time, and little memory while a request
//! waits, and even less between two requests.
//!
//! A connection begins outside hyper. A usual request that comes whole is read ([`usual`]) and answered ([`answer`]) right
//! here. With everything else, from its first byte, hyper gets the socket; so it does with a response that it must write,
//! for which it reads a stand-in for the request.
//!
//! Hyper has two buffers per connection, and would hold both, with the rest of its state, for as long as a poll is parked.
//! So a request that it has fully read and that has waited for a while goes on waiting outside: hyper's connection is
//! taken apart around it. So is one that waits for its client's next request, but only where a request certainly begins
//! with what comes next: bytes of an earlier request's body would be taken for a request.

mod answer;
mod chunks;
mod lines;
mod outside;
mod refusing;
mod resting;
mod settings;
mod slow;
#[cfg_attr(not(fuzzing), cfg(test))]
pub(crate) mod tests;
mod timers;
mod usual;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::server::conn::http1::{Connection, Parts, UpgradeableConnection};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep};

use self::outside::{Answering, Begun, Idle, Next, Waiting};
use self::refusing::Refusing;
pub(super) use self::resting::{Rested, Resting};
pub(super) use self::settings::{About, Http1Settings, Waits};
use super::caller::{Answer, BoxError, CallStatus, Caller, Last, Serve, SharedCall};
use super::connection_limits::Exceeded;
use super::ending::EndingStage;
use crate::duplex::{Duplex, Outside, RawHeaders, Tracked, Unflushed};
use crate::hop;

/// Serves HTTP/1.1 over one connection, until it ends or switches to another protocol.
pub(super) struct Http<S: Serve> {
    settings: Arc<Http1Settings>,
    service: S,
    raw_headers: RawHeaders,
    /// Boxed because most connections never have any, and each would reserve room for it.
    attached: Option<Box<Attached<S>>>,
    stage: Stage<S>,
    /// Fires when a connection may have waited long enough to leave hyper, or to be ended; not reset by requests that are
    /// answered earlier.
    rest_timer: Option<Pin<Box<Sleep>>>,
    /// What is left of [`Last`]: the two parts are apart, so that the flags below take no room.
    last_from: Instant,
    answers_left: u32,
    /// The connection closes behind the current response.
    is_last: bool,
    /// The next response says that the connection closes.
    is_leaving: bool,
}

/// What is known of a connection while hyper has the socket.
struct Attached<S: Serve> {
    /// The current call.
    shared: SharedCall<S>,
    /// What hyper has on its way out.
    unflushed: Unflushed,
    /// How many responses there were when the timer was last set for an idle connection.
    answers: u32,
    /// Since when the header of a request comes in, and how many responses there were before it.
    header_since: Option<(u32, Instant)>,
    /// Whether a body was being read for a request that was answered before.
    had_body: bool,
}

enum Stage<S: Serve> {
    /// Hyper has the socket.
    Inside(Box<Connection<TokioIo<Tracked>, Caller<S>>>),
    /// The same, after a request has asked for another protocol.
    Upgradeable(Box<UpgradeableConnection<TokioIo<Tracked>, Caller<S>>>),
    /// A request waits, without hyper.
    Waiting(Waiting<S>),
    /// A response is written, without hyper.
    Answering(Answering<S>),
    /// The next request is waited for, without hyper.
    Idle(Idle),
    /// A header has not come in full and is refused, and the client is told so.
    Refusing(Box<Refusing>),
    Over,
}

impl<S: Serve> Http<S> {
    /// Creates the protocol of a connection. `raw_headers` shows the service each request's header.
    pub(super) fn new(
        settings: Arc<Http1Settings>,
        duplex: Duplex,
        service: S,
        raw_headers: RawHeaders,
    ) -> Self {
        let stage = Stage::Idle(Idle::new(duplex.into()));
        let limits = settings.limits;
        let last_from = Instant::now() + limits.connection_lifetime;
        Self {
            settings,
            service,
            raw_headers,
            attached: None,
            stage,
            rest_timer: None,
            last_from,
            answers_left: limits.connection_requests,
            is_last: false,
            is_leaving: false,
        }
    }

    /// Returns when the connection has served enough.
    const fn last(&self) -> Last {
        Last { answers: self.answers_left, from: self.last_from }
    }

    /// Does what a stage of the server means for its connections.
    pub(super) fn change(&mut self, stage: EndingStage) {
        match stage {
            EndingStage::Serving | EndingStage::Moving => {}
            EndingStage::Leaving => {
                self.is_leaving = true;
                if let Some(attached) = &self.attached {
                    attached.shared.close_behind_answer();
                }
            }
            EndingStage::Ending | EndingStage::Cut => self.end(),
        }
    }

    /// Ends after the current request, or at once if there is none.
    fn end(&mut self) {
        self.is_last = true;
        match &mut self.stage {
            Stage::Inside(connection) => Pin::new(&mut **connection).graceful_shutdown(),
            Stage::Upgradeable(connection) => Pin::new(&mut **connection).graceful_shutdown(),
            // What is under way is answered first; the connection then closes behind it.
            Stage::Waiting(_) | Stage::Answering(_) | Stage::Refusing(_) | Stage::Over => {}
            Stage::Idle(_) => self.end_idle(),
        }
    }

    /// Returns whether everything that hyper has written is flushed.
    fn is_flushed(&self) -> bool {
        self.attached.as_ref().is_none_or(|attached| !attached.unflushed.get())
    }

    /// Returns whether nothing happens but that the next request is waited for. Its beginning must be certain.
    fn is_idle(&self) -> bool {
        self.is_done() && self.raw_headers.is_between_requests()
    }

    /// Takes hyper's connection apart while there is no request.
    fn detach_idle(&mut self) {
        let Stage::Inside(connection) = std::mem::replace(&mut self.stage, Stage::Over) else { return };
        let parts = connection.into_parts();
        self.raw_headers.rest();
        let answers = self.attached.take().map_or(0, |attached| attached.shared.answers());
        self.answers_left = self.answers_left.saturating_sub(answers);
        let now = Instant::now();
        let since = now.checked_sub(self.settings.waits.rest_after).unwrap_or(now);
        self.stage = Stage::Idle(Idle::since(since, parts.io.into_inner().into_outside()));
        if !parts.read_buf.is_empty() {
            // Nothing was read since the last request, so this would be a part of it.
            self.end_idle();
        }
    }

    /// Goes on with an idle connection outside hyper: its next request begins, or it ends.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let Stage::Idle(idle) = &mut self.stage else { return Poll::Ready(Ok(())) };
        match idle.poll_next(cx, &self.settings.limits)? {
            Poll::Ready(Next::Request(request)) => {
                self.answers_left = self.answers_left.saturating_sub(1);
                if let Stage::Idle(idle) = std::mem::replace(&mut self.stage, Stage::Over) {
                    self.stage = Stage::Waiting(idle.call(request, &mut self.service, &self.raw_headers));
                }
            }
            Poll::Ready(Next::Unusual) => self.reattach_idle(),
            Poll::Ready(Next::End) => self.end_idle(),
            Poll::Pending => {
                ready!(self.poll_idle_end(cx));
                self.end_idle();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Goes on with a request that waits outside hyper.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let Stage::Waiting(waiting) = &mut self.stage else { return Poll::Ready(Ok(())) };
        match waiting.poll_answer(cx, &self.raw_headers)? {
            Poll::Ready(answer) => self.answer(answer),
            Poll::Pending => return self.pending(),
        }
        Poll::Ready(Ok(()))
    }

    /// Begins to write the response to a request that waited, or has hyper do it.
    fn answer(&mut self, answer: Answer<S>) {
        let Stage::Waiting(waiting) = std::mem::replace(&mut self.stage, Stage::Over) else { return };
        self.is_leaving |= self.answers_left == 0 || Instant::now() >= self.last_from;
        let (idle, answer) = match answer {
            Ok(response) if !self.is_last && !self.is_leaving => match waiting.answer(response) {
                Begun::Here(answering) => {
                    self.stage = Stage::Answering(answering);
                    return;
                }
                Begun::Hypers(idle, response) => (idle, Ok(response)),
            },
            answer => (waiting.into_idle(), answer),
        };
        self.reattach_hyper(idle, answer);
    }

    /// Goes on with a response that is written outside hyper.
    fn poll_answering(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let Stage::Answering(answering) = &mut self.stage else { return Poll::Ready(Ok(())) };
        if answering.poll_write(cx)?.is_pending() {
            return self.pending();
        }
        if let Stage::Answering(answering) = std::mem::replace(&mut self.stage, Stage::Over) {
            self.stage = Stage::Idle(answering.into_idle());
        }
        if self.is_last {
            self.end_idle();
        }
        Poll::Ready(Ok(()))
    }

    /// Gives hyper the socket of an idle connection.
    fn reattach_idle(&mut self) {
        if let Stage::Idle(Idle { io, .. }) = std::mem::replace(&mut self.stage, Stage::Over) {
            self.attach(io);
        }
    }

    /// Makes hyper's connection around a socket.
    fn attach(&mut self, io: Outside) -> &SharedCall<S> {
        let (raw_headers, unflushed) = (self.raw_headers.clone(), Unflushed::default());
        let io = Tracked::new(io, unflushed.clone(), raw_headers.clone());
        let (service, limits) = (self.service.clone(), self.settings.limits);
        let (caller, shared) = Caller::new(service, raw_headers, unflushed.clone(), limits, self.last());
        if self.is_leaving {
            shared.close_behind_answer();
        }
        let connection = self.settings.builder.serve_connection(TokioIo::new(io), caller);
        self.stage = Stage::Inside(Box::new(connection));
        self.rest_timer = None;
        let attached = Attached { shared, unflushed, answers: 0, header_since: None, had_body: false };
        &self.attached.insert(Box::new(attached)).shared
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
        let Some(Attached { shared, .. }) = self.attached.take().map(|attached| *attached) else { return };
        let Some(call) = shared.take() else { return };
        // With the response that this request will have.
        self.answers_left = self.answers_left.saturating_sub(shared.answers() + 1);
        let Stage::Inside(connection) = std::mem::replace(&mut self.stage, Stage::Over) else { return };
        let parts = connection.into_parts();
        self.raw_headers.rest();
        // Copied, because the buffer is hyper's.
        let io = parts.io.into_inner().into_outside().behind(Bytes::copy_from_slice(&parts.read_buf));
        self.stage = Stage::Waiting(Waiting::after_hyper(call, io));
    }

    fn status(&self) -> CallStatus {
        self.attached.as_ref().map_or(CallStatus::Busy, |attached| attached.shared.status())
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
        let settings = Arc::make_mut(&mut self.settings);
        settings.builder.max_headers(hop::LINES_MAX);
        let again = |parts: Parts<TokioIo<Tracked>, Caller<S>>| {
            let io = parts.io.into_inner().again(Bytes::copy_from_slice(&parts.read_buf));
            Box::new(settings.builder.serve_connection(TokioIo::new(io), parts.service))
        };
        self.stage = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Inside(connection) => Stage::Inside(again(connection.into_parts())),
            Stage::Upgradeable(connection) => match connection.into_parts() {
                Some(parts) => Stage::Upgradeable(Box::new(again(parts).with_upgrades())),
                None => Stage::Over,
            },
            other @ (Stage::Waiting(_)
            | Stage::Answering(_)
            | Stage::Idle(_)
            | Stage::Refusing(_)
            | Stage::Over) => other,
        };
    }

    /// Gives hyper the response to a request that waited outside.
    fn reattach_hyper(&mut self, Idle { io, .. }: Idle, answer: Answer<S>) {
        let stand_in = Bytes::from_static(if self.is_last { LAST_STAND_IN } else { STAND_IN });
        // Its request was counted already.
        self.answers_left = self.answers_left.saturating_add(1);
        self.attach(io.behind(stand_in)).answer_next(answer);
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
                        return Poll::Ready(this.ended(ended));
                    }
                    match this.status() {
                        CallStatus::WantsUpgrade => this.allow_upgrade(),
                        // What is not written yet would be lost.
                        CallStatus::WaitsSince(since) if this.is_flushed() => {
                            ready!(this.poll_rest(cx, since));
                            this.detach_hyper();
                        }
                        CallStatus::Between(answers) if this.is_idle() => {
                            let attached = this.attached.as_mut();
                            if attached.is_some_and(|attached| attached.header_since.take().is_some()) {
                                this.rest_timer = None;
                            }
                            ready!(this.poll_idle_rest(cx, answers));
                            this.detach_idle();
                        }
                        CallStatus::Between(_) => {
                            let limit = ready!(this.poll_refused_header(cx));
                            this.refuse_header(limit);
                        }
                        CallStatus::WaitsSince(_) | CallStatus::Busy => return Poll::Pending,
                    }
                }
                Stage::Idle(_) => ready!(this.poll_idle(cx))?,
                Stage::Waiting(_) => ready!(this.poll_waiting(cx))?,
                Stage::Answering(_) => ready!(this.poll_answering(cx))?,
                Stage::Upgradeable(connection) => {
                    if let Poll::Ready(ended) = Pin::new(&mut **connection).poll(cx) {
                        if this.wants_reread(&ended) {
                            this.reread_header();
                            continue;
                        }
                        return Poll::Ready(this.ended(ended));
                    }
                    if !matches!(this.status(), CallStatus::Between(_)) {
                        return Poll::Pending;
                    }
                    let limit = ready!(this.poll_refused_header(cx));
                    this.refuse_header(limit);
                }
                Stage::Refusing(refusing) => {
                    ready!(refusing.poll(cx))?;
                    return Poll::Ready(Err(Exceeded(refusing.limit).into()));
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

//! The service inside hyper: it passes each request to the connection's service, and keeps the call where the
//! connection can reach it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};

use http::header::{CONNECTION, HeaderMap, TE, UPGRADE};
use http::{HeaderValue, Method, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;
use tower::Service;
use tower::util::{Oneshot, ServiceExt};

use super::carried::Carried;
use super::connection_limits::{ConnectionLimits, refusal};
use crate::client_body::{ClientBody, Mark, Unasked};
use crate::date;
use crate::duplex::{RawHeaders, Receipted, SpelledNames, Unflushed, give_to_hyper};
use crate::hop;
use crate::limited::Limit;
use crate::spelling::Spelling;

/// What can serve a connection: a tower service that is cloned for each request.
pub trait Serve:
    Service<
        Request,
        Response = http::Response<Self::Body>,
        Error: Into<BoxError> + Send,
        Future: Unpin + Send + 'static,
    > + Clone
    + Send
    + Unpin
    + 'static
{
    /// The body of its responses.
    type Body: Body<Data: Send, Error: Into<BoxError>>
        + Receipted
        + From<&'static str>
        + Send
        + Unpin
        + 'static;
}

impl<S, B> Serve for S
where
    S: Service<
            Request,
            Response = http::Response<B>,
            Error: Into<BoxError> + Send,
            Future: Unpin + Send + 'static,
        > + Clone
        + Send
        + Unpin
        + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Receipted + From<&'static str> + Send + Unpin + 'static,
{
    type Body = B;
}

/// A client's request.
pub type Request = http::Request<ClientBody>;

/// The error of a service or of hyper.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub(super) type Answer<S> = Result<<S as Service<Request>>::Response, <S as Service<Request>>::Error>;

/// The same as hyper gets it.
type CarriedAnswer<S> = Result<http::Response<Carried<<S as Serve>::Body>>, <S as Service<Request>>::Error>;

/// A tower service as hyper needs it: called through a shared reference, each call on a clone that was polled for
/// readiness first.
pub(super) struct Caller<S: Serve> {
    service: S,
    shared: SharedCall<S>,
}

/// Where a connection finds its current call. Both are one task, so neither waits for the other.
pub(super) struct SharedCall<S: Serve>(Arc<Mutex<CallState<S>>>);

struct CallState<S: Serve> {
    call: Option<Call<S>>,
    raw_headers: RawHeaders,
    unflushed: Unflushed,
    /// The response to the next request, instead of a call. Boxed because it is set for a moment only, and each
    /// connection would reserve room for it.
    answer: Option<Box<Answer<S>>>,
    /// When the request was fully read; the call is pending since then.
    whole_since: Option<Instant>,
    upgrade: Upgrade,
    /// Whether the next response is the last.
    is_last: bool,
    /// How many responses hyper has been given.
    answers: u32,
    last: Last,
    /// Held with the body of a request that is being read.
    body: Weak<Mark>,
    /// Whether its client still waits to be asked for it.
    unasked: Option<Unasked>,
    limits: ConnectionLimits,
    /// The limit for which a request was refused.
    exceeded: Option<Limit>,
}

/// When a connection has served enough.
#[derive(Clone, Copy)]
pub(super) struct Last {
    /// How many more responses it has, with the last.
    pub(super) answers: u32,
    /// From when on its next response is the last.
    pub(super) from: Instant,
}

/// What a connection must know.
pub(super) enum CallStatus {
    /// A request asks for another protocol, and waits until the connection is ready for that. Reported once.
    WantsUpgrade,
    /// The connection only waits for the response to a request that was complete at this time.
    WaitsSince(Instant),
    /// No request is served, since so many responses.
    Between(u32),
    /// Hyper has something to do.
    Busy,
}

/// Whether a connection may switch to another protocol.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Upgrade {
    Unasked,
    /// A request asks for it, and is not handed on before the connection is ready for that.
    Asked,
    Ready,
}

/// A pending call. Our services are always ready: then only their future waits, and the request takes no room beside
/// it.
pub(super) enum Call<S: Serve> {
    /// One that begins when it is polled.
    Later(Option<Box<(S, Request)>>),
    Called(S::Future),
    Waiting(Pin<Box<Oneshot<S, Request>>>),
}

impl<S: Serve> Caller<S> {
    pub(super) fn new(
        service: S,
        raw_headers: RawHeaders,
        unflushed: Unflushed,
        limits: ConnectionLimits,
        last: Last,
    ) -> (Self, SharedCall<S>) {
        let state = CallState {
            raw_headers,
            unflushed,
            call: None,
            answer: None,
            whole_since: None,
            upgrade: Upgrade::Unasked,
            is_last: false,
            answers: 0,
            last,
            body: Weak::new(),
            unasked: None,
            limits,
            exceeded: None,
        };
        let shared = SharedCall(Arc::new(Mutex::new(state)));
        (Self { service, shared: shared.clone() }, shared)
    }
}

impl<S: Serve> hyper::service::Service<http::Request<Incoming>> for Caller<S> {
    type Response = http::Response<Carried<S::Body>>;
    type Error = S::Error;
    type Future = Answering<S>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let mut request = request.map(ClientBody::from);
        let (lines, body_len) = (request.headers().len(), request.body().size_hint().exact());
        let mut state = self.shared.open();
        state.raw_headers.begin_request(lines, body_len);
        // If there is an answer, this request is the stand-in for one that waited outside: nothing is called.
        if state.answer.is_none()
            && let Some(limit) = state.limits.exceeded(&request)
        {
            (state.exceeded, state.is_last) = (Some(limit), true);
            state.answer = Some(Box::new(Ok(refusal(limit))));
        } else if state.answer.is_none() {
            if !request.body().is_end_stream() {
                state.unasked = Unasked::of(request.headers());
                let mark = Arc::new(Mark::new(state.unasked.clone(), None));
                state.body = Arc::downgrade(&mark);
                request = request.map(|body| body.marked(mark));
            }
            let asks_upgrade = request.headers().contains_key(UPGRADE);
            state.whole_since = (!asks_upgrade && is_whole(&request)).then(Instant::now);
            if state.upgrade == Upgrade::Unasked && asks_upgrade {
                state.upgrade = Upgrade::Asked;
            }
            state.call = Some(Call::new(&mut self.service.clone(), request));
        }
        Answering { shared: self.shared.clone(), is_answered: false }
    }
}

/// Returns whether a request can be parked: it has no `Upgrade`, was read to its end, and its response and connection
/// continue as for a GET without headers. So do those of a POST without a body, which is how clients of SockJS poll.
fn is_whole(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::POST)
        && request.version() == Version::HTTP_11
        && request.body().is_end_stream()
        // A client that sent `TE` may get trailers, so it is not parked outside.
        && !request.headers().contains_key(TE)
        && !closes(request.headers())
}

fn closes(headers: &HeaderMap) -> bool {
    let is_close = |word: &[u8]| word.eq_ignore_ascii_case(b"close");
    // What browsers send needs no splitting.
    headers.get_all(CONNECTION).iter().any(|value| value != "keep-alive" && hop::tokens(value).any(is_close))
}

impl<S: Serve> CallState<S> {
    /// Dates a response, tells its body its connection, and has the names in its header spelled; in a backend's response only
    /// those that hyper adds. If something before it waits to be written, its beginning is unknown: then the names stay
    /// as hyper writes them.
    fn prepare(&mut self, answer: Answer<S>) -> CarriedAnswer<S> {
        self.answers = self.answers.saturating_add(1);
        self.is_last |= self.answers >= self.last.answers || Instant::now() >= self.last.from;
        let is_unasked = self.unasked.take().is_some_and(|unasked| unasked.get());
        let mut response = match answer {
            Ok(response) => response,
            Err(error) => {
                self.raw_headers.await_request(None);
                return Err(error);
            }
        };
        give_to_hyper(&mut response, &self.unflushed);
        date::set(response.headers_mut());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.raw_headers.end();
        } else if self.is_last || is_unasked {
            // An idle connection is not closed, since its client may be sending: it is told with the next response. Nor is a
            // client asked for a body that nobody needs any more: what it sends now would be read as that body.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let is_backends = Spelling::is_applied(response.extensions());
        let spelled_names = if is_backends { SpelledNames::Added } else { SpelledNames::All };
        self.raw_headers.await_request(Some(spelled_names).filter(|_| !self.unflushed.get()));
        if response.body().size_hint().exact().is_none() {
            // A stream may last for hours.
            self.raw_headers.rest();
        }
        let carrying = self.unflushed.carry();
        Ok(response.map(|body| Carried::new(body, carrying)))
    }
}

impl<S: Serve> SharedCall<S> {
    fn open(&self) -> MutexGuard<'_, CallState<S>> {
        // A call that panicked has ended its connection, which only drops what is left here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the state of the current call.
    pub(super) fn status(&self) -> CallStatus {
        let mut state = self.open();
        if state.upgrade == Upgrade::Asked {
            state.upgrade = Upgrade::Ready;
            return CallStatus::WantsUpgrade;
        }
        match (&state.call, state.whole_since) {
            (None, _) => CallStatus::Between(state.answers),
            (Some(_), Some(since)) => CallStatus::WaitsSince(since),
            (Some(_), None) => CallStatus::Busy,
        }
    }

    /// Returns the current call, whose request is complete.
    pub(super) fn take(&self) -> Option<Call<S>> {
        self.open().call.take()
    }

    /// Has the connection close behind its next response.
    pub(super) fn close_behind_answer(&self) {
        self.open().is_last = true;
    }

    /// Returns whether something still holds the body of a request, which hyper reads for it.
    pub(super) fn is_body_held(&self) -> bool {
        self.open().body.strong_count() > 0
    }

    /// Returns how many responses hyper has been given.
    pub(super) fn answers(&self) -> u32 {
        self.open().answers
    }

    /// Returns the limit for which a request was refused.
    pub(super) fn exceeded(&self) -> Option<Limit> {
        self.open().exceeded
    }

    /// Sets the response to the next request.
    pub(super) fn answer_next(&self, answer: Answer<S>) {
        self.open().answer = Some(Box::new(answer));
    }
}

impl<S: Serve> Clone for SharedCall<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A request whose response hyper waits for.
pub(super) struct Answering<S: Serve> {
    shared: SharedCall<S>,
    is_answered: bool,
}

impl<S: Serve> Future for Answering<S> {
    type Output = CarriedAnswer<S>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut state = this.shared.open();
        if let Some(answer) = state.answer.take() {
            this.is_answered = true;
            return Poll::Ready(state.prepare(*answer));
        }
        // The connection polls this again as soon as it is ready for an upgrade.
        if state.upgrade == Upgrade::Asked {
            return Poll::Pending;
        }
        // Taken to wait outside: hyper is taken apart before it would poll this again.
        let Some(call) = &mut state.call else { return Poll::Pending };
        let answer = ready!(Pin::new(call).poll(cx));
        let call = state.call.take();
        let answer = state.prepare(answer);
        this.is_answered = true;
        // The call is dropped without the lock: what it holds does things when it is dropped, and must find this free.
        drop(state);
        drop(call);
        Poll::Ready(answer)
    }
}

impl<S: Serve> Drop for Answering<S> {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        // The client is gone, or the request waits outside.
        let mut state = self.shared.open();
        state.raw_headers.await_request(None);
        let call = state.call.take();
        drop(state);
        drop(call);
    }
}

impl<S: Serve> Call<S> {
    /// Calls the service as soon as it is polled.
    pub(super) fn once_polled(service: S, request: Request) -> Self {
        Self::Later(Some(Box::new((service, request))))
    }

    /// Calls the service.
    pub(super) fn new(service: &mut S, request: Request) -> Self {
        // No wake-up is needed from a service that is not ready: `oneshot` asks it again.
        match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Self::Called(service.call(request)),
            Poll::Ready(Err(_)) | Poll::Pending => Self::Waiting(Box::pin(service.clone().oneshot(request))),
        }
    }
}

impl<S: Serve> Future for Call<S> {
    type Output = Answer<S>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Self::Later(asked) = this
            && let Some(asked) = asked.take()
        {
            let (mut service, request) = *asked;
            *this = Self::new(&mut service, request);
        }
        match this {
            // It was polled once, and has become another.
            Self::Later(_) => Poll::Pending,
            Self::Called(called) => Pin::new(called).poll(cx),
            Self::Waiting(waiting) => waiting.as_mut().poll(cx),
        }
    }
}

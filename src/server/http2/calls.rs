//! The service inside hyper: each request gets a service of its own.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::CONNECTION;
use http::{Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;

use super::message::{self, Asked};
use super::progress::{Progress, Watched};
use super::streams::Starts;
use crate::client_body::{ClientBody, Mark, Unasked};
use crate::date;
use crate::duplex::{Ahead, Heads, Patience, RawHeaders, Room, Unflushed, give_to_hyper};
use crate::limited::Limited;
use crate::server::caller::{Answer, Call, Serve};
use crate::server::connect_info::{ConnectInfo, STALL_TIMEOUT};
use crate::server::connection_limits::{ConnectionLimits, refusal};
use crate::upstream::Pinned;

/// The service of a connection.
pub(super) struct Calls<M> {
    make: Arc<M>,
    info: ConnectInfo,
    starts: Starts,
    unflushed: Unflushed,
    ahead: Ahead,
    limits: ConnectionLimits,
    limited: Limited,
}

impl<M> Calls<M> {
    pub(super) const fn new(
        make: Arc<M>,
        info: ConnectInfo,
        starts: Starts,
        unflushed: Unflushed,
        ahead: Ahead,
        limits: ConnectionLimits,
        limited: Limited,
    ) -> Self {
        Self { make, info, starts, unflushed, ahead, limits, limited }
    }
}

impl<M, S> hyper::service::Service<http::Request<Incoming>> for Calls<M>
where
    M: Fn(ConnectInfo) -> S,
    S: Serve,
{
    type Response = Response<Watched<S::Body>>;
    type Error = S::Error;
    type Future = Calling<S>;

    fn call(&self, request: http::Request<Incoming>) -> Calling<S> {
        // Its own: the requests of a connection may be of different routes.
        let patience = Patience::new(STALL_TIMEOUT);
        let progress = Progress::new(patience.clone(), self.starts.behind(), self.ahead.written.clone());
        self.starts.expect(Arc::clone(&progress));
        let mut request = request.map(ClientBody::from);
        if !request.body().is_end_stream() {
            let mark = Mark::new(Unasked::of(request.headers()), Some(self.ahead.read.reader()));
            request = request.map(|body| body.marked(Arc::new(mark)));
        }
        let terms = || Progress::terms(&progress, &self.ahead);
        let (request, asked) = message::read(request, terms);
        if self.starts.count() >= self.limits.connection_requests {
            self.starts.note_last();
        }
        let exceeded = self.limits.exceeded(&request);
        if let Some(limit) = exceeded {
            self.limited.reached(limit, Some(&self.info.peer));
        }
        let (raw_headers, pinned) = (RawHeaders::default(), Pinned::default());
        let info = ConnectInfo { patience, raw_headers, pinned, ..self.info.clone() };
        Calling {
            // Not here: hyper may have read in one go that an earlier request was given up, and this one. The earlier one's
            // future, woken before, is polled and dropped before.
            call: Call::once_polled((self.make)(info), request),
            refusal: exceeded.map(|limit| Box::new(refusal(limit))),
            connection: self.info.patience.clone(),
            progress,
            asked,
            starts: self.starts.clone(),
            unflushed: self.unflushed.clone(),
            held: None,
            is_answered: false,
        }
    }
}

/// A request whose response hyper waits for.
pub(super) struct Calling<S: Serve> {
    call: Call<S>,
    /// The response instead of a call, to a request that exceeds a limit.
    refusal: Option<Box<Response<S::Body>>>,
    /// How long the client may read nothing of any response.
    connection: Patience,
    progress: Arc<Progress>,
    asked: Asked,
    starts: Starts,
    unflushed: Unflushed,
    /// The response, while the client has too much to take of others. Boxed because that is rare.
    held: Option<Box<(Response<S::Body>, Room)>>,
    /// Whether hyper has the response.
    is_answered: bool,
}

impl<S: Serve> Calling<S> {
    /// Returns the response once there is one.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Answer<S>> {
        if let Some(refusal) = self.refusal.take() {
            return Poll::Ready(Ok(*refusal));
        }
        if let Call::Later(Some(asked)) = &mut self.call {
            // Not earlier: requests that come together share what HPACK repeats. Joined, each has a copy, and the service
            // counts or refuses it at once.
            message::join_cookies(asked.1.headers_mut());
        }
        Pin::new(&mut self.call).poll(cx)
    }

    /// Returns the response once there is one and hyper may take it. Until then, the request keeps its place among those
    /// that are served at once.
    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Answer<S>> {
        if self.held.is_none() {
            let answer = ready!(self.poll_answer(cx));
            let heads = self.progress.heads();
            match answer {
                Ok(response) if heads.are_full() => {
                    let room = heads.room(Heads::len_of(response.headers()));
                    self.held = Some(Box::new((response, room)));
                }
                answer => return Poll::Ready(answer),
            }
        }
        if let Some(held) = &mut self.held {
            ready!(held.1.poll(cx));
        }
        self.held.take().map_or(Poll::Pending, |held| Poll::Ready(Ok(held.0)))
    }
}

impl<S: Serve> Future for Calling<S> {
    type Output = Result<Response<Watched<S::Body>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let answer = ready!(this.poll_response(cx));
        this.is_answered = true;
        let mut response = answer?;
        give_to_hyper(&mut response, &this.unflushed);
        date::set(response.headers_mut());
        this.progress.extend(&this.connection);
        // Its connection takes a descriptor that is needed: HTTP/2 has no header to say so. (Where HTTP/1.1 closes for fear
        // of what follows a request, a stream of its own is all that ends.)
        if response.status() == StatusCode::SERVICE_UNAVAILABLE
            && response.headers().get(CONNECTION).is_some_and(|option| option == "close")
        {
            this.starts.note_last();
        }
        message::finish(&mut response, &this.asked);
        this.progress.took_head(response.headers());
        if matches!(this.asked, Asked::WebSocket(_)) && response.status() == StatusCode::OK {
            // The next that hyper starts is what writes the byte stream.
            this.progress.detach();
            this.starts.expect(Arc::clone(&this.progress));
        }
        // An empty frame behind the header would be as right (RFC 9113, section 8.1.1), and clients take it for a body that is
        // shorter than its `Content-Length`.
        let is_bare = this.asked == Asked::Head
            || matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let progress = Arc::clone(&this.progress);
        Poll::Ready(Ok(response.map(|body| Watched::new(body, progress, is_bare))))
    }
}

impl<S: Serve> Drop for Calling<S> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.starts.note_given_up();
        }
    }
}

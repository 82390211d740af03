//! The complete path of a request, on one screen, and what currently serves it, which can be replaced while connections
//! live.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use futures_util::FutureExt as _;
use http::header::UPGRADE;
use http::request::Parts;
use http::{Method, Request, StatusCode, Version};
use http_body::Body as _;
use tower::Service;

use super::forward::refuse_connect;
use super::recorded::{note_route, recorded};
use super::refusals::Reason;
use super::replies::{OUT_OF_ROUTE, plain};
use super::running::{Handler, Running, Served};
use super::serving::{Serving, head_len};
use super::target;
use super::{Connection, Response};
use crate::client_body::ClientBody;
use crate::hop;
use crate::large_head::LargeHead;
use crate::spelling::HeadBytes;
use crate::transport::Abort;

/// What currently serves requests. It is read per request, not per connection, so the next request finds its
/// replacement.
#[derive(Clone, Debug)]
pub struct Current(Arc<ArcSwap<Running>>);

impl Current {
    /// Creates it with its first value.
    pub fn new(running: Running) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(running)))
    }

    /// Returns the current value.
    pub fn load(&self) -> Guard<Arc<Running>> {
        self.0.load()
    }

    /// Replaces what serves requests from now on. Sessions continue: they are found by their route's identity.
    pub fn replace(&self, running: Running) {
        self.0.store(Arc::new(running));
    }
}

/// The service of one connection: the router, then the route's CORS around its handler.
#[derive(Clone, Debug)]
pub struct Stack {
    current: Current,
    /// Shared: each request has a clone of the service.
    connection: Arc<Connection>,
}

impl Stack {
    /// Creates the service of one client's connection.
    pub fn new(current: Current, connection: Connection) -> Self {
        Self { current, connection: Arc::new(connection) }
    }
}

impl Service<Request<ClientBody>> for Stack {
    type Response = Response;
    type Error = Abort;
    type Future = Serving;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Abort>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ClientBody>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let running = self.current.load();
        let is_seen = running.sees_requests();
        let line = is_seen.then(|| {
            let peer = self.connection.client.peer.ip();
            running.access.begin(&mut head, body.size_hint().exact(), peer)
        });
        let serving = self.serve(&running, head, body, is_seen);
        match line {
            None => serving,
            Some(line) => recorded(serving, line),
        }
    }
}

impl Stack {
    fn serve(&self, running: &Running, mut head: Parts, body: ClientBody, is_seen: bool) -> Serving {
        if head.method == Method::CONNECT {
            return Serving::done(refuse_connect());
        }
        if head.version == Version::HTTP_10 {
            // RFC 9110, section 7.8: such a request can't ask for another protocol.
            head.headers.remove(UPGRADE);
        }
        if let Err(why) = target::settle(&mut head) {
            return Serving::done(plain(StatusCode::BAD_REQUEST, why));
        }
        // A length and a coding exclude each other.
        if body.size_hint().exact().is_none() && hop::is_coded(&head.headers) {
            // hyper only removes the chunks: the body would be read with the other coding in it.
            return Serving::done(plain(StatusCode::NOT_IMPLEMENTED, "unsupported transfer coding\n"));
        }
        let Ok(found) = running.find(&mut head, self.connection.listener.as_ref()) else {
            return Serving::done(plain(StatusCode::BAD_REQUEST, OUT_OF_ROUTE));
        };
        let Some(served @ Served { route, handler }) = found else {
            running.refusals.note(Reason::NoRoute);
            return Serving::done(plain(StatusCode::NOT_FOUND, "no route for this path\n"));
        };
        if let Some(jwt) = &route.jwt {
            jwt.from.take(&mut head);
        }
        if is_seen || running.marks.are_wanted() {
            note_route(&head, served, &self.connection);
            let is_trusted = || self.connection.client.peer.is_among(served.trusted_proxies());
            running.marks.mark(&mut head, running.collector().map(|collector| collector.spans()), is_trusted);
        }
        if let Some(refused) = served.refuse_address(&head.headers, &self.connection.client) {
            return Serving::done(refused);
        }
        let len = head_len(&head, &self.connection);
        if let Some(len) = LargeHead::judge(&head, len)
            && let Some(refused) = served.count_large(&mut head, len, &self.connection.client)
        {
            return Serving::done(refused);
        }
        let patience = &self.connection.patience;
        patience.set(route.session.stall_timeout);
        let grace = if body.is_end_stream() { Duration::ZERO } else { BODY_GRACE };
        patience.set_half_close(grace);
        let forward = match handler {
            Handler::Gateway { gateway, .. } => return gateway.serve(head, body.into(), &self.connection),
            Handler::Demux(demux) => {
                return Serving::done(Arc::clone(demux).serve(head, self.connection.client.clone()));
            }
            Handler::Forward(forward) => forward,
        };
        running.await_response(patience, grace);
        head.extensions.insert(HeadBytes(self.connection.raw_headers.request()));
        // As it is written, in a buffer that has grown with it; of HTTP/1.1 also for the names' spelling.
        LargeHead::copy(&mut head, 2);
        let connection = Connection::clone(&self.connection);
        Serving::other(Arc::clone(forward).serve(head, body, connection, Arc::clone(route)).map(Ok))
    }
}

/// A session's client that closes its sending side is gone, as for the reference server; but everything that it sent
/// before is handled first, and a body may be read when its end has already come.
const BODY_GRACE: Duration = Duration::from_millis(100);

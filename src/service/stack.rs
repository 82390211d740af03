//! The whole way of a request, on one screen.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use http::header::UPGRADE;
use http::{Method, Request, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tower::Service;

use super::demux::Demux;
use super::forward::{Forward, is_client_file, refuse_connect};
use super::gateway::Gateway;
use super::refusals::{Reason, Refusals};
use super::replies::{OUT_OF_ROUTE, plain};
use super::router::Router;
use super::serving::Serving;
use super::settings::Route;
use super::target;
use super::via::Via;
use super::{Connection, Response};
use crate::duplex::Patience;
use crate::hop;
use crate::spelling::HeadBytes;
use crate::transport::Abort;

/// The service of one connection: router, then the route's CORS around what serves it.
#[derive(Clone, Debug)]
pub struct Stack {
    shared: Arc<Shared>,
    connection: Connection,
}

/// What all connections share.
#[derive(Debug)]
pub struct Shared {
    router: Router,
    routes: Vec<Served>,
    half_close_timeout: Duration,
    via: Arc<Via>,
    refusals: Refusals,
}

/// One route and what serves it.
#[derive(Debug)]
struct Served {
    route: Arc<Route>,
    handler: Handler,
}

/// What serves a route's requests.
#[derive(Debug)]
pub enum Handler {
    /// A dialect whose packets pass through sessions.
    Gateway {
        /// Where they live.
        gateway: Arc<Gateway>,
        /// What forwards the requests for the backend's client files, which lie below the sessions' own path.
        files: Option<Arc<Forward>>,
    },
    /// Connections that carry other proxies' sessions.
    Demux(Arc<Demux>),
    /// Nothing but requests, each forwarded as it is.
    Forward(Arc<Forward>),
}

impl Shared {
    /// Routes and what serves them, in the order of the configuration; `half_close_timeout` is how long a forwarded request
    /// is still answered whose client has ended its side.
    pub fn new(routes: Vec<(Arc<Route>, Handler)>, half_close_timeout: Duration, via: Arc<Via>) -> Self {
        let settings: Vec<Route> = routes.iter().map(|(route, _)| (**route).clone()).collect();
        let routes = routes.into_iter().map(|(route, handler)| Served { route, handler });
        let refusals = Refusals::without_route();
        Self { router: Router::new(&settings), routes: routes.collect(), half_close_timeout, via, refusals }
    }

    /// How long a client waits for a forwarded response that has ended its side, or that sends more ahead of the response
    /// than is read: where its request has no body, that is no part of it, and its end may lie behind it.
    fn await_response(&self, patience: &Patience, grace: Duration) {
        patience.set_half_close(self.half_close_timeout.max(grace));
        if grace.is_zero() {
            patience.set_unread(self.half_close_timeout.max(UNREAD_MIN));
        }
    }
}

impl Stack {
    /// The service for one client's connection.
    pub fn new(shared: Arc<Shared>, connection: Connection) -> Self {
        Self { shared, connection }
    }
}

impl Service<Request<Incoming>> for Stack {
    type Response = Response;
    type Error = Abort;
    type Future = Serving;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Abort>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        if head.method == Method::CONNECT {
            return Serving::done(refuse_connect());
        }
        if head.version == Version::HTTP_10 {
            // RFC 9110, section 7.8: such a request asks for no other protocol, whatever it says.
            head.headers.remove(UPGRADE);
        }
        if let Err(why) = target::settle(&mut head) {
            return Serving::done(plain(StatusCode::BAD_REQUEST, why));
        }
        // A length and a coding exclude each other.
        if body.size_hint().exact().is_none() && hop::is_coded(&head.headers) {
            // hyper removes only the chunks: the body would be taken with the other coding in it.
            return Serving::done(plain(StatusCode::NOT_IMPLEMENTED, "this transfer coding is not known\n"));
        }
        if self.shared.via.is_circle(&head.headers) {
            self.shared.refusals.note(Reason::Circle);
            return Serving::done(plain(StatusCode::LOOP_DETECTED, "the request goes in a circle\n"));
        }
        let Ok(found) = self.shared.router.find(&head) else {
            return Serving::done(plain(StatusCode::BAD_REQUEST, OUT_OF_ROUTE));
        };
        let served = found.and_then(|index| self.shared.routes.get(index));
        let Some(Served { route, handler }) = served else {
            self.shared.refusals.note(Reason::NoRoute);
            return Serving::done(plain(StatusCode::NOT_FOUND, "no route for this path\n"));
        };
        let patience = &self.connection.patience;
        patience.set(route.session.stall_timeout);
        let grace = if body.is_end_stream() { Duration::ZERO } else { BODY_GRACE };
        patience.set_half_close(grace);
        let heads = &self.connection.heads;
        let gateway = match handler {
            Handler::Gateway { files: Some(files), .. } if is_client_file(&head, &route.path) => {
                self.shared.await_response(patience, grace);
                head.extensions.insert(HeadBytes(heads.request()));
                let served = Arc::clone(files).serve(head, body, self.connection.clone(), Arc::clone(route));
                return Serving::other(served.map(Ok));
            }
            Handler::Gateway { gateway, .. } => gateway,
            Handler::Demux(demux) => {
                return Serving::done(Arc::clone(demux).serve(head, self.connection.client));
            }
            Handler::Forward(forward) => {
                self.shared.await_response(patience, grace);
                head.extensions.insert(HeadBytes(heads.request()));
                let served =
                    Arc::clone(forward).serve(head, body, self.connection.clone(), Arc::clone(route));
                return Serving::other(served.map(Ok));
            }
        };
        gateway.serve(head, body, &self.connection)
    }
}

/// A client of a session that ends its side is gone, as for the reference server; yet what it sent before is taken first,
/// and a body may be read while its end is there already.
const BODY_GRACE: Duration = Duration::from_millis(100);
/// A client that sends the next requests ahead gets at least as long a response.
const UNREAD_MIN: Duration = Duration::from_secs(1);

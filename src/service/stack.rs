//! The whole way of a request, on one screen.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use tower::Service;

use super::cors::CorsLayer;
use super::demux::Demux;
use super::forward::{Forward, is_client_file, refuse_connect};
use super::gateway::Gateway;
use super::handshake::plain;
use super::router::{OUT_OF_ROUTE, Router};
use super::serving::Serving;
use super::settings::Route;
use super::target;
use super::{Connection, Response};
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
}

/// One route and what serves it.
#[derive(Debug)]
struct Served {
    route: Arc<Route>,
    cors: Arc<CorsLayer>,
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
    /// Routes and what serves them, in the order of the configuration.
    pub fn new(routes: Vec<(Arc<Route>, Handler)>) -> Self {
        let settings: Vec<Route> = routes.iter().map(|(route, _)| (**route).clone()).collect();
        let routes = routes.into_iter().map(|(route, handler)| {
            let old = matches!(&handler, Handler::Gateway { gateway, .. } if gateway.handshake.leads_to_old_server());
            let cors = Arc::new(CorsLayer::new(&route.cors, old));
            Served { route, cors, handler }
        });
        Self { router: Router::new(&settings), routes: routes.collect() }
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
        if let Err(why) = target::settle(&mut head) {
            return Serving::done(plain(StatusCode::BAD_REQUEST, why));
        }
        let Ok(found) = self.shared.router.find(&head) else {
            return Serving::done(plain(StatusCode::BAD_REQUEST, OUT_OF_ROUTE));
        };
        let served = found.and_then(|index| self.shared.routes.get(index));
        let Some(Served { route, cors, handler }) = served else {
            return Serving::done(plain(StatusCode::NOT_FOUND, "no route for this path\n"));
        };
        self.connection.patience.set(route.session.stall_timeout);
        let (client, route) = (self.connection.client, Arc::clone(route));
        let gateway = match handler {
            Handler::Gateway { files: Some(files), .. } if is_client_file(&head, &route.path) => {
                let served = Arc::clone(files).serve(head, body, self.connection.clone(), route);
                return Serving::other(served.map(Ok));
            }
            Handler::Gateway { gateway, .. } => gateway,
            Handler::Demux(demux) => {
                return Serving::done(Arc::clone(demux).serve(head, client, route));
            }
            Handler::Forward(forward) => {
                let served = Arc::clone(forward).serve(head, body, self.connection.clone(), route);
                return Serving::other(served.map(Ok));
            }
        };
        gateway.serve(head, body, client, &route, cors)
    }
}

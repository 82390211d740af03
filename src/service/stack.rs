//! The whole way of a request, on one screen.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use tower::Service;

use super::forward::{Forward, is_client_file, refuse_connect};
use super::gateway::Gateway;
use super::handshake::plain;
use super::router::Router;
use super::settings::Route;
use super::sockets::Sockets;
use super::{Client, Response};
use crate::transport::Abort;

/// The service of one connection: router, then the handler of the route that it names.
#[derive(Clone, Debug)]
pub struct Stack {
    shared: Arc<Shared>,
    client: Client,
}

/// What all connections share.
#[derive(Debug)]
pub struct Shared {
    router: Router,
    routes: Vec<(Arc<Route>, Handler)>,
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
    /// A plain WebSocket each, relayed.
    Sockets(Arc<Sockets>),
    /// Nothing but requests, each forwarded as it is.
    Forward(Arc<Forward>),
}

impl Shared {
    /// Routes and what serves them, in the order of the configuration.
    pub fn new(routes: Vec<(Arc<Route>, Handler)>) -> Self {
        let settings: Vec<Route> = routes.iter().map(|(route, _)| (**route).clone()).collect();
        Self { router: Router::new(&settings), routes }
    }
}

impl Stack {
    /// The service for one client's connection.
    pub fn new(shared: Arc<Shared>, client: Client) -> Self {
        Self { shared, client }
    }
}

impl Service<Request<Incoming>> for Stack {
    type Response = Response;
    type Error = Abort;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Abort>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Abort>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let (head, body) = request.into_parts();
        if head.method == Method::CONNECT {
            return Box::pin(ready(Ok(refuse_connect())));
        }
        let found = self.shared.router.find(&head).and_then(|index| self.shared.routes.get(index));
        let Some((route, handler)) = found else {
            return Box::pin(ready(Ok(plain(StatusCode::NOT_FOUND, "no route for this path\n"))));
        };
        let (client, route) = (self.client, Arc::clone(route));
        let forward = match handler {
            Handler::Gateway { files: Some(files), .. } if is_client_file(&head, &route.path) => files,
            Handler::Gateway { gateway, .. } => {
                return Box::pin(Arc::clone(gateway).serve(head, body, client, route));
            }
            Handler::Sockets(sockets) => {
                let served = Arc::clone(sockets).serve(head, client, route);
                return Box::pin(async move { Ok(served.await) });
            }
            Handler::Forward(forward) => forward,
        };
        let forward = Arc::clone(forward).serve(head, body, client, route);
        Box::pin(async move { Ok(forward.await) })
    }
}

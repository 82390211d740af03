//! The whole way of a request, on one screen.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use tower::Service;

use super::gateway::Gateway;
use super::handshake::plain;
use super::router::Router;
use super::settings::Route;
use super::sockets::Sockets;
use super::{Client, Response};
use crate::transport::Abort;

/// The service of one connection: router, then the gateway of the route that it names.
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
#[derive(Clone, Debug)]
pub enum Handler {
    /// A dialect whose packets pass through sessions.
    Gateway(Arc<Gateway>),
    /// WebSockets that are relayed.
    Sockets(Arc<Sockets>),
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
        match self.shared.router.find(&head).and_then(|index| self.shared.routes.get(index)) {
            Some((route, Handler::Gateway(gateway))) => {
                Box::pin(Arc::clone(gateway).serve(head, body, self.client, Arc::clone(route)))
            }
            Some((route, Handler::Sockets(sockets))) => {
                let served = Arc::clone(sockets).serve(head, self.client, Arc::clone(route));
                Box::pin(async move { Ok(served.await) })
            }
            None => {
                Box::pin(std::future::ready(Ok(plain(StatusCode::NOT_FOUND, "no route for this path\n"))))
            }
        }
    }
}

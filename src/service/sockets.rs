//! Dialect `websocket`: plain WebSocket clients, each relayed to a WebSocket of its own.

use std::sync::Arc;

use http::header::UPGRADE;
use http::request::Parts;
use http::{HeaderValue, StatusCode};

use super::handshake::{Handshake, Unavailable, plain};
use super::relayed::RelayRoute;
use super::settings::Route;
use super::{Client, Response};
use crate::dialect::Road;
use crate::meter::{Op, Outcome};
use crate::upstream::OpenError;

/// One route and what its requests need.
#[derive(Debug)]
pub struct Sockets {
    /// How its sessions begin.
    pub handshake: Handshake,
    /// What its relayed sessions need.
    pub relay: RelayRoute,
}

impl Sockets {
    /// Serves one request.
    pub async fn serve(self: Arc<Self>, head: Parts, client: Client, route: Arc<Route>) -> Response {
        if Road::of(&head.headers) != Road::WebSocket {
            let mut response = plain(StatusCode::UPGRADE_REQUIRED, "this path speaks WebSocket\n");
            response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
            self.relay.meter.request(Op::Other, response.status().as_u16());
            return response;
        }
        let (outcome, response) = match self.handshake.admit(&head.headers, &self.relay.registry, &route) {
            Ok(admission) => {
                match self.relay.begin(&self.handshake, head, client, &route.path, admission).await {
                    Ok(response) => (Outcome::Accepted, response),
                    Err(error) => refuse(error, &route),
                }
            }
            Err(Unavailable::Forbidden) => {
                (Outcome::Forbidden, plain(StatusCode::FORBIDDEN, "forbidden origin\n"))
            }
            Err(Unavailable::Busy(outcome, response)) => (outcome, *response),
        };
        self.relay.meter.handshake(outcome);
        self.relay.meter.request(Op::Handshake, response.status().as_u16());
        response
    }
}

/// The backend's own words where it has some.
fn refuse(error: OpenError, route: &Route) -> (Outcome, Response) {
    match error {
        OpenError::Refused(refused) if !refused.status.is_success() => {
            let mut response = Response::new(refused.body.into());
            *response.status_mut() = refused.status;
            *response.headers_mut() = refused.headers;
            (Outcome::Refused, response)
        }
        OpenError::Refused(_)
        | OpenError::Down(_)
        | OpenError::Slow(_)
        | OpenError::Protocol(_)
        | OpenError::NoRandomness(_) => super::handshake::unreached(&error, route),
    }
}

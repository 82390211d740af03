//! A session's beginning where its WebSocket is left to its two ends: the client's handshake is the backend's to answer.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, StatusCode};
use tokio_util::sync::CancellationToken;

use super::handshake::{Handshake, fresh_sid};
use super::settings::Route;
use super::{Client, Response, headers};
use crate::bridge::{Admission, Registry, RelayHandle};
use crate::duplex::Patience;
use crate::framing::Revision;
use crate::meter::Meter;
use crate::packet::Transport;
use crate::spelling::Spelling;
use crate::transport::relay::{Place, Relay};
use crate::transport::{Body, websocket};
use crate::upstream::{OpenError, OpenRequest, Protocol, Relayed};

/// What a relayed session needs of its route.
#[derive(Clone, Debug)]
pub struct RelayRoute {
    /// Which route it is, in the order of the configuration.
    pub index: usize,
    /// Where its sessions are found.
    pub registry: Registry,
    /// The tracker of its sessions' tasks.
    pub tracker: tokio_util::task::TaskTracker,
    /// Where it counts.
    pub meter: Meter,
    /// The largest message of a client's, in payload bytes on the wire; `None` where that is its backend's to say.
    pub max_payload: Option<usize>,
    /// The largest message of the backend's, likewise.
    pub message_max: usize,
    /// How long either end may take nothing of what the other has for it.
    pub stall_timeout: Duration,
    /// How long one end may go on once the other has ended, or said that it will.
    pub close_timeout: Duration,
}

impl RelayRoute {
    /// Passes a client's handshake on, and joins the two streams when the backend has accepted it.
    ///
    /// # Errors
    /// The backend did not accept.
    pub(super) async fn begin(
        &self,
        handshake: &Handshake,
        mut head: Parts,
        client: Client,
        route: &Route,
        revision: Revision,
        admission: Admission,
    ) -> Result<Response, OpenError> {
        let request = OpenRequest {
            prefix: route.path.clone(),
            path: head.uri.path().strip_prefix(&route.path).unwrap_or_default().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: headers::for_relay(&head, &handshake.onward(client, route)),
            client: client.peer,
            dialect: "websocket",
            transport: Transport::WebSocket,
            revision: None,
            spelling: Spelling::of_client(&head.extensions),
        };
        let sid = fresh_sid()?;
        let Relayed { stream, read_ahead, headers, spelling } = handshake.upstream.relay(request).await?;
        let mut response = Response::new(Body::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = headers;
        spelling.apply(response.extensions_mut());
        response.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("Upgrade"));
        response.headers_mut().insert(http::header::UPGRADE, HeaderValue::from_static("websocket"));
        let place = Place {
            registry: self.registry.clone(),
            meter: self.meter.clone(),
            handle: Arc::new(RelayHandle { route: self.index, revision, drain: CancellationToken::new() }),
            sid,
            expects_sid: handshake.upstream.protocol() == Protocol::EngineIo,
            max_payload: self.max_payload,
            message_max: self.message_max,
            close_timeout: self.close_timeout,
            admission,
        };
        let stream = stream.with_patience(Some(Patience::new(self.stall_timeout)));
        let upgrade = websocket::upgraded(super::gateway::take_upgrade(&mut head));
        self.tracker.spawn(async move {
            // A client that is gone by now takes the backend's stream with it.
            if let Some(client) = upgrade.await {
                Relay::new(client, (stream, read_ahead), place).run().await;
            }
        });
        Ok(response)
    }
}

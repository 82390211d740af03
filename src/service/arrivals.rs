//! A session's beginning on a connection that carries many: its client speaks to another proxy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::handshake::{HEADER_TOO_LARGE, NO_DESCRIPTOR, fresh_sid};
use super::new_session::MAX_PAYLOAD;
use super::refusals::{Reason, Refusals};
use super::router::OUT_OF_ROUTE;
use super::settings::Route;
use super::via::Via;
use super::{Client, headers};
use crate::bridge::{BridgeInfo, Front, Registry};
use crate::dialect::Dialect as _;
use crate::dialect::websocket::WebSocket;
use crate::dots;
use crate::framing::{Framing, Revision};
use crate::meter::{Meter, Outcome};
use crate::mux::{Accepted, Denied, Id, Open};
use crate::packet::{Heartbeat, Transport};
use crate::reply::{Refused, Refuser, Reply};
use crate::session::Session;
use crate::spelling::Spelling;
use crate::transport::mux::MuxSocket;
use crate::trunk::Trunk;
use crate::upstream::{OpenError, OpenRequest, Opened, Upstream};

/// What is needed to begin sessions on one route.
#[derive(Clone, Debug)]
pub struct Arrivals {
    /// Where sessions lead.
    pub upstream: Arc<dyn Upstream>,
    /// Cancelled when no session may begin any more.
    pub draining: CancellationToken,
    /// Which route it is, in the order of the configuration.
    pub index: usize,
    /// Where its sessions are found.
    pub registry: Registry,
    /// The tracker of its tasks.
    pub tracker: TaskTracker,
    /// Where it counts.
    pub meter: Meter,
    /// What the log says of sessions that it refuses.
    pub refusals: Arc<Refusals>,
    /// What this process calls itself.
    pub via: Arc<Via>,
}

impl Arrivals {
    /// Lets clients in for as long as the connection lives; ends when the proxy is being stopped and the last has gone.
    pub(super) async fn serve(&self, trunk: &Arc<Trunk>, proxy: Client, route: &Arc<Route>) {
        let mut told = false;
        loop {
            let news = trunk.news.notified();
            while let Some((id, open)) = trunk.next_arrival() {
                let (this, trunk, route) = (self.clone(), Arc::clone(trunk), Arc::clone(route));
                self.tracker.spawn(async move { this.begin(trunk, id, *open, proxy, &route).await });
            }
            if self.draining.is_cancelled() {
                if !std::mem::replace(&mut told, true) {
                    trunk.drain(DRAIN.as_secs());
                }
                if trunk.is_idle() && trunk.is_settled() {
                    return;
                }
                // The last goodbye is on its way.
                let _ = tokio::time::timeout(SETTLE_PACE, news).await;
            } else {
                tokio::select! {
                    () = news => {}
                    () = self.draining.cancelled() => {}
                }
            }
        }
    }

    /// What the backend gets to see.
    fn request(&self, open: Open, proxy: Client, route: &Route) -> OpenRequest {
        let mut request = request(open, proxy);
        if route.via {
            self.via.add(&mut request.headers, Version::HTTP_11);
        }
        route.request_headers.apply(&mut request.headers);
        request
    }

    async fn begin(&self, trunk: Arc<Trunk>, id: Id, open: Open, proxy: Client, route: &Route) {
        let deny = |outcome, denied| {
            self.meter.handshake(outcome);
            trunk.deny(id, denied);
        };
        if self.draining.is_cancelled() {
            self.refusals.note(Reason::Draining);
            return deny(Outcome::Draining, say(StatusCode::SERVICE_UNAVAILABLE, "the proxy is stopping\n"));
        }
        let Some(admission) = self.registry.admit() else {
            self.refusals.note(Reason::Full);
            return deny(Outcome::Full, say(StatusCode::SERVICE_UNAVAILABLE, "the proxy is full\n"));
        };
        // The other proxy's prefix is not known here; above its top there is none.
        if dots::climbs(open.path.split('?').next().unwrap_or_default()) {
            return deny(Outcome::Refused, say(StatusCode::BAD_REQUEST, OUT_OF_ROUTE));
        }
        if self.via.is_circle(&open.headers) {
            self.refusals.note(Reason::Circle);
            return deny(Outcome::Refused, say(StatusCode::LOOP_DETECTED, "the request goes in a circle\n"));
        }
        // Made first, so that whatever ends this lets the session go.
        let socket = MuxSocket::new(Arc::clone(&trunk), id);
        let begun = match fresh_sid() {
            Ok(sid) => self.upstream.open(self.request(open, proxy, route)).await.map(|opened| (sid, opened)),
            Err(error) => Err(error),
        };
        let (sid, (mut opened, link)) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                self.refusals.note_upstream(&error);
                let (outcome, denied) = explain(error);
                return deny(outcome, denied);
            }
        };
        self.meter.handshake(Outcome::Accepted);
        // The other proxy is told, and holds its clients to it.
        opened.max_payload = route.session.max_payload.or(opened.max_payload);
        let max_payload = opened.max_payload.unwrap_or(MAX_PAYLOAD);
        let heartbeat = opened.heartbeat.unwrap_or(HEARTBEAT);
        let framing = Framing::new(Revision::V4);
        let session = Session::new(
            WebSocket.policy(framing, false),
            Arc::clone(&route.session),
            Transport::WebSocket,
            NEVER,
            heartbeat.interval.min(heartbeat.timeout) / 2,
            None,
            tokio::time::Instant::now().into_std(),
        );
        let info = BridgeInfo {
            sid,
            framing,
            max_payload,
            headers: None,
            route: self.index,
            meter: self.meter.clone(),
            span: tracing::debug_span!("session", mux = id.get(), route = self.index),
            tracker: self.tracker.clone(),
        };
        trunk.accept(id, accepted(opened));
        self.registry.begin(
            session,
            info,
            link,
            Front::WebSocket(Box::new(socket.with_max_payload(max_payload))),
            admission,
        );
    }
}

fn request(open: Open, proxy: Client) -> OpenRequest {
    let Open { path, dialect, revision, transport, client, headers, protocols } = open;
    let mut headers = headers::for_demuxed(&headers);
    let (path, query) = path.split_once('?').unwrap_or((&path, ""));
    if let Ok(offer) = HeaderValue::try_from(protocols.join(", "))
        && !offer.is_empty()
    {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, offer);
    }
    let is_engine = dialect == "engine.io";
    OpenRequest {
        prefix: String::new(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        client: client.parse::<SocketAddr>().unwrap_or(proxy.peer),
        dialect: if is_engine { "engine.io" } else { "websocket" },
        revision: is_engine.then_some(revision.unwrap_or(Revision::V4)),
        spelling: Spelling::default(),
        transport: if transport == "polling" { Transport::Polling } else { Transport::WebSocket },
    }
}

fn accepted(opened: Opened) -> Accepted {
    let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let Opened { sid, heartbeat, max_payload, headers, subprotocol } = opened;
    Accepted {
        sid: sid.map(|sid| sid.as_str().to_owned()),
        headers,
        protocol: subprotocol.and_then(|name| name.to_str().ok().map(str::to_owned)),
        ping_interval: heartbeat.map(|heartbeat| ms(heartbeat.interval)),
        ping_timeout: heartbeat.map(|heartbeat| ms(heartbeat.timeout)),
        max_payload: max_payload.map(|max| max as u64),
    }
}

/// The backend's own words where it has some, as for a client of our own.
fn explain(error: OpenError) -> (Outcome, Denied) {
    match error {
        OpenError::Refused(refused) => {
            let Refused { reply: Reply { status, headers, body }, by } = *refused;
            let reason = match by {
                // What such a server leaves out where it forbids, the other side could not know.
                Refuser::EngineIo3 if body.is_empty() => "Forbidden".to_owned(),
                Refuser::EngineIo | Refuser::EngineIo3 | Refuser::Other => {
                    String::from_utf8_lossy(&body).into_owned()
                }
            };
            (Outcome::Refused, Denied { status, reason, headers, engine_io: by != Refuser::Other })
        }
        OpenError::Down(_) => (Outcome::Down, say(StatusCode::BAD_GATEWAY, "the upstream is down\n")),
        OpenError::NoDescriptor(_) => (Outcome::Full, say(StatusCode::SERVICE_UNAVAILABLE, NO_DESCRIPTOR)),
        OpenError::NoRandomness(_) => {
            (Outcome::Failed, say(StatusCode::INTERNAL_SERVER_ERROR, "no randomness\n"))
        }
        OpenError::Slow(_) => (Outcome::Slow, say(StatusCode::GATEWAY_TIMEOUT, "the upstream is slow\n")),
        OpenError::HeaderTooLarge => (Outcome::Down, say(StatusCode::BAD_GATEWAY, HEADER_TOO_LARGE)),
        OpenError::Protocol(_) => {
            (Outcome::Down, say(StatusCode::BAD_GATEWAY, "the upstream does not speak its protocol\n"))
        }
    }
}

fn say(status: StatusCode, reason: &str) -> Denied {
    Denied { status, reason: reason.to_owned(), headers: HeaderMap::new(), engine_io: false }
}

/// The other proxy keeps its clients' heartbeats.
const NEVER: Heartbeat =
    Heartbeat { interval: Duration::from_hours(24 * 365), timeout: Duration::from_hours(24 * 365) };
/// Socket.IO's, for backends that announce none.
const HEARTBEAT: Heartbeat =
    Heartbeat { interval: Duration::from_secs(25), timeout: Duration::from_secs(20) };
/// What the other proxy is told of the time that is left.
const DRAIN: Duration = Duration::from_secs(30);
const SETTLE_PACE: Duration = Duration::from_millis(10);

//! A session that its backend has accepted, until the client learns of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{HeaderName, SEC_WEBSOCKET_PROTOCOL, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::Response;
use super::session_route::SessionRoute;
use crate::bridge::{Admission, BridgeInfo, Front, Owner, Reservation, span_of};
use crate::dialect::{Beginning, Greeting, Refusal, RequestKind, Subprotocol};
use crate::packet::{Heartbeat, Transport};
use crate::reply::Reply;
use crate::session::{Session, Settings, Terms};
use crate::tally::Tally;
use crate::transport::polling::{self, AnswerPoll, Asker};
use crate::transport::web_socket_ask::WebSocketAsk;
use crate::upstream::{Link, Opened};

/// A session that the backend has accepted, and that the client does not know of yet.
pub(super) struct NewSession<'r> {
    route: &'r SessionRoute,
    session: Session,
    info: BridgeInfo,
    /// What tells the client of it, unless its first poll's response does.
    begun: Option<Reply>,
    reservation: Reservation,
    headers: HeaderMap,
    subprotocol: Option<HeaderValue>,
}

impl<'r> NewSession<'r> {
    pub(super) fn new(
        route: &'r SessionRoute,
        beginning: &Beginning,
        reservation: Reservation,
        opened: Opened,
        headers: Option<Box<HeaderMap>>,
        (owner, tally): (Option<Owner>, Tally),
    ) -> Self {
        let Beginning { transport, framing, policy, .. } = beginning;
        let settings = &route.settings.session;
        let pace = beginning.pace.unwrap_or_else(|| pace(opened.heartbeat, settings));
        let announced = settings.max_payload.or(opened.max_payload);
        // Messages are held here as a whole, so there is always a limit, even if none is announced.
        let max_payload = announced.unwrap_or(MAX_PAYLOAD);
        let upgrades = settings.allow_upgrades && *transport == Transport::Polling;
        let greeting = Greeting {
            sid: reservation.sid().as_str(),
            upgrades,
            pace,
            max_payload,
            announced: announced.is_some(),
        };
        // The backend's own heartbeat decides how long its pings may be delayed; a plain WebSocket server announces
        // none.
        let backend = opened.heartbeat.unwrap_or(pace);
        let session = Session::new(
            Arc::clone(policy),
            settings.clone(),
            transport.of_session(),
            pace,
            backend.interval.min(backend.timeout) / 2,
            framing.greet(&greeting),
            Instant::now().into_std(),
        );
        let begun = framing.begun(&greeting);
        let number = SESSIONS.fetch_add(1, Ordering::Relaxed);
        let info = BridgeInfo {
            sid: reservation.sid().clone(),
            transport: *transport,
            framing: Arc::clone(framing),
            max_payload,
            pushes: policy.pushes,
            headers,
            route: Some(Arc::clone(&route.info)),
            meter: route.meter.clone(),
            limited: route.limits.limited(),
            tally,
            span: span_of(tracing::debug_span!("session", number, route = %route.id)),
            owner,
            tracker: route.tracker.clone(),
        };
        let headers = opened.headers;
        // A client that offered nothing must not be told of a choice.
        let subprotocol = opened.subprotocol.filter(|_| beginning.subprotocol == Subprotocol::Clients);
        Self { route, session, info, begun, reservation, headers, subprotocol }
    }

    /// Has the session end when what let its client in expires.
    pub(super) fn expiring(mut self, at: Option<Instant>) -> Self {
        if let Some(at) = at {
            self.session.expire_at(at.into_std());
        }
        self
    }

    pub(super) async fn answer_poll(
        self,
        link: Box<dyn Link>,
        admission: Admission,
        asker: Asker,
    ) -> Response {
        let bridge = self.reservation.begin(self.session, self.info, link, Front::Polling, admission);
        let framing = Arc::clone(&bridge.info().framing);
        let mut response = match self.begun {
            Some(reply) => polling::respond(reply),
            None if framing.streams() => {
                match bridge.stream(Terms { growth: framing.growth(), ..Terms::default() }) {
                    Ok(parked) => polling::answer_stream(parked, asker, framing),
                    Err(_) => return polling::refuse_ended(&*framing, &bridge),
                }
            }
            None => {
                let Ok(parked) = bridge.poll() else { return polling::refuse_ended(&*framing, &bridge) };
                drop(bridge);
                AnswerPoll::new(parked, asker, framing).await
            }
        };
        let own: Vec<HeaderName> = response.headers().keys().cloned().collect();
        for (name, value) in &self.headers {
            if !own.contains(name) || name == SET_COOKIE {
                response.headers_mut().append(name, value.clone());
            }
        }
        response
    }

    pub(super) fn answer_web_socket(
        self,
        link: Box<dyn Link>,
        admission: Admission,
        ask: WebSocketAsk,
    ) -> Response {
        let Self { route, session, info, begun: _, reservation, headers, subprotocol } = self;
        let (framing, max_payload) = (Arc::clone(&info.framing), info.max_payload);
        // If the client is gone by then, the link is dropped with it.
        let begin = move |socket| async move {
            reservation.begin(session, info, link, Front::WebSocket(socket), admission);
        };
        let mut response = match route.take_socket(ask, subprotocol, Arc::clone(&framing), max_payload, begin)
        {
            Ok(response) => response,
            Err(why) => {
                return polling::respond(framing.refuse(Refusal::BadWebSocket(why), RequestKind::WebSocket));
            }
        };
        for (name, value) in &headers {
            if name != SEC_WEBSOCKET_PROTOCOL {
                response.headers_mut().append(name, value.clone());
            }
        }
        response
    }
}

/// Returns the client's heartbeat: the route's if it sets one, else the backend's, else Socket.IO's.
fn pace(backend: Option<Heartbeat>, settings: &Settings) -> Heartbeat {
    let backend = backend.unwrap_or(Heartbeat { interval: PING_INTERVAL, timeout: PING_TIMEOUT });
    Heartbeat {
        interval: settings.ping_interval.unwrap_or(backend.interval),
        timeout: settings.ping_timeout.unwrap_or(backend.timeout),
    }
}

/// Distinguishes sessions in the log, which must not contain their ids.
static SESSIONS: AtomicU64 = AtomicU64::new(1);

/// Socket.IO's defaults.
const PING_INTERVAL: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
pub(super) const MAX_PAYLOAD: usize = 1_000_000;

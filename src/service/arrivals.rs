//! The opening of a session on a shared connection, whose client speaks to another proxy.

use std::sync::Arc;
use std::time::Duration;

use http::header::{RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use tokio::time::Instant;

use super::auth::{self, Question};
use super::granted::{self, Granted};
use super::new_session::MAX_PAYLOAD;
use super::no_place::NoPlace;
use super::refusals::Reason;
use super::replies::{OUT_OF_ROUTE, Unreached};
use super::session_route::SessionRoute;
use super::via::CIRCLE;
use super::{Client, onward};
use crate::address::RemoteAddress;
use crate::bridge::{BridgeInfo, Front, span_of};
use crate::dialect;
use crate::dialect::websocket::{POLICY, PlainFraming};
use crate::dots;
use crate::meter::Outcome;
use crate::mux::{Accepted, Denied, Id, Open};
use crate::packet::{Heartbeat, Transport};
use crate::reply::Reply;
use crate::session::Session;
use crate::spelling::Spelling;
use crate::tally::Tally;
use crate::transport::mux::MuxSocket;
use crate::trunk::Trunk;
use crate::upstream::{OpenError, OpenRequest, Opened};

/// Accepts clients while the connection lives; ends when the proxy drains and the last session has ended.
pub(super) async fn serve(route: &Arc<SessionRoute>, trunk: &Arc<Trunk>, proxy: Client) {
    loop {
        let news = trunk.news.notified();
        while let Some((id, open)) = trunk.next_arrival() {
            let (route, trunk, proxy) = (Arc::clone(route), Arc::clone(trunk), proxy.clone());
            route.clone().tracker.spawn(async move { begin(&route, trunk, id, *open, proxy).await });
        }
        if route.draining.is_cancelled() {
            trunk.drain(DRAIN.as_secs());
            if trunk.is_idle() && trunk.is_settled() {
                return;
            }
            // The last close is being sent.
            let _ = tokio::time::timeout(SETTLE_PACE, news).await;
        } else {
            tokio::select! {
                () = news => {}
                () = route.draining.cancelled() => {}
            }
        }
    }
}

async fn begin(route: &SessionRoute, trunk: Arc<Trunk>, id: Id, mut open: Open, proxy: Client) {
    let deny = |outcome, denied| {
        route.meter.handshake(outcome);
        trunk.deny(id, denied);
    };
    if route.draining.is_cancelled() {
        route.refusals.note(Reason::Draining);
        // First, so that the other proxy takes the client elsewhere.
        trunk.drain(DRAIN.as_secs());
        return deny(Outcome::Draining, denied(StatusCode::SERVICE_UNAVAILABLE, "the proxy is stopping\n"));
    }
    let deny_place = |refused: NoPlace| {
        let mut denied = denied(refused.status(), refused.text());
        denied.headers.insert(RETRY_AFTER, refused.retry_after());
        deny(refused.outcome(), denied);
    };
    let client = client_of(route, &open, &proxy);
    let held = match route.count(route.limits.client(client.ip())) {
        Ok(held) => held,
        Err(refused) => return deny_place(refused),
    };
    // The other proxy's prefix is not known here; there is none above the root.
    if dots::climbs(open.path.split('?').next().unwrap_or_default()) {
        return deny(Outcome::Refused, denied(StatusCode::BAD_REQUEST, OUT_OF_ROUTE));
    }
    if route.via.is_circle(&open.headers) {
        route.refusals.note(Reason::Circle);
        return deny(Outcome::Refused, denied(StatusCode::LOOP_DETECTED, CIRCLE));
    }
    let (granted, expires_at) = match authorize(route, &mut open).await {
        Ok(known) => known,
        Err(refused) => {
            let Reply { status, headers, body } = refused.reply;
            let reason = String::from_utf8_lossy(&body).into_owned();
            return deny(refused.outcome, Denied { status, reason, headers, engine_io: false });
        }
    };
    let admission = match route.place(held) {
        Ok(admission) => admission,
        Err(refused) => return deny_place(refused),
    };
    // Made first, so that the session is released however this ends.
    let socket = MuxSocket::new(Arc::clone(&trunk), id);
    let begun = match route.reserve() {
        Ok(ours) => route
            .upstream
            .open(request(route, open, granted.as_ref(), &proxy))
            .await
            .map(|opened| (ours, opened)),
        Err(error) => Err(error),
    };
    let (reservation, (mut opened, link)) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            route.refusals.note_upstream(&error);
            let (outcome, denied) = explain(error);
            return deny(outcome, denied);
        }
    };
    route.meter.handshake(Outcome::Accepted);
    // The other proxy is told, and enforces it for its clients.
    opened.max_payload = route.settings.session.max_payload.or(opened.max_payload);
    let max_payload = opened.max_payload.unwrap_or(MAX_PAYLOAD);
    let heartbeat = opened.heartbeat.unwrap_or(HEARTBEAT);
    let mut session = Session::new(
        POLICY,
        Arc::clone(&route.settings.session),
        Transport::WebSocket,
        NEVER,
        heartbeat.interval.min(heartbeat.timeout) / 2,
        None,
        Instant::now().into_std(),
    );
    if let Some(at) = expires_at {
        session.expire_at(at.into_std());
    }
    let info = BridgeInfo {
        sid: reservation.sid().clone(),
        transport: Transport::WebSocket,
        framing: Arc::new(PlainFraming),
        max_payload,
        pushes: POLICY.pushes,
        headers: None,
        route: Some(Arc::clone(&route.info)),
        meter: route.meter.clone(),
        limited: route.limits.limited(),
        tally: Tally::of(client.ip()),
        span: span_of(tracing::debug_span!("session", mux = id.get(), route = %route.id)),
        owner: None,
        tracker: route.tracker.clone(),
    };
    trunk.accept(id, accepted(opened));
    let front = Front::WebSocket(Box::new(socket.with_max_payload(max_payload)));
    reservation.begin(session, info, link, front, admission);
}

/// Returns whose session it is: the client that the other proxy tells, if that may.
fn client_of(route: &SessionRoute, open: &Open, proxy: &Client) -> RemoteAddress {
    let is_known = route.settings.mux.token.is_some() || route.limits.client(proxy.peer.ip()).is_none();
    let told = open.client.parse().ok().filter(|_| is_known);
    told.unwrap_or(proxy.peer)
}

/// Judges whether a client may come in, as with a client of our own; the other proxy tells who it is. Returns what is
/// known of it, and when what lets it in expires.
async fn authorize(
    route: &SessionRoute,
    open: &mut Open,
) -> Result<(Option<Granted>, Option<Instant>), Box<auth::Denied>> {
    let Some(guard) = &route.guard else { return Ok((None, None)) };
    let mut headers = onward::of_question(&open.headers);
    let expires_at = match &guard.jwt {
        Some(jwt) => Some(jwt.admit(jwt.settings.from.of_told(&mut open.path, &headers)).await?),
        None => None,
    };
    let Some(auth) = &guard.auth else { return Ok((None, expires_at)) };
    granted::replace(&mut headers, &auth.settings.headers, None);
    if let Some(offer) = offer(&open.protocols) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, offer);
    }
    if let Some(via) = route.via() {
        via.add(&mut headers, Version::HTTP_11);
    }
    let granted = auth.ask(Question::new(&Method::GET, &open.path, headers)).await?;
    Ok((Some(granted), expires_at))
}

/// Returns the subprotocols that a client offers, if it offers any.
fn offer(protocols: &[String]) -> Option<HeaderValue> {
    HeaderValue::try_from(protocols.join(", ")).ok().filter(|offer| !offer.is_empty())
}

/// Returns the request for the backend.
fn request(route: &SessionRoute, open: Open, granted: Option<&Granted>, proxy: &Client) -> OpenRequest {
    let Open { path, dialect, revision, transport, client, headers, protocols } = open;
    let mut headers = onward::for_demuxed(&headers);
    granted::replace(&mut headers, &route.settings.identity, granted);
    let (dialect, revision) = dialect::named_by_proxy(&dialect, revision);
    let (path, query) = path.split_once('?').unwrap_or((&path, ""));
    if let Some(offer) = offer(&protocols) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, offer);
    }
    if let Some(via) = route.via() {
        via.add(&mut headers, Version::HTTP_11);
    }
    route.settings.request_headers.apply(&mut headers);
    OpenRequest {
        prefix: String::new(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        client: client.parse().unwrap_or(proxy.peer),
        dialect,
        revision,
        spelling: Spelling::default(),
        transport: Transport::ALL
            .iter()
            .copied()
            .find(|known| known.word() == transport)
            .unwrap_or(Transport::WebSocket),
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

/// Returns the backend's own refusal if there is one, as for a client of our own.
fn explain(error: OpenError) -> (Outcome, Denied) {
    let unreached = Unreached::new(&error);
    let denied = match error {
        OpenError::Refused(refused) => {
            let (reason, engine_io) = (refused.reason(), refused.is_told_in_text());
            let Reply { status, headers, .. } = refused.reply;
            Denied { status, reason, headers, engine_io }
        }
        OpenError::Down(_)
        | OpenError::Slow(_)
        | OpenError::Protocol(_)
        | OpenError::HeaderTooLarge
        | OpenError::Full
        | OpenError::NoDescriptor(_)
        | OpenError::NoRandomness(_) => denied(unreached.status, unreached.text),
    };
    (unreached.outcome, denied)
}

fn denied(status: StatusCode, reason: &str) -> Denied {
    Denied { status, reason: reason.to_owned(), headers: HeaderMap::new(), engine_io: false }
}

/// The other proxy sends its clients' heartbeats.
const NEVER: Heartbeat =
    Heartbeat { interval: Duration::from_hours(24 * 365), timeout: Duration::from_hours(24 * 365) };
/// Socket.IO's, for backends that announce none.
const HEARTBEAT: Heartbeat =
    Heartbeat { interval: Duration::from_secs(25), timeout: Duration::from_secs(20) };
/// The time that the other proxy is told is left.
const DRAIN: Duration = Duration::from_secs(30);
const SETTLE_PACE: Duration = Duration::from_millis(10);

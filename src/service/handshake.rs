//! A session's beginning: the backend is asked first, and its answer decides the client's.

use std::sync::Arc;

use http::header::{CONNECTION, RETRY_AFTER, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use ipnet::IpNet;
use tokio_util::sync::CancellationToken;

use super::cors::{self, CorsLayer, FromBackend};
use super::gateway::Gateway;
use super::headers::Onward;
use super::new_session::NewSession;
use super::refusals::Reason;
use super::settings::{Cookie, Route};
use super::via::Via;
use super::{Client, Response, headers};
use crate::bridge::Admission;
use crate::dialect::{Dialect, Reject, Road};
use crate::framing::{Framing, Revision, Versions};
use crate::meter::Outcome;
use crate::packet::Transport;
use crate::sid::Sid;
use crate::spelling::Spelling;
use crate::transport::polling::{self, Asker};
use crate::transport::{Body, websocket};
use crate::upstream::{OpenError, OpenRequest, Protocol, Upstream};

/// What is needed to begin sessions on one route.
#[derive(Debug)]
pub struct Handshake {
    /// Where sessions lead.
    pub upstream: Arc<dyn Upstream>,
    /// Cancelled when no session may begin any more.
    pub draining: CancellationToken,
    /// Proxies in front whose word about the client is believed.
    pub trusted_proxies: Arc<[IpNet]>,
    /// What this process calls itself.
    pub via: Arc<Via>,
}

/// Why no session may begin now.
pub(super) enum Unavailable {
    /// The page's origin is not among those that may connect.
    Forbidden,
    /// The proxy takes no more, and says when to come back.
    Busy(Outcome, Box<Response>),
}

/// A request that begins a session.
pub(super) struct Arrival {
    pub(super) head: Parts,
    pub(super) client: Client,
    pub(super) transport: Transport,
    pub(super) framing: Framing,
    pub(super) asker: Asker,
}

impl Handshake {
    /// A place for one more session.
    pub(super) fn admit(
        &self,
        headers: &HeaderMap,
        gateway: &Gateway,
        route: &Route,
    ) -> Result<Admission, Unavailable> {
        let busy = |reason, outcome, text| {
            gateway.refusals.note(reason);
            Unavailable::Busy(outcome, Box::new(unavailable(text)))
        };
        if !origin_allowed(headers, &route.allowed_origins) {
            gateway.refusals.note_origin(headers);
            return Err(Unavailable::Forbidden);
        }
        if self.draining.is_cancelled() {
            return Err(busy(Reason::Draining, Outcome::Draining, "the proxy is stopping\n"));
        }
        let full = || busy(Reason::Full, Outcome::Full, "the proxy is full\n");
        gateway.registry.admit().ok_or_else(full)
    }

    pub(super) async fn begin(
        &self,
        gateway: &Arc<Gateway>,
        arrival: Arrival,
        route: &Route,
        cors: &CorsLayer,
    ) -> Response {
        let Arrival { head, client, transport, framing, asker } = arrival;
        let road = Road::of(&head.headers);
        let refused = |outcome, response| {
            gateway.meter.handshake(outcome);
            response
        };
        let admission = match self.admit(&head.headers, gateway, route) {
            Ok(admission) => admission,
            Err(Unavailable::Forbidden) => {
                let reply = gateway.dialect.reply(&Reject::Forbidden(None), road);
                return refused(Outcome::Forbidden, polling::respond(reply));
            }
            Err(Unavailable::Busy(outcome, response)) => return refused(outcome, *response),
        };
        // Checked before the backend is asked, so that no session is begun there for a client that can't have it.
        if road == Road::WebSocket
            && let Err(reject) = websocket::accept(&head.method, &head.headers, None)
        {
            return polling::respond(gateway.dialect.reply(&reject, road));
        }
        if transport == Transport::WebSocket && route.session.relay && self.speaks(gateway.dialect, framing) {
            let begun = gateway.relay.begin(self, head, client, route, framing.revision, admission).await;
            return begun.map_or_else(
                |error| refuse(gateway, error, road),
                |mut response| {
                    gateway.meter.handshake(Outcome::Accepted);
                    response.extensions_mut().insert(FromBackend::Accepted);
                    response
                },
            );
        }
        let sid = match fresh_sid() {
            Ok(sid) => sid,
            Err(error) => return refuse(gateway, error, road),
        };
        let (opened, link) = match self
            .upstream
            .open(self.request(gateway.dialect, &head, client, transport, framing, route))
            .await
        {
            Ok(opened) => opened,
            Err(error) => return refuse(gateway, error, road),
        };
        // In Socket.IO 2 the id of the session is the client's id in the application, on both sides.
        let theirs = opened.sid.clone().filter(|_| framing.revision == Revision::V3);
        if theirs.as_ref().is_some_and(|sid| gateway.registry.find(sid.as_str()).is_some()) {
            let error = OpenError::Protocol("its session id is that of another session".to_owned());
            return refuse(gateway, error, road);
        }
        let sid = theirs.unwrap_or(sid);
        gateway.meter.handshake(Outcome::Accepted);
        let mirrored = if cors.mirrors() { cors::mirrored(&opened.headers) } else { None };
        let mut opened = opened;
        let mut headers = mirrored;
        if transport == Transport::Polling
            && let Some(cookie) = self.cookie(route.cookie, framing, &sid)
        {
            match framing.revision {
                // Servers of each version say it as often as this.
                Revision::V3 => drop(headers.get_or_insert_default().append(SET_COOKIE, cookie)),
                Revision::V4 => drop(opened.headers.append(SET_COOKIE, cookie)),
            }
        }
        let begun = NewSession::new(gateway, sid, framing, transport, opened, headers, &route.session);
        let mut response = match transport {
            Transport::Polling => begun.answer_poll(link, admission, asker).await,
            Transport::WebSocket => begun.answer_web_socket(link, admission, head),
        };
        response.extensions_mut().insert(FromBackend::Accepted);
        response
    }

    /// Whether the backend is a server of Engine.IO 3, which has its own ways with browsers.
    pub(super) fn leads_to_old_server(&self) -> bool {
        let old = Versions { v3: true, v4: false };
        self.upstream.protocol() == Protocol::EngineIo && self.upstream.versions() == old
    }

    /// The session's id for balancers in front, as the client's own server would set it (`cookie`).
    fn cookie(&self, setting: Cookie, framing: Framing, sid: &Sid) -> Option<HeaderValue> {
        let is_set = match setting {
            Cookie::Off => false,
            Cookie::On => true,
            Cookie::Auto => framing.revision == Revision::V3 && self.leads_to_old_server(),
        };
        let same_site = match framing.revision {
            Revision::V3 => "Strict",
            Revision::V4 => "Lax",
        };
        let sid = sid.as_str();
        is_set.then(|| format!("io={sid}; Path=/; HttpOnly; SameSite={same_site}").try_into().ok()).flatten()
    }

    /// Whether clients and backend speak the same, so that a WebSocket can be left to them. Whoever asks for a bare
    /// WebSocket gets the backend's, whatever is spoken on it.
    fn speaks(&self, dialect: &dyn Dialect, framing: Framing) -> bool {
        match (dialect.protocol(), self.upstream.protocol()) {
            (_, Protocol::Mux) => false,
            (Protocol::WebSocket, _) => true,
            (client, backend) => client == backend && self.upstream.versions().has(framing.revision),
        }
    }

    /// What the backend is told besides.
    pub(super) fn onward<'r>(&'r self, client: Client, route: &'r Route) -> Onward<'r> {
        let via = route.via.then_some(&*self.via);
        Onward { client, trusted: &self.trusted_proxies, via, rules: &route.request_headers }
    }

    /// What the backend gets to see of a request.
    pub(super) fn request(
        &self,
        dialect: &dyn Dialect,
        head: &Parts,
        client: Client,
        transport: Transport,
        framing: Framing,
        route: &Route,
    ) -> OpenRequest {
        OpenRequest {
            prefix: route.path.clone(),
            path: head.uri.path().strip_prefix(&route.path).unwrap_or_default().to_owned(),
            query: dialect.application_query(head.uri.query().unwrap_or_default()),
            headers: headers::for_upstream(head, &self.onward(client, route)),
            client: client.peer,
            dialect: dialect.name(),
            transport,
            revision: (dialect.protocol() == Protocol::EngineIo).then_some(framing.revision),
            spelling: Spelling::of_handshake(&head.extensions),
        }
    }
}

/// An id that nobody can guess. Made before the backend is asked, so that no session begins there without one.
pub(super) fn fresh_sid() -> Result<Sid, OpenError> {
    let mut random = [0; 15];
    getrandom::fill(&mut random).map_err(OpenError::NoRandomness)?;
    Ok(Sid::from_random(random))
}

fn refuse(gateway: &Gateway, error: OpenError, road: Road) -> Response {
    let (outcome, response) = explain(gateway, error, road);
    gateway.meter.handshake(outcome);
    response
}

/// What the client is told when its backend did not accept, and what is counted.
pub(super) fn explain(gateway: &Gateway, error: OpenError, road: Road) -> (Outcome, Response) {
    gateway.refusals.note_upstream(&error);
    match error {
        OpenError::Refused(refused) => {
            let mut response = polling::respond(gateway.dialect.translate_refusal(*refused, road));
            response.extensions_mut().insert(FromBackend::Other);
            (Outcome::Refused, response)
        }
        OpenError::Down(_)
        | OpenError::Slow(_)
        | OpenError::Protocol(_)
        | OpenError::HeaderTooLarge
        | OpenError::NoDescriptor(_)
        | OpenError::NoRandomness(_) => unreached(&error),
    }
}

/// What a client hears of a backend that was not reached, or did not understand.
pub(super) fn unreached(error: &OpenError) -> (Outcome, Response) {
    match error {
        OpenError::Down(_) => (Outcome::Down, plain(StatusCode::BAD_GATEWAY, "the upstream is down\n")),
        OpenError::Slow(_) => (Outcome::Slow, plain(StatusCode::GATEWAY_TIMEOUT, "the upstream is slow\n")),
        OpenError::Refused(_) => (Outcome::Refused, plain(StatusCode::BAD_GATEWAY, "the upstream refused\n")),
        OpenError::Protocol(_) => {
            (Outcome::Down, plain(StatusCode::BAD_GATEWAY, "the upstream does not speak its protocol\n"))
        }
        OpenError::HeaderTooLarge => (Outcome::Down, plain(StatusCode::BAD_GATEWAY, HEADER_TOO_LARGE)),
        OpenError::NoDescriptor(_) => (Outcome::Full, no_descriptor()),
        OpenError::NoRandomness(_) => {
            (Outcome::Failed, plain(StatusCode::INTERNAL_SERVER_ERROR, NO_RANDOMNESS))
        }
    }
}

/// The answer where this process can open no connection. It gives its own back.
pub(super) fn no_descriptor() -> Response {
    let mut response = unavailable(NO_DESCRIPTOR);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

pub(super) fn unavailable(text: &'static str) -> Response {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
    response
}

/// A short answer of the proxy's own.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

/// Whether a browser's page may connect. A request without `Origin` comes from no page.
pub(super) fn origin_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(http::header::ORIGIN) else { return true };
    allowed.is_empty()
        || allowed.iter().any(|one| one == "*" || origin.as_bytes().eq_ignore_ascii_case(one.as_bytes()))
}

/// What a client hears of a response that has more headers than anybody reads.
pub(super) const HEADER_TOO_LARGE: &str =
    "the upstream's response header is larger than 64 KiB or 500 lines\n";
/// What a client hears where an id or a key cannot be made.
pub(super) const NO_RANDOMNESS: &str = "no randomness\n";
/// Long enough for a drain to end elsewhere or a place to come free; clients add their own jitter.
pub(super) const NO_DESCRIPTOR: &str = "this proxy has no file descriptor left\n";
const RETRY_AFTER_SECONDS: &str = "5";

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_system_without_randomness_is_not_blamed_on_the_upstream() {
        let (outcome, response) = unreached(&OpenError::NoRandomness(getrandom::Error::UNSUPPORTED));
        assert_eq!((outcome, response.status().as_u16()), (Outcome::Failed, 500));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "no randomness\n");
    }

    #[test]
    fn no_two_ids_are_alike() {
        assert_ne!(fresh_sid().unwrap(), fresh_sid().unwrap());
    }
}

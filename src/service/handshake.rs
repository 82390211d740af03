//! A session's beginning: the backend is asked first, and its answer decides the client's.

use http::HeaderValue;
use http::header::SET_COOKIE;
use http::request::Parts;

use super::cors::{self, CorsLayer, FromBackend};
use super::new_session::{Beginning, NewSession};
use super::replies::Unreached;
use super::session_route::{SessionRoute, Unavailable, fresh_sid};
use super::settings::Cookie;
use super::{Client, Response, onward, relay};
use crate::dialect::{Dialect, Reject, Road};
use crate::framing::{Framing, Revision};
use crate::meter::Outcome;
use crate::packet::Transport;
use crate::sid::Sid;
use crate::spelling::Spelling;
use crate::transport::polling::{self, Asker};
use crate::transport::web_socket_ask::WebSocketAsk;
use crate::upstream::{OpenError, OpenRequest, Protocol};

/// What is needed to begin sessions on one route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handshake<'g> {
    /// What the clients speak.
    pub(super) dialect: &'static dyn Dialect,
    /// Whether their messages are known to be Socket.IO's.
    pub(super) socket_io: bool,
    /// Where their sessions belong.
    pub(super) route: &'g SessionRoute,
}

/// A request that begins a session.
pub(super) struct Arrival {
    pub(super) head: Parts,
    /// Its question for a WebSocket, if it asks for one.
    pub(super) ask: Option<WebSocketAsk>,
    pub(super) client: Client,
    pub(super) transport: Transport,
    pub(super) framing: Framing,
    pub(super) asker: Asker,
}

impl Handshake<'_> {
    /// Begins a session, or says why not.
    pub(super) async fn begin(&self, arrival: Arrival, cors: &CorsLayer) -> Response {
        let Arrival { head, mut ask, client, transport, framing, asker } = arrival;
        let Self { dialect, socket_io, route } = *self;
        let road = ask.as_ref().map_or(Road::Http, |_| Road::WebSocket);
        let refused = |outcome, response| {
            route.meter.handshake(outcome);
            response
        };
        let admission = match route.admit(&head.headers) {
            Ok(admission) => admission,
            Err(Unavailable::Forbidden) => {
                let reply = dialect.reply(&Reject::Forbidden(None), road);
                return refused(Outcome::Forbidden, polling::respond(reply));
            }
            Err(Unavailable::Busy(outcome, response)) => return refused(outcome, *response),
        };
        // Checked before the backend is asked, so that no session is begun there for a client that can't have it.
        if let Some(Err(why)) = ask.as_ref().map(WebSocketAsk::check) {
            return polling::respond(dialect.reply(&Reject::BadWebSocket(why), road));
        }
        if let Some(ask) = ask.take_if(|_| route.settings.session.relay && self.speaks(framing)) {
            return match relay::begin(route, head, ask, client, framing.revision, admission).await {
                Ok(mut response) => {
                    route.meter.handshake(Outcome::Accepted);
                    response.extensions_mut().insert(FromBackend::Accepted);
                    response
                }
                Err(error) => self.refuse(error, road),
            };
        }
        let sid = match fresh_sid() {
            Ok(sid) => sid,
            Err(error) => return self.refuse(error, road),
        };
        let request = self.request(&head, client, transport, framing);
        let (mut opened, link) = match route.upstream.open(request).await {
            Ok(opened) => opened,
            Err(error) => return self.refuse(error, road),
        };
        // In Socket.IO 2 the id of the session is the client's id in the application, on both sides.
        let theirs = opened.sid.clone().filter(|_| framing.revision == Revision::V3);
        if theirs.as_ref().is_some_and(|sid| route.registry.find(sid.as_str()).is_some()) {
            let error = OpenError::Protocol("its session id is that of another session".to_owned());
            return self.refuse(error, road);
        }
        let sid = theirs.unwrap_or(sid);
        route.meter.handshake(Outcome::Accepted);
        let mut headers = if cors.mirrors() { cors::mirrored(&opened.headers) } else { None };
        if transport == Transport::Polling
            && let Some(cookie) = self.cookie(framing, &sid)
        {
            match framing.revision {
                // Servers of each version say it as often as this.
                Revision::V3 => drop(headers.get_or_insert_default().append(SET_COOKIE, cookie)),
                Revision::V4 => drop(opened.headers.append(SET_COOKIE, cookie)),
            }
        }
        let session = NewSession::new(
            route,
            Beginning { dialect, socket_io, framing, transport },
            sid,
            opened,
            headers,
        );
        let mut response = match ask {
            None => session.answer_poll(link, admission, asker).await,
            Some(ask) => session.answer_web_socket(link, admission, ask),
        };
        response.extensions_mut().insert(FromBackend::Accepted);
        response
    }

    /// The session's id for balancers in front, as the client's own server would set it (`cookie`).
    fn cookie(&self, framing: Framing, sid: &Sid) -> Option<HeaderValue> {
        let is_set = match self.route.settings.cookie {
            Cookie::Off => false,
            Cookie::On => true,
            Cookie::Auto => framing.revision == Revision::V3 && self.route.leads_to_old_server(),
        };
        let same_site = match framing.revision {
            Revision::V3 => "Strict",
            Revision::V4 => "Lax",
        };
        let sid = sid.as_str();
        is_set.then(|| format!("io={sid}; Path=/; HttpOnly; SameSite={same_site}").try_into().ok()).flatten()
    }

    /// Whether clients and backend speak the same, so that a WebSocket can be left to them. A client that asks for a bare
    /// WebSocket gets the backend's, whatever is spoken on it.
    fn speaks(&self, framing: Framing) -> bool {
        let upstream = &self.route.upstream;
        match (self.dialect.protocol(), upstream.protocol()) {
            (_, Protocol::Mux) => false,
            (Protocol::WebSocket, _) => true,
            (client, backend) => client == backend && upstream.versions().has(framing.revision),
        }
    }

    /// What the backend gets to see of a request.
    pub(super) fn request(
        &self,
        head: &Parts,
        client: Client,
        transport: Transport,
        framing: Framing,
    ) -> OpenRequest {
        let prefix = &self.route.settings.path;
        OpenRequest {
            prefix: prefix.clone(),
            path: head.uri.path().strip_prefix(prefix).unwrap_or_default().to_owned(),
            query: self.dialect.application_query(head.uri.query().unwrap_or_default()),
            headers: onward::for_upstream(head, &self.route.onward(client)),
            client: client.peer,
            dialect: self.dialect.name(),
            transport,
            revision: (self.dialect.protocol() == Protocol::EngineIo).then_some(framing.revision),
            spelling: Spelling::of_handshake(&head.extensions),
        }
    }

    fn refuse(&self, error: OpenError, road: Road) -> Response {
        let (outcome, response) = self.explain(error, road);
        self.route.meter.handshake(outcome);
        response
    }

    /// What the client is told when its backend did not accept, and what is counted.
    pub(super) fn explain(&self, error: OpenError, road: Road) -> (Outcome, Response) {
        self.route.refusals.note_upstream(&error);
        let unreached = Unreached::new(&error);
        let response = match error {
            OpenError::Refused(refused) => {
                let mut response = polling::respond(self.dialect.translate_refusal(*refused, road));
                response.extensions_mut().insert(FromBackend::Other);
                response
            }
            OpenError::Down(_)
            | OpenError::Slow(_)
            | OpenError::Protocol(_)
            | OpenError::HeaderTooLarge
            | OpenError::NoDescriptor(_)
            | OpenError::NoRandomness(_) => unreached.response(),
        };
        (unreached.outcome, response)
    }
}

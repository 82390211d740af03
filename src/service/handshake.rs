//! The opening of a session: the backend is asked first, and its answer decides the client's.

use std::sync::Arc;

use http::HeaderMap;
use http::header::SET_COOKIE;
use http::request::Parts;
use tokio::time::Instant;

use super::cors::{self, CorsLayer, FromBackend};
use super::guard::expiry;
use super::named::Named;
use super::new_session::NewSession;
use super::replies::Unreached;
use super::session_route::{SessionRoute, Unavailable};
use super::{Client, Response, onward, relay};
use crate::bridge::{Reservation, close_refused};
use crate::dialect::{Beginning, Dialect, Framing, Identity, Refusal, RequestKind};
use crate::meter::Outcome;
use crate::packet::Closing;
use crate::sid::Sid;
use crate::spelling::Spelling;
use crate::transport::polling::{self, Asker};
use crate::transport::web_socket_ask::WebSocketAsk;
use crate::upstream::{OpenError, OpenRequest};

/// What it takes to open sessions on one route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handshake<'g> {
    /// The clients' dialect.
    pub(super) dialect: &'g dyn Dialect,
    /// The route of the sessions.
    pub(super) route: &'g SessionRoute,
}

/// A request that opens a session.
pub(super) struct Arrival {
    pub(super) head: Parts,
    /// Its WebSocket handshake, if it has one.
    pub(super) ask: Option<WebSocketAsk>,
    pub(super) client: Client,
    pub(super) beginning: Box<Beginning>,
    /// The id that its client made, if it did.
    pub(super) named: Option<Named>,
    pub(super) asker: Asker,
}

impl Handshake<'_> {
    /// Opens a session, or returns why not.
    pub(super) async fn begin(&self, arrival: Arrival, cors: &CorsLayer) -> Response {
        let Arrival { mut head, mut ask, client, beginning, named, asker } = arrival;
        let route = self.route;
        if let Some(response) = route.via.refuse_circle(&head.headers, &route.refusals) {
            return response;
        }
        let framing = &beginning.framing;
        let kind = ask.as_ref().map_or(RequestKind::Http, |_| RequestKind::WebSocket);
        let refused = |outcome, response| {
            route.meter.handshake(outcome);
            response
        };
        let failed = |error| {
            let (outcome, response) = self.explain(&**framing, error, kind);
            refused(outcome, response)
        };
        let held = match route.admit(&head.headers, &client) {
            Ok(held) => held,
            Err(why) => return self.turn_away(why, named.as_ref(), &**framing, kind).await,
        };
        // Checked before the backend is asked, so that no session is opened there for a client that can't have it.
        if let Some(Err(why)) = ask.as_ref().map(WebSocketAsk::check) {
            return polling::respond(framing.refuse(Refusal::BadWebSocket(why), kind));
        }
        if let Err(denied) = route.authorize(&mut head, &client).await {
            return refused(denied.outcome, polling::respond(denied.reply));
        }
        let admission = match route.place(held) {
            Ok(admission) => admission,
            Err(full) => return self.turn_away(full.into(), named.as_ref(), &**framing, kind).await,
        };
        if let Some(ask) = ask.take_if(|_| route.settings.session.relay && beginning.may_relay) {
            let path = self.path(&head, &beginning).to_owned();
            return match relay::begin(route, head, path, ask, client, Arc::clone(framing), admission).await {
                Ok(response) => {
                    route.meter.handshake(Outcome::Accepted);
                    accepted(response)
                }
                Err(error) => failed(error),
            };
        }
        // Before the backend is asked: two requests of a client with the same id would each open a session there.
        let ours = match named {
            None => match route.reserve() {
                Ok(ours) => ours,
                Err(error) => return failed(error),
            },
            Some(named) => match named.reserve(&route.registry, &route.id).await {
                Some(ours) => ours,
                None => return refuse_second(&**framing, kind),
            },
        };
        let asked = Instant::now();
        let (mut opened, link) = match route.upstream.open(self.request(&head, &client, &beginning)).await {
            Ok(opened) => opened,
            Err(error) => {
                if let OpenError::Refused(theirs) = &error
                    && let Some(closing) = framing.end_refused(theirs)
                {
                    let response = self.end(ask, framing, closing, &theirs.reply.headers);
                    return refused(Outcome::Refused, response);
                }
                return failed(error);
            }
        };
        let theirs = opened.sid.clone().filter(|_| beginning.identity == Identity::Backends);
        let Some(reservation) = (match theirs {
            Some(sid) => ours.rename(sid),
            None => Some(ours),
        }) else {
            let error = OpenError::Protocol("its session id is that of another session".to_owned());
            return failed(error);
        };
        route.meter.handshake(Outcome::Accepted);
        route.upstream.note_handshake(asked.elapsed());
        let reservation = self.enter(reservation, &beginning).await;
        route.info.note_request(&head.extensions, reservation.sid());
        let mut headers = if cors.mirrors() { cors::mirrored(&opened.headers) } else { None };
        if ask.is_none() {
            set_cookie(&beginning, reservation.sid(), &mut opened.headers, &mut headers);
        }
        let session = NewSession::new(
            route,
            &beginning,
            reservation,
            opened,
            headers,
            (route.owner(&head.headers, &client), route.tally(&head.headers, &client)),
        )
        .expiring(expiry(&head));
        accepted(match ask {
            None => session.answer_poll(link, admission, asker).await,
            Some(ask) => session.answer_web_socket(link, admission, ask),
        })
    }

    /// Returns the response to a client that can't begin a session now.
    async fn turn_away(
        &self,
        why: Unavailable,
        named: Option<&Named>,
        framing: &dyn Framing,
        kind: RequestKind,
    ) -> Response {
        let route = self.route;
        let (outcome, response) = match why {
            Unavailable::Forbidden => {
                (Outcome::Forbidden, polling::respond(framing.refuse(Refusal::Forbidden, kind)))
            }
            Unavailable::Busy(outcome, mut response) => {
                // What comes for a session that is being opened needs no place.
                if let Some(named) = named
                    && named.is_taken(&route.registry, &route.id).await
                {
                    return refuse_second(framing, kind);
                }
                framing.mark(response.headers_mut());
                (outcome, *response)
            }
        };
        route.meter.handshake(outcome);
        response
    }

    /// Lets other nodes find a session under the id of its backend.
    async fn enter(&self, reservation: Reservation, beginning: &Beginning) -> Reservation {
        match &self.route.locations {
            Some(locations) if beginning.identity == Identity::Backends => locations.enter(reservation).await,
            Some(_) | None => reservation,
        }
    }

    /// Answers a client with an end in place of its backend's refusal.
    fn end(
        &self,
        ask: Option<WebSocketAsk>,
        framing: &Arc<dyn Framing>,
        closing: Closing,
        refusal: &HeaderMap,
    ) -> Response {
        let mut response = match ask {
            None => polling::report_end(&**framing, closing),
            Some(ask) => {
                let close = |socket| close_refused(socket, closing);
                match self.route.take_socket(ask, None, Arc::clone(framing), 0, close) {
                    Ok(response) => response,
                    Err(why) => {
                        polling::respond(framing.refuse(Refusal::BadWebSocket(why), RequestKind::WebSocket))
                    }
                }
            }
        };
        for cookie in refusal.get_all(SET_COOKIE) {
            response.headers_mut().append(SET_COOKIE, cookie.clone());
        }
        response
    }

    /// Returns the part of a request's path that the backend sees.
    fn path<'h>(&self, head: &'h Parts, beginning: &Beginning) -> &'h str {
        if beginning.keeps_path { self.route.path_of(head) } else { "" }
    }

    /// Returns the request for the backend.
    pub(super) fn request(&self, head: &Parts, client: &Client, beginning: &Beginning) -> OpenRequest {
        OpenRequest {
            prefix: self.route.settings.path.clone(),
            path: self.path(head, beginning).to_owned(),
            query: beginning.query.clone(),
            headers: onward::for_upstream(head, &beginning.subprotocol, &self.route.onward(client)),
            client: self.route.located(&head.headers, client).peer,
            dialect: self.dialect.name(),
            transport: beginning.transport,
            revision: beginning.revision,
            spelling: Spelling::of_handshake(&head.extensions),
        }
    }

    /// Returns the response to a client whose backend did not accept, and the outcome to count.
    pub(super) fn explain(
        &self,
        framing: &dyn Framing,
        error: OpenError,
        kind: RequestKind,
    ) -> (Outcome, Response) {
        self.route.refusals.note_upstream(&error);
        let unreached = Unreached::new(&error);
        let response = match error {
            OpenError::Refused(refused) => {
                let mut response = polling::respond(framing.translate_refusal(*refused, kind));
                response.extensions_mut().insert(FromBackend::Other);
                response
            }
            OpenError::Down(_)
            | OpenError::Slow(_)
            | OpenError::Protocol(_)
            | OpenError::HeaderTooLarge
            | OpenError::Full
            | OpenError::NoDescriptor(_)
            | OpenError::NoRandomness(_) => {
                let mut response = unreached.response();
                framing.mark(response.headers_mut());
                response
            }
        };
        (unreached.outcome, response)
    }
}

/// Marks the response to a client whose backend has accepted it.
fn accepted(mut response: Response) -> Response {
    response.extensions_mut().insert(FromBackend::Accepted);
    response
}

/// Refuses a request that would begin a session, because another of its client's requests was faster and is still there.
fn refuse_second(framing: &dyn Framing, kind: RequestKind) -> Response {
    match framing.refuse_in_band(Refusal::Overlap, None) {
        Some(closing) => polling::report_end(framing, closing),
        None => polling::respond(framing.refuse(Refusal::Overlap, kind)),
    }
}

/// Adds the cookie with a session's id, if its dialect sets one, to its first response's headers, or to the ones that
/// every response of the session gets.
fn set_cookie(beginning: &Beginning, sid: &Sid, first: &mut HeaderMap, every: &mut Option<Box<HeaderMap>>) {
    if let Some(cookie) = beginning.cookie
        && let Some(value) = cookie.value(sid)
    {
        let headers = if cookie.always { &mut **every.get_or_insert_default() } else { first };
        headers.append(SET_COOKIE, value);
    }
}

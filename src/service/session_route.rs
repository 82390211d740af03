//! One route with sessions, as data: what each session needs, however it begins.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::ORIGIN;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::auth::Denied;
use super::guard::Guard;
use super::locations::Locations;
use super::no_place::NoPlace;
use super::onward::{self, Onward};
use super::refusals::{Reason, Refusals};
use super::replies::unavailable;
use super::settings::Route;
use super::via::Via;
use super::{Client, Response};
use crate::address::{RemoteAddress, TrustedProxy};
use crate::bridge::{Admission, ClientSocket, Owner, Registry, Reservation, RouteInfo};
use crate::cluster::Cluster;
use crate::dialect::{Framing, Place};
use crate::limits::{self, HeldSession, Limits};
use crate::meter::{Meter, Outcome};
use crate::route_id::RouteId;
use crate::session::Bind;
use crate::tally::Tally;
use crate::transport::web_socket_ask::{Accepted, WebSocketAsk};
use crate::transport::websocket;
use crate::upstream::{InUse, OpenError};

/// A route, and what its sessions are made with.
#[derive(Clone, Debug)]
pub struct SessionRoute {
    /// The route's identity.
    pub id: RouteId,
    /// What its sessions have in common.
    pub info: Arc<RouteInfo>,
    /// Its part of the configuration.
    pub settings: Arc<Route>,
    /// The target of its sessions.
    pub upstream: Arc<InUse>,
    /// Who says which clients may come in; without it all may.
    pub guard: Option<Arc<Guard>>,
    /// The backend's largest message, in payload bytes on the wire.
    pub message_max: usize,
    /// Proxies in front whose forwarding headers are trusted.
    pub trusted_proxies: Arc<[TrustedProxy]>,
    /// The name of this process.
    pub via: Arc<Via>,
    /// Cancelled when no session may be opened any more.
    pub draining: CancellationToken,
    /// What clients may take.
    pub limits: Limits,
    /// The index of its sessions.
    pub registry: Registry,
    /// The other nodes, if there are any.
    pub cluster: Option<Arc<Cluster>>,
    /// Where the sessions are whose ids name no node, if there are other nodes.
    pub locations: Option<Arc<Locations>>,
    /// The tracker of its sessions' tasks.
    pub tracker: TaskTracker,
    /// Its counters.
    pub meter: Meter,
    /// The log lines of requests that it refuses.
    pub refusals: Arc<Refusals>,
}

/// Why no session can be opened now.
pub(super) enum Unavailable {
    /// The page's origin may not connect.
    Forbidden,
    /// The proxy accepts no more, and says when to retry.
    Busy(Outcome, Box<Response>),
}

impl From<NoPlace> for Unavailable {
    fn from(refused: NoPlace) -> Self {
        Self::Busy(refused.outcome(), Box::new(refused.response()))
    }
}

impl SessionRoute {
    /// Returns what it takes to refuse a client's address.
    pub(super) const fn refuses_with(&self) -> (&Arc<[TrustedProxy]>, &Meter, &Arc<Refusals>) {
        (&self.trusted_proxies, &self.meter, &self.refusals)
    }

    /// Returns whether another node may have the session of a request.
    pub(super) fn may_be_elsewhere(&self, place: &Place<'_>, sid: &str) -> bool {
        match (place, &self.locations) {
            (Place::Nowhere, _) => true,
            (Place::Opening, Some(locations)) => locations.may_be_elsewhere(&self.registry, &self.id, sid),
            (Place::Opening, None) | (Place::Here(_) | Place::Gone(_), _) => false,
        }
    }

    /// Counts one more session of a client, which has no place yet.
    pub(super) fn admit(&self, headers: &HeaderMap, client: &Client) -> Result<HeldSession, Unavailable> {
        let busy = |reason, outcome, text| {
            self.refusals.note(reason);
            Unavailable::Busy(outcome, Box::new(unavailable(text)))
        };
        if !self.allows_origin(headers) {
            self.refusals.note_origin(headers);
            return Err(Unavailable::Forbidden);
        }
        if self.draining.is_cancelled() {
            return Err(busy(Reason::Draining, Outcome::Draining, "the proxy is stopping\n"));
        }
        if headers.contains_key(onward::X_FORWARDED_FOR) && !client.peer.is_among(&self.trusted_proxies) {
            self.limits.note_untrusted(client.peer);
        }
        self.count(self.limits.client(self.address_of(headers, client))).map_err(Unavailable::from)
    }

    /// Counts one more session of a client, if that has not taken too much. The rates are counted whether or not the client
    /// may come in: they are what protects the server that is asked.
    pub(super) fn count(&self, client: Option<limits::Client>) -> Result<HeldSession, NoPlace> {
        if self.registry.budget().is_scarce() {
            self.refusals.note(Reason::Memory);
            return Err(NoPlace::Memory);
        }
        self.rate(client)?;
        self.limits.begin(client).map_err(|_| NoPlace::TooMany)
    }

    /// Counts a question about a client that begins no session: it costs the server that is asked as much.
    pub(super) fn shake(&self, headers: &HeaderMap, client: &Client) -> Result<(), NoPlace> {
        self.rate(self.limits.client(self.address_of(headers, client)))
    }

    fn rate(&self, client: Option<limits::Client>) -> Result<(), NoPlace> {
        self.limits.shake(client, tokio::time::Instant::now().into_std()).map_err(NoPlace::TooEarly)
    }

    /// Returns a place for a session that was counted, if all others leave one. For it another session may end, so this is
    /// the last step: a client that may not come in takes nobody's place.
    pub(super) fn place(&self, held: HeldSession) -> Result<Admission, NoPlace> {
        let Some(admission) = self.registry.admit() else {
            self.refusals.note(Reason::Full);
            return Err(NoPlace::Full);
        };
        Ok(admission.counted(held))
    }

    /// Reserves an id for one more session. This happens before the backend is asked, so that no session is opened
    /// there without one.
    pub(super) fn reserve(&self) -> Result<Reservation, OpenError> {
        self.registry.reserve_fresh(&self.id).map_err(OpenError::NoRandomness)
    }

    /// Upgrades a request's connection to a WebSocket, and passes that on to `then` unless the client is gone by then.
    ///
    /// # Errors
    /// What is wrong with the handshake.
    pub(super) fn take_socket<T: Future<Output = ()> + Send>(
        &self,
        ask: WebSocketAsk,
        subprotocol: Option<HeaderValue>,
        framing: Arc<dyn Framing>,
        max_payload: usize,
        then: impl FnOnce(Box<dyn ClientSocket>) -> T + Send + 'static,
    ) -> Result<Response, &'static str> {
        let Accepted { response, upgrading, deflate } =
            ask.accept(subprotocol, self.settings.permessage_deflate)?;
        let framed = websocket::framed(upgrading, framing, max_payload, deflate, self.meter.clone());
        self.tracker.spawn(async move {
            if let Some(socket) = framed.await {
                then(socket).await;
            }
        });
        Ok(response)
    }

    /// Returns whether a browser's page may connect. A request without `Origin` does not come from a page.
    pub(super) fn allows_origin(&self, headers: &HeaderMap) -> bool {
        if !self.restricts_origins() {
            return true;
        }
        let Some(origin) = headers.get(ORIGIN) else { return true };
        let fits = |one: &String| origin.as_bytes().eq_ignore_ascii_case(one.as_bytes());
        self.settings.allowed_origins.iter().any(fits)
    }

    /// Returns whether some origins may not connect.
    pub(super) fn restricts_origins(&self) -> bool {
        let allowed = &self.settings.allowed_origins;
        !allowed.is_empty() && allowed.iter().all(|one| one != "*")
    }

    /// Returns whose a session is that begins with this request.
    pub(super) fn owner(&self, headers: &HeaderMap, client: &Client) -> Option<Owner> {
        match self.settings.session.bind {
            Bind::None => None,
            Bind::Address => Some(Owner::Address(self.address_of(headers, client))),
            Bind::Cookie => Some(Owner::of_cookies(headers)),
        }
    }

    /// Begins to count for a session that begins with this request.
    pub(super) fn tally(&self, headers: &HeaderMap, client: &Client) -> Tally {
        Tally::of(self.address_of(headers, client))
    }

    /// Returns a client's address, as the proxies in front that are trusted tell it; `None` if that is a Unix socket's.
    pub(super) fn address_of(&self, headers: &HeaderMap, client: &Client) -> Option<IpAddr> {
        onward::address_of(headers, client, &self.trusted_proxies)
    }

    /// Returns a client with the address that the proxies in front tell, for a node that trusts this one.
    pub(super) fn located(&self, headers: &HeaderMap, client: &Client) -> Client {
        let port = if let RemoteAddress::Ip(peer) = client.peer { peer.port() } else { 0 };
        let ip = self.address_of(headers, client);
        let peer = ip.map_or(RemoteAddress::Unix, |ip| SocketAddr::new(ip, port).into());
        Client { peer, ..client.clone() }
    }

    /// Returns a request's path after the route's prefix, as the client wrote it.
    pub(super) fn path_of<'h>(&self, head: &'h Parts) -> &'h str {
        head.uri.path().strip_prefix(&self.settings.path).unwrap_or_default()
    }

    /// Judges whether a client may begin a session with this request, and keeps what is known of it there.
    pub(super) async fn authorize(&self, head: &mut Parts, client: &Client) -> Result<(), Box<Denied>> {
        match &self.guard {
            Some(guard) => guard.admit(head, client, &self.trusted_proxies, self.via()).await,
            None => Ok(()),
        }
    }

    /// Returns the name in `Via`, if the route adds it.
    pub(super) fn via(&self) -> Option<&Via> {
        self.settings.via.then_some(&*self.via)
    }

    /// Returns what the backend is told besides the client's headers.
    pub(super) fn onward<'r>(&'r self, client: &'r Client) -> Onward<'r> {
        let Route { request_headers: rules, .. } = &*self.settings;
        Onward {
            client,
            trusted: &self.trusted_proxies,
            via: self.via(),
            identity: &self.settings.identity,
            rules,
        }
    }
}

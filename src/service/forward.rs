//! A forwarded request: only hop-by-hop headers are changed, in both directions.
//!
//! hyper frames both sides, so that no message can mean one thing to the client's side and another to the backend's:
//! lengths and codings that contradict each other are refused before they come here. Of the 1xx answers a client gets
//! the 100 that it waits for, at the moment when the backend sends its own; the others end here, as hyper's server
//! cannot send them. Trailers cross where the message announces them in `Trailer`, and to clients that said `TE:
//! trailers`. An answer that breaks off breaks the client's connection; only a client of HTTP/1.0 without a length
//! cannot tell that from an end.

use std::sync::Arc;

use http::header::{CONNECTION, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use http_body::Body as _;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::cors::is_preflight;
use super::guard::{Guard, expiry};
use super::onward::Onward;
use super::refusals::{Reason, Refusals};
use super::replies::{OUT_OF_ROUTE, SHORT_OF_MEMORY, Unreached, plain, too_many, unavailable};
use super::settings::Route;
use super::via::Via;
use super::{Connection, Response, onward};
use crate::address::{RemoteAddress, TrustedProxy};
use crate::budget::Budget;
use crate::client_body::ClientBody;
use crate::limited::Limit;
use crate::limits::{self, HeldRequest, HeldTunnel, Limits, TunnelLimit};
use crate::meter::{Meter, Op};
use crate::spelling::{HeadBytes, Spelling};
use crate::transport::polling::{discard, respond as respond_with};
use crate::transport::streamed::{Streamed, UnderWay};
use crate::transport::{Body, ClientUpgrade, tunnel};
use crate::upstream::{
    ForwardError, ForwardRequest, Forwarded, Gate, InUse, Overcrowded, Pass, Pinned, is_login,
};

/// Forwards the requests of one route.
#[derive(Debug)]
pub struct Forward {
    /// Their target.
    pub upstream: Arc<InUse>,
    /// Who says which clients may come in; without it all may.
    pub guard: Option<Arc<Guard>>,
    /// The path that the backend sees.
    pub path: ForwardPath,
    /// Proxies in front whose forwarding headers are trusted.
    pub trusted_proxies: Arc<[TrustedProxy]>,
    /// The name of this process.
    pub via: Arc<Via>,
    /// Tracks what is pending: requests until their responses are complete, and tunnels.
    pub tracker: TaskTracker,
    /// Its counters.
    pub meter: Meter,
    /// The log lines of refused requests.
    pub refusals: Arc<Refusals>,
    /// Counts what their bodies hold.
    pub budget: Budget,
    /// How many of them are under way at once.
    pub gate: Arc<Gate>,
    /// How many of them become tunnels, and what counts the limits that are reached.
    pub limits: Limits,
}

/// The path that the backend sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForwardPath {
    /// The upstream's URL in place of the route's prefix.
    Url,
    /// The client's, if the upstream's URL is the address of its sessions, and these are other requests.
    Client,
}

impl Forward {
    /// Serves one request.
    pub async fn serve(
        self: Arc<Self>,
        head: Parts,
        body: ClientBody,
        connection: Connection,
        route: Arc<Route>,
    ) -> Response {
        let mut response = self.forward(head, body, connection, &route).await;
        route.response_headers.apply(response.headers_mut());
        self.meter.request(Op::Forward, response.status().as_u16());
        response
    }

    async fn forward(
        &self,
        mut head: Parts,
        body: ClientBody,
        connection: Connection,
        route: &Route,
    ) -> Response {
        if let Some(response) = self.via.refuse_circle(&head.headers, &self.refusals) {
            return response;
        }
        if !body.is_end_stream() && self.budget.is_scarce() {
            self.refusals.note(Reason::Memory);
            return unavailable(SHORT_OF_MEMORY);
        }
        let Connection { client, patience, pinned, .. } = connection;
        if route.body.max.is_some_and(|max| body.size_hint().lower() > max as u64) {
            return self.unread(body, self.refuse_large(client.peer));
        }
        let address = onward::address_of(&head.headers, &client, &self.trusted_proxies);
        let own = self.limits.client(address);
        // A drain waits for those that wait in line, too.
        let token = self.tracker.token();
        let places = match self.enter(own, client.peer).await {
            Ok(places) => places,
            Err(refusal) => return self.unread(body, *refusal),
        };
        let upstream = Arc::clone(&self.upstream);
        let under_way = UnderWay::new(token, upstream, places, patience, self.meter.clone());
        let via = route.via.then_some(&*self.via);
        // A preflight has no credentials by which the client could be known; nor does it send or become anything else.
        let is_preflight = head.method == Method::OPTIONS
            && is_preflight(&head.headers)
            && !head.headers.contains_key(UPGRADE)
            && body.is_end_stream();
        if let Some(guard) = self.guard.as_ref().filter(|_| !is_preflight)
            && let Err(denied) = guard.admit(&mut head, &client, &self.trusted_proxies, via).await
        {
            return self.unread(body, respond_with(denied.reply));
        }
        let expires_at = expiry(&head);
        // Also `Proxy-Authorization`, which is not passed on.
        let is_login = is_login(&head.headers);
        let spelling = Spelling::of_client(&head.extensions);
        head.extensions.remove::<HeadBytes>();
        let upgrade = if onward::upgrade(&head) { ClientUpgrade::take(&mut head) } else { None };
        let tunnel = match upgrade.as_ref().map(|_| self.tunnel(own)).transpose() {
            Ok(tunnel) => tunnel,
            Err(refusal) => return self.unread(body, *refusal),
        };
        // A proxy in front may send the requests of several clients over one connection: a login on it would apply to
        // all of them.
        let pinned = if client.peer.is_among(&self.trusted_proxies) { Pinned::default() } else { pinned };
        let onward = Onward {
            client: &client,
            trusted: &self.trusted_proxies,
            via,
            identity: &route.identity,
            rules: &route.request_headers,
        };
        let request = ForwardRequest {
            client: address,
            headers: onward::for_forward(&head, upgrade.is_some(), &onward),
            method: head.method,
            uri: head.uri,
            prefix: (self.path == ForwardPath::Url).then(|| route.path.clone()),
            spelling,
            body,
            charge: self.budget.charge(),
            body_limits: route.body,
            stall_timeout: route.session.stall_timeout,
            pinned,
            is_login,
        };
        match self.upstream.forwarder().ask(request).await {
            Ok(answer) => {
                if let (Some(client), Some(backend)) = (upgrade, answer.upgrade.clone()) {
                    let (meter, upstream) = (self.meter.clone(), Arc::clone(&self.upstream));
                    self.tracker.spawn(async move {
                        tunnel::run(client, backend, meter, expires_at).await;
                        drop((upstream, tunnel));
                    });
                }
                respond(answer, under_way, self.budget.clone(), expires_at)
            }
            Err(ForwardError::TooLarge(rest)) => {
                let response = self.refuse_large(client.peer);
                match rest {
                    Some(rest) => self.unread(*rest, response),
                    None => response,
                }
            }
            Err(error) => {
                match &error {
                    ForwardError::Upstream(error) => self.refusals.note_upstream(error),
                    ForwardError::ClientTrickles(slow) => {
                        self.limits.limited().reached(slow.limit(), Some(&client.peer));
                    }
                    ForwardError::Client(_)
                    | ForwardError::Path
                    | ForwardError::ClientSlow(_)
                    | ForwardError::TooLarge(_) => {}
                }
                refuse(&error, route)
            }
        }
    }

    /// Takes a place among the requests of the client, and waits for one among those of the route, and then among those to
    /// the upstream.
    async fn enter(
        &self,
        own: Option<limits::Client>,
        peer: RemoteAddress,
    ) -> Result<(HeldRequest, [Pass; 2]), Box<Response>> {
        let own = self.limits.request(own);
        let own = own.map_err(|_| Box::new(too_many("this client has too many requests under way\n")))?;
        let passes =
            async { Ok::<_, Overcrowded>([self.gate.enter().await?, self.upstream.gate().enter().await?]) };
        let passes = passes.await.map_err(|Overcrowded| {
            self.limits.limited().reached(Limit::MaxRequests, Some(&peer));
            Box::new(unavailable("too many requests are being forwarded\n"))
        })?;
        Ok((own, passes))
    }

    /// Takes a place among the tunnels.
    fn tunnel(&self, own: Option<limits::Client>) -> Result<HeldTunnel, Box<Response>> {
        self.limits.tunnel(own).map_err(|limit| {
            Box::new(match limit {
                TunnelLimit::Client => too_many("this client has too many tunnels\n"),
                TunnelLimit::All => unavailable("too many tunnels are open\n"),
            })
        })
    }

    fn refuse_large(&self, peer: RemoteAddress) -> Response {
        self.limits.limited().reached(Limit::MaxBody, Some(&peer));
        plain(StatusCode::PAYLOAD_TOO_LARGE, "the request body is too large\n")
    }

    /// Returns the response to a request whose body nobody needs. That is read for a while: the client gets the response
    /// only behind it.
    fn unread(&self, body: ClientBody, response: Response) -> Response {
        discard(body.into(), &self.tracker);
        response
    }
}

fn respond(answer: Forwarded, under_way: UnderWay, budget: Budget, expires_at: Option<Instant>) -> Response {
    let (mut head, body) = answer.response.into_parts();
    onward::for_client(&mut head);
    if answer.refused_body {
        // What the client sends now would be read as the body.
        head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let mut response = Response::new(Body::from(Streamed::new(body, under_way, budget, expires_at)));
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    // With its reason phrase.
    Spelling::of_response(head.extensions).apply(response.extensions_mut());
    response
}

fn refuse(error: &ForwardError, route: &Route) -> Response {
    tracing::debug!(route = route.path, error = error as &dyn std::error::Error, "a request failed");
    let (status, text) = match error {
        ForwardError::Client(_) => (StatusCode::BAD_REQUEST, "the request body is incomplete\n"),
        ForwardError::Path => (StatusCode::BAD_REQUEST, OUT_OF_ROUTE),
        ForwardError::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "the request body is too large\n"),
        ForwardError::ClientSlow(_) | ForwardError::ClientTrickles(_) => {
            (StatusCode::REQUEST_TIMEOUT, "the request body timed out\n")
        }
        ForwardError::Upstream(error) => return Unreached::new(error).response(),
    };
    plain(status, text)
}

/// Returns the response to `CONNECT`, which no route accepts: this is not a forward proxy.
pub(super) fn refuse_connect() -> Response {
    let mut response = plain(StatusCode::NOT_IMPLEMENTED, "CONNECT is not supported\n");
    // The client may already have sent data for the other side.
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

//! One route with sessions, as data: what each of them needs, however it begins.

use std::sync::Arc;

use http::HeaderMap;
use http::header::ORIGIN;
use http::request::Parts;
use ipnet::IpNet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::onward::Onward;
use super::refusals::{Reason, Refusals};
use super::replies::unavailable;
use super::settings::Route;
use super::via::Via;
use super::{Client, Response};
use crate::bridge::{Admission, Registry, Reservation};
use crate::meter::{Meter, Outcome};
use crate::route_id::RouteId;
use crate::upstream::{InUse, OpenError};

/// A route, and what its sessions are made with.
#[derive(Clone, Debug)]
pub struct SessionRoute {
    /// Which route it is.
    pub id: RouteId,
    /// What the configuration says of it.
    pub settings: Arc<Route>,
    /// Where its sessions lead.
    pub upstream: Arc<InUse>,
    /// The largest message of the backend's, in payload bytes on the wire.
    pub message_max: usize,
    /// Proxies in front whose word about the client is believed.
    pub trusted_proxies: Arc<[IpNet]>,
    /// What this process calls itself.
    pub via: Arc<Via>,
    /// Cancelled when no session may begin any more.
    pub draining: CancellationToken,
    /// Where its sessions are found.
    pub registry: Registry,
    /// The tracker of its sessions' tasks.
    pub tracker: TaskTracker,
    /// Where it counts.
    pub meter: Meter,
    /// What the log says of requests that it refuses.
    pub refusals: Arc<Refusals>,
}

/// Why no session may begin now.
pub(super) enum Unavailable {
    /// The page's origin is not among those that may connect.
    Forbidden,
    /// The proxy takes no more, and says when to come back.
    Busy(Outcome, Box<Response>),
}

impl SessionRoute {
    /// Returns a place for one more session.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<Admission, Unavailable> {
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
        self.registry.admit().ok_or_else(|| busy(Reason::Full, Outcome::Full, "the proxy is full\n"))
    }

    /// Returns an id for one more session. Made before the backend is asked, so that no session begins there without
    /// one.
    pub(super) fn reserve(&self) -> Result<Reservation, OpenError> {
        self.registry.reserve_fresh(&self.id).map_err(OpenError::NoRandomness)
    }

    /// Returns whether a browser's page may connect. A request without `Origin` comes from no page.
    pub(super) fn allows_origin(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else { return true };
        let fits = |one: &String| origin.as_bytes().eq_ignore_ascii_case(one.as_bytes());
        !self.restricts_origins() || self.settings.allowed_origins.iter().any(fits)
    }

    /// Returns whether there are pages that may not connect.
    pub(super) fn restricts_origins(&self) -> bool {
        let allowed = &self.settings.allowed_origins;
        !allowed.is_empty() && allowed.iter().all(|one| one != "*")
    }

    /// Returns a request's path behind the route's prefix, as the client wrote it.
    pub(super) fn path_of<'h>(&self, head: &'h Parts) -> &'h str {
        head.uri.path().strip_prefix(&self.settings.path).unwrap_or_default()
    }

    /// Returns what the backend is told besides.
    pub(super) fn onward(&self, client: Client) -> Onward<'_> {
        let via = self.settings.via.then_some(&*self.via);
        Onward { client, trusted: &self.trusted_proxies, via, rules: &self.settings.request_headers }
    }
}

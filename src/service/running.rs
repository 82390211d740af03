//! What serves requests now: the routes of one configuration. It can be swapped while connections live.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use http::request::Parts;
use ipnet::IpNet;

use super::demux::Demux;
use super::forward::Forward;
use super::gateway::Gateway;
use super::refusals::Refusals;
use super::router::{Leaves, Router};
use super::settings::Route;
use crate::duplex::Patience;
use crate::route_id::RouteId;
use crate::upstream::InUse;

/// What serves requests now. Each request looks, not each connection: the next one finds what this was replaced with.
#[derive(Clone, Debug)]
pub struct Current(Arc<ArcSwap<Running>>);

impl Current {
    /// Begins with this.
    pub fn new(running: Running) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(running)))
    }

    /// Returns what serves requests at this moment.
    pub fn load(&self) -> Guard<Arc<Running>> {
        self.0.load()
    }

    /// Lets requests be served by this from now on. Sessions go on: they are found by what their route is known by.
    pub fn replace(&self, running: Running) {
        self.0.store(Arc::new(running));
    }
}

/// The routes of one configuration with what serves each, and the upstreams that it names; by default none, before
/// there is any configuration.
#[derive(Default, Debug)]
pub struct Running {
    router: Router,
    routes: Vec<Served>,
    upstreams: Vec<Arc<InUse>>,
    half_close_timeout: Duration,
    pub(super) refusals: Refusals,
}

/// One route and what serves it.
#[derive(Clone, Debug)]
pub struct Served {
    /// What the configuration says of it.
    pub route: Arc<Route>,
    /// What serves its requests.
    pub handler: Handler,
}

/// What serves a route's requests.
#[derive(Clone, Debug)]
pub enum Handler {
    /// A dialect whose packets pass through sessions.
    Gateway {
        /// Where they live.
        gateway: Arc<Gateway>,
        /// What forwards the requests for the backend's client files, which lie below the sessions' own path.
        files: Option<Arc<Forward>>,
    },
    /// Connections that carry other proxies' sessions.
    Demux(Arc<Demux>),
    /// Nothing but requests, each forwarded as it is.
    Forward(Arc<Forward>),
}

impl Handler {
    /// Returns whether it leads to this upstream, and trusts these proxies.
    pub fn leads_to(&self, upstream: &Arc<InUse>, trusted_proxies: &[IpNet]) -> bool {
        let (leads_to, trusts) = match self {
            Self::Gateway { gateway, .. } => (&gateway.route.upstream, &gateway.route.trusted_proxies),
            Self::Demux(demux) => (&demux.route.upstream, &demux.route.trusted_proxies),
            Self::Forward(forward) => (&forward.upstream, &forward.trusted_proxies),
        };
        Arc::ptr_eq(leads_to, upstream) && **trusts == *trusted_proxies
    }
}

impl Running {
    /// Routes in the order of the configuration, and its upstreams; `half_close_timeout` is how long a forwarded
    /// request is still answered whose client has ended its side.
    pub fn new(routes: Vec<Served>, upstreams: Vec<Arc<InUse>>, half_close_timeout: Duration) -> Self {
        let settings: Vec<Route> = routes.iter().map(|served| (*served.route).clone()).collect();
        Self {
            router: Router::new(&settings),
            routes,
            upstreams,
            half_close_timeout,
            refusals: Refusals::default(),
        }
    }

    /// Returns every upstream that the configuration names.
    pub fn upstreams(&self) -> &[Arc<InUse>] {
        &self.upstreams
    }

    /// Returns the route with this name.
    pub fn route(&self, id: &RouteId) -> Option<&Served> {
        self.routes.iter().find(|served| served.route.id() == *id)
    }

    /// Returns the route that a request takes, if any.
    ///
    /// # Errors
    /// The path leads out of its route.
    pub(super) fn find(&self, head: &Parts) -> Result<Option<&Served>, Leaves> {
        Ok(self.router.find(head)?.and_then(|place| self.routes.get(place)))
    }

    /// How long a client waits for a forwarded response that has ended its side, or that sends more ahead of the
    /// response than is read: where its request has no body, that is no part of it, and its end may lie behind it.
    pub(super) fn await_response(&self, patience: &Patience, grace: Duration) {
        patience.set_half_close(self.half_close_timeout.max(grace));
        if grace.is_zero() {
            patience.set_unread(self.half_close_timeout.max(UNREAD_MIN));
        }
    }
}

/// A client that sends the next requests ahead gets at least as long a response.
const UNREAD_MIN: Duration = Duration::from_secs(1);

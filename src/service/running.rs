//! What serves the requests of one configuration: its routes, each with its handler, and its upstreams.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use super::collector::Collector;
use super::demux::Demux;
use super::forward::Forward;
use super::gateway::Gateway;
use super::guard::Guard;
use super::marks::Marks;
use super::onward;
use super::refusals::{Reason, Refusals};
use super::replies::{SHORT_OF_MEMORY, plain, unavailable};
use super::router::{LeavesRoute, Routed, Router};
use super::settings::Route;
use super::{Client, Response};
use crate::access_log::AccessLog;
use crate::address::TrustedProxy;
use crate::cluster::CameIn;
use crate::duplex::Patience;
use crate::large_head::LargeHead;
use crate::limited::Limit;
use crate::meter::{Meter, Op};
use crate::route_id::RouteId;
use crate::upstream::InUse;

/// The routes of one configuration with their handlers, and the upstreams that it names. The default has none, for the
/// time before there is a configuration.
#[derive(Default, Debug)]
pub struct Running {
    router: Router<Served>,
    routes: Vec<Served>,
    /// Those with sessions by their numbers, while no route of the past has any.
    numbered: HashMap<u64, Arc<Gateway>, RandomState>,
    past: Past,
    upstreams: Vec<Arc<InUse>>,
    half_close_timeout: Duration,
    pub(super) refusals: Refusals,
    /// Where the lines of requests go.
    pub(super) access: AccessLog,
    /// What requests are marked with.
    pub(super) marks: Marks,
    /// Where their spans go, if they have some.
    collector: Option<Arc<Collector>>,
}

/// Routes of earlier configurations: each serves the sessions that it still has, and nothing else.
#[derive(Default, Debug)]
struct Past {
    router: Router<Served>,
    routes: Vec<Served>,
}

/// One route and its handler.
#[derive(Clone, Debug)]
pub struct Served {
    /// Its part of the configuration.
    pub route: Arc<Route>,
    /// What serves its requests.
    pub handler: Handler,
}

/// The handler of a route's requests.
#[derive(Clone, Debug)]
pub enum Handler {
    /// A dialect whose packets pass through sessions.
    Gateway {
        /// Its sessions.
        gateway: Arc<Gateway>,
        /// Forwards the requests for the backend's client files, which are below the sessions' own path.
        files: Option<Arc<Forward>>,
    },
    /// Connections that carry other proxies' sessions.
    Demux(Arc<Demux>),
    /// Requests only, each forwarded.
    Forward(Arc<Forward>),
}

impl Served {
    /// Refuses a request whose client's address may not meet the route.
    pub(super) fn refuse_address(&self, headers: &HeaderMap, client: &Client) -> Option<Response> {
        let networks = &self.route.networks;
        if networks.are_all() {
            return None;
        }
        let (trusted, meter, refusals) = self.refuses_with();
        let address = onward::address_of(headers, client, trusted);
        (!networks.admit(address)).then(|| {
            let shown = address.map_or_else(|| client.peer.to_string(), |address| address.to_string());
            refusals.note_with(Reason::Address, Some(&shown));
            meter.request(Op::Other, StatusCode::FORBIDDEN.as_u16());
            plain(StatusCode::FORBIDDEN, "this address may not come here\n")
        })
    }

    /// Counts a request's header, which takes `len` bytes, or refuses the request because memory is short.
    pub(super) fn count_large(&self, head: &mut Parts, len: usize, client: &Client) -> Option<Response> {
        let (budget, limits) = match &self.handler {
            Handler::Gateway { gateway, .. } => (gateway.route.registry.budget(), &gateway.route.limits),
            Handler::Demux(demux) => (demux.route.registry.budget(), &demux.route.limits),
            Handler::Forward(forward) => (&forward.budget, &forward.limits),
        };
        if !budget.is_scarce() {
            LargeHead::count(head, len, budget);
            return None;
        }
        limits.limited().reached(Limit::MemoryMax, Some(&client.peer));
        let (_, meter, refusals) = self.refuses_with();
        refusals.note(Reason::Memory);
        meter.request(Op::Other, StatusCode::SERVICE_UNAVAILABLE.as_u16());
        Some(unavailable(SHORT_OF_MEMORY))
    }

    /// Returns the proxies in front that tell a client's address.
    pub(super) fn trusted_proxies(&self) -> &[TrustedProxy] {
        self.refuses_with().0
    }

    fn refuses_with(&self) -> (&Arc<[TrustedProxy]>, &Meter, &Arc<Refusals>) {
        match &self.handler {
            Handler::Gateway { gateway, .. } => gateway.route.refuses_with(),
            Handler::Demux(demux) => demux.route.refuses_with(),
            Handler::Forward(forward) => (&forward.trusted_proxies, &forward.meter, &forward.refusals),
        }
    }

    const fn gateway(&self) -> Option<&Arc<Gateway>> {
        match &self.handler {
            Handler::Gateway { gateway, .. } => Some(gateway),
            Handler::Demux(_) | Handler::Forward(_) => None,
        }
    }

    fn routed(&self) -> Routed<'_, Self> {
        let files = match &self.handler {
            Handler::Gateway { files, .. } => files.clone().map(Handler::Forward),
            Handler::Demux(_) | Handler::Forward(_) => None,
        };
        let files = files.map(|handler| Self { route: Arc::clone(&self.route), handler });
        Routed { route: &self.route, server: self.clone(), files }
    }
}

impl Handler {
    /// Returns who says which of its clients may come in.
    pub fn guard(&self) -> Option<&Arc<Guard>> {
        match self {
            Self::Gateway { gateway, .. } => gateway.route.guard.as_ref(),
            Self::Demux(demux) => demux.route.guard.as_ref(),
            Self::Forward(forward) => forward.guard.as_ref(),
        }
    }

    /// Returns whether it uses this upstream, and trusts these proxies.
    pub fn leads_to(&self, upstream: &Arc<InUse>, trusted_proxies: &[TrustedProxy]) -> bool {
        let (leads_to, trusts) = match self {
            Self::Gateway { gateway, .. } => (&gateway.route.upstream, &gateway.route.trusted_proxies),
            Self::Demux(demux) => (&demux.route.upstream, &demux.route.trusted_proxies),
            Self::Forward(forward) => (&forward.upstream, &forward.trusted_proxies),
        };
        Arc::ptr_eq(leads_to, upstream) && **trusts == *trusted_proxies
    }
}

impl Running {
    /// Creates it with the routes in the order of the configuration, and its upstreams. `half_close_timeout` is how
    /// long a forwarded request is still answered after its client has closed its sending side. `past` are routes of
    /// earlier configurations which still have sessions.
    pub fn new(
        routes: Vec<Served>,
        upstreams: Vec<Arc<InUse>>,
        half_close_timeout: Duration,
        past: Vec<Served>,
    ) -> Self {
        let numbered = |served: &Served| Some((served.gateway()?.number(), Arc::clone(served.gateway()?)));
        let own = if past.is_empty() { &routes[..] } else { &[] };
        Self {
            router: Router::new(routes.iter().map(Served::routed)),
            numbered: own.iter().filter_map(numbered).collect(),
            routes,
            past: Past { router: Router::new(past.iter().map(Served::routed)), routes: past },
            upstreams,
            half_close_timeout,
            refusals: Refusals::default(),
            access: AccessLog::default(),
            marks: Marks::default(),
            collector: None,
        }
    }

    /// Returns the same, whose requests have lines in this log, these marks, and spans that go to a collector.
    #[must_use]
    pub fn seen(self, access: AccessLog, marks: Marks, collector: Option<Arc<Collector>>) -> Self {
        Self { access, marks, collector, ..self }
    }

    /// Returns whether requests have lines or spans.
    pub(super) fn sees_requests(&self) -> bool {
        self.collector.is_some() || self.access.has_requests()
    }

    /// Returns where spans of requests go, if they have some.
    pub const fn collector(&self) -> Option<&Arc<Collector>> {
        self.collector.as_ref()
    }

    /// Returns the same without those routes of the past that `is_over` names, or `None` if there are none such.
    pub fn without_past(&self, is_over: impl Fn(&Served) -> bool) -> Option<Self> {
        let past: Vec<_> = self.past.routes.iter().filter(|served| !is_over(served)).cloned().collect();
        let is_less = past.len() < self.past.routes.len();
        is_less.then(|| {
            Self::new(self.routes.clone(), self.upstreams.clone(), self.half_close_timeout, past).seen(
                self.access.clone(),
                self.marks,
                self.collector.clone(),
            )
        })
    }

    /// Returns what serves a request of a client that came in at this listener: for one of a session whose route is in
    /// the past, that route. If that depends on the listener, the request says so wherever it is passed on.
    pub(super) fn find(
        &self,
        head: &mut Parts,
        listener: Option<&Arc<str>>,
    ) -> Result<Option<&Served>, LeavesRoute> {
        let name = listener.map(|name| &**name);
        let past = if self.past.routes.is_empty() { None } else { self.past.find(head, name) };
        let found = past.map_or_else(|| self.router.find(head, name), |served| Ok(Some(served)))?;
        if let Some(served) = found
            && let Some(listener) = listener
            && !served.route.listeners.is_empty()
        {
            head.extensions.insert(CameIn(Arc::clone(listener)));
        }
        Ok(found)
    }

    /// Returns the route with sessions that another node knows by this number.
    pub(super) fn numbered(&self, number: u64) -> Option<&Arc<Gateway>> {
        self.numbered.get(&number)
    }

    /// Returns the routes, and those of the past.
    pub fn all_routes(&self) -> impl Iterator<Item = &Served> {
        self.routes.iter().chain(&self.past.routes)
    }

    /// Returns the routes, in the order of the configuration.
    pub fn routes(&self) -> &[Served] {
        &self.routes
    }

    /// Returns every upstream that the configuration names.
    pub fn upstreams(&self) -> &[Arc<InUse>] {
        &self.upstreams
    }

    /// Returns the upstreams that the next configuration names no more, or not as they are.
    pub fn gone_from(&self, next: &Self) -> impl Iterator<Item = &Arc<InUse>> {
        self.upstreams.iter().filter(|one| !next.upstreams.iter().any(|other| Arc::ptr_eq(one, other)))
    }

    /// Returns the route with this name.
    pub fn route(&self, id: &RouteId) -> Option<&Served> {
        self.routes.iter().find(|served| served.route.id() == *id)
    }

    /// Sets how long a client may wait for a forwarded response after it has closed its sending side.
    pub(super) fn await_response(&self, patience: &Patience, grace: Duration) {
        patience.set_half_close(self.half_close_timeout.max(grace));
    }
}

impl Past {
    fn find(&self, head: &Parts, listener: Option<&str>) -> Option<&Served> {
        let served = self.router.find(head, listener).ok()??;
        match &served.handler {
            Handler::Gateway { gateway, .. } => gateway.knows(head).then_some(served),
            Handler::Demux(_) | Handler::Forward(_) => None,
        }
    }
}

//! Builds what serves the requests of a configuration, and reuses the unchanged parts of the one before.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::gates::Gates;
use crate::access_log::AccessLog;
use crate::background::Background;
use crate::bridge::{Registry, RouteInfo};
use crate::cluster::Cluster;
use crate::config::Config;
use crate::dialect::{self, engineio::EngineIo};
use crate::limits::Limits;
use crate::meter::{Dials, Metrics};
use crate::service::{
    Collector, Demux, Forward, ForwardPath, Gateway, Handler, Locations, Refusals, Route, Running, Served,
    SessionRoute, Via,
};
use crate::upstream::{self, Embedding, InUse, Kind};

/// Work that ends by itself and is waited for. Its kinds end one after the other, so each has its own tracker.
#[derive(Clone, Default)]
pub(super) struct Work {
    pub(super) connections: TaskTracker,
    pub(super) sessions: TaskTracker,
    /// Forwarded requests, until their responses are complete, and tunnels.
    pub(super) forwards: TaskTracker,
}

impl Work {
    /// Ready when nothing is left to do: no session, no end that a client may ask for, no request, no connection.
    pub(super) async fn done(&self, registry: &Registry) {
        let trackers = [&self.connections, &self.sessions, &self.forwards];
        let is_busy = || !registry.is_settled() || trackers.iter().any(|tracker| !tracker.is_empty());
        while is_busy() || !registry.remembers_none() {
            sleep(LOOK).await;
        }
    }
}

/// What all configurations share.
pub(super) struct Wiring {
    /// Every upstream that is in use, also those that no configuration names any more.
    pub(super) upstreams: Mutex<Vec<Weak<InUse>>>,
    pub(super) registry: Registry,
    pub(super) work: Work,
    pub(super) helpers: Background,
    /// Cancelled when no new session may begin.
    pub(super) draining: CancellationToken,
    pub(super) metrics: Metrics,
    pub(super) limits: Limits,
    pub(super) access: AccessLog,
    pub(super) via: Arc<Via>,
    /// The other nodes, if there are any.
    pub(super) cluster: Option<Arc<Cluster>>,
    /// Where the sessions are whose ids name no node.
    pub(super) locations: Option<Arc<Locations>>,
}

#[cfg(any(test, fuzzing))]
impl Wiring {
    /// Creates that of a small proxy without other nodes.
    pub(super) fn alone() -> Self {
        let helpers = Background::default();
        let registry = Registry::of_node(10, None, crate::budget::Budget::default());
        helpers.spawn_vital("session maintenance", registry.clone().run_maintenance(helpers.stop.clone()));
        Self {
            upstreams: Mutex::default(),
            limits: Limits::default(),
            access: AccessLog::default(),
            registry,
            work: Work::default(),
            helpers,
            draining: CancellationToken::new(),
            metrics: Metrics::new(),
            via: Arc::new(Via::new().expect("the system is random")),
            cluster: None,
            locations: None,
        }
    }
}

impl Wiring {
    /// Returns what counts an upstream's addresses. One inside this process has none, and would be counted like one that has lost all.
    fn dials(&self, name: &str, settings: &upstream::Settings) -> Dials {
        match settings.kind {
            Kind::Demo(_) => Dials::default(),
            Kind::EngineIo | Kind::WebSocket | Kind::Http | Kind::Mux => self.metrics.dials(name),
        }
    }

    /// Returns what serves `config`. Upstreams and routes that are the same as in `before` continue, with their
    /// connections and state. An upstream that is no longer named retires when its last session and request have ended.
    pub(super) fn next(&self, config: &Config, before: &Running) -> anyhow::Result<Running> {
        let mut upstreams = Vec::new();
        for (name, settings) in &config.upstreams {
            let same = before.upstreams().iter().find(|one| one.name() == name && one.is_made_of(settings));
            upstreams.push(match same {
                Some(same) => Arc::clone(same),
                None => InUse::start(
                    name,
                    settings,
                    &self.helpers,
                    self.dials(name, settings),
                    self.registry.budget(),
                )
                .with_context(|| format!("[upstreams.{name}]"))?,
            });
        }
        {
            let mut all = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
            let now: Vec<_> = upstreams.iter().map(Arc::downgrade).collect();
            all.retain(|one| one.strong_count() > 0 && !now.iter().any(|other| other.ptr_eq(one)));
            all.extend(now);
        }
        let mut routes = Vec::new();
        for route in &config.routes {
            let upstream = upstreams
                .iter()
                .find(|upstream| upstream.name() == route.upstream)
                .with_context(|| format!("no upstream {}", route.upstream))?;
            let served = before.route(&route.id());
            let start = |name: &str, settings: &upstream::Settings| {
                let (dials, budget) = (self.dials(name, settings), self.registry.budget());
                anyhow::Ok(InUse::start(name, settings, &self.helpers, dials, budget)?)
            };
            let gates = Gates::new(route, served, start, &self.helpers.tracker)?;
            let same = served.filter(|served| {
                *served.route == *route
                    && served.handler.leads_to(upstream, &config.server.trusted_proxies)
                    && gates.are_of(served.handler.guard())
            });
            if let Some(same) = same {
                routes.push(same.clone());
                continue;
            }
            let route = Arc::new(route.clone());
            let handler = self.handler(config, &route, upstream, gates, served)?;
            routes.push(Served { route, handler });
        }
        let past = before.all_routes().filter(|served| !routes.iter().any(|one| serves_for(one, served)));
        let past = past.filter(|served| !self.is_over(served)).cloned().collect();
        let running = Running::new(routes, upstreams, config.server.half_close_timeout, past);
        let collector = self.collector(config, before)?;
        Ok(running.seen(self.access.clone(), config.log.marks, collector))
    }

    /// Returns where spans of requests go; the collector before continues if it is the same.
    fn collector(&self, config: &Config, before: &Running) -> anyhow::Result<Option<Arc<Collector>>> {
        let Some(settings) = &config.log.otlp else { return Ok(None) };
        if let Some(same) = before.collector().filter(|before| before.is_of(settings)) {
            return Ok(Some(Arc::clone(same)));
        }
        // No upstream of the configuration has such a name.
        let name = "otlp collector";
        let (dials, budget) = (self.metrics.dials(name), self.registry.budget());
        let connect = |own: &Background| InUse::start(name, settings, own, dials, budget);
        let started = Collector::start(connect, &self.helpers, self.metrics.spans_dropped());
        Ok(Some(started.context("[log] otlp")?))
    }

    /// Returns whether a route of an earlier configuration has no session any more.
    pub(super) fn is_over(&self, past: &Served) -> bool {
        !has_sessions(&past.route) || !self.registry.has_sessions(&past.route.id())
    }

    /// Returns every upstream that is in use.
    pub(super) fn upstreams(&self) -> Vec<Arc<InUse>> {
        let all = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).collect()
    }

    /// Returns what serves one route; `before` served it in the configuration before.
    fn handler(
        &self,
        config: &Config,
        route: &Arc<Route>,
        upstream: &Arc<InUse>,
        gates: Gates,
        before: Option<&Served>,
    ) -> anyhow::Result<Handler> {
        let settings = upstream.settings();
        let trusted_proxies: Arc<[_]> = config.server.trusted_proxies.clone().into();
        let meter = self.metrics.route(&route.path, &route.upstream);
        let refusals = Arc::new(Refusals::of(&route.path));
        let gate = match before.map(|served| &served.handler) {
            Some(Handler::Forward(before)) => Arc::clone(&before.gate),
            Some(Handler::Gateway { .. } | Handler::Demux(_)) | None => Arc::default(),
        };
        gate.limit(route.requests);
        let guard = gates.guard(route, &meter, &refusals);
        let forward = |path| {
            Arc::new(Forward {
                upstream: Arc::clone(upstream),
                guard: guard.clone(),
                path,
                trusted_proxies: Arc::clone(&trusted_proxies),
                via: Arc::clone(&self.via),
                tracker: self.work.forwards.clone(),
                meter: meter.clone(),
                refusals: Arc::clone(&refusals),
                budget: self.registry.budget().clone(),
                gate: Arc::clone(&gate),
                limits: self.limits.clone(),
            })
        };
        if route.dialect == HTTP {
            let is_plain = settings.kind == Kind::Http;
            let path = if is_plain { ForwardPath::Url } else { ForwardPath::Client };
            return Ok(Handler::Forward(forward(path)));
        }
        let info = RouteInfo {
            id: route.id(),
            dialect: route.dialect,
            upstream: Arc::clone(upstream),
            access: self.access.clone(),
            names: self.registry.names(),
        };
        let sessions = SessionRoute {
            id: route.id(),
            info: Arc::new(info),
            settings: Arc::clone(route),
            upstream: Arc::clone(upstream),
            guard: guard.clone(),
            message_max: settings.max_message,
            trusted_proxies: Arc::clone(&trusted_proxies),
            via: Arc::clone(&self.via),
            draining: self.draining.clone(),
            limits: self.limits.clone(),
            registry: self.registry.clone(),
            cluster: self.cluster.clone(),
            locations: self.locations.clone(),
            tracker: self.work.sessions.clone(),
            meter: meter.clone(),
            refusals: Arc::clone(&refusals),
        };
        if route.dialect == MUX {
            let demux = match before.map(|served| &served.handler) {
                Some(Handler::Demux(before)) => before.continued(sessions),
                Some(Handler::Gateway { .. } | Handler::Forward(_)) | None => Demux::new(sessions),
            };
            return Ok(Handler::Demux(Arc::new(demux)));
        }
        let kind = dialect::find(route.dialect).with_context(|| format!("no dialect {}", route.dialect))?;
        let backend = dialect::Backend {
            protocol: upstream.protocol(),
            versions: upstream.versions(),
            socket_io: settings.speaks_socket_io() || upstream::is_socket_io(&route.path),
        };
        let has_files = kind.name == EngineIo::NAME
            && matches!(settings.kind, Kind::EngineIo | Kind::Demo(Embedding::SocketIo));
        let files = has_files.then(|| forward(ForwardPath::Url));
        let gateway = Gateway::new((kind.build)(&route.speech, backend), sessions);
        Ok(Handler::Gateway { gateway: Arc::new(gateway), files })
    }
}

/// Returns whether a route also serves the sessions of another one, of an earlier configuration.
fn serves_for(route: &Served, past: &Served) -> bool {
    (route.route.id(), route.route.dialect) == (past.route.id(), past.route.dialect)
}

/// Returns whether a route's clients have sessions here.
pub(super) fn has_sessions(route: &Route) -> bool {
    route.dialect != HTTP && route.dialect != MUX
}

/// How soon the end of the last work is noticed.
const LOOK: Duration = Duration::from_millis(50);
/// The dialect of routes that forward.
const HTTP: &str = "http";
/// The dialect of routes on which other proxies bring their sessions.
const MUX: &str = "mux";

#[cfg(test)]
mod tests;

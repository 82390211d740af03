//! A process that serves: how it begins, and what its end takes apart.

use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::endings::Endings;
use super::given::Given;
use super::listeners::{self, Listeners};
use super::log::Logs;
use super::peers::{self, Certified};
use super::readiness::{dialects, nodes, readiness, upstreams};
use super::reload::{self, Reloader};
use super::succession::{Door, Succession};
use super::wiring::{Wiring, Work};
use super::{directory, expiry, memory};
use crate::acme::Orders;
use crate::background::{Background, Vital};
use crate::bridge::Registry;
use crate::budget::Budget;
use crate::config::Config;
use crate::drain::{Drain, Signals};
use crate::limited::Limited;
use crate::limits::Limits;
use crate::meter::Metrics;
use crate::server::ConnectInfo;
use crate::service::admin::{Admin, Sessions};
use crate::service::{Client, Connection, Current, Locations, Running, Stack, Via};

/// A process that serves.
pub(super) struct Process {
    /// What is in force.
    pub(super) config: watch::Receiver<Arc<Config>>,
    pub(super) drain: Drain,
    pub(super) endings: Endings,
    pub(super) wiring: Arc<Wiring>,
    /// The connections on which other nodes and processes ask.
    pub(super) asked: Background,
    pub(super) succession: Option<Succession>,
}

/// How a process ended.
pub(super) enum End {
    /// Every session was closed cleanly.
    Clean,
    /// Some sessions were aborted.
    Cut,
}

impl Process {
    /// Listens, or takes the listeners over, and accepts.
    pub(super) async fn begin(given: Given, signals: Signals, vital: &Vital) -> anyhow::Result<Self> {
        let Given { config, origin, logs, watch: watched } = given;
        let (config, reload, reopen) = (&config, Arc::<Notify>::default(), Arc::<Notify>::default());
        let wanted = config.succession.is_some().then(Arc::<Notify>::default);
        let drain = Drain::on(signals, vital, Arc::clone(&reload), Arc::clone(&reopen), wanted.clone());
        let (budget, metrics, limits) = counted(config);
        let logs = logs.counted_by(&metrics);
        let listeners = Listeners::bind(config).await?;
        let listening = listeners.listening()?;
        let Listeners { public, admin, peers, node, beginning } = listeners;

        let helpers = Background { vital: vital.clone(), ..Background::default() };
        let registry = Registry::of_node(config.server.max_sessions, node, budget);
        look_after(&registry, &limits, &helpers);
        helpers.spawn_endless("the files of logs", reopened(logs.clone(), reopen));
        let directory = directory::kept(config, node, &registry, &helpers, &metrics)?;
        let secured = peers::secured(config)?;
        let cluster = |node| {
            peers::cluster(config, node, &secured, beginning.as_ref(), directory.as_ref(), &helpers, &metrics)
        };
        let cluster = node.map(cluster);
        let located =
            node.zip(cluster.clone()).map(|(node, cluster)| Locations::new(node, cluster, directory.clone()));
        let wiring = Arc::new(Wiring {
            upstreams: Mutex::default(),
            registry: registry.clone(),
            work: Work::default(),
            helpers: helpers.clone(),
            draining: CancellationToken::new(),
            metrics: metrics.clone(),
            limits: limits.clone(),
            access: logs.access.clone(),
            via: Arc::new(Via::new().context("no name for Via")?),
            locations: located.map(Arc::new),
            cluster: cluster.clone(),
        });
        let current = Current::new(Running::default());
        current.replace(wiring.next(config, &current.load())?);

        let endings = Endings::default();
        listeners::note(config, &public, &admin);
        let make = stacks(current.clone());
        let public = public.with_limits(limits.clone());
        let public = public.serve(make, &wiring.work.connections, vital, &endings.public, &metrics);
        let orders = Orders::new(public.ordered());
        // A process without [cluster] has no nodes to show.
        let has_nodes = config.cluster.is_some();
        let shown = cluster.clone().filter(|_| has_nodes);
        let (sender, in_force) = watch::channel(Arc::new(config.clone()));
        let (control, wishes) = reload::control(reload, in_force.clone(), &drain.started, &endings.admin.end);
        let configured = in_force.clone();
        let service = Admin {
            metrics: metrics.clone(),
            readiness: readiness(&drain.started, current.clone(), shown.clone(), directory, orders.clone()),
            upstreams: upstreams(current.clone()),
            sights: nodes(cluster.clone(), has_nodes, registry.clone()),
            sessions: Sessions(registry),
            dialects: dialects(current.clone()),
            control,
            in_force: Arc::new(move || configured.borrow().admin.clone()),
            has_certificate: false,
        };
        helpers.spawn_endless("what operators are told", service.clone().tell());
        let make = move |info: ConnectInfo| service.of_client(info.subject.is_some());
        let admin = admin.serve(make, &helpers.tracker, vital, &endings.admin, &metrics);

        let asked = Background { vital: vital.clone(), ..Background::default() };
        let nodes = cluster
            .map(|cluster| peers::nodes(config, cluster, &wiring, current.clone(), &asked, &drain.started));
        let certified = peers.zip(nodes.clone()).map(|(peers, nodes)| {
            let listener = peers.serve(nodes, &wiring, vital, &endings.peers);
            Certified { listener, secured }
        });
        let succession = match (beginning, nodes, wanted) {
            (Some(beginning), Some(nodes), Some(wanted)) => {
                let (asked, started, left) = (asked.clone(), drain.started.clone(), endings.left.clone());
                let kin = nodes.kin();
                let door = Door::new(nodes, asked, listening, left, started);
                helpers.spawn_endless("the processes of this host", kin.follow(metrics.succession()));
                Some(beginning.take_over(door, wanted, &helpers).await)
            }
            _ => None,
        };
        let watched_ends = expiry::watch(in_force.clone(), orders.shown(), metrics.clone());
        helpers.spawn_endless("the ends of certificates", watched_ends);
        let ends = [drain.started.clone(), endings.left.clone()];
        helpers.spawn_vital("orders of certificates", orders.clone().run(metrics.clone(), ends.clone()));
        let reloader = Reloader {
            origin,
            config: sender,
            wiring: Arc::clone(&wiring),
            current: current.clone(),
            public,
            admin,
            certified,
            orders,
            listed: succession.as_ref().map(Succession::listed),
            logs,
            watch: watched,
            ends,
        };
        helpers.spawn_endless("reloads", reloader.run(wishes));
        Ok(Self { config: in_force, drain, endings, wiring, asked, succession })
    }
}

/// Returns what makes the stack of each connection.
fn stacks(served: Current) -> impl Fn(ConnectInfo) -> Stack + Clone {
    move |info: ConnectInfo| {
        let ConnectInfo { peer, listener, secure, subject, patience, raw_headers, pinned } = info;
        let client = Client { peer, secure, subject };
        let connection = Connection::of_client(client, Some(listener), patience, raw_headers);
        Stack::new(served.clone(), Connection { pinned, ..connection })
    }
}

/// Starts what sessions need besides their own tasks.
fn look_after(registry: &Registry, limits: &Limits, helpers: &Background) {
    helpers.spawn_endless("the budget of memory", registry.clone().run_relief(limits.limited()));
    helpers.spawn_vital("session maintenance", registry.clone().run_maintenance(helpers.stop.clone()));
}

/// Opens the files of logs again whenever that is wished for.
async fn reopened(logs: Logs, wished: Arc<Notify>) {
    loop {
        wished.notified().await;
        logs.reopen();
    }
}

/// Creates what counts memory, what clients take, and all else.
fn counted(config: &Config) -> (Budget, Metrics, Limits) {
    let budget = Budget::new(config.limits.memory_max.bytes(memory::available()));
    let metrics = Metrics::of(budget.clone());
    metrics.sessions_limit(config.server.max_sessions);
    metrics.first_loaded();
    let limits = Limits::new(config.limits.clients, &config.server.trusted_proxies, Limited::new(&metrics));
    (budget, metrics, limits)
}

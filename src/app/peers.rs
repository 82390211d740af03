//! This process as a node of a cluster: its listener for other nodes, and its view of them.

use std::sync::Arc;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::directory::written;
use super::listed::PEERS;
use super::succession::{Beginning, Inherited};
use super::wiring::{Wiring, has_sessions};
use crate::background::{Background, Vital};
use crate::cluster::{self, Cluster, Me, NextSecured, Roster, Secured};
use crate::config::Config;
use crate::directory::Directory;
use crate::fingerprint::Fingerprint;
use crate::meter::Metrics;
use crate::server::{self, BindError, ConnectInfo, ListenerSettings, NextServer, Open, Server, SocketName};
use crate::service::{Current, Nodes, NodesSettings, Route};
use crate::sid::{Node, Tag};

/// This node, whose listener does not accept yet.
pub(super) struct Peers {
    server: Server,
}

impl Peers {
    /// Binds the listener, unless it is taken over.
    pub(super) fn bind(settings: &cluster::Settings, inherited: &mut Inherited) -> anyhow::Result<Self> {
        let in_the_clear = settings.tls.is_none();
        let server = inherited.bind(&listener(settings)).context("[cluster]")?;
        if in_the_clear && settings.listen.ip().is_unspecified() {
            tracing::warn!(
                "other nodes may ask at every address of this host, in the clear: keep the port private"
            );
        }
        for SocketName { address, .. } in server.local_addrs() {
            tracing::info!(%address, tls = !in_the_clear, node = %settings.node, "other nodes may ask");
        }
        Ok(Self { server })
    }

    /// Returns the listener.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Serves other nodes, whose connections end with those of `nodes`.
    pub(super) fn serve(
        self,
        nodes: Nodes,
        wiring: &Wiring,
        vital: &Vital,
        endings: &server::Signals,
    ) -> Open {
        let make = move |_: ConnectInfo| nodes.clone();
        self.server.serve(make, &wiring.helpers.tracker, vital, endings, &wiring.metrics)
    }
}

/// What nodes show each other, which a reload replaces: here both sides of a connection have the same files.
pub(super) struct Certified {
    /// Where other nodes ask.
    pub(super) listener: Open,
    /// How they are asked.
    pub(super) secured: Secured,
}

impl Certified {
    /// Reads the files again.
    pub(super) fn prepare(&self, config: &Config) -> anyhow::Result<(NextServer, NextSecured)> {
        let settings = settings(config);
        let listener = self.listener.prepare(&listener(&settings)).context("[cluster]")?;
        let secured = Secured::next(settings.tls.as_ref()).map_err(BindError::Tls).context("[cluster]")?;
        Ok((listener, secured))
    }

    /// Has new connections use what was read.
    pub(super) fn replace(&mut self, (listener, secured): (NextServer, NextSecured)) {
        self.listener.replace(listener);
        self.secured.replace(secured);
    }
}

/// Returns how connections between nodes are made.
pub(super) fn secured(config: &Config) -> anyhow::Result<Secured> {
    Secured::new(settings(config).tls.as_ref()).map_err(BindError::Tls).context("[cluster]")
}

/// Returns the listener for other nodes.
fn listener(settings: &cluster::Settings) -> server::Settings {
    let tls = settings.tls.as_ref().map(cluster::Tls::listener);
    let listener = ListenerSettings { tls, ..ListenerSettings::at(PEERS, vec![settings.listen.into()]) };
    server::Settings { listeners: vec![listener], ..server::Settings::default() }
}

/// Returns this process, with a name that only another process of its host may have.
pub(super) fn starting(tag: Tag) -> anyhow::Result<Node> {
    let mut random = [0; 2];
    getrandom::fill(&mut random).context("no randomness for this node's name")?;
    Ok(Node::from_random(tag, random))
}

/// Returns the other nodes and processes.
pub(super) fn cluster(
    config: &Config,
    node: Node,
    secured: &Secured,
    beginning: Option<&Beginning>,
    directory: Option<&Directory>,
    helpers: &Background,
    metrics: &Metrics,
) -> Arc<Cluster> {
    if let Some(warning) = config.asks_too_many() {
        tracing::warn!("{warning}");
    }
    let me = Me::starting(node, &hash(&config.routes));
    let settings = settings(config);
    let roster = match &settings.peers {
        cluster::Peers::Named(peers) => {
            let listed = peers.iter().map(|(tag, address)| (*tag, vec![address.clone()]));
            Roster::fixed(listed.collect())
        }
        cluster::Peers::Dns { host, port } => cluster::resolved(host, *port, helpers),
        cluster::Peers::Directory => written(directory, helpers),
    };
    let kin = beginning.map(|beginning| beginning.kin(me.clone(), secured.clone(), helpers));
    Cluster::new(&settings, me, secured.clone(), roster, kin, helpers, metrics.cluster())
}

/// Returns what serves the requests of other nodes and processes, on connections of `asked`.
pub(super) fn nodes(
    config: &Config,
    cluster: Arc<Cluster>,
    wiring: &Wiring,
    current: Current,
    asked: &Background,
    leaving: &CancellationToken,
) -> Nodes {
    let settings = settings(config);
    Nodes::new(NodesSettings {
        cluster,
        token: settings.token,
        silence_timeout: settings.silence_timeout,
        current,
        registry: wiring.registry.clone(),
        requests: wiring.work.sessions.clone(),
        connections: asked.tracker.clone(),
        leaving: leaving.clone(),
        stop: asked.stop.clone(),
    })
}

fn settings(config: &Config) -> cluster::Settings {
    config.cluster.clone().unwrap_or_else(cluster::Settings::of_no_cluster)
}

/// Returns the hash of the routes with sessions: what the nodes must agree on. The owner of a session decides all else.
pub(super) fn hash(routes: &[Route]) -> String {
    let shown = |route: &Route| {
        let host = route.host.as_deref().unwrap_or("*");
        let mut line = format!("{host} {} {} {}", route.path, route.dialect, route.upstream);
        for name in &route.listeners {
            line.push(' ');
            line.push_str(name);
        }
        line + "\n"
    };
    let mut lines: Vec<_> = routes.iter().filter(|route| has_sessions(route)).map(shown).collect();
    lines.sort();
    let mut hash = Fingerprint::of(lines.concat().as_bytes()).to_string();
    hash.truncate(HASH_LEN);
    hash
}

/// How many digits tell routes apart: 64 bits.
const HASH_LEN: usize = 16;

//! This process as a node of a cluster: its listener for other nodes, and its view of them.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Context as _;
use aws_lc_rs::digest;
use tokio_util::sync::CancellationToken;

use super::wiring::{Wiring, has_sessions};
use crate::background::{Background, Vital};
use crate::cluster::{self, Cluster, Me, Roster, Secured};
use crate::config::Config;
use crate::meter::{Listener, Metrics};
use crate::server::{self, BindError, ConnectInfo, Server, TlsFiles};
use crate::service::{Current, Nodes, NodesSettings, Route};
use crate::sid::Node;

/// This node, whose listener does not accept yet.
pub(super) struct Peers {
    pub(super) me: Me,
    server: Server,
    settings: cluster::Settings,
    secured: Secured,
    connections: Background,
}

impl Peers {
    /// Binds the listener, if there is a cluster.
    pub(super) async fn bind(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(settings) = &config.cluster else { return Ok(None) };
        let secured = Secured::new(settings.tls.as_ref()).map_err(BindError::Tls).context("[cluster]")?;
        let tls = settings
            .tls
            .as_ref()
            .map(|tls| TlsFiles { identity: tls.identity.clone(), client_ca: Some(tls.ca.clone()) });
        let in_the_clear = tls.is_none();
        let listener = server::Settings { listen: vec![settings.listen], tls, ..server::Settings::default() };
        let server = Server::bind(&listener, |_| None).await.context("[cluster]")?;
        let mut random = [0; 2];
        getrandom::fill(&mut random).context("no randomness for this node's name")?;
        let me = Me::starting(Node::from_random(settings.node, random), &hash(&config.routes));
        if in_the_clear && settings.listen.ip().is_unspecified() {
            tracing::warn!(
                "other nodes may ask at every address of this host, in the clear: keep the port private"
            );
        }
        for address in server.local_addrs() {
            tracing::info!(%address, tls = !in_the_clear, node = %settings.node, "other nodes may ask");
        }
        Ok(Some(Self { me, server, settings: settings.clone(), secured, connections: Background::default() }))
    }

    /// Returns the other nodes.
    pub(super) fn cluster(&self, helpers: &Background, metrics: &Metrics) -> Arc<Cluster> {
        let roster = match &self.settings.peers {
            cluster::Peers::Named(peers) => {
                let listed = peers.iter().map(|(tag, address)| (*tag, vec![address.clone()]));
                Roster::fixed(listed.collect())
            }
            cluster::Peers::Dns { host, port } => cluster::resolved(host, *port, helpers),
        };
        Cluster::new(
            &self.settings,
            self.me.clone(),
            self.secured.clone(),
            roster,
            helpers,
            metrics.cluster(),
        )
    }

    /// Serves other nodes, whose connections end when the returned value says so.
    pub(super) fn serve(
        self,
        wiring: &Wiring,
        cluster: Arc<Cluster>,
        current: Current,
        vital: &Vital,
        endings: &server::Signals,
        leaving: &CancellationToken,
    ) -> Background {
        let Self { server, settings, connections: asked, .. } = self;
        let service = Nodes::new(NodesSettings {
            cluster,
            token: settings.token,
            silence_timeout: settings.silence_timeout,
            current,
            registry: wiring.registry.clone(),
            requests: wiring.work.sessions.clone(),
            connections: asked.tracker.clone(),
            leaving: leaving.clone(),
            stop: asked.stop.clone(),
        });
        let make = move |_: ConnectInfo| service.clone();
        let connections = wiring.metrics.connections(Listener::Peer);
        server.serve(make, &wiring.helpers.tracker, vital, endings, &connections);
        asked
    }
}

/// Returns the hash of the routes with sessions: what the nodes must agree on. The owner of a session decides all else.
pub(super) fn hash(routes: &[Route]) -> String {
    let shown = |route: &Route| {
        let host = route.host.as_deref().unwrap_or("*");
        format!("{host} {} {} {}\n", route.path, route.dialect, route.upstream)
    };
    let mut lines: Vec<_> = routes.iter().filter(|route| has_sessions(route)).map(shown).collect();
    lines.sort();
    let hash = digest::digest(&digest::SHA256, lines.concat().as_bytes());
    let mut shown = String::new();
    for byte in &hash.as_ref()[..8] {
        let _written = write!(shown, "{byte:02x}");
    }
    shown
}

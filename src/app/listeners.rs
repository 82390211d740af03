//! The listeners of this process, with the name that it gets in session ids: bound, or taken over from the process before.

use anyhow::Context as _;

use super::listed::{ADMIN, listening};
use super::peers::{self, Peers};
use super::succession::{Beginning, Inherited};
use crate::config::Config;
use crate::server::{ListenerSettings, Server, Settings, SocketName};
use crate::service::Route;
use crate::sid::{Node, Tag};
use crate::succession::Listening;

/// The listeners, which do not accept yet.
pub(super) struct Listeners {
    pub(super) public: Server,
    pub(super) admin: Server,
    pub(super) peers: Option<Peers>,
    /// This process, if others may ask it.
    pub(super) node: Option<Node>,
    /// What it takes over, and hands over later.
    pub(super) beginning: Option<Beginning>,
}

impl Listeners {
    /// Binds them, or takes them over.
    pub(super) async fn bind(config: &Config) -> anyhow::Result<Self> {
        let tag = config.cluster.as_ref().map_or(Tag::NONE, |cluster| cluster.node);
        let mut inherited = Inherited::of(config.succession.as_ref(), tag, &config.server.listeners).await?;
        let public = inherited.bind(&config.server).context("[server]")?;
        let admin = inherited.bind(&admin(config)).context("[admin]")?.with_reserve();
        let node = match (inherited.me(), &config.cluster) {
            (Some(me), _) => Some(me),
            (None, Some(_)) => Some(peers::starting(tag)?),
            (None, None) => None,
        };
        let peers = match &config.cluster {
            Some(settings) => Some(Peers::bind(settings, &mut inherited)?),
            None => None,
        };
        Ok(Self { public, admin, peers, node, beginning: inherited.finish()? })
    }

    /// Returns all of them for a successor; none if there is no way to it.
    pub(super) fn listening(&self) -> anyhow::Result<Vec<Listening>> {
        let mut all = Vec::new();
        if self.beginning.is_some() {
            let peers = self.peers.as_ref().map(Peers::server);
            for server in [&self.public, &self.admin].into_iter().chain(peers) {
                all.extend(listening(server)?);
            }
        }
        Ok(all)
    }
}

/// Logs where this process listens.
pub(super) fn note(config: &Config, public: &Server, admin: &Server) {
    for SocketName { listener, address } in public.local_addrs() {
        let has_tls = |one: &ListenerSettings| one.name == listener && one.tls.is_some();
        let tls = config.server.listeners.iter().any(has_tls);
        let meets = |route: &&Route| route.listeners.is_empty() || route.listeners.contains(&listener);
        let routes = config.routes.iter().filter(meets).count();
        tracing::info!(%address, listener = &*listener, tls, routes, "listening");
    }
    for SocketName { address, .. } in admin.local_addrs() {
        tracing::info!(%address, tls = config.admin.tls.is_some(), "admin listening");
    }
    note_idle(config);
}

/// Logs which listeners came, and which went.
pub(super) fn note_change(config: &Config, before: &[SocketName], now: &[SocketName]) {
    for SocketName { listener, address } in now.iter().filter(|one| !before.contains(one)) {
        tracing::info!(%address, listener = &**listener, "listening");
    }
    for SocketName { listener, address } in before.iter().filter(|one| !now.contains(one)) {
        tracing::info!(%address, listener = &**listener, "listening no more");
    }
    note_idle(config);
}

fn note_idle(config: &Config) {
    for listener in config.idle_listeners() {
        tracing::warn!(listener = &*listener.name, "no route is at this listener: it answers 404");
    }
}

/// Returns the settings of the admin listener.
pub(super) fn admin(config: &Config) -> Settings {
    Settings {
        listeners: vec![ListenerSettings {
            socket_mode: config.admin.socket_mode,
            tls: config.admin.tls.clone(),
            http2: false,
            ..ListenerSettings::at(ADMIN, vec![config.admin.listen.clone()])
        }],
        ..Settings::default()
    }
}

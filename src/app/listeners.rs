//! The listeners of this process, with the name that it gets in session ids: bound, or taken over from the process before.

use std::net::SocketAddr;

use anyhow::Context as _;

use super::listed::{PUBLIC, listening};
use super::peers::{self, Peers};
use super::succession::{Beginning, Inherited};
use crate::config::Config;
use crate::server::{Server, Settings};
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
        let mut inherited = Inherited::of(config.succession.as_ref(), tag).await?;
        let public = inherited.bind(&config.server, PUBLIC).await.context("[server]")?;
        let admin = inherited.bind(&admin(config), ADMIN).await.context("[admin]")?.with_reserve();
        let node = match (inherited.me(), &config.cluster) {
            (Some(me), _) => Some(me),
            (None, Some(_)) => Some(peers::starting(tag)?),
            (None, None) => None,
        };
        let peers = match &config.cluster {
            Some(settings) => Some(Peers::bind(settings, &mut inherited).await?),
            None => None,
        };
        Ok(Self { public, admin, peers, node, beginning: inherited.finish()? })
    }

    /// Returns all of them for a successor; none if there is no way to it.
    pub(super) fn listening(&self, config: &Config) -> anyhow::Result<Vec<Listening>> {
        let mut all = Vec::new();
        if self.beginning.is_some() {
            all.extend(listening(PUBLIC, &config.server.listen, &self.public)?);
            all.extend(listening(ADMIN, &admin(config).listen, &self.admin)?);
            if let Some(peers) = &self.peers {
                all.extend(peers.listening()?);
            }
        }
        Ok(all)
    }
}

/// Logs where this process listens.
pub(super) fn note(config: &Config, public: &Server, admin: &Server) {
    for address in public.local_addrs() {
        let tls = config.server.tls.is_some();
        tracing::info!(%address, tls, routes = config.routes.len(), "listening");
    }
    for address in admin.local_addrs() {
        tracing::info!(%address, "admin listening");
    }
}

/// Logs which listeners came, and which went.
pub(super) fn note_change(before: &[SocketAddr], now: &[SocketAddr]) {
    for address in now.iter().filter(|address| !before.contains(address)) {
        tracing::info!(%address, "listening");
    }
    for address in before.iter().filter(|address| !now.contains(address)) {
        tracing::info!(%address, "listening no more");
    }
}

fn admin(config: &Config) -> Settings {
    Settings { listen: vec![config.admin.listen], tls: None, ..Settings::default() }
}

const ADMIN: &str = "admin.listen";

//! The table of dialects.

use std::sync::Arc;

use super::engineio::{self, EngineIo};
use super::keys::Key;
use super::longpoll::{self, LongPoll};
use super::settings::Settings;
use super::sockjs::{self, SockJs};
use super::websocket::WebSocket;
use super::{Backend, Dialect};
use crate::revision::{Revision, Versions};

/// A dialect that a route can name.
#[derive(Debug)]
pub struct Kind {
    /// The name in the configuration.
    pub name: &'static str,
    /// Whether a route that ends in a slash also matches its path without the slash.
    pub takes_base: bool,
    /// Its own keys of the configuration.
    pub keys: &'static [Key],
    /// The keys of every route that mean nothing beside it.
    pub idle: &'static [&'static str],
    /// Builds it for one route.
    pub build: fn(&Settings, Backend) -> Arc<dyn Dialect>,
}

/// Every dialect that a route can name.
pub static DIALECTS: &[Kind] = &[
    Kind {
        name: EngineIo::NAME,
        // The reference server does not.
        takes_base: false,
        keys: engineio::KEYS,
        // The heartbeat of a client that polls is stricter.
        idle: &["min_body_rate"],
        build: |settings, backend| Arc::new(EngineIo::new(settings.engine_io, backend)),
    },
    Kind {
        name: SockJs::NAME,
        takes_base: true,
        keys: sockjs::KEYS,
        idle: &["ping_interval", "ping_timeout", "upgrade_timeout", "allow_upgrades"],
        build: |settings, backend| Arc::new(SockJs::new(settings.sockjs.clone(), backend)),
    },
    Kind {
        name: LongPoll::NAME,
        takes_base: true,
        keys: longpoll::KEYS,
        idle: &[
            "ping_interval",
            "ping_timeout",
            "upgrade_timeout",
            "allow_upgrades",
            "relay",
            "permessage_deflate",
        ],
        build: |settings, _| Arc::new(LongPoll::new(settings.longpoll)),
    },
    Kind {
        name: WebSocket::NAME,
        takes_base: true,
        keys: &[],
        idle: &[
            "batch_max",
            "linger",
            "upgrade_timeout",
            "allow_upgrades",
            "compression",
            "bind",
            "min_body_rate",
            "body_timeout",
        ],
        build: |_, backend| Arc::new(WebSocket::new(backend)),
    },
];

/// Returns the dialect and the revision of a client as another proxy names them; the result is always one that backends
/// know.
pub fn named_by_proxy(name: &str, revision: Option<Revision>) -> (&'static str, Option<Revision>) {
    let name = find(name).map_or(WebSocket::NAME, |kind| kind.name);
    let has_revisions = name == EngineIo::NAME;
    (name, has_revisions.then(|| revision.unwrap_or(Revision::V4)))
}

/// Returns whether ids of such a route name no node of a cluster, because clients or backends make them. `served` are the revisions of
/// the clients that the backend serves.
pub fn has_others_ids(name: &str, settings: &Settings, served: Versions) -> bool {
    let v3 = Revision::V3;
    name == SockJs::NAME || name == EngineIo::NAME && settings.engine_io.versions.has(v3) && served.has(v3)
}

/// Returns the dialect with this name.
pub fn find(name: &str) -> Option<&'static Kind> {
    DIALECTS.iter().find(|kind| kind.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialect_that_another_proxy_names_is_passed_on_and_an_unknown_one_is_a_web_socket() {
        assert_eq!(named_by_proxy("engine.io", None), ("engine.io", Some(Revision::V4)));
        assert_eq!(named_by_proxy("engine.io", Some(Revision::V3)), ("engine.io", Some(Revision::V3)));
        for name in ["sockjs", "longpoll", "websocket"] {
            assert_eq!(named_by_proxy(name, Some(Revision::V3)), (name, None));
        }
        assert_eq!(named_by_proxy("smoke signals", None), ("websocket", None));
    }
}

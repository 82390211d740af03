//! What an operator decides: the Settings of every floor, composed from config.toml and the environment.
//!
//! The text becomes a tree of values that know their place, the environment is laid over it, and each section reads
//! its table. Nothing stops at the first fault: all are collected and told at once.
//!
//! ```
//! use polliwog::config::Config;
//!
//! let toml = r#"
//! [[routes]]
//! path = "/chat/"
//! dialect = "engine.oi"
//! upstream = "chat"
//!
//! [upstreams.chat]
//! url = "http://127.0.0.1:3000"
//! ping = "25 s"
//! "#;
//! let faults = Config::parse(toml, "config.toml", [].into_iter()).unwrap_err().to_string();
//! // Both, each with its place and its key.
//! assert!(faults.contains("config.toml:4:11: routes[0].dialect: "), "{faults}");
//! assert!(faults.contains("config.toml:9:1: upstreams.chat.ping: "), "{faults}");
//!
//! // A variable is laid over the file, and may be wrong like it.
//! let env = [("POLLIWOG_LOG__LEVEL".into(), "loud".into())];
//! let faults = Config::parse("", "config.toml", env.into_iter()).unwrap_err().to_string();
//! assert!(faults.contains("POLLIWOG_LOG__LEVEL: log.level: "), "{faults}");
//! ```

use std::collections::BTreeMap;
use std::ffi::OsString;

use toml::de::DeTable;

use crate::{cluster as nodes, dialect, directory, server, service, succession as processes, upstream};

mod acme;
mod auth;
mod check;
mod circle;
mod cluster;
mod connection_limits;
mod controls;
mod cors;
mod env;
mod fault;
mod files;
mod fixed;
mod header_rules;
mod jwt;
mod key;
pub mod keys;
mod limits;
mod listeners;
mod load;
mod log;
mod mux;
mod networks;
mod origin;
mod routes;
mod row;
mod served;
mod sessions;
#[cfg(test)]
mod shipped;
mod sockets;
mod speech;
mod succession;
mod suggestion;
mod syntax;
mod table;
#[cfg(test)]
mod tests;
mod tls;
mod tree;
mod trust;
mod upstreams;
mod values;
mod versions;

pub use fault::{Fault, Faults, Place, Problem};
pub use fixed::{Differing, Fixed};
pub use limits::Limits;
pub use load::LoadError;
pub use log::Log;
pub use origin::{Origin, Source};
pub use sockets::{Places, Socket};

use fault::Sink;
use key::Section;
use listeners::Taken;
use table::Table;
use tree::{Lines, Node};

/// A whole, valid configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// `[server]` and `[[listeners]]`.
    pub server: server::Settings,
    /// `[limits]`.
    pub limits: Limits,
    /// `[admin]`.
    pub admin: service::AdminSettings,
    /// `[log]`.
    pub log: Log,
    /// `[cluster]`, if there is one.
    pub cluster: Option<nodes::Settings>,
    /// `[succession]`, if there is one.
    pub succession: Option<processes::Settings>,
    /// The directory of `[cluster]`, if there is one.
    pub directory: Option<directory::Settings>,
    /// `[[routes]]`, in the order of the file.
    pub routes: Vec<service::Route>,
    /// `[upstreams.NAME]`.
    pub upstreams: BTreeMap<String, upstream::Settings>,
}

impl Config {
    /// Reads a configuration's text; `file_name` is what faults call it. No file is touched.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn parse(
        text: &str,
        file_name: &str,
        env: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Faults> {
        Ok(Self::parse_and(text, file_name, env, |_, _, _| {})?.0)
    }

    /// Returns the listeners at which no request meets a route.
    pub fn idle_listeners(&self) -> impl Iterator<Item = &server::ListenerSettings> {
        let is_met = |name| {
            let meets = |route: &service::Route| route.listeners.is_empty() || route.listeners.contains(name);
            self.routes.iter().any(meets)
        };
        self.server.listeners.iter().filter(move |listener| !is_met(&listener.name))
    }

    /// Returns a warning, if everybody who reaches the admin listener from another host may do what an operator may.
    pub fn admin_is_open(&self) -> Option<String> {
        let address = self.admin.listen.ip().filter(|address| !address.ip().is_loopback())?;
        let open = || {
            format!(
                "admin.listen: everybody who reaches {address} may end sessions and the process: set admin.token, or client_ca in admin.tls"
            )
        };
        (!self.admin.is_closed()).then(open)
    }

    /// Returns a warning, if there is a route that has a node ask all the others for each id that it does not know, and these are too
    /// many for that.
    pub fn asks_too_many(&self) -> Option<String> {
        let nodes::Peers::Named(peers) = &self.cluster.as_ref()?.peers else { return None };
        if peers.len() <= ASKED_MAX || self.directory.is_some() {
            return None;
        }
        let has_others_ids = |route: &&service::Route| {
            let served = self.upstreams.get(&route.upstream).map(upstream::Settings::served);
            served.is_some_and(|served| dialect::has_others_ids(route.dialect, &route.speech, served))
        };
        let route = self.routes.iter().find(has_others_ids)?;
        let (path, count) = (&route.path, peers.len());
        Some(format!(
            "route {path:?}: a request with an unknown id asks {count} nodes, more than {ASKED_MAX}: give them a directory"
        ))
    }

    /// Returns the configuration, and the tree that it was read from.
    fn parse_and(
        text: &str,
        file_name: &str,
        env: impl Iterator<Item = (OsString, OsString)>,
        check: impl FnOnce(&Self, &Node, &Sink),
    ) -> Result<(Self, Node), Faults> {
        let lines = Lines::of(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        let place = |offset| lines.place(offset);
        let mut tree = Node::from_table(document.get_ref(), lines.place(0), &place);
        let sink = Sink::default();
        env::apply(&mut tree, env, &sink);
        let config = Self::read(&tree, &sink);
        check(&config, &tree, &sink);
        syntax::report(&errors, &lines, &sink);
        match sink.into_faults(file_name) {
            Some(faults) => Err(faults),
            None => Ok((config, tree)),
        }
    }

    /// Reads every section; what is wrong goes to the sink.
    fn read(tree: &Node, sink: &Sink) -> Self {
        let root = Table::root(tree, &keys::KEYS, sink);
        let (mut server, mut taken) = listeners::read(&root, sink);
        let for_clients = taken.len();
        let limits = root.section("limits", Section::Limits);
        row::read_rows(connection_limits::CONNECTIONS, &limits, &mut server.limits);
        let limits = limits::read(&limits, &server);
        let admin = listeners::read_admin(&root.section("admin", Section::Admin), &taken);
        taken.push(Taken::by("admin.listen", admin.listen.clone()));
        let log = log::read(&root.section("log", Section::Log));
        let defaults = sessions::Defaults::default();
        let defaults = defaults.overridden_by(&root.section("defaults", Section::Defaults));
        let entries = upstreams::entries(root.get("upstreams"), sink);
        let upstreams = upstreams::read(&root, entries, sink);
        let (cluster, directory) = cluster::read(&root, &taken).unzip();
        let directory = directory.flatten();
        taken.extend(cluster.as_ref().map(|cluster| Taken::by("cluster.listen", cluster.listen.into())));
        let succession = succession::read(&root, server.drain_timeout);
        controls::check(entries, &upstreams, &taken[..for_clients], sink);
        circle::check(entries, &upstreams, &taken, sink);
        let in_order: Vec<_> =
            entries.iter().filter_map(|entry| upstreams.get_key_value(&entry.name)).collect();
        let routes = routes::read(&root, &defaults, &server.listeners, &in_order, sink);
        Self { server, limits, admin, log, cluster, succession, directory, routes, upstreams }
    }
}

/// How many nodes may be asked at once without a directory.
const ASKED_MAX: usize = 16;

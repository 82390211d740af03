//! The part of the configuration that says what happens to a request: routes, and the admin listener.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::session;

/// One `[[routes]]` entry, `[defaults]` already applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The prefix that a request's path must have; the longest that fits wins.
    pub path: String,
    /// The host that a request must name, without a port; `None` fits every host and loses against one that names it.
    pub host: Option<String>,
    /// What the clients speak: a name in the table of dialects.
    pub dialect: &'static str,
    /// The upstream's name.
    pub upstream: String,
    /// Origins whose browsers may connect; empty allows all. A request without `Origin` is always allowed.
    pub allowed_origins: Vec<String>,
    /// What its sessions live by.
    pub session: Arc<session::Settings>,
}

/// The `[admin]` section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdminSettings {
    /// The address of the admin listener, never a public one.
    pub listen: SocketAddr,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9090)) }
    }
}

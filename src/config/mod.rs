//! What an operator decides: the Settings of every floor, composed from config.toml and the environment.

use std::collections::BTreeMap;

use crate::{server, service, upstream};

/// A whole, valid configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// `[server]`.
    pub server: server::Settings,
    /// `[admin]`.
    pub admin: service::AdminSettings,
    /// `[log]`.
    pub log: Log,
    /// `[[routes]]`, in the order of the file.
    pub routes: Vec<service::Route>,
    /// `[upstreams.NAME]`.
    pub upstreams: BTreeMap<String, upstream::Settings>,
}

/// `[log]`: what goes to the standard error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// The least severe level that is written: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: tracing::Level,
    /// One JSON object a line, for machines.
    pub json: bool,
}

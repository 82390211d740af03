//! What a key of the configuration is: the table that it stands in, the value that it takes, and what is said of it.

use super::served::{dialects, means_nothing};
use crate::dialect;

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The table that it stands in.
    pub section: Section,
    /// Its name.
    pub name: &'static str,
    /// What kind of value it takes.
    pub takes: Type,
    /// The value that the shipped file shows, as TOML.
    pub shown: Shown,
    /// What it decides, in one line, as the shipped file says it.
    pub doc: &'static str,
    /// The kinds of upstream that it means something to; `None` is all of them, and each key of another table.
    pub only: Option<Only>,
}

/// The kinds of upstream that a key means something to.
#[derive(Clone, Copy, Debug)]
pub struct Only {
    /// Their names.
    pub kinds: &'static [&'static str],
    /// Why not to another kind, behind its name.
    pub why: &'static str,
}

/// What kind of value a key takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// A text with a unit of time, or 0.
    Duration,
    /// Bytes, with or without a unit.
    Size,
    /// A whole number.
    Count,
    /// `true` or `false`.
    Flag,
    /// One of a few words.
    Word,
    /// A text.
    Text,
    /// A text, or a list of them.
    Texts,
    /// A list of numbers.
    Numbers,
    /// The name of a file.
    File,
    /// A table.
    Table,
    /// A list of tables.
    Tables,
    /// One of a few words, or a table.
    WordOrTable,
    /// A text, or a table.
    TextOrTable,
}

impl Type {
    /// Returns what a reader of the documentation is told.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Size => "size in bytes",
            Self::Count => "number",
            Self::Flag => "true or false",
            Self::Word => "word",
            Self::Text => "text",
            Self::Texts => "text, or list",
            Self::Numbers => "list of numbers",
            Self::File => "file",
            Self::Table => "table",
            Self::Tables => "list of tables",
            Self::WordOrTable => "word, or table",
            Self::TextOrTable => "text, or table",
        }
    }

    /// Returns the type of a dialect's own key.
    pub(super) fn of(value: &dialect::keys::Value) -> Self {
        use dialect::keys::Value;
        match value {
            Value::Word(_) => Self::Word,
            Value::Numbers(..) => Self::Numbers,
            Value::Flag(_) => Self::Flag,
            Value::Time(_) => Self::Duration,
            Value::Size(_) => Self::Size,
            Value::Text(_) | Value::Token(..) => Self::Text,
        }
    }
}

/// What the value in the shipped file means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    /// What holds without the key.
    Default(&'static str),
    /// What holds without the key, unless the backend announces its own.
    Mirrored(&'static str),
    /// One possible value: without the key nothing holds, or the key is required.
    Example(&'static str),
}

impl Shown {
    /// Returns the value, as TOML.
    pub fn value(self) -> &'static str {
        match self {
            Self::Default(value) | Self::Mirrored(value) | Self::Example(value) => value,
        }
    }
}

/// A table of the configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Section {
    /// The whole file.
    Root,
    /// `[server]`.
    Server,
    /// `[server.tls]`, or the same in one of `[[listeners]]`.
    Tls,
    /// One of `[[server.tls.certificates]]`.
    Certificates,
    /// `[server.tls.acme]`.
    Acme,
    /// One of `[[listeners]]`.
    Listener,
    /// `[limits]`.
    Limits,
    /// `[admin]`.
    Admin,
    /// `[log]`.
    Log,
    /// `[cluster]`.
    Cluster,
    /// `[cluster.tls]`.
    ClusterTls,
    /// `[succession]`: how a new process takes over.
    Succession,
    /// `[defaults]`.
    Defaults,
    /// `[defaults.cors]`, or the same in a route.
    Cors,
    /// One of `[[routes]]`; it may also hold each key of `[defaults]`.
    Route,
    /// One `[upstreams.NAME]`.
    Upstream,
    /// One `[upstreams.NAME.check]`.
    UpstreamCheck,
    /// One `[upstreams.NAME.tls]`.
    UpstreamTls,
    /// One `[upstreams.NAME.mux]`.
    UpstreamMux,
    /// One `[routes.jwt]`.
    RouteJwt,
    /// One `[routes.auth]`.
    RouteAuth,
    /// One `[routes.mux]`.
    RouteMux,
}

impl Section {
    /// Returns the section's header.
    pub fn header(self) -> &'static str {
        match self {
            Self::Root => "the top of the file",
            Self::Server => "[server]",
            Self::Tls => "[server.tls]",
            Self::Certificates => "[[server.tls.certificates]]",
            Self::Acme => "[server.tls.acme]",
            Self::Listener => "[[listeners]]",
            Self::Limits => "[limits]",
            Self::Admin => "[admin]",
            Self::Log => "[log]",
            Self::Cluster => "[cluster]",
            Self::ClusterTls => "[cluster.tls]",
            Self::Succession => "[succession]",
            Self::Defaults => "[defaults]",
            Self::Cors => "[defaults.cors]",
            Self::Route => "[[routes]]",
            Self::Upstream => "[upstreams.NAME]",
            Self::UpstreamCheck => "[upstreams.NAME.check]",
            Self::UpstreamTls => "[upstreams.NAME.tls]",
            Self::UpstreamMux => "[upstreams.NAME.mux]",
            Self::RouteJwt => "[routes.jwt]",
            Self::RouteAuth => "[routes.auth]",
            Self::RouteMux => "[routes.mux]",
        }
    }
}

/// The tables at the top of the file.
pub const SECTIONS: [&str; 10] = [
    "server",
    "listeners",
    "limits",
    "admin",
    "log",
    "cluster",
    "succession",
    "defaults",
    "routes",
    "upstreams",
];

impl Key {
    /// Returns the dialects beside which a route may hold it, by what they are called in the configuration; `None` is all
    /// of them, and each key of another table.
    pub fn dialects(&self) -> Option<Vec<&'static str>> {
        if !matches!(self.section, Section::Defaults | Section::Route) {
            return None;
        }
        let means = |name: &&str| !means_nothing(self.name, name);
        let fits: Vec<_> = dialects().filter(means).collect();
        Some(fits).filter(|fits| fits.len() < dialects().count())
    }
}

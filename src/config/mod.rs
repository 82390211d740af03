//! What an operator decides: the Settings of every floor, composed from config.toml and the environment.
//!
//! The text becomes a tree of values that know their place, the environment is laid over it, and each section reads
//! its table. Nothing stops at the first fault: all are collected and told at once.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::{server, service, upstream};

mod circle;
mod cors;
mod env;
mod fault;
mod files;
mod headers;
pub mod keys;
mod listeners;
mod log;
mod mux;
mod routes;
mod sessions;
#[cfg(test)]
mod shipped;
mod suggestion;
mod syntax;
mod table;
#[cfg(test)]
mod tests;
mod tree;
mod trust;
mod upstreams;
mod values;
mod versions;

pub use fault::{Fault, Faults, Place, Problem};
pub use log::Log;

use fault::Sink;
use keys::Section;
use table::Table;
use tree::{Lines, Node};

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

/// Where a configuration came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The shipped file, as it was when this binary was built.
    BuiltIn,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::BuiltIn => f.write_str("built-in config.toml"),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// What it says cannot be used.
    #[error(transparent)]
    Faulty(#[from] Faults),
}

impl Config {
    /// Loads the file at `path`, which must exist; without one the working directory's `config.toml`, and where there
    /// is none, the shipped file that is built in. `env` overrides it. The files that it names are looked at as well.
    ///
    /// # Errors
    /// Every fault at once, or the file that could not be read.
    pub fn load(
        path: Option<&Path>,
        env: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<(Self, Source), LoadError> {
        let named = path.unwrap_or(Path::new(FILE_NAME));
        let (text, source) = match fs::read_to_string(named) {
            Ok(text) => (text, Source::File(named.to_owned())),
            Err(error) if path.is_none() && error.kind() == io::ErrorKind::NotFound => {
                (SHIPPED.to_owned(), Source::BuiltIn)
            }
            Err(source) => return Err(LoadError::Unreadable { path: named.to_owned(), source }),
        };
        Ok((Self::parse_and(&text, &source.to_string(), env, files::check)?, source))
    }

    /// Reads a configuration's text; `file_name` is what faults call it. No file is touched.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn parse(
        text: &str,
        file_name: &str,
        env: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Faults> {
        Self::parse_and(text, file_name, env, |_, _, _| {})
    }

    fn parse_and(
        text: &str,
        file_name: &str,
        env: impl Iterator<Item = (OsString, OsString)>,
        check: impl FnOnce(&Self, &Node, &Sink),
    ) -> Result<Self, Faults> {
        let lines = Lines::of(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        let place = |offset| lines.place(offset);
        let mut tree = Node::from_table(document.get_ref(), lines.place(0), &place);
        let sink = Sink::default();
        env::lay_over(&mut tree, env, &sink);
        let config = Self::read(&tree, &sink);
        check(&config, &tree, &sink);
        syntax::report(&errors, &lines, &sink);
        match sink.into_faults(file_name) {
            Some(faults) => Err(faults),
            None => Ok(config),
        }
    }

    /// Reads every section; what is wrong goes to the sink.
    fn read(tree: &Node, sink: &Sink) -> Self {
        let root = Table::open(Some(tree), String::new(), Section::Root, sink);
        let server = listeners::read(&root.section("server", Section::Server), sink);
        let admin = listeners::read_admin(&root.section("admin", Section::Admin), &server.listen);
        let log = log::read(&root.section("log", Section::Log));
        let defaults = sessions::Defaults::default();
        let defaults = defaults.overridden_by(&root.section("defaults", Section::Defaults));
        let entries = upstreams::entries(root.get("upstreams"), sink);
        let upstreams = upstreams::read(entries, sink);
        let public = server.listen.iter().map(|address| ("server.listen", *address));
        let listeners: Vec<_> = public.chain([("admin.listen", admin.listen)]).collect();
        circle::check(entries, &upstreams, &listeners, sink);
        let in_order: Vec<_> =
            entries.iter().filter_map(|entry| upstreams.get_key_value(&entry.name)).collect();
        let routes = routes::read(root.get("routes"), &defaults, &in_order, sink);
        Self { server, admin, log, routes, upstreams }
    }
}

/// The file that the working directory is searched for.
const FILE_NAME: &str = "config.toml";

/// The shipped file.
const SHIPPED: &str = include_str!("../../config.toml");

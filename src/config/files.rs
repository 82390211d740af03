//! The files that a configuration names: they are read before anything starts, so that their faults are told with all
//! the others.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use super::Config;
use super::fault::{Problem, Sink};
use super::origin::Source;
use super::tree::{Node, Value};
use crate::acme::Storage;
use crate::address::ListenAddress;
use crate::chain::Chain;
use crate::cluster::Tls;
use crate::jwt::{Keys, NoKeys};
use crate::server::ListenerSettings;
use crate::service::{KeySettings, Route};
use crate::succession::Folder;
use crate::tls::{Acme, Identity, ServerTls, TlsFiles, Trust, client_config};
use crate::upstream::{self, is_secure};

/// Reports each file that cannot be used.
pub(super) fn check(config: &Config, tree: &Node, sink: &Sink) {
    for listener in &config.server.listeners {
        if let Some(files) = &listener.tls {
            let read = ServerTls::read(files);
            let (table, key) = table_of(listener, tree);
            let tls = table.get("tls").unwrap_or(table);
            report_at(read, tls, format!("{key}.tls"), sink);
            let Some(Acme { account, .. }) = &files.acme else { continue };
            let acme = tls.get("acme").unwrap_or(tls);
            let at = |name| acme.get(name).unwrap_or(acme);
            report_at(Storage::check(account), at("storage"), format!("{key}.tls.acme.storage"), sink);
            if let Some(ca) = &account.ca {
                let read = client_config(&Trust::File(ca.clone()), None);
                report_at(read, at("ca"), format!("{key}.tls.acme.ca"), sink);
            }
        }
    }
    if let Some(files) = &config.admin.tls {
        report(ServerTls::read(files).map(drop), tree, &["admin", "tls"], sink);
    }
    if let Some(files) = config.cluster.as_ref().and_then(|cluster| cluster.tls.as_ref()) {
        // The same files for both sides: a fault is told once.
        let config = ServerTls::read(&files.listener()).map(drop);
        let trust = Trust::File(files.ca.clone());
        let config = config.and_then(|()| client_config(&trust, Some(&files.identity)).map(drop));
        report(config, tree, &["cluster", "tls"], sink);
    }
    if let Some(succession) = &config.succession {
        report(Folder::check(&succession.directory), tree, &["succession", "directory"], sink);
    }
    for (index, route) in config.routes.iter().enumerate() {
        let item = tree.get("routes").and_then(Node::items).and_then(|items| items.get(index));
        let table = |key: &str| item.and_then(|item| item.get(key)).unwrap_or(tree);
        for (key, server) in servers(route).filter(|(_, server)| server.urls.iter().any(is_secure)) {
            let read = client_config(&server.tls.trust, server.tls.identity.as_ref());
            report_at(read, table(key), format!("routes[{index}].{key}.tls"), sink);
        }
        if let Some(KeySettings::File(path)) = route.jwt.as_ref().map(|jwt| &jwt.keys) {
            report_at(check_keys(path), table("jwt"), format!("routes[{index}].jwt.jwks"), sink);
        }
    }
    for (name, upstream) in &config.upstreams {
        if upstream.urls.iter().any(is_secure) {
            let config = client_config(&upstream.tls.trust, upstream.tls.identity.as_ref());
            report(config, tree, &["upstreams", name, "tls"], sink);
        }
    }
}

/// Returns the servers that are asked about a route's clients, with the keys of their tables.
fn servers(route: &Route) -> impl Iterator<Item = (&'static str, &upstream::Settings)> {
    let jwks = route.jwt.as_ref().and_then(|jwt| match &jwt.keys {
        KeySettings::Server(server) => Some(("jwt", &**server)),
        KeySettings::File(_) => None,
    });
    jwks.into_iter().chain(route.auth.as_ref().map(|auth| ("auth", &auth.server)))
}

/// Reads a file of keys for tokens.
fn check_keys(path: &Path) -> Result<(), KeyFile> {
    let json = std::fs::read(path).map_err(|error| KeyFile::Unread(path.to_owned(), error))?;
    Keys::read(&json).map(drop).map_err(|error| KeyFile::NoKeys(path.to_owned(), error))
}

/// Why a file of keys is of no use.
#[derive(Debug, thiserror::Error)]
enum KeyFile {
    #[error("cannot read {}", .0.display())]
    Unread(PathBuf, #[source] io::Error),
    #[error("{} has no keys", .0.display())]
    NoKeys(PathBuf, #[source] NoKeys),
}

/// Reports each Unix socket that has no folder. Only where nothing is about to listen: a supervisor may hand over a socket that this
/// process does not see.
pub(super) fn check_folders(config: &Config, tree: &Node, sink: &Sink) {
    for listener in &config.server.listeners {
        let (table, key) = table_of(listener, tree);
        for address in &listener.listen {
            let listen = table.get("listen").unwrap_or(table);
            report_at(check_folder(address), listen, format!("{key}.listen"), sink);
        }
    }
    report(check_folder(&config.admin.listen), tree, &["admin", "listen"], sink);
}

impl Config {
    /// Returns the certificates, with their keys, that are shown to clients, nodes and backends. Of those that are ordered,
    /// some may not be there yet.
    pub fn identities(&self) -> impl Iterator<Item = Identity> {
        let listeners = self.listeners_tls();
        let clients = self.listeners_tls().flat_map(|tls| &tls.certificates);
        let ordered = listeners.filter_map(|tls| tls.acme.as_ref()).flat_map(Acme::identities);
        let nodes = self.cluster.iter().filter_map(|cluster| Some(&cluster.tls.as_ref()?.identity));
        let backends = self.asked().filter_map(|upstream| upstream.tls.identity.as_ref());
        clients.chain(nodes).chain(backends).cloned().chain(ordered)
    }

    /// Returns what is shown to clients and operators, and asked of them.
    fn listeners_tls(&self) -> impl Iterator<Item = &TlsFiles> {
        self.server.listeners.iter().filter_map(|one| one.tls.as_ref()).chain(&self.admin.tls)
    }

    /// Returns every server that is asked for something: backends, and those that say who may come in.
    fn asked(&self) -> impl Iterator<Item = &upstream::Settings> {
        let about_clients = self.routes.iter().flat_map(servers).map(|(_, server)| server);
        self.upstreams.values().chain(about_clients)
    }

    /// Returns the files that a reload reads: this configuration's own, and those that it names.
    pub fn files(&self, source: &Source) -> Vec<PathBuf> {
        let mut files = Vec::new();
        if let Source::File(path) = source {
            files.push(path.clone());
        }
        // What is ordered is not read by a reload, but whenever it changes.
        for TlsFiles { certificates, client_ca, client_auth: _, acme: _ } in self.listeners_tls() {
            let pair = |Identity { certificate, key }: &Identity| [certificate.clone(), key.clone()];
            files.extend(certificates.iter().flat_map(pair));
            files.extend(client_ca.clone());
        }
        if let Some(Tls { identity, ca, name: _ }) =
            self.cluster.as_ref().and_then(|nodes| nodes.tls.as_ref())
        {
            files.extend([identity.certificate.clone(), identity.key.clone(), ca.clone()]);
        }
        files.extend(self.asked().flat_map(upstream::Settings::files).map(Path::to_owned));
        files
    }
}

fn check_folder(address: &ListenAddress) -> io::Result<()> {
    match address {
        ListenAddress::Ip(_) => Ok(()),
        ListenAddress::Unix(path) if path.parent().is_some_and(Path::is_dir) => Ok(()),
        ListenAddress::Unix(_) => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("cannot listen on {address}: its folder is missing"),
        )),
    }
}

fn report<T, E: Error + 'static>(outcome: Result<T, E>, tree: &Node, levels: &[&str], sink: &Sink) {
    // The nearest table that was written; there is always one, if only the file.
    let node = levels.iter().try_fold(tree, |node, level| node.get(level)).unwrap_or(tree);
    report_at(outcome, node, levels.join("."), sink);
}

fn report_at<T, E: Error + 'static>(outcome: Result<T, E>, node: &Node, key: String, sink: &Sink) {
    if let Err(error) = outcome {
        sink.push(&node.place, key, Problem::Unusable(Chain(&error).to_string()));
    }
}

/// Returns the table that a listener was read from, with its key.
pub(super) fn table_of<'t>(listener: &ListenerSettings, tree: &'t Node) -> (&'t Node, String) {
    let name = |item: &Node| matches!(item.get("name").map(|node| &node.value), Some(Value::Text(name)) if *name == *listener.name);
    let mut items = tree.get("listeners").and_then(Node::items).into_iter().flatten().enumerate();
    match items.find(|(_, item)| name(item)) {
        Some((index, item)) => (item, format!("listeners[{index}]")),
        None => (tree.get("server").unwrap_or(tree), "server".to_owned()),
    }
}

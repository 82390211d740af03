//! The files that a configuration names: they are read before anything starts, so that their faults are told with all
//! the others.

use std::error::Error;
use std::path::{Path, PathBuf};

use super::Config;
use super::fault::{Problem, Sink};
use super::origin::Source;
use super::tree::Node;
use crate::chain::Chain;
use crate::succession::Folder;
use crate::tls::{Identity, ServerTls, TlsFiles, Trust, client_config};
use crate::upstream::{self, is_secure};

/// Reports each file that cannot be used.
pub(super) fn check(config: &Config, tree: &Node, sink: &Sink) {
    if let Some(files) = &config.server.tls {
        report(ServerTls::read(files), tree, &["server", "tls"], sink);
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
    for (name, upstream) in &config.upstreams {
        if upstream.urls.iter().any(is_secure) {
            let config = client_config(&upstream.tls.trust, upstream.tls.identity.as_ref());
            report(config, tree, &["upstreams", name, "tls"], sink);
        }
    }
}

impl Config {
    /// Returns the files that a reload reads: this configuration's own, and those that it names.
    pub fn files(&self, source: &Source) -> Vec<PathBuf> {
        let mut files = Vec::new();
        if let Source::File(path) = source {
            files.push(path.clone());
        }
        if let Some(TlsFiles { certificates, client_ca }) = &self.server.tls {
            let pair = |Identity { certificate, key }: &Identity| [certificate.clone(), key.clone()];
            files.extend(certificates.iter().flat_map(pair));
            files.extend(client_ca.clone());
        }
        files.extend(self.upstreams.values().flat_map(upstream::Settings::files).map(Path::to_owned));
        files
    }
}

fn report<T, E: Error + 'static>(outcome: Result<T, E>, tree: &Node, levels: &[&str], sink: &Sink) {
    if let Err(error) = outcome {
        // The nearest table that was written; there is always one, if only the file.
        let place = &levels.iter().try_fold(tree, |node, level| node.get(level)).unwrap_or(tree).place;
        sink.push(place, levels.join("."), Problem::Unusable(Chain(&error).to_string()));
    }
}

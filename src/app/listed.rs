//! The listeners that a process hands over to its successor, each with its name.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;

use crate::server::{NextServer, Server};
use crate::succession::Listening;

/// The listeners, until another process has them.
pub(super) type Handed = Arc<Mutex<Option<Arc<Vec<Listening>>>>>;

/// The public listeners among those that are handed over.
pub(super) struct Listed(pub(super) Handed);

/// What follows them, with the others.
pub(super) struct NextListed(Handed, Vec<Listening>);

impl Listed {
    /// Returns what is handed over once a server listens at these addresses: what it is about to replace its listeners
    /// by, and those that stay.
    pub(super) fn next(&self, listen: &[SocketAddr], server: &NextServer) -> anyhow::Result<NextListed> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let wanted: Vec<_> = listen.iter().map(|&address| listener_name(PUBLIC, address)).collect();
        let stays = |one: &&Listening| !one.name.starts_with(PUBLIC) || wanted.contains(&one.name);
        let copy = |one: &Listening| {
            Ok(Listening { name: one.name.clone(), descriptor: one.descriptor.try_clone()? })
        };
        let kept = kept.iter().flat_map(|all| all.iter()).filter(stays).map(copy);
        let mut all = kept.collect::<io::Result<Vec<_>>>().context("no descriptors for a successor")?;
        for (address, descriptor) in server.descriptors().context("no descriptors for a successor")? {
            all.push(Listening { name: listener_name(PUBLIC, address), descriptor });
        }
        Ok(NextListed(Arc::clone(&self.0), all))
    }
}

impl NextListed {
    /// Has these handed over from now on, unless the process has handed its listeners over.
    pub(super) fn take_over(self) {
        if let Some(listening) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            *listening = Arc::new(self.1);
        }
    }
}

/// Returns the listeners of a server, with their names.
pub(super) fn listening(
    key: &str,
    addresses: &[SocketAddr],
    server: &Server,
) -> anyhow::Result<Vec<Listening>> {
    let descriptors = server.descriptors().context("no descriptors for a successor")?;
    let named = |(&address, descriptor)| Listening { name: listener_name(key, address), descriptor };
    Ok(addresses.iter().zip(descriptors).map(named).collect())
}

/// Returns a listener's name: a successor with the same configuration knows it, whatever kind of listener it is.
pub(super) fn listener_name(key: &str, address: SocketAddr) -> String {
    format!("{key} {address}")
}

/// The key of the public listeners.
pub(super) const PUBLIC: &str = "server.listen";

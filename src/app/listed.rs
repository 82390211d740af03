//! The listeners that a process hands over to its successor, each with its name.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;

use crate::server::{Handed as Socket, ListenerSettings, NextServer, Server, SocketName};
use crate::succession::Listening;

/// The listeners, until another process has them.
pub(super) type Handed = Arc<Mutex<Option<Arc<Vec<Listening>>>>>;

/// The public listeners among those that are handed over.
pub(super) struct Listed(pub(super) Handed);

/// What follows them, with the others.
pub(super) struct NextListed(Handed, Vec<Listening>);

impl Listed {
    /// Returns what is handed over once this server has taken over: its new sockets, and those that stay.
    pub(super) fn next(&self, server: &NextServer) -> anyhow::Result<NextListed> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let wanted: Vec<_> = server.names().iter().map(handed_name).collect();
        let is_fixed = |name: &str| FIXED.iter().any(|key| name.split(' ').next() == Some(key));
        let stays = |one: &&Listening| {
            let (name, _) = own_name(&one.name);
            is_fixed(name) || wanted.iter().any(|wanted| wanted == name)
        };
        let copy = |one: &Listening| {
            Ok(Listening { name: one.name.clone(), descriptor: one.descriptor.try_clone()? })
        };
        let kept = kept.iter().flat_map(|all| all.iter()).filter(stays).map(copy);
        let mut all = kept.collect::<io::Result<Vec<_>>>().context(SHORT)?;
        all.extend(server.descriptors().context(SHORT)?.into_iter().map(named));
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

/// Returns the sockets of a server, with their names.
pub(super) fn listening(server: &Server) -> anyhow::Result<Vec<Listening>> {
    Ok(server.descriptors().context(SHORT)?.into_iter().map(named).collect())
}

fn named((name, handed): (SocketName, Socket)) -> Listening {
    let Socket { descriptor, is_lent } = handed;
    let lent = if is_lent { LENT } else { "" };
    Listening { name: format!("{lent}{}", handed_name(&name)), descriptor }
}

/// Returns a socket's name: a successor with the same configuration knows it, whatever kind of listener it is.
pub(super) fn handed_name(name: &SocketName) -> String {
    format!("{} {}", key(&name.listener), name.address)
}

/// Returns the name of a socket that was handed over, and whether its file is a supervisor's.
pub(super) fn own_name(handed: &str) -> (&str, bool) {
    handed.strip_prefix(LENT).map_or((handed, false), |name| (name, true))
}

/// Returns what a listener's descriptors are called.
pub(super) fn key(listener: &str) -> &str {
    if listener == ListenerSettings::DEFAULT { PUBLIC } else { listener }
}

/// Before the name of a socket whose file is a supervisor's. No name of a listener has a colon.
const LENT: &str = "lent:";
/// The listener of `[server]`.
const PUBLIC: &str = "server.listen";
/// That of operators. No name of a listener of the configuration has a dot.
pub(super) const ADMIN: &str = "admin.listen";
/// That of other nodes.
pub(super) const PEERS: &str = "cluster.listen";
/// Those that no reload changes.
const FIXED: [&str; 2] = [ADMIN, PEERS];
const SHORT: &str = "no descriptors for a successor";

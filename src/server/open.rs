//! A server that accepts. Its listeners and settings can be replaced while connections live.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use super::connection::{Connecting, NextConnecting};
use super::{BindError, Bound, Settings, Signals};

/// A server that accepts connections.
pub struct Open {
    listeners: Vec<Accepts>,
    connecting: Arc<ArcSwap<Connecting>>,
    signals: Signals,
    /// Has one more listener accept.
    accept: Box<dyn Fn(Bound, Signals) + Send + Sync>,
}

/// A listener that accepts.
struct Accepts {
    wanted: SocketAddr,
    address: SocketAddr,
    end: CancellationToken,
}

/// What follows a server: nothing that could fail is left to do.
#[derive(Debug)]
pub struct NextServer {
    listen: Vec<SocketAddr>,
    bound: Vec<Bound>,
    connecting: NextConnecting,
}

impl Open {
    pub(super) fn new(
        bound: Vec<Bound>,
        connecting: Arc<ArcSwap<Connecting>>,
        signals: Signals,
        accept: Box<dyn Fn(Bound, Signals) + Send + Sync>,
    ) -> Self {
        let mut open = Self { listeners: Vec::new(), connecting, signals, accept };
        for bound in bound {
            open.add(bound);
        }
        open
    }

    /// Reads the certificate of the next settings and binds the addresses that are new. An address stays bound while it
    /// is in the settings.
    ///
    /// # Errors
    /// Nothing has changed.
    pub async fn prepare(&self, settings: &Settings) -> Result<NextServer, BindError> {
        let connecting = self.connecting.load().next(settings)?;
        let (mut kept, mut bound) = (self.listeners.iter().map(|one| one.wanted).collect(), Vec::new());
        for &wanted in &settings.listen {
            if !take(&mut kept, wanted) {
                bound.push(Bound::at(wanted, None).await?);
            }
        }
        Ok(NextServer { listen: settings.listen.clone(), bound, connecting })
    }

    /// Takes the next settings over: new connections meet them. A listener that is not among them accepts no more; its
    /// idle connections end, the others after their response.
    pub fn replace(&mut self, next: NextServer) {
        self.connecting.store(Arc::new(next.connecting.take_over()));
        let mut listen = next.listen;
        self.listeners.retain(|one| {
            let is_kept = take(&mut listen, one.wanted);
            if !is_kept {
                one.end.cancel();
            }
            is_kept
        });
        for bound in next.bound {
            self.add(bound);
        }
    }

    /// Returns the addresses, with the actual ports in place of port 0.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|one| one.address).collect()
    }

    fn add(&mut self, bound: Bound) {
        let end = self.signals.end.child_token();
        self.listeners.push(Accepts { wanted: bound.wanted, address: bound.address, end: end.clone() });
        (self.accept)(bound, Signals { end, ..self.signals.clone() });
    }
}

impl NextServer {
    /// Returns descriptors of the listeners that are new, each with its address in the settings.
    ///
    /// # Errors
    /// There are too few descriptors.
    pub fn descriptors(&self) -> std::io::Result<Vec<(SocketAddr, OwnedFd)>> {
        let descriptor = |bound: &Bound| Ok((bound.wanted, bound.listener.as_fd().try_clone_to_owned()?));
        self.bound.iter().map(descriptor).collect()
    }
}

/// Takes an address out of a list, once: of port 0 there may be several.
fn take(list: &mut Vec<SocketAddr>, address: SocketAddr) -> bool {
    let found = list.iter().position(|one| *one == address);
    found.map(|index| list.swap_remove(index)).is_some()
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Open").field(&self.local_addrs()).finish()
    }
}

//! Accepts clients: listeners, TLS, and hyper over one socket.
//!
//! [`Server::bind`] takes the addresses, [`Server::serve`] hands every connection to a service. Nothing here knows what
//! a request means: the caller makes the service for a connection. It ends in two steps, see [`Signals`].

mod accept;
mod caller;
mod connection;
mod ending;
mod http1;
mod open;
mod refusal;
mod settings;

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::background::Vital;
use crate::duplex::set_keepalive;
use crate::meter::Connections;
use crate::tls::{ServerTls, TlsError};
pub use accept::Signals;
use accept::{Accepting, REFUSALS_MAX};
pub use caller::Serve;
pub use connection::ConnectInfo;
use connection::Connecting;
use ending::Ending;
pub use open::{NextServer, Open};
use refusal::Refusal;
pub use settings::Settings;

/// Bound listeners that do not accept yet.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Bound>,
    connecting: Connecting,
    has_reserve: bool,
}

/// One of them.
#[derive(Debug)]
struct Bound {
    /// As in the settings.
    wanted: SocketAddr,
    /// With the actual port in place of port 0.
    address: SocketAddr,
    listener: TcpListener,
}

impl Server {
    /// Reads the certificate and binds every address of the settings, unless `taken` has a socket that listens there.
    ///
    /// # Errors
    /// Nothing stays bound. The caller distinguishes a fault of the configuration from an address in use.
    pub async fn bind(
        settings: &Settings,
        mut taken: impl FnMut(SocketAddr) -> Option<OwnedFd> + Send,
    ) -> Result<Self, BindError> {
        let tls = settings.tls.as_ref().map(ServerTls::read).transpose()?;
        let mut listeners = Vec::with_capacity(settings.listen.len());
        for &wanted in &settings.listen {
            listeners.push(Bound::at(wanted, taken(wanted)).await?);
        }
        Ok(Self { listeners, connecting: Connecting::new(tls, settings), has_reserve: false })
    }

    /// Returns the same server, with access to the reserved [`descriptors`](crate::descriptors).
    #[must_use]
    pub fn with_reserve(self) -> Self {
        Self { has_reserve: true, ..self }
    }

    /// Returns descriptors of the same sockets, in the order of the settings.
    ///
    /// # Errors
    /// There are too few descriptors.
    pub fn descriptors(&self) -> io::Result<Vec<OwnedFd>> {
        self.listeners.iter().map(|bound| bound.listener.as_fd().try_clone_to_owned()).collect()
    }

    /// Returns the addresses in the order of the settings, with the actual ports in place of port 0.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|bound| bound.address).collect()
    }

    /// Accepts connections until told to end, and serves each with the service that `make` returns for it, in tasks of
    /// `tracker`; the accept loops are `vital`.
    ///
    /// Returns at once; the tracker is empty again when the last connection is closed. An upgraded connection belongs
    /// to its service. If a service fails, its connection is dropped without a response.
    pub fn serve<M, S>(
        self,
        make: M,
        tracker: &TaskTracker,
        vital: &Vital,
        signals: &Signals,
        connections: &Connections,
    ) -> Open
    where
        M: Fn(ConnectInfo) -> S + Send + Sync + 'static,
        S: Serve,
    {
        let (make, refusal) = (Arc::new(make), Arc::new(|_: ConnectInfo| Refusal));
        let connecting = Arc::new(ArcSwap::from_pointee(self.connecting));
        let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
        let (current, has_reserve) = (Arc::clone(&connecting), self.has_reserve);
        let (tracker, vital, connections) = (tracker.clone(), vital.clone(), connections.clone());
        let accept = move |bound: Bound, signals: Signals| {
            let ending = Ending::default();
            let refuse = {
                let (connecting, make) = (Arc::clone(&current), Arc::clone(&refusal));
                let (ended, opened) = (ending.clone(), connections.clone());
                move |stream, peer| {
                    let make = Arc::clone(&make);
                    connection::run(connecting.load_full(), stream, peer, make, ended.clone(), opened.clone())
                }
            };
            let start = {
                let (connecting, make) = (Arc::clone(&current), Arc::clone(&make));
                let (ended, opened) = (ending.clone(), connections.clone());
                move |stream, peer| {
                    let make = Arc::clone(&make);
                    connection::run(connecting.load_full(), stream, peer, make, ended.clone(), opened.clone())
                }
            };
            let accepting = Accepting {
                listener: bound.listener,
                address: bound.address,
                tracker: tracker.clone(),
                signals,
                ending,
                connections: connections.clone(),
                has_reserve,
                refusals: Arc::clone(&refusals),
            };
            tracker.spawn(vital.guard("an accept loop", accepting.run(start, refuse)));
        };
        Open::new(self.listeners, connecting, signals.clone(), Box::new(accept))
    }
}

impl Bound {
    /// Binds an address, unless there is a socket that listens there.
    async fn at(wanted: SocketAddr, taken: Option<OwnedFd>) -> Result<Self, BindError> {
        let at = |source| BindError::Address { address: wanted, source };
        let listener = match taken {
            Some(descriptor) => from_descriptor(descriptor).map_err(at)?,
            None => TcpListener::bind(wanted).await.map_err(at)?,
        };
        set_keepalive(&listener).map_err(at)?;
        Ok(Self { wanted, address: listener.local_addr().map_err(at)?, listener })
    }
}

/// Returns the listener of a descriptor.
fn from_descriptor(descriptor: OwnedFd) -> io::Result<TcpListener> {
    let listener = net::TcpListener::from(descriptor);
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Why a server can't listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// An address is in use, not ours, or needs a privilege.
    #[error("cannot listen on {address}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// The operating system's error.
        source: io::Error,
    },
    /// The certificate or its key can't be used.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
}

#[cfg(test)]
mod tests;

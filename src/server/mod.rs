//! Accepts clients: listeners, TLS, and HTTP/1.1 or HTTP/2 over one socket.
//!
//! [`Server::bind`] takes the addresses, [`Server::serve`] hands every connection to a service. Nothing here knows what
//! a request means: the caller makes the service for a connection. It ends in steps, see [`Signals`].

mod accept;
mod admitted;
mod bound;
mod caller;
mod carried;
#[cfg_attr(not(fuzzing), cfg(test))]
mod checks;
mod connect_info;
mod connection;
mod connection_limits;
mod ending;
mod http1;
mod http2;
mod listening;
mod open;
mod proxied;
mod refusal;
mod served;
mod settings;
mod socket_file;
mod tasks;

use std::io;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::background::Vital;
use crate::duplex::Socket;
use crate::limits::Limits;
use crate::meter::Metrics;
use crate::tls::ServerTls;
pub use accept::Signals;
use accept::{Accepting, REFUSALS_MAX};
pub use bound::BindError;
use bound::Bound;
pub use caller::Serve;
#[cfg_attr(not(fuzzing), cfg(test))]
pub(crate) use checks::{check_proxy_header, serve_pipe};
pub use connect_info::ConnectInfo;
use connection::Connecting;
pub use connection_limits::ConnectionLimits;
#[cfg_attr(not(fuzzing), cfg(test))]
pub(crate) use http1::tests::alike;
pub use listening::Handed;
use open::Accepts;
pub use open::{NextServer, Open};

use refusal::Refusal;
use served::Serving;
pub use settings::{ListenerSettings, Settings, SocketName};
use tasks::Tasks;

/// Bound listeners that do not accept yet.
#[derive(Debug)]
pub struct Server {
    sockets: Vec<Bound>,
    connecting: Vec<Connecting>,
    has_reserve: bool,
    limits: Limits,
}

impl Server {
    /// Reads the certificates and binds every address of the settings, unless `taken` has a socket that listens there.
    ///
    /// # Errors
    /// Nothing stays bound. The caller distinguishes a fault of the configuration from an address in use.
    pub fn bind(
        settings: &Settings,
        mut taken: impl FnMut(&SocketName) -> Option<Handed>,
    ) -> Result<Self, BindError> {
        let (mut connecting, mut sockets) = (Vec::new(), Vec::new());
        for listener in &settings.listeners {
            let tls = listener.tls.as_ref().map(ServerTls::read).transpose()?;
            connecting.push(Connecting::new(listener, tls, settings));
        }
        for listener in &settings.listeners {
            for name in listener.sockets() {
                let taken = taken(&name);
                sockets.push(Bound::new(listener, name, taken)?);
            }
        }
        Ok(Self { sockets, connecting, has_reserve: false, limits: Limits::default() })
    }

    /// Returns the same server, with access to the reserved [`descriptors`](crate::descriptors).
    #[must_use]
    pub fn with_reserve(self) -> Self {
        Self { has_reserve: true, ..self }
    }

    /// Returns the same server for clients that these limits hold for. Without them there are none.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Returns descriptors of the same sockets, in the order of the settings.
    ///
    /// # Errors
    /// There are too few descriptors.
    pub fn descriptors(&self) -> io::Result<Vec<(SocketName, Handed)>> {
        self.sockets.iter().map(|bound| Ok((bound.name.clone(), bound.descriptor()?))).collect()
    }

    /// Returns the addresses in the order of the settings, with the actual ports in place of port 0, each with its
    /// listener's name.
    pub fn local_addrs(&self) -> Vec<SocketName> {
        self.sockets.iter().map(Bound::local).collect()
    }

    /// Accepts connections until told to end, and serves each with the service that `make` returns for it; the accept
    /// loops are `vital`, and tasks of `tracker` that end with their last connection.
    ///
    /// Returns at once; the tracker is empty again when the last connection is closed. An upgraded connection belongs
    /// to its service. If a service fails, its connection is dropped without a response.
    pub fn serve<M, S>(
        self,
        make: M,
        tracker: &TaskTracker,
        vital: &Vital,
        signals: &Signals,
        metrics: &Metrics,
    ) -> Open
    where
        M: Fn(ConnectInfo) -> S + Send + Sync + 'static,
        S: Serve,
    {
        let (make, refusal) = (Arc::new(make), Arc::new(|_: ConnectInfo| Refusal));
        let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
        let (has_reserve, limits) = (self.has_reserve, self.limits);
        let (tracker, vital, metrics) = (tracker.clone(), vital.clone(), metrics.clone());
        let accept = move |bound: Accepts, signals: Signals| {
            let Accepts { socket, address, connecting: current, ending } = bound;
            let connections = metrics.connections(&current.load().listener);
            let (tasks, limited) = (Tasks::default(), limits.limited());
            let refuse = {
                let (connecting, make) = (Arc::clone(&current), Arc::clone(&refusal));
                let (ended, counts) = (ending.clone(), (connections.clone(), limited.clone()));
                move |stream, peer| {
                    let (make, ended) = (Arc::clone(&make), ended.for_connection());
                    connection::refuse(connecting.load_full(), stream, peer, make, ended, counts.clone())
                }
            };
            let start = {
                let (connecting, ended, limits) = (Arc::clone(&current), ending.clone(), limits.clone());
                let (make, tasks, connections) = (Arc::clone(&make), tasks.clone(), connections.clone());
                let serving = Arc::new(Serving { make, tasks, connections, limited });
                move |stream: Socket, peer| {
                    // Before what it is served by: if that is replaced in between, it is told in vain, and otherwise not
                    // at all.
                    let ended = ended.for_connection();
                    let connecting = connecting.load_full();
                    let Some(admitted) = connecting.admit(&limits, peer) else {
                        stream.abort();
                        return None;
                    };
                    Some(connection::run(connecting, stream, peer, admitted, Arc::clone(&serving), ended))
                }
            };
            let accepting = Accepting {
                listener: socket,
                address,
                tasks,
                signals,
                ending,
                connections,
                has_reserve,
                refusals: Arc::clone(&refusals),
            };
            tracker.spawn(vital.guard("an accept loop", accepting.run(start, refuse)));
        };
        Open::new(self.sockets, self.connecting, signals.clone(), Box::new(accept))
    }
}

#[cfg(test)]
mod tests;

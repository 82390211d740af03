//! A socket that listens: bound, or taken over from somebody who has it.

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use rustix::net::sockopt::{ipv6_v6only, set_ipv6_v6only};
use tokio::net::{TcpListener, TcpSocket};

use super::settings::{ListenerSettings, SocketName};
use crate::duplex::set_keepalive;
use crate::tls::TlsError;

/// A socket that listens. Nobody accepts yet.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) name: SocketName,
    /// With the actual port in place of port 0.
    pub(super) address: SocketAddr,
    pub(super) only_v6: bool,
    pub(super) socket: Arc<TcpListener>,
}

impl Bound {
    /// Binds a socket of a listener, unless there is one that listens there.
    pub(super) fn new(
        settings: &ListenerSettings,
        name: SocketName,
        taken: Option<OwnedFd>,
    ) -> Result<Self, BindError> {
        let wanted = name.address;
        let at = |source| BindError::Address { address: wanted, source };
        let only_v6 = settings.only_v6 && wanted.is_ipv6();
        let socket = match taken {
            Some(descriptor) => from_descriptor(descriptor, only_v6).map_err(at)?,
            None => bind(wanted, only_v6).map_err(at)?,
        };
        set_keepalive(&socket).map_err(at)?;
        let address = socket.local_addr().map_err(at)?;
        Ok(Self { name, address, only_v6, socket: Arc::new(socket) })
    }

    /// Returns where it listens.
    pub(super) fn local(&self) -> SocketName {
        SocketName { address: self.address, ..self.name.clone() }
    }

    /// Returns a descriptor of the same socket.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.socket.as_fd().try_clone_to_owned()
    }
}

fn bind(address: SocketAddr, only_v6: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() {
        // A host may have another default.
        set_ipv6_v6only(&socket, only_v6)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Returns the listener of a descriptor.
fn from_descriptor(descriptor: OwnedFd, only_v6: bool) -> io::Result<TcpListener> {
    let listener = net::TcpListener::from(descriptor);
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    // It is bound: nobody can change it any more.
    if address.is_ipv6() && address.ip().is_unspecified() && ipv6_v6only(&listener)? != only_v6 {
        tracing::warn!(%address, only_v6, "the socket was handed over with another only_v6, which stays");
    }
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
    /// It is bound with another `only_v6`.
    #[error("only_v6 of {0} changes only at a restart")]
    OnlyV6(SocketAddr),
    /// The certificate or its key can't be used.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
}

/// Connections that wait to be accepted. The kernel lowers it to its own maximum, `net.core.somaxconn`.
const BACKLOG: u32 = 1024;

//! A socket that listens: bound, or taken over from somebody who has it.

use std::io;
use std::sync::Arc;

use super::listening::{Handed, Listening};
use super::settings::{ListenerSettings, SocketName};
use crate::address::ListenAddress;
use crate::tls::TlsError;

/// A socket that listens. Nobody accepts yet.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) name: SocketName,
    /// With the actual port in place of port 0.
    pub(super) address: ListenAddress,
    pub(super) only_v6: bool,
    pub(super) mode: u32,
    pub(super) socket: Arc<Listening>,
}

impl Bound {
    /// Binds a socket of a listener, unless there is one that listens there.
    pub(super) fn new(
        settings: &ListenerSettings,
        name: SocketName,
        taken: Option<Handed>,
    ) -> Result<Self, BindError> {
        let wanted = name.address.clone();
        let only_v6 = settings.is_only_v6(&wanted);
        let socket = match (taken, &wanted) {
            (Some(handed), _) => Listening::of(handed, &wanted, only_v6),
            (None, ListenAddress::Ip(address)) => Listening::bind(*address, only_v6),
            (None, ListenAddress::Unix(path)) => Listening::bind_unix(path, settings.socket_mode),
        };
        let bound = socket.and_then(|socket| Ok((socket.address(&wanted)?, socket)));
        let (address, socket) = bound.map_err(|source| BindError::Address { address: wanted, source })?;
        Ok(Self { name, address, only_v6, mode: settings.socket_mode, socket: Arc::new(socket) })
    }

    /// Returns where it listens.
    pub(super) fn local(&self) -> SocketName {
        SocketName { address: self.address.clone(), ..self.name.clone() }
    }

    /// Returns a descriptor of the same socket.
    pub(super) fn descriptor(&self) -> io::Result<Handed> {
        self.socket.descriptor()
    }
}

/// Why a server can't listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// An address is in use, not ours, or needs a privilege.
    #[error("cannot listen on {address}")]
    Address {
        /// The address.
        address: ListenAddress,
        /// The operating system's error.
        source: io::Error,
    },
    /// It is bound with another `only_v6`.
    #[error("only_v6 of {0} changes only at a restart")]
    OnlyV6(ListenAddress),
    /// Its file has another mode.
    #[error("socket_mode of {0} changes only at a restart")]
    Mode(ListenAddress),
    /// The certificate or its key can't be used.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
}

impl BindError {
    /// Returns the address that it is about.
    pub fn address(&self) -> Option<&ListenAddress> {
        match self {
            Self::Address { address, .. } | Self::OnlyV6(address) | Self::Mode(address) => Some(address),
            Self::Tls(_) => None,
        }
    }
}

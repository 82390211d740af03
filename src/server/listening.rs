//! A socket that listens, of TCP or of this host's Unix sockets.

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix;
use std::path::Path;
use std::sync::Arc;

use rustix::net::sockopt::{ipv6_v6only, set_ipv6_v6only};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

use super::socket_file::SocketFile;
use crate::address::{ListenAddress, RemoteAddress};
use crate::duplex::{Socket, set_keepalive};

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(TcpListener),
    /// In this order: the file is removed before anybody is refused there.
    Unix(SocketFile, UnixListener),
}

/// A socket that another process, or another listener, hands over.
#[derive(Debug)]
pub struct Handed {
    /// The socket.
    pub descriptor: OwnedFd,
    /// Whether its file is a supervisor's, which also removes it.
    pub is_lent: bool,
}

impl Listening {
    /// Binds an address of IP.
    pub(super) fn bind(address: SocketAddr, only_v6: bool) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        if address.is_ipv6() {
            // A host may have another default.
            set_ipv6_v6only(&socket, only_v6)?;
        }
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        set_keepalive(&listener)?;
        Ok(Self::Tcp(listener))
    }

    /// Binds a path, whose file gets this mode.
    pub(super) fn bind_unix(path: &Arc<Path>, mode: u32) -> io::Result<Self> {
        let backlog = i32::try_from(BACKLOG).unwrap_or(i32::MAX);
        let (file, listener) = SocketFile::bind(path, mode, backlog)?;
        Ok(Self::Unix(file, UnixListener::from_std(listener)?))
    }

    /// Returns the listener of a descriptor that was handed over for this address.
    pub(super) fn of(handed: Handed, address: &ListenAddress, only_v6: bool) -> io::Result<Self> {
        let Handed { descriptor, is_lent } = handed;
        if let ListenAddress::Unix(path) = address {
            let listener = unix::net::UnixListener::from(descriptor);
            listener.set_nonblocking(true)?;
            return Ok(Self::Unix(SocketFile::at(path, is_lent), UnixListener::from_std(listener)?));
        }
        let listener = net::TcpListener::from(descriptor);
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        // It is bound: nobody can change it any more.
        if address.is_ipv6() && address.ip().is_unspecified() && ipv6_v6only(&listener)? != only_v6 {
            tracing::warn!(%address, only_v6, "the socket was handed over with another only_v6, which stays");
        }
        set_keepalive(&listener)?;
        TcpListener::from_std(listener).map(Self::Tcp)
    }

    /// Accepts the next client.
    pub(super) async fn accept(&self) -> io::Result<(Socket, RemoteAddress)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((stream.into(), peer.into()))
            }
            Self::Unix(_, listener) => Ok((listener.accept().await?.0.into(), RemoteAddress::Unix)),
        }
    }

    /// Returns where it listens, with the actual port in place of port 0.
    pub(super) fn address(&self, wanted: &ListenAddress) -> io::Result<ListenAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(ListenAddress::Ip),
            Self::Unix(..) => Ok(wanted.clone()),
        }
    }

    /// Returns a descriptor of the same socket.
    pub(super) fn descriptor(&self) -> io::Result<Handed> {
        let is_lent = self.file().is_some_and(|file| file.is_lent);
        Ok(Handed { descriptor: self.as_fd().try_clone_to_owned()?, is_lent })
    }

    /// Returns the file of a Unix socket.
    pub(super) const fn file(&self) -> Option<&SocketFile> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(file, _) => Some(file),
        }
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(_, listener) => listener.as_fd(),
        }
    }
}

/// Connections that wait to be accepted. The kernel lowers it to its own maximum, `net.core.somaxconn`.
const BACKLOG: u32 = 1024;

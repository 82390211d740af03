//! A connected stream socket, of TCP or of this host's Unix sockets.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::{TcpStream, UnixStream};

use super::Duplex;
use crate::address::RemoteAddress;

/// A connected stream socket. An enum, so that a read costs no indirect call.
#[derive(Debug)]
pub enum Socket {
    /// To another host, or by its address to this one.
    Tcp(TcpStream),
    /// To a process of this host. Boxed, so that it costs a connection of TCP no room.
    Unix(Box<UnixStream>),
}

impl Socket {
    /// Has each write leave at once: responses to polls are short, and somebody waits for them.
    ///
    /// # Errors
    /// The system does not support it.
    pub fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nodelay(true),
            // There is nothing else.
            Self::Unix(_) => Ok(()),
        }
    }

    /// Closes it at once by a reset: nothing is sent any more, and the system keeps nothing of it.
    pub fn abort(self) {
        if let Self::Tcp(stream) = &self {
            // Without it, the connection is closed in the usual way.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }

    /// Waits until there is something to read, and returns how much of it was copied to `buf`. It stays to be read.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.peek(buf).await,
            Self::Unix(stream) => {
                let peek = || Ok(recv(stream.as_fd(), &mut *buf, RecvFlags::PEEK)?.1);
                stream.async_io(Interest::READABLE, peek).await
            }
        }
    }

    /// Returns the other side.
    ///
    /// # Errors
    /// The connection is over.
    pub fn remote_address(&self) -> io::Result<RemoteAddress> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().map(RemoteAddress::Ip),
            Self::Unix(_) => Ok(RemoteAddress::Unix),
        }
    }

    pub(super) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self {
            Self::Tcp(stream) => stream.ready(interest).await,
            Self::Unix(stream) => stream.ready(interest).await,
        }
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(Box::new(stream))
    }
}

impl From<TcpStream> for Duplex {
    fn from(stream: TcpStream) -> Self {
        Socket::from(stream).into()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Tcp(stream) => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

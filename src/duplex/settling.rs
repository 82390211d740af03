//! A stream of HTTP/2 that settles receipts with each flush.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::merging::Merging;
use super::{Duplex, Unflushed};

/// A [`Duplex`] as a server hands it to hyper for HTTP/2, which reads all the time: unlike
/// [`Tracked`](super::Tracked), it needs not look for the end by itself.
#[derive(Debug)]
pub struct Settling {
    duplex: Duplex,
    unflushed: Unflushed,
    merging: Merging,
}

impl Settling {
    /// Creates one; `unflushed` follows what is written.
    pub const fn new(duplex: Duplex, unflushed: Unflushed) -> Self {
        Self { duplex, unflushed, merging: Merging::new() }
    }
}

impl AsyncRead for Settling {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.duplex).poll_read(cx, buf))?;
        let len = this.merging.merge(&mut buf.filled_mut()[before..]);
        buf.set_filled(before + len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Settling {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().duplex).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().duplex).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.duplex.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.duplex).poll_flush(cx))?;
        this.unflushed.clear();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.duplex).poll_shutdown(cx))?;
        this.unflushed.clear();
        Poll::Ready(Ok(()))
    }
}

//! A stream that knows whether what was written to it is on its way.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Duplex;

/// A [`Duplex`] as a server hands it to hyper.
#[derive(Debug)]
pub struct Tracked {
    duplex: Duplex,
    unflushed: Unflushed,
}

/// Whether something was written to a [`Tracked`] that has not been flushed since.
#[derive(Clone, Default, Debug)]
pub struct Unflushed(Arc<AtomicBool>);

impl Unflushed {
    /// Whether something is still to be written.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Tracked {
    /// `unflushed` follows what is written.
    pub const fn new(duplex: Duplex, unflushed: Unflushed) -> Self {
        Self { duplex, unflushed }
    }

    /// The stream itself.
    pub fn into_inner(self) -> Duplex {
        self.duplex
    }
}

impl AsyncRead for Tracked {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().duplex).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tracked {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.unflushed.0.store(true, Ordering::Relaxed);
        Pin::new(&mut this.duplex).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.unflushed.0.store(true, Ordering::Relaxed);
        Pin::new(&mut this.duplex).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.duplex.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.duplex).poll_flush(cx);
        this.unflushed.0.store(flushed.is_pending(), Ordering::Relaxed);
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().duplex).poll_shutdown(cx)
    }
}

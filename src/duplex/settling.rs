//! A stream of HTTP/2 that settles receipts with each flush.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::merging::Merging;
use super::written_ahead::WrittenFrames;
use super::{Ahead, Duplex, Unflushed};

/// A [`Duplex`] as a server hands it to hyper for HTTP/2, which reads all the time: unlike
/// [`Tracked`](super::Tracked), it needs not look for the end by itself.
#[derive(Debug)]
pub struct Settling {
    duplex: Duplex,
    unflushed: Unflushed,
    merging: Merging,
    begun: Begun,
    written: WrittenFrames,
    ahead: Ahead,
}

/// Since when something comes in that must come whole, such as a header section.
#[derive(Clone, Debug)]
pub struct Begun(Arc<Mutex<BegunSince>>);

#[derive(Debug)]
struct BegunSince {
    since: Option<Instant>,
    /// How much of that had come before.
    wholes: u32,
}

impl Begun {
    /// Returns since when; `None` while nothing has begun.
    pub fn since(&self) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).since
    }

    fn note(&self, merging: &Merging) {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !merging.has_begun() {
            begun.since = None;
        } else if begun.since.is_none() || begun.wholes != merging.wholes() {
            *begun = BegunSince { since: Some(Instant::now()), wholes: merging.wholes() };
        }
    }
}

impl Settling {
    /// Creates one; `unflushed` follows what is written, and `ahead` counts data in both directions.
    pub fn new(duplex: Duplex, unflushed: Unflushed, ahead: Ahead) -> Self {
        let begun = BegunSince { since: Some(Instant::now()), wholes: 0 };
        let begun = Begun(Arc::new(Mutex::new(begun)));
        Self { duplex, unflushed, merging: Merging::new(), begun, written: WrittenFrames::default(), ahead }
    }

    fn note_written(&mut self, bytes: &[u8]) {
        let found = self.written.find(bytes);
        if found.data_len > 0 {
            self.ahead.written.wrote(found.data_len);
        }
        self.ahead.written.heads().wrote(found.head_ends);
    }

    /// Returns what knows since when something comes in that must come whole.
    pub fn begun(&self) -> Begun {
        self.begun.clone()
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        // Streams that have become something else may outlive it, and the count with them.
        self.ahead.written.heads().end();
    }
}

impl AsyncRead for Settling {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.duplex).poll_read(cx, buf))?;
        let len = this.merging.merge(&mut buf.filled_mut()[before..]);
        buf.set_filled(before + len);
        this.begun.note(&this.merging);
        let data_len = this.merging.take_data_len();
        if data_len > 0 {
            this.ahead.read.came(data_len);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Settling {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.ahead.written.heads().set_flushed(false);
        let len = ready!(Pin::new(&mut this.duplex).poll_write(cx, buf))?;
        this.note_written(&buf[..len]);
        Poll::Ready(Ok(len))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.ahead.written.heads().set_flushed(false);
        let len = ready!(Pin::new(&mut this.duplex).poll_write_vectored(cx, bufs))?;
        let mut left = len;
        for buf in bufs {
            let written = left.min(buf.len());
            this.note_written(&buf[..written]);
            left -= written;
        }
        Poll::Ready(Ok(len))
    }

    fn is_write_vectored(&self) -> bool {
        self.duplex.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.ahead.written.heads().set_flushed(false);
        ready!(Pin::new(&mut this.duplex).poll_flush(cx))?;
        this.unflushed.clear();
        this.ahead.written.heads().set_flushed(true);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.duplex).poll_shutdown(cx))?;
        this.unflushed.clear();
        Poll::Ready(Ok(()))
    }
}

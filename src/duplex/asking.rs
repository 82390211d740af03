//! A stream that must be written before it is read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Duplex;
use super::interim::{Answers, Interim};

/// A [`Duplex`] as a client hands it to hyper. Hyper rejects a response that arrives before the request is written, but
/// a full server sends its response as soon as it is connected. Hyper also reads interim responses without end, so there
/// may be only so many.
#[derive(Debug)]
pub struct Asking {
    duplex: Duplex,
    has_asked: bool,
    reader: Option<Waker>,
    interim: Interim,
}

impl Asking {
    /// Creates a stream that has not been written yet.
    pub fn new(duplex: Duplex) -> Self {
        Self { duplex, has_asked: false, reader: None, interim: Interim::default() }
    }

    /// Returns what notes each request after the first.
    pub fn answers(&self) -> Answers {
        self.interim.answers()
    }

    /// Returns the stream itself.
    pub fn into_inner(self) -> Duplex {
        self.duplex
    }

    fn note<T>(&mut self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if !self.has_asked && written.is_ready() {
            self.has_asked = true;
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
        written
    }
}

impl AsyncRead for Asking {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.has_asked {
            this.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.duplex).poll_read(cx, buf))?;
        Poll::Ready(this.interim.note_read(&buf.filled()[before..]))
    }
}

impl AsyncWrite for Asking {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.duplex).poll_write(cx, buf);
        this.note(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.duplex).poll_write_vectored(cx, bufs);
        this.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.duplex.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().duplex).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().duplex).poll_shutdown(cx)
    }
}

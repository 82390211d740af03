//! A stream of an HTTP/2 connection that has become a byte stream.

use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Carries, Duplex, Patience, Reader, Writer};

/// What a request that becomes a byte stream takes with it. On HTTP/1.1 its connection has all of it.
#[derive(Clone, Debug)]
pub struct StreamTerms {
    /// How long the client may stop reading.
    pub patience: Patience,
    /// Held as long as there may be more to write: hyper does not tell the connection of its end.
    pub held: Arc<dyn Held>,
    /// Notes what it takes of what its connection has read ahead.
    pub reader: Arc<Reader>,
    /// Notes what its connection takes of it before that is written.
    pub writer: Arc<Writer>,
}

/// Whatever is told by its drop.
pub trait Held: Debug + Send + Sync {}

impl<T: Debug + Send + Sync> Held for T {}

/// What hyper makes of a CONNECT over HTTP/2 (RFC 9113, section 8.5).
///
/// Hyper copies each write, as long as it may be, and takes two of them ahead of the client's window. So only so much
/// is written at once.
#[derive(Debug)]
struct UpgradedStream {
    io: TokioIo<Upgraded>,
    #[expect(dead_code, reason = "held for its drop")]
    held: Arc<dyn Held>,
    reader: Arc<Reader>,
    writer: Arc<Writer>,
}

impl Duplex {
    /// Makes a byte stream of a stream of an HTTP/2 connection.
    pub fn of_stream(upgraded: Upgraded, terms: StreamTerms) -> Self {
        let StreamTerms { patience, held, reader, writer } = terms;
        let io = TokioIo::new(upgraded);
        let stream: Box<dyn Carries> = Box::new(UpgradedStream { io, held, reader, writer });
        Self::from(stream).with_patience(Some(patience))
    }
}

impl AsyncRead for UpgradedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(cx, buf);
        this.reader.took(buf.filled().len() - before);
        polled
    }
}

impl AsyncWrite for UpgradedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let len = buf.len().min(WRITE_LEN_MAX);
        this.writer.took(len);
        let polled = Pin::new(&mut this.io).poll_write(cx, &buf[..len]);
        let taken = if let Poll::Ready(Ok(taken)) = polled { taken } else { 0 };
        this.writer.kept(len - taken);
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

/// One frame of HTTP/2.
const WRITE_LEN_MAX: usize = 16 << 10;

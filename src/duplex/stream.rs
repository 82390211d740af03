//! A stream of an HTTP/2 connection that has become a byte stream.

use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Carries, Duplex, Patience};

/// What a request that becomes a byte stream takes with it. On HTTP/1.1 its connection has all of it.
#[derive(Clone, Debug)]
pub struct StreamTerms {
    /// How long the client may stop reading.
    pub patience: Patience,
    /// Held as long as there may be more to write: hyper does not tell the connection of its end.
    pub held: Arc<dyn Held>,
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
}

impl UpgradedStream {
    fn new(upgraded: Upgraded, held: Arc<dyn Held>) -> Self {
        Self { io: TokioIo::new(upgraded), held }
    }
}

impl Duplex {
    /// Makes a byte stream of a stream of an HTTP/2 connection.
    pub fn of_stream(upgraded: Upgraded, terms: StreamTerms) -> Self {
        let stream: Box<dyn Carries> = Box::new(UpgradedStream::new(upgraded, terms.held));
        Self::from(stream).with_patience(Some(terms.patience))
    }
}

impl AsyncRead for UpgradedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buf)
    }
}

impl AsyncWrite for UpgradedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, &buf[..buf.len().min(WRITE_LEN_MAX)])
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

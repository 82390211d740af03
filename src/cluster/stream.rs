//! The bytes behind a 101, which go from the client's node to that of its session.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::channel::{Channel, ENOUGH};
use super::request::{LetGo, Stop};
use crate::peer::{Number, PIECE_LEN_MAX};

/// One end of such a stream. Dropped, it ends once everything has been sent that was written to it.
#[derive(Debug)]
pub struct PeerStream {
    channel: Arc<Channel>,
    number: Number,
    stop: Stop,
}

impl PeerStream {
    pub(super) fn new(channel: Arc<Channel>, number: Number, stop: Stop, let_go: Option<LetGo>) -> Self {
        channel.begin_stream(number, let_go);
        Self { channel, number, stop }
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { channel, number, .. } = &*self;
        let piece = ready!(channel.poll_piece(*number, cx));
        let Some(mut piece) = piece.map_err(|_| io::ErrorKind::ConnectionReset)? else {
            return Poll::Ready(Ok(()));
        };
        let len = piece.len().min(buf.remaining());
        buf.put_slice(&piece[..len]);
        piece.advance(len);
        channel.put_back(*number, piece);
        channel.took(*number, len as u64, ENOUGH);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Self { channel, number, .. } = &*self;
        ready!(channel.poll_room(*number, cx)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        let len = buf.len().min(PIECE_LEN_MAX);
        channel.send(*number, Bytes::copy_from_slice(&buf[..len]), None);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is written is sent, even if this is dropped.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.channel.end(self.number);
        Poll::Ready(Ok(()))
    }
}

impl Drop for PeerStream {
    fn drop(&mut self) {
        self.channel.part(self.number, self.stop);
    }
}

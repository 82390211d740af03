//! The end of a WebSocket whose other end may still be sending, and may not have begun to read.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::SinkExt as _;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::WebSocket;

/// What is left to do behind a Close frame: all that waits is written, then the stream is ended, and meanwhile whatever
/// comes is thrown away, until the other end has ended too.
///
/// Bytes left unread would turn our end into a reset, and a reset overtakes the Close frame. An end that writes everything
/// before it reads anything would wait for us as we for it, if we wrote before we read. How long it may take is the caller's
/// to say.
#[derive(Clone, Copy, Default, Debug)]
pub struct Farewell {
    said: Said,
    heard: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Said {
    #[default]
    Goodbye,
    Everything,
    End,
}

impl Farewell {
    /// Ready once both ends have ended, or the connection is broken.
    pub fn poll(&mut self, cx: &mut Context<'_>, socket: &mut WebSocket) -> Poll<()> {
        self.poll_say(cx, socket);
        let mut scrap = [0; SCRAP_LEN];
        while !self.heard {
            let mut scrap = ReadBuf::new(&mut scrap);
            match Pin::new(socket.get_mut()).poll_read(cx, &mut scrap) {
                Poll::Ready(Ok(())) => self.heard = scrap.filled().is_empty(),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.said == Said::End { Poll::Ready(()) } else { Poll::Pending }
    }

    /// What can't be said is as good as said.
    fn poll_say(&mut self, cx: &mut Context<'_>, socket: &mut WebSocket) {
        if self.said == Said::Goodbye {
            self.said = match socket.poll_flush_unpin(cx) {
                Poll::Ready(Ok(())) => Said::Everything,
                Poll::Ready(Err(_)) => Said::End,
                Poll::Pending => return,
            };
        }
        if self.said == Said::Everything && Pin::new(socket.get_mut()).poll_shutdown(cx).is_ready() {
            self.said = Said::End;
        }
    }
}

/// As much as is thrown away at once.
const SCRAP_LEN: usize = 4096;

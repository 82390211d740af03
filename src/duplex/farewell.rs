//! The end of a WebSocket whose other side may still be sending, and may not have started to read.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::WebSocket;

/// What remains to be done after a Close frame: write everything that waits, close the sending side, and discard all
/// input until the other side has closed too, or has sent too much.
///
/// Unread bytes would turn our close into a reset, which overtakes the Close frame. And a peer that writes everything
/// before it reads would wait for us as we wait for it, if we wrote before we read. The caller sets the deadline.
#[derive(Clone, Copy, Default, Debug)]
pub struct Farewell {
    stage: Stage,
    peer_closed: bool,
}

/// What is done next on the sending side.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Stage {
    /// Write what waits, up to the Close frame.
    #[default]
    Flush,
    /// Close it.
    Shutdown,
    /// Nothing.
    Done,
}

impl Farewell {
    /// Ready once both sides have closed, or the connection is broken.
    pub fn poll(&mut self, cx: &mut Context<'_>, socket: &mut WebSocket) -> Poll<()> {
        self.poll_write(cx, socket);
        let mut scrap = [0; SCRAP_LEN];
        while !self.peer_closed {
            let mut scrap = ReadBuf::new(&mut scrap);
            match Pin::new(socket.get_mut()).poll_read(cx, &mut scrap) {
                Poll::Ready(Ok(())) => self.peer_closed = scrap.filled().is_empty(),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.stage == Stage::Done { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Writes what is left of the farewell; what can't be written counts as written.
    fn poll_write(&mut self, cx: &mut Context<'_>, socket: &mut WebSocket) {
        if self.stage == Stage::Flush {
            self.stage = match socket.poll_flush(cx) {
                Poll::Ready(Ok(())) => Stage::Shutdown,
                Poll::Ready(Err(_)) => Stage::Done,
                Poll::Pending => return,
            };
        }
        if self.stage == Stage::Shutdown && Pin::new(socket.get_mut()).poll_shutdown(cx).is_ready() {
            self.stage = Stage::Done;
        }
    }
}

/// How much is discarded at once.
const SCRAP_LEN: usize = 4096;

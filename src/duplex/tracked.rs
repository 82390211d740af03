//! A stream that knows whether everything written to it was flushed, and notices that the other side is gone while
//! hyper does not read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::outside::Outside;
use super::raw_headers::{RawHeaders, Written};
use super::receipts::Unflushed;
use super::speller::Speller;

/// A [`Duplex`](super::Duplex) as a server hands it to hyper.
///
/// Hyper only reads while it wants something of the client. While it waits for a response it does not, nor could it see
/// an end of stream behind bytes that it has not read. So each flush, with which hyper ends its turn, checks for the
/// end: an error of the flush drops the connection with its request.
#[derive(Debug)]
pub struct Tracked {
    stream: Outside,
    unflushed: Unflushed,
    raw_headers: RawHeaders,
    speller: Speller,
    /// Whether a refusal by hyper is withheld, after which hyper ends.
    is_refused: bool,
    /// Whether hyper is reading, and so notices the end by itself.
    reads: bool,
}

impl Tracked {
    /// Creates one. `unflushed` follows what is written, `raw_headers` the headers in both directions.
    pub fn new(stream: impl Into<Outside>, unflushed: Unflushed, raw_headers: RawHeaders) -> Self {
        Self {
            stream: stream.into(),
            unflushed,
            raw_headers,
            speller: Speller::default(),
            is_refused: false,
            reads: false,
        }
    }

    /// Returns the stream, in which hyper has no part any more.
    pub fn into_outside(self) -> Outside {
        self.stream
    }

    /// Returns the same stream for another attempt at a header that hyper refused, of which these bytes were read.
    #[must_use]
    pub fn again(self, bytes: Bytes) -> Self {
        Self { is_refused: false, stream: self.stream.behind(bytes), ..self }
    }
}

impl AsyncRead for Tracked {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let mut read = Pin::new(&mut this.stream.duplex).poll_read(cx, buf);
        while buf.filled().len() > before
            && let Some(instead) = this.raw_headers.note_read(&buf.filled()[before..])
        {
            buf.set_filled(before);
            this.stream.duplex.put_before(Bytes::from(instead));
            read = Pin::new(&mut this.stream.duplex).poll_read(cx, buf);
        }
        this.reads = read.is_pending();
        this.stream.note_read();
        read
    }
}

impl AsyncWrite for Tracked {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // Hyper writes a header from a buffer of its own, which comes first; the others hold bodies.
        let written = bufs.first().map_or(&[][..], |first| first);
        let spelled_names = match this.raw_headers.note_written(written, !this.unflushed.get()) {
            Written::Bytes => None,
            Written::Head(spelled_names) => Some(spelled_names),
            Written::Kept => {
                // Hyper must think that its 431 was written: then it ends, and another hyper reads the header again.
                this.is_refused = true;
                return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
            }
        };
        this.unflushed.set();
        this.speller.poll_write(&mut this.stream.duplex, spelled_names, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.duplex.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream.duplex).poll_flush(cx);
        match flushed {
            // Before the other side is found to be gone: what was flushed is still delivered.
            Poll::Ready(Ok(())) => this.unflushed.clear(),
            Poll::Pending => this.unflushed.set(),
            Poll::Ready(Err(_)) => {}
        }
        if !std::mem::take(&mut this.reads)
            && let Poll::Ready(gone) = this.stream.poll_gone(cx)
            // After a 101 nobody waits for a response: what was sent before the end is for the new protocol, which reads
            // on from here and finds the end itself.
            && !this.raw_headers.is_over()
        {
            return Poll::Ready(Err(gone));
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The socket outlives this hyper.
        if self.is_refused {
            return Poll::Ready(Ok(()));
        }
        let this = self.get_mut();
        let ended = Pin::new(&mut this.stream.duplex).poll_shutdown(cx);
        match ended {
            Poll::Ready(Ok(())) => this.unflushed.clear(),
            // The end itself is still to be written.
            Poll::Pending => this.unflushed.set(),
            Poll::Ready(Err(_)) => {}
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::sleep;

    use super::super::{Duplex, Patience};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_follows_an_upgrade_is_read_even_if_its_sender_has_hung_up_by_then() {
        let (ours, mut theirs) = duplex(1024);
        let patience = Patience::new(HALF_CLOSE);
        patience.set_half_close(HALF_CLOSE);
        let ours = Duplex::from(ours).with_patience(Some(patience));
        let mut ours = Tracked::new(ours, Unflushed::default(), RawHeaders::default());
        ours.raw_headers.end();
        ours.write_all(b"101").await.unwrap();
        // Before the flush, as on a busy machine.
        theirs.write_all(b"last words").await.unwrap();
        drop(theirs);
        ours.flush().await.unwrap();
        sleep(HALF_CLOSE * 2).await;
        ours.flush().await.unwrap();
        let mut read = String::new();
        ours.into_outside().into_inner().read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "last words");
    }

    const HALF_CLOSE: Duration = Duration::from_secs(5);
}

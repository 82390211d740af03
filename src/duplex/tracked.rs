//! A stream that knows whether everything written to it was flushed, and notices that the other side is gone while
//! nothing is read.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::raw_headers::{RawHeaders, Written};
use super::receipts::Unflushed;
use super::speller::Speller;
use super::{Duplex, ReadAheadEnd};

/// A [`Duplex`] as a server hands it to hyper.
///
/// Hyper only reads while it wants something of the client. While it waits for a response it does not, nor could it see
/// an end of stream behind bytes that it has not read. So each flush, with which hyper ends its turn, checks for the
/// end: an error of the flush drops the connection with its request.
#[derive(Debug)]
pub struct Tracked {
    duplex: Duplex,
    unflushed: Unflushed,
    raw_headers: RawHeaders,
    speller: Speller,
    /// Whether a refusal by hyper is withheld, after which hyper ends.
    is_refused: bool,
    /// Whether hyper is reading, and so notices the end by itself.
    reads: bool,
    /// Reading ahead has stopped. Boxed because that is rare, and each waiting request would reserve room for it.
    stopped: Option<Box<Stopped>>,
}

/// Why reading ahead has stopped.
#[derive(Debug)]
struct Stopped {
    why: ReadAheadEnd,
    since: Instant,
    /// When to check again, if the system sends no event.
    look: Pin<Box<Sleep>>,
}

impl Tracked {
    /// Creates one. `unflushed` follows what is written, `raw_headers` the headers in both directions.
    pub fn new(duplex: Duplex, unflushed: Unflushed, raw_headers: RawHeaders) -> Self {
        Self {
            duplex,
            unflushed,
            raw_headers,
            speller: Speller::default(),
            is_refused: false,
            reads: false,
            stopped: None,
        }
    }

    /// Returns the stream itself.
    pub fn into_inner(self) -> Duplex {
        self.duplex
    }

    /// Returns the same stream with bytes before all that is still to be read.
    #[must_use]
    pub fn behind(self, bytes: Bytes) -> Self {
        Self { duplex: self.duplex.behind(bytes), ..self }
    }

    /// Puts bytes before all that is still to be read.
    pub fn put_before(&mut self, bytes: Bytes) {
        self.duplex.put_before(bytes);
    }

    /// Returns the same stream for another attempt at a header that hyper refused, of which these bytes were read.
    #[must_use]
    pub fn again(self, bytes: Bytes) -> Self {
        Self { is_refused: false, ..self.behind(bytes) }
    }

    /// Reads how the next request begins, while hyper has no part in the stream; nothing at its end.
    ///
    /// # Errors
    /// The stream is broken.
    pub fn poll_begun(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.duplex).poll_read(cx, buf);
        if read.is_ready() {
            self.stopped = None;
        }
        match read {
            // TLS that ends without a close_notify.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            read @ (Poll::Ready(_) | Poll::Pending) => read,
        }
    }

    /// Flushes what was written without hyper, and settles its receipts.
    ///
    /// # Errors
    /// The stream is broken.
    pub fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.duplex).poll_flush(cx))?;
        self.unflushed.clear();
        Poll::Ready(Ok(()))
    }

    /// Returns the stream itself, to write to it while hyper has no part in it, and has written everything.
    pub const fn writer(&mut self) -> &mut Duplex {
        &mut self.duplex
    }

    /// Ready once the other side is gone, even if it had sent more before: at once if it has reset the connection; if
    /// it has only closed its sending side, after the time that [`Patience`](super::Patience) allows.
    ///
    /// An end of stream behind more bytes than the system buffers is never seen. In that case the other side counts as
    /// gone after twice the time that it may stop reading.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let mut ahead = match ready!(self.duplex.poll_ahead(cx)) {
                Ok(ahead) => ahead,
                Err(error) => return Poll::Ready(error),
            };
            // From here on, the system sends no event: what it has reported, it does not report again.
            let signs = self.duplex.signs();
            if signs.is_read_closed() {
                ahead = ReadAheadEnd::End;
                if signs.is_write_closed() {
                    return Poll::Ready(io::ErrorKind::ConnectionReset.into());
                }
            }
            let now = Instant::now();
            let stopped = self.stopped.get_or_insert_with(|| {
                Box::new(Stopped { why: ahead, since: now, look: Box::pin(sleep_until(now)) })
            });
            if stopped.why != ahead {
                (stopped.why, stopped.since) = (ahead, now);
            }
            let over = stopped.since + self.duplex.limit(ahead);
            if now >= over {
                return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
            }
            let next = over.min(now + LOOK_PACE);
            // An earlier check is kept.
            if stopped.look.deadline() <= now {
                stopped.look.as_mut().reset(next);
            }
            ready!(stopped.look.as_mut().poll(cx));
        }
    }
}

impl AsyncRead for Tracked {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let mut read = Pin::new(&mut this.duplex).poll_read(cx, buf);
        while buf.filled().len() > before
            && let Some(instead) = this.raw_headers.note_read(&buf.filled()[before..])
        {
            buf.set_filled(before);
            this.duplex.put_before(Bytes::from(instead));
            read = Pin::new(&mut this.duplex).poll_read(cx, buf);
        }
        this.reads = read.is_pending();
        // Nothing has stopped that goes on.
        this.stopped = None;
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
        this.speller.poll_write(&mut this.duplex, spelled_names, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.duplex.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.duplex).poll_flush(cx);
        match flushed {
            // Before the other side is found to be gone: what was flushed is still delivered.
            Poll::Ready(Ok(())) => this.unflushed.clear(),
            Poll::Pending => this.unflushed.set(),
            Poll::Ready(Err(_)) => {}
        }
        if !std::mem::take(&mut this.reads)
            && let Poll::Ready(gone) = this.poll_gone(cx)
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
        let ended = Pin::new(&mut this.duplex).poll_shutdown(cx);
        match ended {
            Poll::Ready(Ok(())) => this.unflushed.clear(),
            // The end itself is still to be written.
            Poll::Pending => this.unflushed.set(),
            Poll::Ready(Err(_)) => {}
        }
        ended
    }
}

/// How soon an end of stream is noticed behind more bytes than are read ahead.
const LOOK_PACE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::sleep;

    use super::super::{Patience, READ_AHEAD_LEN};
    use super::*;

    const LIMIT: Duration = Duration::from_mins(1);
    const HALF_CLOSE: Duration = Duration::from_secs(5);

    fn pair() -> (Tracked, DuplexStream) {
        let (ours, theirs) = duplex(2 * READ_AHEAD_LEN);
        let patience = Patience::new(LIMIT);
        patience.set_half_close(HALF_CLOSE);
        let ours = Duplex::from(ours).with_patience(Some(patience));
        (Tracked::new(ours, Unflushed::default(), RawHeaders::default()), theirs)
    }

    async fn gone_after(ours: &mut Tracked) -> Duration {
        let start = Instant::now();
        poll_fn(|cx| ours.poll_gone(cx)).await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_is_waited_with_for_as_long_as_patience_has_for_it() {
        for behind in [0, 1, READ_AHEAD_LEN - 1] {
            let (mut ours, mut theirs) = pair();
            theirs.write_all(&vec![1; behind]).await.unwrap();
            theirs.shutdown().await.unwrap();
            assert_eq!(gone_after(&mut ours).await.as_secs(), HALF_CLOSE.as_secs(), "{behind}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_read_meanwhile_is_no_end() {
        let (mut ours, mut theirs) = pair();
        theirs.write_all(b"late").await.unwrap();
        theirs.shutdown().await.unwrap();
        tokio::select! {
            _ = gone_after(&mut ours) => panic!("too soon"),
            () = sleep(HALF_CLOSE * 9 / 10) => {}
        }
        let mut read = [0; 2];
        ours.read_exact(&mut read).await.unwrap();
        assert_eq!((&read, gone_after(&mut ours).await.as_secs()), (b"la", HALF_CLOSE.as_secs()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_follows_an_upgrade_is_read_even_if_its_sender_has_hung_up_by_then() {
        let (mut ours, mut theirs) = pair();
        ours.raw_headers.end();
        ours.write_all(b"101").await.unwrap();
        // Before the flush, as on a busy machine.
        theirs.write_all(b"last words").await.unwrap();
        drop(theirs);
        ours.flush().await.unwrap();
        sleep(HALF_CLOSE * 2).await;
        ours.flush().await.unwrap();
        let mut read = String::new();
        ours.into_inner().read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "last words");
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_is_read_ahead_does_not_hide_an_end_for_ever() {
        let (mut ours, mut theirs) = pair();
        theirs.write_all(&[1; READ_AHEAD_LEN + 1]).await.unwrap();
        theirs.shutdown().await.unwrap();
        assert_eq!(gone_after(&mut ours).await.as_secs(), 2 * LIMIT.as_secs());
        assert_eq!(ours.into_inner().take_ahead().len(), READ_AHEAD_LEN);
    }
}

//! A stream in which hyper has no part: it notices that the other side is gone while nothing is read.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::receipts::Unflushed;
use super::{Duplex, ReadAheadEnd};

/// A [`Duplex`] in which hyper has no part.
#[derive(Debug)]
pub struct Outside {
    pub(super) duplex: Duplex,
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

impl Outside {
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

    /// Reads how the next request begins; nothing at the stream's end.
    ///
    /// # Errors
    /// The stream is broken.
    pub fn poll_begun(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.duplex.poll_begun(cx, buf);
        if read.is_ready() {
            self.note_read();
        }
        read
    }

    /// Notes that the stream was read: nothing has stopped that goes on.
    pub(super) fn note_read(&mut self) {
        self.stopped = None;
    }

    /// Flushes what was written, and settles its receipts.
    ///
    /// # Errors
    /// The stream is broken.
    pub fn poll_settle(&mut self, cx: &mut Context<'_>, unflushed: &Unflushed) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.duplex).poll_flush(cx))?;
        unflushed.clear();
        Poll::Ready(Ok(()))
    }

    /// Returns the stream itself, to write to it.
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

impl Duplex {
    /// Reads how the next request of an idle connection begins; nothing at the stream's end.
    ///
    /// # Errors
    /// The stream is broken.
    pub fn poll_begun(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(self).poll_read(cx, buf) {
            // TLS that ends without a close_notify.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            read @ (Poll::Ready(_) | Poll::Pending) => read,
        }
    }
}

impl From<Duplex> for Outside {
    fn from(duplex: Duplex) -> Self {
        Self { duplex, stopped: None }
    }
}

/// How soon an end of stream is noticed behind more bytes than are read ahead.
const LOOK_PACE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::sleep;

    use super::super::{Patience, READ_AHEAD_LEN};
    use super::*;

    const LIMIT: Duration = Duration::from_mins(1);
    const HALF_CLOSE: Duration = Duration::from_secs(5);

    fn pair() -> (Outside, DuplexStream) {
        let (ours, theirs) = duplex(2 * READ_AHEAD_LEN);
        let patience = Patience::new(LIMIT);
        patience.set_half_close(HALF_CLOSE);
        let ours = Duplex::from(ours).with_patience(Some(patience));
        (ours.into(), theirs)
    }

    async fn gone_after(ours: &mut Outside) -> Duration {
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
        let mut read_into = ReadBuf::new(&mut read);
        poll_fn(|cx| ours.poll_begun(cx, &mut read_into)).await.unwrap();
        assert_eq!((&read, gone_after(&mut ours).await.as_secs()), (b"la", HALF_CLOSE.as_secs()));
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

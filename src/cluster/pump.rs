//! Moves frames between a channel and its connection.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio::time::{Instant, Sleep, sleep_until};

use super::channel::{Channel, Side};
use crate::duplex::{Duplex, Patience, Stalled};
use crate::peer::{Ask, Frame, Lines, Load, Number};
use crate::trunk::Gathering;

/// Why a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    /// The other side closed it, or it broke.
    Closed,
    /// The other side was silent for too long, or took nothing.
    Silent,
    /// It was not needed for a while.
    Idle,
    /// The other side violated the protocol.
    Violated(&'static str),
}

/// One connection.
pub(super) struct Pump<'c, S, B> {
    channel: &'c Channel,
    stream: Duplex,
    silence: Duration,
    /// How often the state is looked at.
    beat: Duration,
    /// Returns the number of this node's sessions.
    sessions: S,
    /// Begins to serve a request.
    begin: B,
    read: BytesMut,
    lines: Lines,
    out: BytesMut,
    is_dirty: bool,
    gathering: Gathering,
    clock: Pin<Box<Sleep>>,
    heard: Instant,
    /// When the other side was asked whether it is there, and has not said anything since.
    asked: Option<Instant>,
    used: Instant,
    /// When the other side was asked last.
    pinged: Instant,
}

impl<'c, S, B> Pump<'c, S, B>
where
    S: Fn() -> u32,
    B: FnMut(Number, Box<Ask>),
{
    pub(super) fn new(
        channel: &'c Channel,
        stream: Duplex,
        silence: Duration,
        sessions: S,
        begin: B,
    ) -> Self {
        let now = Instant::now();
        let beat = REST.min(silence / TICKS);
        Self {
            channel,
            stream: stream.with_patience(Some(Patience::new(silence))),
            silence,
            beat,
            sessions,
            begin,
            read: BytesMut::new(),
            lines: Lines::default(),
            out: BytesMut::new(),
            is_dirty: false,
            gathering: Gathering::default(),
            clock: Box::pin(sleep_until(now + beat)),
            heard: now,
            asked: None,
            used: now,
            pinged: now,
        }
    }

    /// Runs until the connection ends.
    pub(super) async fn run(&mut self) -> Ended {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Has it stay for as long again without requests.
    pub(super) fn stay(&mut self) {
        self.used = Instant::now();
    }

    /// Writes what is still to be said, and reads nothing more.
    pub(super) async fn write_rest(&mut self) {
        poll_fn(|cx| match self.write(cx) {
            Ok(()) if self.is_dirty || !self.out.is_empty() => Poll::Pending,
            Ok(()) | Err(_) => Poll::Ready(()),
        })
        .await;
    }

    /// Goes on until all responses were taken: one that was given is not taken back by an end, and one whose `TOOK` is missing
    /// when the connection ends is no response to the other node.
    pub(super) async fn finish(&mut self) {
        poll_fn(|cx| {
            let is_over = self.poll(cx).is_ready();
            let is_idle = self.channel.len() == 0 && self.out.is_empty() && !self.is_dirty;
            if is_over || is_idle { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        // Before the turns: who adds a frame when they have passed it by must wake this task.
        self.channel.register(cx);
        let is_due = self.gathering.begin();
        match self.turn(cx, is_due) {
            Ok(()) => Poll::Pending,
            Err(ended) => Poll::Ready(ended),
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>, is_due: bool) -> Result<(), Ended> {
        self.read(cx)?;
        self.tick(cx)?;
        if !is_due && self.out.is_empty() {
            self.channel.fill(&mut self.out);
            if !self.out.is_empty() {
                // One write for everything that the tasks say that are runnable now.
                self.channel.suppress_wakes();
                self.gathering.hold(cx);
                return Ok(());
            }
        }
        self.write(cx).or_else(|ended| {
            // The other side may have answered before it closed.
            self.read(cx)?;
            Err(ended)
        })
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        for _ in 0..READS_MAX {
            self.read.reserve(READ_LEN);
            // Polled once: it reads now or not at all.
            match pin!(self.stream.read_buf(&mut self.read)).poll(cx) {
                Poll::Pending => {
                    if self.read.is_empty() && self.channel.len() == 0 {
                        self.read = BytesMut::new();
                    }
                    return Ok(());
                }
                Poll::Ready(Ok(0) | Err(_)) => return Err(Ended::Closed),
                Poll::Ready(Ok(count)) => self.channel.traffic.received(count),
            }
            self.heard = Instant::now();
            self.asked = None;
            while let Some(frame) = Frame::read(&mut self.read, &mut self.lines)
                .map_err(|malformed| Ended::Violated(malformed.0))?
            {
                let load = Load { sessions: (self.sessions)(), asked: 0 };
                let begun = self.channel.handle(frame, load);
                if let Some((number, ask)) = begun.map_err(|violation| Ended::Violated(violation.0))? {
                    (self.begin)(number, ask);
                }
            }
        }
        // Other tasks need this thread, too.
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        loop {
            self.channel.fill(&mut self.out);
            if self.out.is_empty() {
                break;
            }
            while !self.out.is_empty() {
                self.is_dirty = true;
                match Pin::new(&mut self.stream).poll_write(cx, &self.out) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(Ok(0)) => return Err(Ended::Closed),
                    Poll::Ready(Ok(count)) => {
                        self.channel.traffic.sent(count);
                        self.out.advance(count);
                    }
                    Poll::Ready(Err(error)) => return Err(ended_by(&error)),
                }
            }
        }
        if self.out.capacity() > KEPT_LEN_MAX {
            self.out = BytesMut::new();
        }
        match self.flush(cx) {
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
            Poll::Ready(Err(ended)) => Err(ended),
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        if self.is_dirty {
            ready!(Pin::new(&mut self.stream).poll_flush(cx)).map_err(|error| ended_by(&error))?;
            self.is_dirty = false;
        }
        Poll::Ready(Ok(()))
    }

    fn tick(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        while self.clock.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            // While this process itself did not run, nobody waited for the other side.
            let late = now - self.clock.deadline();
            if late > self.beat {
                self.asked = self.asked.map(|asked| asked + late);
            }
            if self.channel.len() > 0 {
                self.used = now;
            }
            if self.asked.is_some_and(|asked| now >= asked + self.silence - self.silence / PINGS) {
                return Err(Ended::Silent);
            }
            if self.channel.side == Side::Asker && now >= self.used + IDLE {
                return Err(Ended::Idle);
            }
            let (quiet, each) =
                if self.channel.len() > 0 { (self.silence / PINGS, EACH) } else { (2 * REST, REST) };
            // What it tells with its answer is shown to operators, so it is asked even where it speaks all the time. Without requests,
            // nobody shows what the asker has.
            let tells = self.channel.side == Side::Asker || self.channel.len() > 0;
            let is_due = now >= self.heard + quiet || tells && now >= self.pinged + each;
            if self.asked.is_none() && is_due {
                self.asked = Some(now);
                self.pinged = now;
                self.channel.ping(now);
            }
            self.clock.as_mut().reset(now + self.beat);
        }
        Ok(())
    }
}

/// Without it, nothing of the channel's requests goes on.
impl<S, B> Drop for Pump<'_, S, B> {
    fn drop(&mut self) {
        self.channel.fail();
    }
}

/// Notes why a connection ended.
pub(super) fn note_end(channel: &Channel, why: Ended) {
    let node = channel.node;
    match why {
        Ended::Closed | Ended::Idle => tracing::debug!(%node, ?why, "a connection between nodes ended"),
        Ended::Silent => tracing::warn!(%node, "a node was silent for too long; its connection is closed"),
        Ended::Violated(reason) => tracing::warn!(%node, reason, "a node violated the protocol"),
    }
}

fn ended_by(error: &std::io::Error) -> Ended {
    if Stalled::among(error).is_some() { Ended::Silent } else { Ended::Closed }
}

/// How often within the longest silence the state is looked at, at least.
const TICKS: u32 = 6;
/// How often within the longest silence the other side is asked whether it is there, while it has requests to answer.
const PINGS: u32 = 3;
/// How often a node is asked on whose connection there are no requests. One that does not ask may be silent for twice as long.
const REST: Duration = Duration::from_secs(2);
/// How often a node is asked on whose connection there are requests.
const EACH: Duration = Duration::from_secs(1);
/// How long a connection without requests stays open to a node that is on no list. The node that asks closes it, so that a connection
/// which the other one closes says something.
pub(super) const IDLE: Duration = Duration::from_mins(5);
const READ_LEN: usize = 16 << 10;
/// How many reads in a row.
const READS_MAX: usize = 8;
/// A larger buffer is not kept.
const KEPT_LEN_MAX: usize = 128 << 10;

//! A WebSocket that is left to its two ends: frame headers are read, payloads are copied as they are.
//!
//! No buffer is held while nothing moves: each read goes into one scratch buffer of the thread and straight on, and only
//! what the other side has no room for is kept until it has.

mod direction;
mod opening;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;

use self::direction::{Direction, Flow, Then};
use self::opening::Opening;
use crate::bridge::{Admission, Entry, RelayHandle, Reservation};
use crate::codec::frames::Counted;
use crate::duplex::Duplex;
use crate::end::End;
use crate::meter::{Direction as Way, Meter};
use crate::packet::{Closing, Transport};
use crate::route_id::RouteId;
use crate::upstream::{InUse, Introduction, Opened};

/// One relayed session.
#[derive(Debug)]
pub struct Relay {
    client: Duplex,
    upstream: Duplex,
    /// From the client to the backend.
    up: Direction,
    /// From the backend to the client.
    down: Direction,
    /// The backend's first message, if it describes the session.
    opening: Option<Opening>,
    place: Place,
    drain: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    /// What the two ends are told, once the proxy has something to tell them.
    verdict: Option<End>,
    /// Which end was the first to end it.
    first: Option<End>,
    /// Until when the backend is not told of a drain: it is told by the client's own Close, behind whatever of the
    /// client's has crossed ours.
    crossing: Option<Pin<Box<Sleep>>>,
    /// Until when the rest may take, once one end is gone or has been told.
    deadline: Option<Pin<Box<Sleep>>>,
}

/// Where a relayed session is known.
#[derive(Debug)]
pub struct Place {
    /// Its route, for the log.
    pub route: RouteId,
    /// The upstream that it leads to, which does not retire before the session has left.
    #[expect(dead_code, reason = "held for its drop")]
    pub upstream: Arc<InUse>,
    /// Where its route counts.
    pub meter: Meter,
    /// What the index knows of it.
    pub handle: Arc<RelayHandle>,
    /// Its id in the index: the backend's, once that has told it, else one that nobody is told.
    pub reservation: Reservation,
    /// How the backend's first message is read, if it describes the session.
    pub introduction: Option<Introduction>,
    /// The largest message of the client's, in payload bytes on the wire; `None` where that is its backend's to say.
    pub max_payload: Option<usize>,
    /// The largest message of the backend's, likewise.
    pub message_max: usize,
    /// How long an end may take what is left of the other, and to end once the other has said Close.
    pub close_timeout: Duration,
    /// Its place among `max_sessions`.
    pub admission: Admission,
}

impl Relay {
    /// Joins two streams, each with what was read ahead of it.
    pub fn new(client: (Duplex, Bytes), upstream: (Duplex, Bytes), place: Place) -> Self {
        let max_payload = place.max_payload.map_or(u64::MAX, |max| max as u64);
        place.meter.session_opened(Transport::WebSocket);
        place.reservation.enter(Entry::Relay(Arc::clone(&place.handle)));
        Self {
            client: client.0,
            upstream: upstream.0,
            up: Direction::new(max_payload, client.1),
            down: Direction::new(place.message_max as u64, upstream.1),
            opening: place.introduction.map(Opening::new),
            drain: Some(Box::pin(place.handle.drain.clone().cancelled_owned())),
            place,
            verdict: None,
            first: None,
            crossing: None,
            deadline: None,
        }
    }

    /// Relays until both ends are done.
    pub async fn run(mut self) {
        let end = std::future::poll_fn(|cx| self.poll_end(cx)).await;
        self.count();
        let Place { reservation, meter, route, admission, .. } = self.place;
        // Gone from the index before its place is free.
        reservation.end(end);
        drop(admission);
        meter.session_closed(Transport::WebSocket, end);
        tracing::debug!(%route, reason = end.word(), "a relayed session ended");
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if self.drain.as_mut().is_some_and(|drain| drain.as_mut().poll(cx).is_ready()) {
            self.drain = None;
            self.verdict.get_or_insert(End::Drained);
        }
        let Self { client, upstream, up, down, opening, place, .. } = self;
        // What the first message says is known here before its client can name the id, or exceed the limit.
        let down = down.poll(cx, upstream, client, &mut |bytes| {
            let Some(reading) = opening else { return true };
            let Poll::Ready(opened) = reading.read(bytes) else { return false };
            if let Some(max) = opened.and_then(|opened| place.learn(opened)) {
                up.set_message_max(max as u64);
            }
            true
        });
        let up = up.poll(cx, client, upstream, &mut |_| true);
        self.count();
        self.note_first(&up);
        // A broken side has nobody to talk to; the other is let go as soon as it has what came before.
        let (Ok(up), Ok(down)) = (up, down) else { return Poll::Ready(self.end()) };
        if up == Flow::Broken || down == Flow::Broken {
            return Poll::Ready(self.end());
        }
        if up == Flow::Stalled || down == Flow::Stalled {
            self.verdict.get_or_insert(End::Stalled);
            // The end that waited is told why, unless a frame stands half-written there.
            let back = if up == Flow::Stalled { &self.down } else { &self.up };
            if !back.may_close() {
                return Poll::Ready(self.end());
            }
        }
        if up == Flow::TooLarge || down == Flow::TooLarge {
            self.verdict.get_or_insert(End::TooLarge);
        }
        if self.tell(cx) {
            // What was just put in is written in another round, which nothing else may bring about.
            cx.waker().wake_by_ref();
        }
        if up == Flow::Ended && down == Flow::Ended {
            return Poll::Ready(self.end());
        }
        let patience = if up == Flow::Ended || down == Flow::Ended {
            Some(END_TIMEOUT)
        } else if self.verdict.is_some() {
            Some(ANSWER_TIMEOUT)
        } else if self.up.is_ended() || self.down.is_ended() || self.up.is_closed() || self.down.is_closed() {
            // A side that receives a Close may finish the message that it has begun; then it closes too.
            Some(self.place.close_timeout)
        } else {
            None
        };
        match patience {
            Some(patience) if self.poll_patience(cx, patience).is_ready() => Poll::Ready(self.end()),
            Some(_) | None => Poll::Pending,
        }
    }

    /// Ready when nothing more is waited for; a shorter patience replaces a longer one.
    fn poll_patience(&mut self, cx: &mut Context<'_>, patience: Duration) -> Poll<()> {
        let until = tokio::time::Instant::now() + patience;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if deadline.deadline() > until {
            deadline.as_mut().reset(until);
        }
        deadline.as_mut().poll(cx)
    }

    /// Remembers which end was the first to end it.
    fn note_first(&mut self, up: &io::Result<Flow>) {
        if self.first.is_none() {
            self.first = match (self.up.is_closed(), self.down.is_closed()) {
                (_, true) => Some(End::UpstreamClosed),
                (true, false) => Some(End::ClientClosed),
                (false, false) if self.up.is_ended() || up.is_err() => Some(End::ClientGone),
                (false, false) if self.down.is_ended() => Some(End::UpstreamClosed),
                (false, false) => None,
            };
        }
    }

    fn end(&self) -> End {
        self.verdict.or(self.first).unwrap_or(End::UpstreamClosed)
    }

    /// Tells each end what the proxy has decided, once a Close frame may stand there. Whether one was told just now.
    fn tell(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(end) = self.verdict else { return false };
        let mut told = false;
        // An end that is told first would answer in the middle of what it is saying or hearing.
        if end == End::Drained && (self.up.is_inside_message() || self.down.is_inside_message()) {
            return false;
        }
        // The rest of a message that is too large will never come, so both ends are told.
        if self.down.may_close() {
            // To the client it is the server who ends the stream.
            self.down.say(&close_frame(&end.closing(), None), Then::End);
            told = true;
            self.crossing = (end == End::Drained).then(|| Box::pin(tokio::time::sleep(CROSSING_TIMEOUT)));
        }
        let has_crossed = self.crossing.as_mut().is_none_or(|crossing| crossing.as_mut().poll(cx).is_ready());
        if has_crossed && self.up.may_close() {
            self.up.say(&close_frame(&end.closing(), Some(random_mask())), Then::Wait);
            told = true;
        }
        told
    }

    fn count(&mut self) {
        let meter = &self.place.meter;
        let up = self.up.take_counted();
        if up != Counted::default() {
            meter.from_client(Transport::WebSocket, up.messages, up.bytes);
            meter.overhead(Way::FromClient, Transport::WebSocket, up.overhead);
        }
        let down = self.down.take_counted();
        if down != Counted::default() {
            meter.to_client(Transport::WebSocket, down.messages, down.bytes);
            meter.overhead(Way::ToClient, Transport::WebSocket, down.overhead);
        }
    }
}

impl Place {
    /// Enters the session under the id that the backend tells its client. Returns the backend's limit for the client's
    /// messages, where it has one and it holds.
    fn learn(&mut self, opened: Opened) -> Option<usize> {
        if let Some(theirs) = opened.sid.and_then(|sid| self.reservation.rename(sid)) {
            theirs.enter(Entry::Relay(Arc::clone(&self.handle)));
            self.reservation = theirs;
        }
        opened.max_payload.filter(|_| self.max_payload.is_none())
    }
}

/// Returns a Close frame (RFC 6455, section 5.5.1), masked where it goes to a server.
fn close_frame(closing: &Closing, mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut payload = Vec::new();
    if let Some(code) = closing.code {
        payload.extend(code.to_be_bytes());
        payload.extend_from_slice(closing.reason.as_bytes());
    }
    // Our reasons are some ten bytes: the length always fits the short form.
    let len = u8::try_from(payload.len()).unwrap_or(0) & 0x7f;
    payload.truncate(usize::from(len));
    let mut frame = vec![0x88, len | if mask.is_some() { 0x80 } else { 0 }];
    frame.extend(mask.iter().flatten());
    let mask = mask.unwrap_or_default();
    frame.extend(payload.iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]));
    frame
}

/// Unpredictable, as RFC 6455, section 5.3, asks; a system without randomness gets a mask all the same.
fn random_mask() -> [u8; 4] {
    let mut mask = [0; 4];
    let _ = getrandom::fill(&mut mask);
    mask
}

/// How long an end may take to hang up once the other has, and everything is delivered: nothing is lost any more.
const END_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a client may take to answer the Close of a drain, before the backend is told without it.
const CROSSING_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the two ends may take to answer a Close frame of ours.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

//! A WebSocket that is relayed between its two ends: frame headers are read, payloads are copied unchanged.
//!
//! An idle relay holds no buffer: each read goes into a scratch buffer shared by the thread and is written at once.
//! Only what the other side has no room for is stored until it has.

mod direction;
mod opening;
mod pace;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep};

use self::direction::{Direction, Flow, Then};
use self::opening::Opening;
use self::pace::Pace;
use crate::bridge::{Admission, Entry, RelayHandle, Reservation, log_end};
use crate::codec::frames::Counted;
use crate::duplex::{Duplex, random_mask};
use crate::end::End;
use crate::frame_header::{CLOSE, FrameHeader, apply_mask};
use crate::limited::{Limit, Limited};
use crate::meter::{Direction as Way, Meter};
use crate::packet::{Closing, Transport};
use crate::session::Rate;
use crate::upstream::{Introduction, Opened};

/// One relayed session.
#[derive(Debug)]
pub struct Relay {
    client: Duplex,
    upstream: Duplex,
    /// From the client to the backend.
    up: Direction,
    /// From the backend to the client.
    down: Direction,
    /// How fast the client may send.
    pace: Pace,
    /// The backend's first message, if it describes the session.
    opening: Option<Opening>,
    session: RelayedSession,
    /// What its buffers held when that was counted.
    held: usize,
    /// The time at which the client's permission expires.
    expiry: Option<Pin<Box<Sleep>>>,
    /// The end that the proxy announces to both sides, once it has decided on one.
    decided: Option<End>,
    /// The side that ended the session first.
    first: Option<End>,
    /// The time until which the backend is not told of a drain. It normally learns of the drain when the client's own
    /// Close arrives, after any message of the client's that crossed ours.
    crossing: Option<Pin<Box<Sleep>>>,
    /// The deadline for the rest of the session, once one side has ended or was sent a Close.
    deadline: Option<Pin<Box<Sleep>>>,
}

/// The session that a relay serves: what identifies it, and what accounts for it.
#[derive(Debug)]
pub struct RelayedSession {
    /// The meter of its route.
    pub meter: Meter,
    /// The session's entry in the index.
    pub handle: Arc<RelayHandle>,
    /// Its id in the index: the backend's as soon as that is known, before that an internal one.
    pub reservation: Reservation,
    /// How to read the backend's first message, if that describes the session.
    pub introduction: Option<Introduction>,
    /// How fast the client may send.
    pub rate: Rate,
    /// Counts that it sends too fast.
    pub limited: Limited,
    /// The client's largest message, in payload bytes on the wire; `None` if the backend sets the limit.
    pub max_payload: Option<usize>,
    /// The backend's largest message, in payload bytes on the wire.
    pub message_max: usize,
    /// How long a side may take to receive the rest of the other's data, and to end once the other has sent a Close.
    pub close_timeout: Duration,
    /// When the client's permission expires.
    pub expires_at: Option<Instant>,
    /// The session's place among `max_sessions`.
    pub admission: Admission,
}

impl Relay {
    /// Joins two streams, each with the bytes already read from it.
    pub fn new(client: (Duplex, Bytes), upstream: (Duplex, Bytes), session: RelayedSession) -> Self {
        let max_payload = session.max_payload.map_or(u64::MAX, |max| max as u64);
        session.meter.session_opened(Transport::WebSocket);
        session.reservation.enter(Entry::Relay(Arc::clone(&session.handle)));
        Self {
            client: client.0,
            upstream: upstream.0,
            up: Direction::new(max_payload, client.1),
            down: Direction::new(session.message_max as u64, upstream.1),
            pace: Pace::new(session.rate),
            opening: session.introduction.map(Opening::new),
            expiry: session.expires_at.map(|at| Box::pin(tokio::time::sleep_until(at))),
            session,
            held: 0,
            decided: None,
            first: None,
            crossing: None,
            deadline: None,
        }
    }

    /// Relays until both sides have ended.
    ///
    /// No `async fn`: its future would have room for two relays, the argument and the one that is polled.
    pub fn run(self) -> impl Future<Output = ()> {
        let mut relay = Some(self);
        std::future::poll_fn(move |cx| {
            if let Some(going) = &mut relay {
                let end = ready!(going.poll_end(cx));
                if let Some(ended) = relay.take() {
                    ended.finish(end);
                }
            }
            Poll::Ready(())
        })
    }

    fn finish(mut self, end: End) {
        self.count();
        let RelayedSession { reservation, meter, handle, admission, .. } = self.session;
        handle.burden.leave();
        let sid = reservation.sid().clone();
        // The session leaves the index before its place is free.
        reservation.end(end);
        drop(admission);
        meter.session_closed(Transport::WebSocket, end, handle.tally.age());
        log_end(None, (handle.route.as_deref(), &sid), &handle.tally, Transport::WebSocket, end);
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let polled = self.poll_round(cx);
        // Over, its buffers are about to be dropped; the index may keep the handle for a moment.
        let held = if polled.is_ready() { 0 } else { self.held_by_buffers() };
        if held != self.held {
            self.held = held;
            self.session.handle.burden.set(held);
        }
        polled
    }

    fn held_by_buffers(&self) -> usize {
        self.up.held() + self.down.held() + self.opening.as_ref().map_or(0, Opening::held)
    }

    fn poll_round(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if let Poll::Ready(end) = self.session.handle.wishes.poll(cx) {
            self.decide(end);
        }
        if self.expiry.as_mut().is_some_and(|expiry| expiry.as_mut().poll(cx).is_ready()) {
            self.expiry = None;
            self.decide(End::Expired);
        }
        let Self { client, upstream, up, down, opening, session, pace, .. } = self;
        // As much may wait in each direction.
        let room = (session.handle.burden.room() / 2).max(ROOM_MIN);
        // The first message is read before the client can use the id or exceed the limit that it contains.
        let down = down.poll(cx, upstream, client, room, &mut |bytes| {
            let Some(reading) = opening else { return true };
            let Poll::Ready(opened) = reading.read(bytes) else { return false };
            if let Some(max) = opened.and_then(|opened| session.register(opened)) {
                up.set_message_max(max as u64);
            }
            true
        });
        up.pause(pace.poll_pause(cx));
        let up = up.poll(cx, client, upstream, pace.turn_len().min(room), &mut |_| true);
        if self.count() {
            self.session.limited.reached(Limit::Messages, None);
            // The timer of the pause is to be polled.
            cx.waker().wake_by_ref();
        }
        self.note_first(&up);
        // A broken side can receive nothing; the other is closed as soon as it has received what came before.
        let (Ok(up), Ok(down)) = (up, down) else { return Poll::Ready(self.end()) };
        if up == Flow::Broken || down == Flow::Broken {
            return Poll::Ready(self.end());
        }
        if up == Flow::Stalled || down == Flow::Stalled {
            self.decided.get_or_insert(End::Stalled);
            // The side that was waiting is sent the reason, unless a frame is half-written there.
            let back = if up == Flow::Stalled { &self.down } else { &self.up };
            if !back.may_close() {
                return Poll::Ready(self.end());
            }
        }
        if up == Flow::TooLarge || down == Flow::TooLarge {
            self.decided.get_or_insert(End::TooLarge);
        }
        if self.announce(cx) {
            // What was just added must be written in another round, and nothing else may trigger one.
            cx.waker().wake_by_ref();
        }
        if up == Flow::Ended && down == Flow::Ended {
            return Poll::Ready(self.end());
        }
        let patience = if up == Flow::Ended || down == Flow::Ended {
            Some(END_TIMEOUT)
        } else if self.decided.is_some() {
            Some(ANSWER_TIMEOUT)
        } else if self.up.is_ended() || self.down.is_ended() || self.up.is_closed() || self.down.is_closed() {
            // A side that receives a Close may finish the message that it has begun; then it closes too.
            Some(self.session.close_timeout)
        } else {
            None
        };
        match patience {
            Some(patience) if self.poll_patience(cx, patience).is_ready() => Poll::Ready(self.end()),
            Some(_) | None => Poll::Pending,
        }
    }

    /// Polls the deadline, ready once it has passed; a shorter timeout replaces a longer one.
    fn poll_patience(&mut self, cx: &mut Context<'_>, patience: Duration) -> Poll<()> {
        let until = Instant::now() + patience;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if deadline.deadline() > until {
            deadline.as_mut().reset(until);
        }
        deadline.as_mut().poll(cx)
    }

    /// Records which side ended the session first.
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

    /// Decides that the session ends, unless that is decided already. A drain lets it finish what it is sending, so it is
    /// outweighed.
    fn decide(&mut self, end: End) {
        if self.decided.is_none_or(|decided| decided == End::Drained) {
            self.decided = Some(end);
        }
    }

    fn end(&self) -> End {
        self.decided.or(self.first).unwrap_or(End::UpstreamClosed)
    }

    /// Announces the proxy's decision to each side as soon as a Close frame may be sent there. Returns whether it
    /// announced it to a side in this call.
    fn announce(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(end) = self.decided else { return false };
        // Either side may be the one that reads nothing, and gets the same code.
        let closing = end.reason(&end.closing());
        let mut announced = false;
        // A side that learns of the drain now would close in the middle of a message that it is sending or receiving.
        if end == End::Drained && (self.up.is_inside_message() || self.down.is_inside_message()) {
            return false;
        }
        // The rest of a message that is too large will never be sent, so both sides are closed.
        if self.down.may_close() {
            // To the client the proxy is the server, which ends the stream.
            self.down.queue_close(&close_frame(&closing, None), Then::End);
            announced = true;
            self.crossing = (end == End::Drained).then(|| Box::pin(tokio::time::sleep(CROSSING_TIMEOUT)));
        }
        let has_crossed = self.crossing.as_mut().is_none_or(|crossing| crossing.as_mut().poll(cx).is_ready());
        if has_crossed && self.up.may_close() {
            self.up.queue_close(&close_frame(&closing, Some(random_mask())), Then::Wait);
            announced = true;
        }
        announced
    }

    /// Counts what has passed. Returns whether the client has sent so much that it is not read for a while.
    fn count(&mut self) -> bool {
        let meter = &self.session.meter;
        let mut pauses = false;
        let up = self.up.take_counted();
        if up != Counted::default() {
            // What is none costs the backend as much, as it may have to be answered, and each header is read.
            pauses = self.pace.charge(up.messages + up.bare, up.bytes + up.overhead);
            meter.from_client(Transport::WebSocket, up.messages, up.bytes);
            self.session.handle.tally.count(Way::FromClient, up.messages, up.bytes);
            meter.overhead(Way::FromClient, Transport::WebSocket, up.overhead);
        }
        let down = self.down.take_counted();
        if down != Counted::default() {
            meter.to_client(Transport::WebSocket, down.messages, down.bytes);
            self.session.handle.tally.count(Way::ToClient, down.messages, down.bytes);
            meter.overhead(Way::ToClient, Transport::WebSocket, down.overhead);
        }
        pauses
    }
}

impl RelayedSession {
    /// Registers the session under the id that the backend sends its client. Returns the backend's limit for the
    /// client's messages, if it has one and the configuration sets none.
    fn register(&mut self, opened: Opened) -> Option<usize> {
        if let Some(theirs) = opened.sid.and_then(|sid| self.reservation.rename(sid)) {
            theirs.enter(Entry::Relay(Arc::clone(&self.handle)));
            self.reservation = theirs;
        }
        opened.max_payload.filter(|_| self.max_payload.is_none())
    }
}

/// Returns a Close frame (RFC 6455, section 5.5.1), masked if it goes to a server.
fn close_frame(closing: &Closing, mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut payload = Vec::new();
    if let Some(code) = closing.code {
        payload.extend(code.to_be_bytes());
        // One of the proxy's own reasons, of about ten bytes.
        payload.extend_from_slice(closing.reason.as_bytes());
    }
    let header =
        FrameHeader { fin: true, reserved: 0, opcode: CLOSE, mask, payload_len: payload.len() as u64 };
    let mut frame = Vec::new();
    header.write(&mut frame);
    apply_mask(&mut payload, mask.unwrap_or_default());
    frame.extend(payload);
    frame
}

/// How much is read at once however short memory is: enough that a read is worth its call.
const ROOM_MIN: usize = 1 << 10;
/// How long a side may take to disconnect once the other has and everything is delivered: nothing can be lost any more.
const END_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a client may take to answer the Close of a drain before the backend is sent one regardless.
const CROSSING_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the two sides may take to answer the proxy's Close frame.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

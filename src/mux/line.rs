//! One side of an epoch: its sessions, and what is to be written next on the current connection.

use std::collections::VecDeque;
use std::time::Instant;

use super::bounds::PART;
use super::frame::{Accepted, ById, Denied, Frame, Held, Hello, Id, Open};
use super::stream::{Stage, Stream, TOO_LARGE, Terms};
use crate::budget::Budget;
use crate::packet::{Closing, Message, Transport};

/// Which side of the connection this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Dials, and opens sessions.
    Proxy,
    /// Listens, and answers.
    Backend,
}

/// One side of an epoch. Received frames go into [`handle`](Self::handle), frames to be written come out of
/// [`poll`](Self::poll) and [`acks`](Self::acks), and news for the sessions' users out of [`event`](Self::event).
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug)]
pub struct Line {
    side: Side,
    pub(super) hello: Hello,
    /// The other side's hello, once it was received on any connection.
    pub(super) theirs: Option<Hello>,
    pub(super) terms: Terms,
    /// Boxed, as a map keeps room for up to twice as many.
    pub(super) sessions: ById<Box<Stream>>,
    last_id: u64,
    /// `hello` and `sync`, which are sent before anything else.
    pub(super) greeting: VecDeque<Frame>,
    /// Written before any session's frames, once the connection flows.
    pub(super) urgent: VecDeque<Frame>,
    /// Whether a drain was announced.
    drains: bool,
    /// Sessions that have something to write, in turn.
    ready: VecDeque<Id>,
    /// Sessions with acknowledgements for the other side.
    pending_acks: Vec<Id>,
    acks_urgent: bool,
    pub(super) events: VecDeque<Event>,
    /// The parts of a `sync` received so far, while one may come.
    pub(super) sync: Option<Vec<Held>>,
    /// Whether the other side has said hello on this connection.
    pub(super) greeted: bool,
    /// Whether it has sent everything that must come before a session's frames.
    pub(super) flowing: bool,
    /// Sessions that wait for the other side's `x`, and since when; the next [`tidy`](Line::tidy) sets the time.
    pub(super) closed: VecDeque<(Option<Instant>, Id)>,
    /// Counts what waits here.
    pub(super) budget: Budget,
}

/// An event of one session, or of all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The other side has said hello.
    Hello,
    /// A client asks to come in; to be answered by [`Line::accept`] or [`Line::deny`].
    Asked(Id, Box<Open>),
    /// The backend's answer; a denied session is over.
    Answered(Id, Result<Box<Accepted>, Box<Denied>>),
    /// The answer will not come.
    Unanswered(Id, Closing),
    /// The same, of a session that the backend has never been asked for, or has forgotten with its other sessions.
    Unsent(Id),
    /// Something to [`take`](Line::take).
    Readable(Id),
    /// There is [room](Line::poll_room) again.
    Writable(Id),
    /// The client moved.
    Transport(Id, String),
    /// The other side stops within this many seconds.
    Drain(u64),
}

/// An item received for a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// A message.
    Message(Message),
    /// Its end; nothing follows.
    Closed(Closing),
}

impl Line {
    /// Creates a new epoch; `hello` is what this side says on every connection. What waits in it is charged to `budget`.
    pub fn new(side: Side, hello: Hello, budget: Budget) -> Self {
        let window = hello.credit;
        let terms = Terms { window, credit: false, granted: 0, keeps: false, close_packets: false };
        Self {
            side,
            hello,
            theirs: None,
            terms,
            sessions: ById::default(),
            last_id: 0,
            greeting: VecDeque::new(),
            urgent: VecDeque::new(),
            drains: false,
            ready: VecDeque::new(),
            pending_acks: Vec::new(),
            acks_urgent: false,
            events: VecDeque::new(),
            sync: None,
            greeted: false,
            flowing: false,
            closed: VecDeque::new(),
            budget,
        }
    }

    /// Returns whether sessions outlive their connection.
    pub const fn resumes(&self) -> bool {
        self.terms.keeps
    }

    /// Returns how many sessions are in use here.
    pub fn held(&self) -> usize {
        self.sessions.values().filter(|stream| stream.held).count()
    }

    /// Returns whether the other side has been sent everything.
    pub fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.sessions.values().all(|stream| stream.is_over())
    }

    /// Handles a new connection. The proxy's line sends hello at once, the backend's after the other side's.
    pub fn connect(&mut self) {
        self.disconnect();
        self.sync = None;
        if self.side == Side::Proxy {
            self.greeting.push_back(Frame::Hello(self.hello.clone()));
            if self.theirs.is_some() {
                self.offer_sync();
            }
        }
    }

    /// Handles a break: nothing is written until there is another connection.
    pub fn disconnect(&mut self) {
        (self.greeted, self.flowing) = (false, false);
        self.greeting.clear();
        // A denial is asked for again on the next connection; a drain is announced only once.
        self.urgent.retain(|frame| matches!(frame, Frame::Drain(_)));
    }

    /// Asks the backend to accept a client.
    pub fn open(&mut self, open: Open) -> Option<Id> {
        let id = Id::new(self.last_id + 1)?;
        self.last_id = id.get();
        self.sessions
            .insert(id, Stream::new(Stage::Asking(Box::new(open)), &self.terms, self.budget.charge()).into());
        self.queue(id);
        Some(id)
    }

    /// Accepts a client.
    pub fn accept(&mut self, id: Id, accepted: Accepted) {
        if let Some(stream) = self.sessions.get_mut(&id)
            && matches!(stream.stage, Stage::Asked)
            // A client that gave up has got its `x` instead.
            && stream.closing.is_none()
        {
            stream.stage = Stage::Answered(Box::new(accepted));
            stream.stage_due = true;
            self.queue(id);
        }
    }

    /// Denies a client.
    pub fn deny(&mut self, id: Id, denied: Denied) {
        // If it is lost in a break, it is asked for again, and sent again.
        if self.sessions.remove(&id).is_some() && self.flowing {
            self.urgent.push_back(Frame::Deny(id, Box::new(denied)));
        }
    }

    /// Returns whether a session takes one more message; if not, [`Event::Writable`] reports when.
    pub fn poll_room(&mut self, id: Id) -> bool {
        let Some(stream) = self.sessions.get_mut(&id) else { return false };
        stream.starved = !stream.has_room(&self.terms);
        !stream.starved
    }

    /// Returns how many bytes wait for a session, in both directions.
    pub fn buffered(&self, id: Id) -> usize {
        self.sessions.get(&id).map_or(0, |stream| stream.buffered())
    }

    /// Returns whether messages may be sent on a session.
    pub fn is_open(&self, id: Id) -> bool {
        self.sessions.get(&id).is_some_and(|stream| stream.is_open())
    }

    /// Takes a message; only if there is [room](Self::poll_room).
    pub fn send(&mut self, id: Id, message: Message) {
        let max = self.theirs.as_ref().and_then(|theirs| theirs.max_message).or(self.hello.max_message);
        if max.is_some_and(|max| message.len() as u64 > max) {
            self.close_both(id, &TOO_LARGE);
        } else if let Some(stream) = self.sessions.get_mut(&id) {
            stream.send(message);
            self.queue(id);
        }
    }

    /// Tells the other side that a client moved.
    pub fn move_to(&mut self, id: Id, transport: Transport) {
        if let Some(stream) = self.sessions.get_mut(&id).filter(|stream| stream.is_open()) {
            stream.transport = Some(transport);
            self.queue(id);
        }
    }

    /// Returns the next item received for a session; nothing follows [`Notice::Closed`].
    pub fn take(&mut self, id: Id) -> Option<Notice> {
        let stream = self.sessions.get_mut(&id)?;
        if let Some(message) = stream.take() {
            self.note_pending_ack(id);
            return Some(Notice::Message(message));
        }
        stream.end.as_deref().cloned().map(Notice::Closed)
    }

    /// Announces a drain, once: no session is opened any more.
    pub fn drain(&mut self, seconds: u64) {
        if !std::mem::replace(&mut self.drains, true) {
            self.urgent.push_back(Frame::Drain(seconds));
        }
    }

    /// Returns the next event.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Returns the next frame to write.
    pub fn poll(&mut self) -> Option<Frame> {
        let greeting = self.greeting.pop_front();
        if greeting.is_some() || !self.flowing {
            return greeting;
        }
        if let Some(frame) = self.urgent.pop_front() {
            return Some(frame);
        }
        while let Some(id) = self.ready.pop_front() {
            let Some(stream) = self.sessions.get_mut(&id) else { continue };
            stream.queued = false;
            let frame = stream.next_frame(id, &self.terms);
            if stream.has_frame() {
                stream.queued = true;
                // To the back: one frame each in turn, so that nobody waits for all messages of another session.
                self.ready.push_back(id);
            }
            self.feed(id);
            if frame.is_some() {
                self.forget_if_over(id);
                return frame;
            }
        }
        None
    }

    /// Returns whether too many answers wait to be written: the other side should not be read before it has read some.
    pub fn is_choked(&self) -> bool {
        self.urgent.len() >= URGENT_MAX
    }

    /// Returns whether acknowledgements wait; `Some(true)` if the other side may be waiting for them.
    pub fn wants_acks(&self) -> Option<bool> {
        (self.flowing && self.greeting.is_empty() && !self.pending_acks.is_empty())
            .then_some(self.acks_urgent)
    }

    /// Returns acknowledgements in one frame: all of them, unless they are more than a frame may have.
    pub fn acks(&mut self) -> Option<Frame> {
        while self.wants_acks().is_some() {
            let left = self.pending_acks.len().saturating_sub(PART);
            self.acks_urgent &= left > 0;
            let ids = self.pending_acks.split_off(left);
            let mut acks = Vec::with_capacity(ids.len());
            for id in ids {
                let Some(stream) = self.sessions.get_mut(&id) else { continue };
                stream.noted = false;
                if stream.pending_ack(&self.terms).is_some() {
                    acks.push(stream.ack(id, &self.terms));
                }
            }
            if !acks.is_empty() {
                return Some(Frame::Acks(acks));
            }
        }
        None
    }

    pub(super) fn epoch(&self) -> &str {
        &self.hello.epoch
    }

    /// Tells a session that waits for room that there is some.
    pub(super) fn feed(&mut self, id: Id) {
        if let Some(stream) = self.sessions.get_mut(&id)
            && stream.starved
            && stream.has_room(&self.terms)
        {
            stream.starved = false;
            self.events.push_back(Event::Writable(id));
        }
    }

    pub(super) const fn side(&self) -> Side {
        self.side
    }

    pub(super) fn queue(&mut self, id: Id) {
        if let Some(stream) = self.sessions.get_mut(&id)
            && !stream.queued
            && stream.has_frame()
        {
            stream.queued = true;
            self.ready.push_back(id);
        }
    }

    pub(super) fn note_pending_ack(&mut self, id: Id) {
        let Some(stream) = self.sessions.get_mut(&id) else { return };
        if let Some(urgent) = stream.pending_ack(&self.terms) {
            self.acks_urgent |= urgent;
            if !std::mem::replace(&mut stream.noted, true) {
                self.pending_acks.push(id);
            }
        }
    }
}

/// More than any side causes that reads.
const URGENT_MAX: usize = 4096;

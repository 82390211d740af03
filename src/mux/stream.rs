//! The two directions of one session: what was sent and must be kept, what was received, and the limits of both.

use std::collections::VecDeque;

use super::frame::{Accepted, Ack, Frame, Held, Id, Open, Violation};
use crate::budget::Charge;
use crate::packet::{Closing, Message, Transport};
use crate::window::Window;

/// The terms that apply to all sessions of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Payload bytes that may wait here, in either direction.
    pub(super) window: u64,
    /// Whether the other side uses credit.
    pub(super) credit: bool,
    /// The other side's initial grant.
    pub(super) granted: u64,
    /// Whether what was sent is kept until it is acknowledged.
    pub(super) keeps: bool,
    /// Whether the other side understands close packets.
    pub(super) close_packets: bool,
}

impl Terms {
    /// Returns how much may be sent before anything was acknowledged.
    const fn limit(&self) -> u64 {
        if self.credit { self.granted } else { NO_LIMIT }
    }
}

/// The state of a session's opening.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// The proxy's: waits for the answer to this `open`.
    Asking(Box<Open>),
    /// The backend's: not answered yet.
    Asked,
    /// The backend's: answered with this.
    Answered(Box<Accepted>),
    /// The proxy's: accepted.
    Open,
}

/// One session, seen from one side.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) stage: Stage,
    /// Whether `open` or `ok` is to be written.
    pub(super) stage_due: bool,
    /// Whether it is still used on this side.
    pub(super) held: bool,
    /// Whether it is queued to write something.
    pub(super) queued: bool,
    /// The transport that the other side must be told.
    pub(super) transport: Option<Transport>,
    /// Our `x`, and whether it was written. Boxed because most sessions have none, for most of their lives.
    pub(super) closing: Option<Box<Closing>>,
    pub(super) close_written: bool,
    /// The last thing that its user is told.
    pub(super) end: Option<Box<Closing>>,
    /// Whether the other side has sent its `x`, or never will.
    pub(super) heard_end: bool,
    /// Whether its user waits for room.
    pub(super) starved: bool,
    /// Whether it is listed for an acknowledgement.
    pub(super) noted: bool,
    outgoing: Outgoing,
    incoming: Incoming,
    /// Counts what both hold.
    charge: Charge,
}

#[derive(Debug)]
struct Outgoing {
    /// Messages taken and not acknowledged, by their `seq`.
    window: Window<Message>,
    kept_bytes: u64,
    /// Payload bytes of all messages ever taken.
    bytes: u64,
    /// Messages may be taken while `bytes` is below this; [`NO_LIMIT`] if the other side uses no credit. A number, as an option
    /// would take more room in each session.
    limit: u64,
}

#[derive(Debug)]
struct Incoming {
    waiting: VecDeque<Message>,
    /// The last `seq` received, and the last one acknowledged.
    got: u64,
    acknowledged: u64,
    /// Payload bytes received, and those delivered.
    bytes: u64,
    taken: u64,
    /// The LIMIT that the other side knows.
    granted: u64,
}

impl Stream {
    pub(super) fn new(stage: Stage, terms: &Terms, charge: Charge) -> Self {
        let stage_due = matches!(stage, Stage::Asking(_));
        Self {
            stage,
            stage_due,
            held: true,
            queued: false,
            transport: None,
            closing: None,
            close_written: false,
            end: None,
            heard_end: false,
            starved: false,
            noted: false,
            outgoing: Outgoing {
                window: Window::with_capacity(0),
                kept_bytes: 0,
                bytes: 0,
                limit: terms.limit(),
            },
            incoming: Incoming {
                waiting: VecDeque::new(),
                got: 0,
                acknowledged: 0,
                bytes: 0,
                taken: 0,
                granted: terms.window,
            },
            charge,
        }
    }

    /// Returns how many bytes wait in either direction.
    pub(super) fn buffered(&self) -> usize {
        self.outgoing.buffered() + self.incoming.buffered()
    }

    fn count(&mut self) {
        self.charge.set(self.buffered());
    }

    /// Returns whether messages may be sent.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Answered(_)) && self.closing.is_none() && self.end.is_none()
    }

    /// Applies a hello that came after the session's beginning.
    pub(super) fn regrant(&mut self, terms: &Terms) {
        self.outgoing.limit = terms.limit();
    }

    /// Returns whether both sides have said `x`.
    pub(super) const fn is_over(&self) -> bool {
        self.close_written && self.heard_end
    }

    /// Returns whether one more message can be taken.
    pub(super) fn has_room(&self, terms: &Terms) -> bool {
        let out = &self.outgoing;
        self.is_open()
            && out.bytes < out.limit
            && out.kept_bytes < terms.window
            && out.window.len() < MESSAGES_MAX
    }

    /// Takes a message.
    pub(super) fn send(&mut self, message: Message) {
        let len = message.len() as u64;
        self.outgoing.bytes += len;
        self.outgoing.kept_bytes += len;
        self.outgoing.window.push(message);
        self.count();
    }

    /// Handles the other side's end: it sends and takes nothing more, so what is left for it is dropped.
    pub(super) fn handle_end(&mut self, end: Closing) {
        self.end.get_or_insert_with(|| end.into());
        self.heard_end = true;
        self.outgoing.window.drop_waiting();
        self.count();
    }

    /// Returns whether there is something to write.
    pub(super) fn has_frame(&self) -> bool {
        let unwritten = self.outgoing.window.has_waiting();
        let closing = self.closing.is_some() && !self.close_written;
        self.stage_due || (!self.is_asking() && (unwritten || self.transport.is_some())) || closing
    }

    const fn is_asking(&self) -> bool {
        matches!(self.stage, Stage::Asking(_) | Stage::Asked)
    }

    /// Returns what is to be written next.
    pub(super) fn next_frame(&mut self, id: Id, terms: &Terms) -> Option<Frame> {
        if std::mem::take(&mut self.stage_due) {
            match &self.stage {
                Stage::Asking(open) => return Some(Frame::Open(id, open.clone())),
                Stage::Answered(accepted) => return Some(Frame::Ok(id, accepted.clone())),
                Stage::Asked | Stage::Open => {}
            }
        }
        if !self.is_asking() {
            if let Some((seq, message)) = self.outgoing.next_message(terms.keeps) {
                self.count();
                return Some(Frame::Message(id, seq, message));
            }
            if let Some(transport) = self.transport.take() {
                return Some(Frame::Transport(id, transport.word().to_owned()));
            }
        }
        let closing = self.closing.as_deref().filter(|_| !self.close_written)?;
        self.close_written = true;
        let by_packet = closing.by_packet && terms.close_packets;
        Some(Frame::Close(id, self.outgoing.window.handed_out(), Closing { by_packet, ..closing.clone() }))
    }

    /// Handles a received message. Returns why it closes the session, if it does and the session is still wanted.
    pub(super) fn handle_message(
        &mut self,
        seq: u64,
        message: Message,
        max: Option<u64>,
        terms: &Terms,
    ) -> Result<Option<Closing>, Violation> {
        let wanted = self.closing.is_none();
        let incoming = &mut self.incoming;
        if seq != incoming.got + 1 {
            return Err(Violation("a seq is out of order"));
        }
        incoming.got = seq;
        let (len, waits) = (message.len() as u64, incoming.bytes - incoming.taken);
        let within = if terms.credit { incoming.bytes < incoming.granted } else { waits < terms.window };
        incoming.bytes += len;
        if !wanted {
            // It crossed with our `x`.
            return Ok(None);
        }
        if max.is_some_and(|max| len > max) {
            return Ok(Some(TOO_LARGE));
        }
        // Empty messages cost no credit, but they do cost memory.
        if !within || incoming.waiting.len() >= MESSAGES_MAX {
            return Ok(Some(OVER_CREDIT));
        }
        let message = message.behind(incoming.buffered());
        if incoming.waiting.capacity() == 0 {
            incoming.waiting.reserve_exact(1);
        }
        incoming.waiting.push_back(message);
        self.count();
        Ok(None)
    }

    /// Returns the next message that came.
    pub(super) fn take(&mut self) -> Option<Message> {
        let message = self.incoming.waiting.pop_front()?;
        self.incoming.taken += message.len() as u64;
        self.count();
        Some(message)
    }

    /// Discards received messages that nobody wants any more.
    pub(super) fn forget_incoming(&mut self) {
        self.incoming.waiting = VecDeque::new();
        self.count();
    }

    /// Returns the last `seq` that came.
    pub(super) const fn last_received(&self) -> u64 {
        self.incoming.got
    }

    /// Returns whether an acknowledgement waits; `Some(true)` if the other side may be waiting for it.
    pub(super) const fn pending_ack(&self, terms: &Terms) -> Option<bool> {
        let incoming = &self.incoming;
        let raise = incoming.taken + terms.window - incoming.granted;
        if terms.credit && raise >= terms.window.div_ceil(2) {
            return Some(true);
        }
        if incoming.got > incoming.acknowledged && terms.keeps { Some(false) } else { None }
    }

    /// Returns the acknowledgement.
    pub(super) const fn ack(&mut self, id: Id, terms: &Terms) -> Ack {
        let incoming = &mut self.incoming;
        incoming.acknowledged = incoming.got;
        incoming.granted = incoming.taken + terms.window;
        Ack { id, seq: incoming.got, limit: incoming.granted }
    }

    /// Returns the acknowledgement after a break.
    pub(super) fn held(&mut self, id: Id, terms: &Terms) -> Held {
        let asking = matches!(self.stage, Stage::Asking(_));
        let Ack { seq, limit, .. } = self.ack(id, terms);
        Held { id, seq: if asking { None } else { Some(seq) }, limit }
    }

    /// Handles an acknowledgement: the other side has received everything up to `seq`, and grants `limit`.
    pub(super) fn acknowledge(&mut self, seq: u64, limit: u64) -> Result<(), Violation> {
        let out = &mut self.outgoing;
        if seq > out.window.handed_out() {
            return Err(Violation("what was never sent is acknowledged"));
        }
        out.forget_through(seq);
        out.limit = limit.max(out.limit);
        self.count();
        Ok(())
    }

    /// Resumes after a break: the other side has received everything up to `seq`, and the rest is sent again.
    pub(super) fn resume(&mut self, seq: u64, limit: u64, terms: &Terms) -> Result<(), Violation> {
        if seq < self.outgoing.window.forgotten() {
            return Err(Violation("what was acknowledged is asked for again"));
        }
        // The latest hellos decide whether there is credit.
        let before = Some(self.outgoing.limit).filter(|&limit| limit != NO_LIMIT);
        self.outgoing.limit = if terms.credit { before.unwrap_or_default() } else { NO_LIMIT };
        self.acknowledge(seq, limit)?;
        self.outgoing.window.rewind(seq);
        self.close_written = false;
        Ok(())
    }
}

impl Outgoing {
    fn next_message(&mut self, keeps: bool) -> Option<(u64, Message)> {
        let (seq, message) = self.window.hand_out()?;
        let message = message.clone();
        if !keeps {
            self.forget_through(seq);
        }
        Some((seq, message))
    }

    fn buffered(&self) -> usize {
        buffered(self.window.len(), self.kept_bytes)
    }

    fn forget_through(&mut self, seq: u64) {
        let forgotten: u64 = self.window.forget_through(seq).map(|message| message.len() as u64).sum();
        self.kept_bytes -= forgotten;
    }
}

impl Incoming {
    fn buffered(&self) -> usize {
        buffered(self.waiting.len(), self.bytes - self.taken)
    }
}

/// Returns what so many messages take: those that are no longer kept may still be among the `bytes`.
fn buffered(messages: usize, bytes: u64) -> usize {
    if messages == 0 { 0 } else { messages * MESSAGE_COST + usize::try_from(bytes).unwrap_or(usize::MAX) }
}

/// A message is larger than its receiver accepts.
pub(super) const TOO_LARGE: Closing = Closing::new(1009, "message too large");
/// No number of bytes reaches it.
const NO_LIMIT: u64 = u64::MAX;
/// A message was sent at or beyond the limit.
const OVER_CREDIT: Closing = Closing::new(1008, "over its credit");
/// What a message takes besides its payload.
const MESSAGE_COST: usize = 64;
/// How many messages may wait in one direction, however short they are.
const MESSAGES_MAX: usize = 1 << 16;

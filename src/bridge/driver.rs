//! Drives the session: feeds it what the link, the sockets and the clock bring, and carries out its events.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::sync::oneshot;

use super::admission::{Losses, Membership, Undelivered};
use super::clock::{Clock, clock_now};
use super::info::BridgeInfo;
use super::places::Queue;
use super::polls::Polls;
use super::socket::{ClientSocket, SocketEnd};
use crate::budget::Holding;
use crate::end::End;
use crate::limited::Limit;
use crate::packet::{Packet, Transport};
use crate::session::{PushOutcome, Session};
use crate::upstream::{Link, LinkEvent};

/// Everything behind a bridge's lock.
pub(super) struct Driver {
    pub(super) session: Session,
    pub(super) info: Arc<BridgeInfo>,
    pub(super) link: Option<Box<dyn Link>>,
    pub(super) link_state: Pipe,
    /// Whether the link was read until it was pending: then it wakes the task when there is more, and no request's turn
    /// reads it in between.
    awaits_link: bool,
    pub(super) socket: Option<Box<dyn ClientSocket>>,
    pub(super) socket_state: Pipe,
    pub(super) probe: Option<Box<dyn ClientSocket>>,
    pub(super) probe_state: Pipe,
    pub(super) polls: Polls,
    pub(super) push: Option<oneshot::Sender<PushOutcome>>,
    /// The size of the current POST's body, less the payload that the link has accepted.
    pub(super) push_rest: usize,
    /// The queued POSTs, if the client may send several at once.
    pub(super) queue: Option<Box<Queue>>,
    /// The session's entry in the index, until its client is gone.
    pub(super) entry: Option<Box<dyn Membership>>,
    pub(super) undelivered: Option<Undelivered>,
    /// Counts what is lost after a drain has ended the session, which is reported nowhere else.
    pub(super) losses: Option<Losses>,
    /// What all its buffers take.
    pub(super) holding: Holding,
    /// The part that is on its way to receivers.
    pub(super) delivering: usize,
    /// Whether the link and the client's WebSocket may hold something else than when it was counted.
    pub(super) have_pipes_changed: bool,
    /// The last transport, and why the session ended, once its client is gone.
    pub(super) ended: Option<(Transport, End)>,
    /// Whether its end was logged.
    pub(super) is_logged: bool,
    clock: Clock,
    /// The task's waker, with which all I/O is polled.
    pub(super) waker: Waker,
}

/// The state of what was sent on a pipe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pipe {
    Clean,
    /// Something still needs a flush.
    Dirty,
    /// Nothing can be sent; what was received before can still be read.
    Broken,
}

impl Driver {
    pub(super) fn new(
        session: Session,
        info: Arc<BridgeInfo>,
        link: Box<dyn Link>,
        socket: Option<Box<dyn ClientSocket>>,
        entry: Box<dyn Membership>,
        holding: Holding,
    ) -> Self {
        Self {
            session,
            info,
            link: Some(link),
            link_state: Pipe::Clean,
            awaits_link: false,
            socket,
            socket_state: Pipe::Clean,
            probe: None,
            probe_state: Pipe::Clean,
            polls: Polls::default(),
            push: None,
            push_rest: 0,
            queue: None,
            entry: Some(entry),
            undelivered: None,
            losses: None,
            holding,
            delivering: 0,
            have_pipes_changed: true,
            ended: None,
            is_logged: false,
            clock: Clock::default(),
            // A request may drive the session before the task's first turn, which polls all I/O again with the task's
            // waker.
            waker: Waker::noop().clone(),
        }
    }

    /// Runs the task's turn; ready once the session is over.
    pub(super) fn poll_task(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.waker.will_wake(cx.waker()) {
            self.waker.clone_from(cx.waker());
            self.clock.disarm();
        }
        self.awaits_link = false;
        self.drive();
        if self.session.is_over() {
            self.undelivered = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Runs a request's turn: does the same, and wakes the task if the session is over.
    pub(super) fn drive_inline(&mut self) {
        self.drive();
        if self.session.is_over() {
            self.waker.wake_by_ref();
        }
    }

    /// Handles an expired deadline, so that the resulting responses go out before a new request takes their place.
    pub(super) fn catch_up(&mut self, now: Instant) {
        if self.clock.may_be_due(now) {
            self.drive_inline();
        }
    }

    /// Returns whether a turn would find nothing to do: the link wakes the task when it has something, and the session
    /// waits for that, or for its client.
    pub(super) fn is_at_rest(&self) -> bool {
        self.awaits_link && self.session.is_at_rest()
    }

    fn drive(&mut self) {
        self.run_turns();
        self.count();
    }

    fn run_turns(&mut self) {
        // The task's waker, not the caller's: a request that is dropped would take the wake-up with it.
        let waker = self.waker.clone();
        let mut cx = Context::from_waker(&waker);
        for _ in 0..TURNS_MAX {
            let now = clock_now();
            if self.clock.may_be_due(now) {
                self.session.handle_timeout(now);
            }
            // This ends even if both sides send without pause: a socket is pending once the task's budget is used up.
            while self.turn(&mut cx, now) {}
            let Some(deadline) = self.session.poll_timeout() else { return };
            if self.clock.poll(&mut cx, deadline).is_pending() {
                return;
            }
        }
        // Other tasks need this thread too.
        waker.wake();
    }

    /// Runs one round over everything that may be ready. Returns whether anything moved.
    fn turn(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        if self.holding.is_tight() || self.session.is_short_of_room() {
            self.make_room(now);
        }
        // A link that was read until it was pending, and has nothing to flush, is not polled.
        self.have_pipes_changed |=
            !self.awaits_link || self.link_state == Pipe::Dirty || self.socket.is_some();
        // In this order: an event may bring the socket that is fed next (`Adopt`), and one flush at the end writes what
        // the whole round has sent.
        let mut moved = self.read_link(cx, now);
        moved |= self.feed_link(cx, now);
        moved |= self.read_socket(cx, now);
        moved |= self.read_probe(cx, now);
        while let Some(event) = self.session.poll(now) {
            self.handle_event(event, now);
            moved = true;
        }
        moved |= self.feed_socket(cx, now);
        moved |= self.flush(cx, now);
        self.have_pipes_changed |= moved;
        moved
    }

    fn read_link(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut moved = false;
        let mut uncounted = 0;
        // A broken link is read to its end even if messages for the client are waiting: little can follow.
        while !self.awaits_link && (self.session.wants_upstream() || self.link_state == Pipe::Broken) {
            let Some(link) = &mut self.link else { break };
            match link.poll_next(cx) {
                Poll::Pending => {
                    self.awaits_link = true;
                    break;
                }
                Poll::Ready(LinkEvent::Message(message)) => {
                    uncounted += message.len();
                    self.session.handle_upstream(message, now);
                    if uncounted >= UNCOUNTED_MAX {
                        uncounted = 0;
                        self.have_pipes_changed = true;
                        self.count();
                        self.make_room(now);
                    }
                }
                Poll::Ready(LinkEvent::Closed(closing)) => {
                    // The backend's Close is answered in a task of its own.
                    self.close_link_later(closing.clone());
                    self.session.handle_upstream_closed(closing, now);
                }
                Poll::Ready(LinkEvent::Stalled) => {
                    self.close_link_later(End::Stalled.closing());
                    self.session.handle_upstream_stalled(now);
                }
            }
            moved = true;
        }
        moved
    }

    fn feed_link(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut moved = false;
        while self.session.has_for_link() && self.link_state != Pipe::Broken {
            let Some(link) = &mut self.link else { break };
            // Room first: `next_for_link` may complete the POST, and its `ok` says that the link has taken the message.
            match link.poll_ready(cx) {
                Poll::Pending => break,
                Poll::Ready(Err(_)) => self.break_link(now),
                Poll::Ready(Ok(())) => {
                    let Some(message) = self.session.next_for_link(now) else {
                        self.info.limited.reached(Limit::Messages, None);
                        break;
                    };
                    let transport = self.session.transport();
                    self.info.from_client(transport, 1, message.len() as u64);
                    self.push_rest = self.push_rest.saturating_sub(message.len());
                    match link.start_send(message) {
                        Ok(()) => self.link_state = Pipe::Dirty,
                        Err(_) => self.break_link(now),
                    }
                }
            }
            moved = true;
        }
        moved
    }

    fn break_link(&mut self, now: Instant) {
        self.link_state = Pipe::Broken;
        // What broke it is still to be read.
        self.awaits_link = false;
        self.session.handle_link_broken(now);
    }

    fn read_socket(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut moved = false;
        while self.session.wants_client() {
            let Some(socket) = &mut self.socket else { break };
            match socket.poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(packet)) => self.session.handle_packet(packet, now),
                Poll::Ready(Err(SocketEnd { end, closing })) => {
                    self.session.handle_socket_end(end, closing, now);
                }
            }
            moved = true;
            // The inbox holds one message, so this one is passed on before the next is read.
            self.feed_link(cx, now);
            if self.session.is_ended() {
                break;
            }
        }
        moved
    }

    fn read_probe(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let Some(probe) = &mut self.probe else { return false };
        // Each probe is answered, so none is read before there is room for the answer.
        match probe.poll_ready(cx) {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => {
                self.session.handle_probe_gone();
                return true;
            }
        }
        match probe.poll_next(cx) {
            Poll::Pending => return false,
            Poll::Ready(Ok(packet)) => self.session.handle_probe_packet(&packet, now),
            Poll::Ready(Err(_)) => self.session.handle_probe_gone(),
        }
        true
    }

    fn feed_socket(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut moved = false;
        while self.session.has_for_socket() && self.socket_state != Pipe::Broken {
            if self.session.is_short_of_room() {
                // Another message may become much longer as it is written.
                self.have_pipes_changed = true;
                self.count();
                self.make_room(now);
            }
            let Some(socket) = &mut self.socket else { break };
            match socket.poll_ready(cx) {
                Poll::Pending => break,
                Poll::Ready(Err(_)) => self.break_socket(now),
                Poll::Ready(Ok(())) => {
                    let since = self.session.oldest_message();
                    let Some(packet) = self.session.next_for_socket(now) else { break };
                    if let Packet::Message(message) = &packet {
                        self.info.to_client(Transport::WebSocket, 1, message.len() as u64);
                        let wait = since.map(|since| now.saturating_duration_since(since));
                        self.info.meter.delivered_after(Transport::WebSocket, wait.unwrap_or_default());
                    }
                    match socket.start_send(packet) {
                        Ok(()) => self.socket_state = Pipe::Dirty,
                        Err(_) => self.break_socket(now),
                    }
                }
            }
            moved = true;
        }
        moved
    }

    fn break_socket(&mut self, now: Instant) {
        self.socket_state = Pipe::Broken;
        let end = self.socket.as_mut().map_or(End::ClientGone, |socket| socket.broken());
        self.session.handle_socket_end(end, None, now);
    }

    /// Flushes everything that a turn has written.
    fn flush(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut moved = false;
        if let (Pipe::Dirty, Some(link)) = (self.link_state, &mut self.link) {
            match link.poll_flush(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.link_state = Pipe::Clean,
                Poll::Ready(Err(_)) => {
                    self.break_link(now);
                    moved = true;
                }
            }
        }
        if let (Pipe::Dirty, Some(probe)) = (self.probe_state, &mut self.probe)
            && probe.poll_flush(cx).is_ready()
        {
            // A failure shows up at the next read.
            self.probe_state = Pipe::Clean;
        }
        if let (Pipe::Dirty, Some(socket)) = (self.socket_state, &mut self.socket) {
            match socket.poll_flush(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.socket_state = Pipe::Clean,
                Poll::Ready(Err(_)) => {
                    self.break_socket(now);
                    moved = true;
                }
            }
        }
        moved
    }
}

/// How much a session may read until what it holds is counted.
const UNCOUNTED_MAX: usize = 16 << 10;
/// How often the timer may fire within one turn of the task.
const TURNS_MAX: usize = 8;

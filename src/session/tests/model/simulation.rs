//! Everything around a session, and what must hold at any time.

mod backend;
mod client;

use std::collections::VecDeque;

use bytes::Bytes;

use super::super::super::Rate;
use super::super::*;
use super::Kind;
use super::ledger::{Ledger, binary, number, number_of_any, numbered, numbers};
use super::script::{Cursor, Op, Sent, Which};
use crate::codec::engineio::encoded_len;
use crate::frame::Malformed;

/// A backend, a link, a client and a driver.
#[expect(clippy::struct_excessive_bools, reason = "what is true of a simulation, each by itself")]
pub(super) struct Simulation {
    pub(super) session: Session,
    now: Instant,
    kind: Kind,
    settings: Arc<Settings>,
    ledger: Ledger,
    /// The number of the last message.
    last: u32,
    backend: VecDeque<Message>,
    backend_closed: bool,
    /// How the backend's side is known to have ended.
    closing: Closing,
    /// The backend has sent what its client cannot receive, and is disconnected for it.
    refuses: bool,
    link: LinkState,
    link_room: usize,
    /// The link broke, and was read to its end even while messages waited for the client.
    broke: bool,
    parked: bool,
    /// The parked receiver is a stream.
    streams: bool,
    /// The time of the last poll.
    polled: Instant,
    /// A newer receiver has arrived, and the one before has not been told.
    replaced: bool,
    /// What the client acknowledges next, unless it is the truth.
    cursor: Option<Cursor>,
    /// What it has acknowledged.
    acknowledged: usize,
    /// Batches that are neither written nor lost.
    deliveries: VecDeque<Vec<Packet>>,
    push: Push,
    candidate: bool,
    socket: bool,
    socket_room: usize,
    /// What the client sent on its socket and the session has not read.
    inbound: VecDeque<Result<Packet, End>>,
    /// The deadline of a closing session.
    deadline: Option<Instant>,
    /// The proxy is stopping, and the link still serves the client.
    draining: bool,
    ended: Option<(End, Instant)>,
    /// The client has been told of the session, or need not be.
    known: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LinkState {
    Open,
    /// It breaks when it is given a message.
    Choking,
    Broken,
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Push {
    None,
    Reading,
    /// Accepted once the link has accepted this many messages in total.
    Waiting(usize),
}

impl Simulation {
    pub(super) fn new(kind: Kind, transport: Transport, paced: bool) -> Self {
        let settings = Arc::new(Settings {
            outbox_max: 1000,
            batch_max: 500,
            linger: 3 * MS,
            stall_timeout: 1000 * MS,
            upgrade_timeout: 500 * MS,
            close_timeout: 400 * MS,
            rate: Rate { messages: paced.then_some(5), bytes: None },
            ..Settings::default()
        });
        let now = tokio::time::Instant::now().into_std();
        let pace = Heartbeat { interval: 400 * MS, timeout: 300 * MS };
        let open = (kind != Kind::Cursor).then(open);
        let session =
            Session::new(kind.policy(), Arc::clone(&settings), transport, pace, KEEP_ALIVE, open, now);
        let mut simulation = Self {
            session,
            now,
            kind,
            settings,
            ledger: Ledger::default(),
            last: 0,
            backend: VecDeque::new(),
            backend_closed: false,
            closing: Closing::default(),
            refuses: false,
            link: LinkState::Open,
            link_room: 10,
            broke: false,
            parked: false,
            streams: false,
            polled: now,
            replaced: false,
            cursor: None,
            acknowledged: 0,
            deliveries: VecDeque::new(),
            push: Push::None,
            candidate: false,
            socket: transport == Transport::WebSocket,
            socket_room: 10,
            inbound: VecDeque::new(),
            deadline: None,
            draining: false,
            ended: None,
            known: kind == Kind::Cursor,
        };
        simulation.drive();
        simulation
    }

    pub(super) fn happen(&mut self, op: Op) {
        match op {
            // A broken link delivers what was on its way, and no more.
            Op::Upstream(..) | Op::Binary(_) if self.link == LinkState::Broken => {}
            Op::Upstream(count, len) => {
                for _ in 0..count {
                    let message = self.fresh(len);
                    self.backend.push_back(message);
                }
            }
            Op::UpstreamCloses => self.backend_closed = true,
            Op::Binary(Some(len)) => {
                let message = binary(self.fresh(len));
                self.backend.push_back(message);
            }
            Op::Binary(None) => self.backend.push_back(Message::Binary(Bytes::from_static(b"\xff"))),
            Op::LinkRoom(room) => self.link_room = room,
            Op::LinkBreaks if self.link == LinkState::Open => self.break_link(),
            Op::LinkChokes if self.link == LinkState::Open => self.link = LinkState::Choking,
            Op::SocketRoom(room) => self.socket_room = room,
            Op::Poll(overlap) => self.poll(overlap),
            Op::Stream(overlap, budget) => self.stream(overlap, budget),
            Op::Cursor(cursor) => self.cursor = Some(cursor),
            Op::HangUp => self.hang_up(),
            Op::Settle(which) => self.settle(which),
            Op::Lose(which) => self.lose(which),
            Op::GiveBack => self.give_back(),
            Op::PushBegins(overlap) => self.begin_push(overlap),
            Op::PushEnds(says) => self.end_push(says),
            Op::PushBreaks => self.break_push(),
            Op::PushTooLarge => self.refuse_push(),
            Op::PushInvalid => self.refuse_push_kind(),
            Op::Candidate => self.candidate(),
            Op::CandidateSays(packet) => self.session.handle_probe_packet(&packet, self.now),
            Op::CandidateGone => self.session.handle_probe_gone(),
            Op::SocketSays(says) => self.say(says),
            Op::SocketEnds(end) if self.socket => self.inbound.push_back(Err(end)),
            Op::SocketBreaks if self.socket => {
                self.session.handle_socket_end(End::ClientGone, None, self.now);
            }
            // A link or socket that is not there cannot end.
            Op::LinkBreaks | Op::LinkChokes | Op::SocketEnds(_) | Op::SocketBreaks => {}
            Op::Wait(ms) => self.now += ms * MS,
            Op::WaitForDeadline => self.now = self.session.poll_timeout().unwrap_or(self.now),
            Op::Drain(ms) => self.drain(ms * MS),
            Op::Room(room) => self.session.handle_room(room, room, self.now),
            Op::Shortage => self.session.handle_shortage(self.now),
            Op::Expire(ms) => self.session.expire_at(self.now + ms * MS),
        }
        self.drive();
    }

    /// Stops client and backend: every wait must come to an end.
    pub(super) fn fall_silent(mut self) {
        if self.kind == Kind::Cursor {
            // The client may ask for a batch again, so the session does not wait for a connection that accepts nothing.
            while !self.deliveries.is_empty() {
                self.lose(Which::Oldest);
                self.drive();
            }
        }
        if self.kind.streams() && self.deliveries.is_empty() {
            // Neither side pings: only its connection shows whether the client is alive.
            self.hang_up();
            self.drive();
        }
        for _ in 0..200 {
            let Some(deadline) = self.session.poll_timeout() else { return self.check_over() };
            self.now = deadline;
            self.drive();
        }
        panic!("a session outlives its dead client: {:?}", self.session);
    }

    fn check_over(&self) {
        assert!(self.session.is_over());
        assert!(self.ended.is_some());
        assert_eq!(self.link, LinkState::Gone);
        assert_eq!(self.push, Push::None, "a POST was left without an answer");
    }

    /// Does what a driver does after each event.
    fn drive(&mut self) {
        self.session.handle_timeout(self.now);
        while self.turn() {}
        self.check();
    }

    fn turn(&mut self) -> bool {
        let mut moved = self.read_link();
        moved |= self.feed_link();
        moved |= self.read_socket();
        while let Some(event) = self.session.poll(self.now) {
            self.obey(event);
            moved = true;
        }
        moved | self.feed_socket()
    }

    fn feed_socket(&mut self) -> bool {
        let mut moved = false;
        while self.socket_room > 0
            && let Some(packet) = self.session.next_for_socket(self.now)
        {
            assert!(self.socket && self.ended.is_none(), "{packet:?} came when there was no socket for it");
            assert!(!matches!(packet, Packet::Close(_)), "a socket is closed without a packet");
            self.socket_room -= 1;
            self.ledger.got.extend(numbers(&[packet]));
            moved = true;
        }
        moved
    }

    fn obey(&mut self, event: Event) {
        assert!(
            self.ended.is_none() || matches!(event, Event::PushDone(_) | Event::CloseLink(_)),
            "{event:?} came behind the end"
        );
        match event {
            Event::Answer(batch) => self.answer(batch),
            Event::Part(batch) => self.part(batch),
            Event::PushDone(outcome) => self.finish_push(outcome),
            Event::Probe(packet) => assert!(self.candidate && packet == Packet::Pong("probe".into())),
            Event::CloseProbe => assert!(std::mem::take(&mut self.candidate), "there was no candidate"),
            Event::Adopt => {
                assert!(std::mem::take(&mut self.candidate), "there was no candidate");
                self.socket = true;
            }
            Event::CloseSocket(..) => assert!(std::mem::take(&mut self.socket), "there was no socket"),
            // If it was requested just as the link ended, there is no link for it.
            Event::KeepAlive => {}
            Event::CloseLink(_) => self.close_link(),
            Event::Ended(end) => self.end(end),
        }
    }

    fn end(&mut self, end: End) {
        assert!(!self.candidate && !self.socket, "a socket outlives its session");
        assert!(!self.parked || end == End::ClientGone, "a poll was left without an answer");
        self.parked = false;
        self.ended = Some((end, self.now));
        let in_time = self.deadline.is_some_and(|deadline| self.now < deadline);
        if matches!(end, End::UpstreamClosed | End::Drained) && in_time {
            let mut handed = self.ledger.got.clone();
            if self.kind == Kind::Cursor {
                handed.truncate(self.acknowledged);
            } else {
                handed.extend(self.deliveries.iter().flat_map(|batch| numbers(batch)));
            }
            assert_eq!(handed, self.ledger.fed, "the client was let go too early");
        }
    }

    /// Returns a message with the next number.
    fn fresh(&mut self, len: usize) -> Message {
        self.last += 1;
        numbered(self.last, len)
    }

    /// Checks what the session's id reports after its end.
    fn check_ending(&self) {
        let policy = self.kind.policy();
        let said = self.session.ending().map(|ending| ending.closing);
        match self.ended {
            Some((end, _)) => assert_eq!(said, policy.why.map(|why| why(end, &self.closing))),
            None => assert!(said.is_none() || (policy.why.is_some() && self.link == LinkState::Gone)),
        }
        assert_eq!(self.session.remembered().is_some(), self.known && !policy.remembered.is_zero());
    }

    fn check(&self) {
        self.ledger.check();
        assert_eq!(self.session.is_parked(), self.parked);
        assert_eq!(self.session.is_ended(), self.ended.is_some());
        self.check_ending();
        match self.session.poll_timeout() {
            Some(deadline) => assert!(deadline > self.now, "a driver would spin"),
            None => assert!(self.session.is_over(), "nothing would ever end the session"),
        }
        if self.broke {
            return;
        }
        // A batch may come back where others have taken its place.
        let returned = if self.kind == Kind::Cursor { 0 } else { self.settings.outbox_max + COST_MAX };
        let bound = self.settings.outbox_max + COST_MAX + returned;
        assert!(self.session.outbox.cost() <= bound, "{} bytes wait", self.session.outbox.cost());
    }
}

/// The largest message, and the pings that may still be due to a stalled client.
const COST_MAX: usize = 300 + 64 + 8 * 64;
/// How long a poll with a cursor waits.
const WAIT: Duration = Duration::from_millis(40);
const KEEP_ALIVE: Duration = Duration::from_millis(150);

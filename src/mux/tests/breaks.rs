//! Two lists for each session and direction, under breaks at any frame: what arrives is a prefix of what was sent, and
//! all of it if neither side closed.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

/// What happens next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Open,
    /// The backend accepts a session, or denies it.
    Answer(usize, bool),
    Send(usize, bool, usize),
    Take(usize, bool),
    Close(usize, bool),
    /// Frames reach the other side.
    Deliver(bool, usize),
    Acks(bool),
    /// The connection breaks after this many more frames have arrived.
    Break(usize, usize),
}

impl Op {
    /// Returns the step for a random number, which is used up from its lowest part.
    fn from_random(number: u64) -> Self {
        let mut rest = number;
        let mut below = |sides: u64| {
            let rolled = rest % sides;
            rest /= sides;
            usize::try_from(rolled).unwrap()
        };
        match below(38) {
            0..2 => Self::Open,
            2..5 => Self::Answer(below(64), below(256) > 30),
            5..15 => Self::Send(below(64), below(2) == 1, below(40)),
            15..23 => Self::Take(below(64), below(2) == 1),
            23 => Self::Close(below(64), below(2) == 1),
            24..34 => Self::Deliver(below(2) == 1, 1 + below(5)),
            34..36 => Self::Acks(below(2) == 1),
            _ => Self::Break(below(6), below(6)),
        }
    }
}

/// One direction of one session.
#[derive(Default)]
struct Ledger {
    sent: Vec<Message>,
    taken: Vec<Message>,
    /// The end that the reader was told.
    end: Option<Closing>,
}

struct Simulation {
    lines: [Line; 2],
    /// Frames in transit to the side with this index.
    wires: [VecDeque<Message>; 2],
    ledgers: BTreeMap<(Id, usize), Ledger>,
    /// Sessions whose proxy waits for an answer.
    ids: Vec<Id>,
    asked: Vec<Id>,
    open: [Vec<Id>; 2],
    closed: Vec<(Id, usize)>,
    profile: Profile,
    number: usize,
}

const PROXY: usize = 0;
const BACKEND: usize = 1;
const WINDOW: u64 = 64;

impl Simulation {
    fn new(profile: Profile) -> Self {
        let mut simulation = Self {
            lines: [proxy(WINDOW), backend(WINDOW, true)],
            wires: [VecDeque::new(), VecDeque::new()],
            ledgers: BTreeMap::new(),
            ids: Vec::new(),
            asked: Vec::new(),
            open: [Vec::new(), Vec::new()],
            closed: Vec::new(),
            profile,
            number: 0,
        };
        simulation.lines.iter_mut().for_each(Line::connect);
        simulation
    }

    fn happen(&mut self, op: Op) {
        let pick = |list: &[Id], at: usize| (!list.is_empty()).then(|| list[at % list.len()]);
        match op {
            Op::Open => {
                let id = self.lines[PROXY].open(opening()).expect("a number");
                self.ids.push(id);
            }
            Op::Answer(at, yes) => {
                let Some(id) = pick(&self.asked, at) else { return };
                self.asked.retain(|asked| *asked != id);
                if yes {
                    self.lines[BACKEND].accept(id, Accepted::default());
                    self.open[BACKEND].push(id);
                } else {
                    let status = http::StatusCode::FORBIDDEN;
                    let (reason, headers) = (String::new(), http::HeaderMap::new());
                    self.lines[BACKEND].deny(id, Denied { status, reason, headers, engine_io: false });
                }
            }
            Op::Send(at, backend, len) => {
                let side = usize::from(backend);
                let Some(id) = pick(&self.open[side], at) else { return };
                if self.closed.contains(&(id, side)) || !self.lines[side].poll_room(id) {
                    return;
                }
                self.number += 1;
                let message = Message::text(format!("{}{}", self.number, "x".repeat(len)));
                self.lines[side].send(id, message.clone());
                self.ledgers.entry((id, 1 - side)).or_default().sent.push(message);
            }
            Op::Take(at, backend) => {
                let side = usize::from(backend);
                if let Some(id) = pick(&self.open[side], at) {
                    self.take(id, side);
                }
            }
            Op::Close(at, backend) => {
                let side = usize::from(backend);
                let Some(id) = pick(&self.open[side], at) else { return };
                if !self.closed.contains(&(id, side)) {
                    self.closed.push((id, side));
                    self.lines[side].close(id, Closing::new(4000, "told"));
                }
            }
            Op::Deliver(backend, count) => {
                self.write();
                self.deliver(usize::from(backend), count);
            }
            Op::Acks(backend) => {
                self.write();
                if let Some(frame) = self.lines[usize::from(backend)].acks() {
                    self.wires[1 - usize::from(backend)].push_back(self.profile.encode(&frame));
                }
            }
            Op::Break(to_backend, to_proxy) => {
                self.write();
                self.deliver(BACKEND, to_backend);
                self.deliver(PROXY, to_proxy);
                self.wires = [VecDeque::new(), VecDeque::new()];
                for line in &mut self.lines {
                    line.disconnect();
                    line.connect();
                }
            }
        }
    }

    fn write(&mut self) {
        for side in [PROXY, BACKEND] {
            while let Some(frame) = self.lines[side].poll() {
                self.wires[1 - side].push_back(self.profile.encode(&frame));
            }
        }
    }

    fn deliver(&mut self, side: usize, count: usize) {
        for _ in 0..count {
            let Some(written) = self.wires[side].pop_front() else { return };
            let frame = self.profile.decode(written).expect("what was written can be read");
            if let Err(violation) = self.lines[side].handle(frame.clone()) {
                panic!("side {side}: {violation}: {frame:?}");
            }
            while let Some(event) = self.lines[side].event() {
                match event {
                    Event::Asked(id, _) => self.asked.push(id),
                    Event::Answered(id, answer) => {
                        self.ids.retain(|waiting| *waiting != id);
                        if answer.is_ok() {
                            self.open[PROXY].push(id);
                        }
                    }
                    Event::Unanswered(id, _) | Event::Unsent(id) => panic!("{id:?} was given up"),
                    Event::Hello
                    | Event::Readable(_)
                    | Event::Writable(_)
                    | Event::Transport(..)
                    | Event::Drain(_) => {}
                }
            }
        }
    }

    /// Takes the next item of a session; returns whether there was one.
    fn take(&mut self, id: Id, side: usize) -> bool {
        if self.closed.contains(&(id, side)) {
            return false;
        }
        let ledger = self.ledgers.entry((id, side)).or_default();
        match self.lines[side].take(id) {
            Some(Notice::Message(message)) => {
                ledger.taken.push(message);
                let count = ledger.taken.len();
                assert_eq!(ledger.taken[..], ledger.sent[..count], "{id:?} to {side}: no prefix");
            }
            Some(Notice::Closed(closing)) => {
                ledger.end = Some(closing);
                self.closed.push((id, side));
                self.lines[side].close(id, Closing::new(4000, "told"));
            }
            None => return false,
        }
        true
    }

    /// Lets both sides take everything until nothing moves.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            self.write();
            for side in [PROXY, BACKEND] {
                if let Some(frame) = self.lines[side].acks() {
                    self.wires[1 - side].push_back(self.profile.encode(&frame));
                }
            }
            let quiet = self.asked.is_empty() && self.wires.iter().all(VecDeque::is_empty);
            self.deliver(BACKEND, usize::MAX);
            self.deliver(PROXY, usize::MAX);
            for id in std::mem::take(&mut self.asked) {
                self.lines[BACKEND].accept(id, Accepted::default());
                self.open[BACKEND].push(id);
            }
            for side in [PROXY, BACKEND] {
                for id in self.open[side].clone() {
                    while self.take(id, side) {}
                }
            }
            if quiet && self.wires.iter().all(VecDeque::is_empty) {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn check(&self) {
        assert!(self.ids.is_empty(), "{:?} have no answer", self.ids);
        for (&(id, side), ledger) in &self.ledgers {
            let reader_closed = self.closed.contains(&(id, side)) && ledger.end.is_none();
            if !reader_closed {
                assert_eq!(ledger.taken, ledger.sent, "{id:?} to {side}: something is missing");
            }
            if let Some(end) = &ledger.end {
                assert_eq!(*end, Closing::new(4000, "told"), "{id:?} to {side}: the reason is the sender's");
            }
        }
        let closed = |id: &Id| self.closed.contains(&(*id, PROXY)) || self.closed.contains(&(*id, BACKEND));
        for (side, line) in self.lines.iter().enumerate() {
            for id in line.sessions.keys() {
                assert!(!closed(id), "{id:?} was closed, and side {side} still knows it");
            }
        }
    }
}

/// Returns any script.
pub(crate) fn script() -> impl Strategy<Value = Vec<Op>> {
    let numbers = prop::collection::vec(any::<u64>(), 0..200);
    numbers.prop_map(|numbers| numbers.into_iter().map(Op::from_random).collect())
}

/// Plays a script, and panics if anything is lost, duplicated or reordered.
pub(crate) fn nothing_is_lost(profile: Profile, script: Vec<Op>) {
    let mut simulation = Simulation::new(profile);
    for op in script {
        simulation.happen(op);
    }
    simulation.settle();
    simulation.check();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn nothing_is_lost_doubled_or_reordered_by_any_break(script in script()) {
        nothing_is_lost(Profile::Binary, script);
    }

    #[test]
    fn nor_is_it_in_json(script in script()) {
        nothing_is_lost(Profile::Json, script);
    }
}

const CASES: u32 = 500;

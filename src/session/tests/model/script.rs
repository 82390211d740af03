//! The events that may happen around a session, and how a number becomes such an event.

use super::super::*;
use super::Kind;

/// The next event. An event that is impossible at present is skipped.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// The backend sends this many messages of this length.
    Upstream(usize, usize),
    UpstreamCloses,
    /// The backend sends a binary message, which is text of this length or cannot be text.
    Binary(Option<usize>),
    /// How many more messages the link accepts.
    LinkRoom(usize),
    LinkBreaks,
    /// The link breaks when it is given the next message.
    LinkChokes,
    /// How many more packets the client's socket accepts.
    SocketRoom(usize),
    Poll(Overlap),
    /// A stream with this budget.
    Stream(Overlap, usize),
    /// What the client acknowledges with its next receiver, truthfully or not.
    Cursor(Cursor),
    HangUp,
    /// The oldest batch, or the newest, was written.
    Settle(Which),
    Lose(Which),
    /// The client's node is gone: a poll that waits, and a batch that nobody was told of, are given back.
    GiveBack,
    PushBegins(Overlap),
    PushEnds(Vec<Sent>),
    PushBreaks,
    PushTooLarge,
    PushInvalid,
    Candidate,
    CandidateSays(Packet),
    CandidateGone,
    SocketSays(Vec<Sent>),
    SocketEnds(End),
    SocketBreaks,
    Wait(u32),
    WaitForDeadline,
    Drain(u32),
    /// How much may wait for the client, because others need memory.
    Room(usize),
    /// The session ends because others need memory.
    Shortage,
    /// What permitted the client to come in expires this many milliseconds later.
    Expire(u32),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Overlap {
    /// Not while another one is in progress.
    Never,
    Allowed,
}

/// What a client acknowledges, which becomes its new position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cursor {
    Silent,
    /// It has forgotten this many messages.
    Back(usize),
    /// A number that is impossible.
    Ahead,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Which {
    Oldest,
    Newest,
}

/// What a client sends.
#[derive(Clone, Debug)]
pub(super) enum Sent {
    /// A message of this length; the simulation numbers it.
    Message(usize),
    Other(Packet),
    Nonsense,
}

impl Op {
    /// Returns the event for a random number. With `HangUp::Ends`, a loss ends the session and must be rare.
    pub(super) fn from_random(number: u64, kind: Kind) -> Self {
        let mut dice = Dice(number);
        let loss = if kind.policy().hang_up == HangUp::Ends { 1 } else { 15 };
        let (streams, cursors) = (25 * u32::from(kind.streams()), 10 * u32::from(kind == Kind::Cursor));
        let overlapping = if kind.streams() { 15 } else { 1 };
        // Clients with streams do not move to a WebSocket.
        let (candidates, sockets) = if kind.streams() { (0, 0) } else { (2, 4) };
        match dice.pick(&[6, 8, 8, candidates, sockets, 3]) {
            0 => dice.back(kind),
            1 => match dice.pick(&[50, 50, overlapping, loss, loss, streams, streams / 2, cursors, 8]) {
                0 => Self::Poll(Overlap::Never),
                1 => Self::Settle(dice.which()),
                2 => Self::Poll(Overlap::Allowed),
                3 => Self::HangUp,
                4 => Self::Lose(dice.which()),
                5 => Self::Stream(Overlap::Never, 1 + dice.below(900)),
                6 => Self::Stream(Overlap::Allowed, 1 + dice.below(900)),
                8 => Self::GiveBack,
                _ => Self::Cursor(match dice.pick(&[1, 3, 1]) {
                    0 => Cursor::Silent,
                    1 => Cursor::Back(dice.below(4)),
                    _ => Cursor::Ahead,
                }),
            },
            2 => match dice.pick(&[50, 50, 2, 1, 1, 1]) {
                0 => Self::PushBegins(Overlap::Never),
                1 => Self::PushEnds(dice.says()),
                2 => Self::PushTooLarge,
                3 => Self::PushBreaks,
                4 => Self::PushInvalid,
                _ => Self::PushBegins(Overlap::Allowed),
            },
            3 => dice.candidate(),
            4 => match dice.pick(&[50, 50, 1, 1]) {
                0 => Self::SocketSays(dice.says()),
                1 => Self::SocketRoom(dice.below(6)),
                2 => Self::SocketEnds([End::ClientClosed, End::ClientGone, End::TooLarge][dice.below(3)]),
                _ => Self::SocketBreaks,
            },
            _ => match dice.pick(&[16, 6, 1, 3]) {
                0 => Self::Wait(dice.below_u32(6)),
                1 => Self::Wait(dice.below_u32(120)),
                2 => Self::Wait(dice.below_u32(700)),
                _ => Self::WaitForDeadline,
            },
        }
    }
}

/// A number that is consumed in parts. One that is used up yields zeros.
struct Dice(u64);

impl Dice {
    fn below_u32(&mut self, sides: u32) -> u32 {
        let rolled = self.0 % u64::from(sides);
        self.0 /= u64::from(sides);
        u32::try_from(rolled).unwrap()
    }

    fn below(&mut self, sides: u32) -> usize {
        self.below_u32(sides) as usize
    }

    /// Returns an index with a probability proportional to its weight.
    fn pick(&mut self, weights: &[u32]) -> usize {
        let mut rolled = self.below_u32(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if rolled < *weight {
                return index;
            }
            rolled -= weight;
        }
        unreachable!("a roll is less than the sum of its weights")
    }

    fn which(&mut self) -> Which {
        if self.below(2) == 0 { Which::Oldest } else { Which::Newest }
    }

    fn back(&mut self, kind: Kind) -> Op {
        let is_text = u32::from(kind.policy().binary == Binary::AsText);
        match self.pick(&[60, 30, 2, 1, 1, 1, 10 * is_text, is_text, 8, 1]) {
            0 => Op::Upstream(1 + self.below(3), self.below(300)),
            1 => Op::LinkRoom(self.below(6)),
            2 => Op::UpstreamCloses,
            3 => Op::LinkBreaks,
            4 => Op::LinkChokes,
            5 => Op::Drain(self.below_u32(600)),
            6 => Op::Binary(Some(self.below(300))),
            8 => Op::Room([usize::MAX, 1, 0, 500, 100][self.below(5)]),
            9 => match self.below_u32(3) {
                0 => Op::Shortage,
                _ => Op::Expire(self.below_u32(700)),
            },
            _ => Op::Binary(None),
        }
    }

    fn candidate(&mut self) -> Op {
        match self.pick(&[8, 8, 4, 1, 1]) {
            0 => Op::Candidate,
            1 => Op::CandidateSays(Packet::Ping("probe".into())),
            2 => Op::CandidateSays(Packet::Upgrade),
            3 => Op::CandidateGone,
            _ => Op::CandidateSays(
                [message("a"), ping(), pong(), Packet::Close(None), open()][self.below(5)].clone(),
            ),
        }
    }

    fn says(&mut self) -> Vec<Sent> {
        (0..=self.below(4)).map(|_| self.said()).collect()
    }

    fn said(&mut self) -> Sent {
        match self.pick(&[60, 25, 3, 1, 1, 1, 1, 1]) {
            0 => Sent::Message(self.below(300)),
            1 => Sent::Other(pong()),
            2 => Sent::Other(Packet::Noop),
            3 => Sent::Other(open()),
            4 => Sent::Other(Packet::Upgrade),
            5 => Sent::Other(Packet::Close(None)),
            6 => Sent::Other(ping()),
            _ => Sent::Nonsense,
        }
    }
}

//! Random scripts against a reference model, which is two lists for each direction (see [`ledger`]).
//!
//! [`Simulation`](simulation::Simulation) has everything around a session: a backend, a link, a client, and the driver.
//! It checks the session's promises after each step, and at the end that nothing waits for ever.

mod ledger;
mod script;
mod simulation;

use proptest::prelude::*;

use super::*;
use script::Op;
use simulation::Simulation;

/// What happens to a session.
#[derive(Debug)]
pub(crate) struct Script {
    kind: Kind,
    transport: Transport,
    /// Whether its client may send only so much a second.
    is_paced: bool,
    ops: Vec<Op>,
    finale: Finale,
}

/// How a script ends.
#[derive(Clone, Copy, Debug)]
enum Finale {
    /// Client and backend do nothing any more.
    Silence,
    /// The backend closes, and the client fetches everything that is left.
    Goodbye,
}

/// The kind of dialect that the client speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// As Engine.IO's reference server: a disconnected poll ends the session.
    Ends,
    /// The same, but a lost batch is delivered again.
    Returns,
    /// Polls and streams; a second receiver is refused, and neither side pings.
    Refuses,
    /// Polls and streams of a client that acknowledges messages; a new receiver replaces the one before.
    Cursor,
}

impl Kind {
    /// Every variant.
    pub(crate) const ALL: [Self; 4] = [Self::Ends, Self::Returns, Self::Refuses, Self::Cursor];

    fn policy(self) -> Policy {
        let liveness = Liveness { beat: 300 * MS, absence: 500 * MS, is_heard: self == Self::Cursor };
        match self {
            Self::Ends => policy(HangUp::Ends),
            Self::Returns => policy(HangUp::Returns),
            Self::Refuses => Policy {
                second: Second::Refused,
                pinger: Pinger::Nobody(liveness),
                goodbye_late: &[Packet::Close(None)],
                binary: Binary::AsText,
                why: Some(End::reason),
                remembered: 500 * MS,
                ..policy(HangUp::Ends)
            },
            Self::Cursor => Policy {
                second: Second::Replaces,
                acks: Acks::OnCursor,
                pinger: Pinger::Nobody(liveness),
                goodbye_late: &[Packet::Close(None)],
                why: Some(End::reason),
                remembered: 500 * MS,
                ..policy(HangUp::Returns)
            },
        }
    }

    /// Returns whether its receivers may be streams.
    fn streams(self) -> bool {
        matches!(self, Self::Refuses | Self::Cursor)
    }
}

/// Returns any script for a client of this kind.
pub(crate) fn script(kind: Kind) -> impl Strategy<Value = Script> {
    let sockets = u32::from(!kind.streams());
    let transport = prop_oneof![3 => Just(Transport::Polling), sockets => Just(Transport::WebSocket)];
    let finale = prop_oneof![Just(Finale::Silence), Just(Finale::Goodbye)];
    let op = move |number| Op::from_random(number, kind);
    let ops = prop::collection::vec(any::<u64>(), 0..100)
        .prop_map(move |numbers| numbers.into_iter().map(op).collect::<Vec<_>>());
    (transport, any::<bool>(), ops, finale).prop_map(move |(transport, is_paced, ops, finale)| Script {
        kind,
        transport,
        is_paced,
        ops,
        finale,
    })
}

/// Plays a script, and panics where the session breaks a promise.
pub(crate) fn keeps_its_promises(script: Script) {
    let mut simulation = Simulation::new(script.kind, script.transport, script.is_paced);
    for op in script.ops {
        simulation.happen(op);
    }
    match script.finale {
        Finale::Silence => simulation.fall_silent(),
        Finale::Goodbye => simulation.say_goodbye(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn a_session_whose_hang_ups_end_it_keeps_its_promises(script in script(Kind::Ends)) {
        keeps_its_promises(script);
    }

    #[test]
    fn a_session_whose_batches_come_home_keeps_its_promises(script in script(Kind::Returns)) {
        keeps_its_promises(script);
    }

    #[test]
    fn a_session_that_refuses_a_second_receiver_keeps_its_promises(script in script(Kind::Refuses)) {
        keeps_its_promises(script);
    }

    #[test]
    fn a_session_whose_client_says_how_far_it_has_come_keeps_its_promises(script in script(Kind::Cursor)) {
        keeps_its_promises(script);
    }
}

const CASES: u32 = 3000;

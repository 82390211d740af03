//! Random scripts against a reference model, which is two lists for each direction (see [`ledger`]).
//!
//! [`World`](world::World) stands for everything around a session: a backend, a link, a client, and the driver between.
//! It checks the session's promises after each step, and at the end that nobody waits for ever.

mod ledger;
mod script;
mod world;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use script::Op;
use world::World;

/// How a script ends.
#[derive(Clone, Copy, Debug)]
enum Finale {
    /// The client does nothing any more, and neither does the backend.
    Silence,
    /// The backend closes, and the client fetches all there is.
    Goodbye,
}

fn keeps_its_promises(hang_up: HangUp) {
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let transport = prop_oneof![3 => Just(Transport::Polling), 1 => Just(Transport::WebSocket)];
    let finale = prop_oneof![Just(Finale::Silence), Just(Finale::Goodbye)];
    let op = move |number| Op::from_random(number, hang_up);
    let ops = prop::collection::vec(any::<u64>(), 0..100)
        .prop_map(move |numbers| numbers.into_iter().map(op).collect::<Vec<_>>());
    let run = TestRunner::new(config).run(&(transport, ops, finale), |(transport, ops, finale)| {
        let mut world = World::new(hang_up, transport);
        for op in ops {
            world.happen(op);
        }
        match finale {
            Finale::Silence => world.fall_silent(),
            Finale::Goodbye => world.say_goodbye(),
        }
        Ok(())
    });
    if let Err(failure) = run {
        panic!("{failure}");
    }
}

#[test]
fn a_session_whose_hang_ups_end_it_keeps_its_promises() {
    keeps_its_promises(HangUp::Ends);
}

#[test]
fn a_session_whose_batches_come_home_keeps_its_promises() {
    keeps_its_promises(HangUp::Returns);
}

const CASES: u32 = 4000;

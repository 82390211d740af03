//! Clients that connect and abandon, by the hundred, at every step of every dialect: nothing of them stays.
//!
//! `faults` has each of these moments alone, with what both sides hear of it. Here it is their number that counts: the
//! sessions, descriptors and memory after some rounds are those after the first, and the proxy still serves.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::frames::HANDSHAKE;
use crate::support::http::head;
use crate::support::script::Kind;
use crate::support::sockjs;
use crate::support::wire::Wire;
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{Script, Setup, World, is_so_within, metrics};

/// How a client begins a session, and with which setup.
pub(crate) type Way = (&'static str, fn() -> Setup, fn(usize) -> String);

pub(crate) const WAYS: [Way; 6] = [
    ("Engine.IO, polling", engine, |_| head("GET", POLLING, &[])),
    ("Engine.IO, WebSocket", engine, |_| head("GET", WEBSOCKET, &HANDSHAKE)),
    ("Engine.IO, relayed", || engine().relayed(), |_| head("GET", WEBSOCKET, &HANDSHAKE)),
    (
        "SockJS, streaming",
        || sockjs::setup("disconnect_delay = \"300ms\""),
        |at| head("POST", &sockjs::target(&format!("s{at}"), "xhr_streaming"), &[("Content-Length", "0")]),
    ),
    (
        "SockJS, WebSocket",
        || sockjs::setup(""),
        |at| head("GET", &sockjs::target(&format!("w{at}"), "websocket"), &HANDSHAKE),
    ),
    ("longpoll", feed, |_| head("POST", "/feed/", &[("Content-Length", "0")])),
];

fn engine() -> Setup {
    Setup::new().heartbeat(300, 700)
}

pub(crate) fn feed() -> Setup {
    Setup {
        dialect: "longpoll",
        path: "/feed/",
        kind: Kind::WebSocket,
        script: Script::new(Kind::WebSocket),
        ..Setup::new()
    }
    .route("grace = \"1s\"")
}

#[test]
fn nothing_stays_of_clients_that_connect_and_abandon() {
    thread::scope(|scope| {
        for way in &WAYS {
            scope.spawn(move || assert_nothing_stays(way));
        }
    });
}

fn assert_nothing_stays((name, setup, begin): &Way) {
    let Some(world) = World::proxy_only(Setup { log: "warn", ..setup() }, Excluded::OnlyAProxyHasThis) else {
        return;
    };
    let mut first = None;
    for round in 0..ROUNDS {
        // What is held at once, so that all of them are there together.
        let wires = (0..CLIENTS).map(|at| {
            let request = begin(round * CLIENTS + at);
            let mut wire = Wire::connect(world.addr);
            // Nothing, a part, or the whole; some wait for the beginning of the answer.
            let sent = [0, request.len() / 2, request.len(), request.len()][at % 4];
            wire.send(&request.as_bytes()[..sent]);
            if at % 4 == 3 {
                wire.fill(Instant::now() + PATIENCE);
            }
            wire
        });
        for (at, wire) in wires.collect::<Vec<_>>().into_iter().enumerate() {
            if at % 2 == 0 { wire.reset() } else { wire.close() }
        }
        let is_over = || metrics::sessions(world.target.admin) == 0;
        let over = is_so_within(PATIENCE, is_over);
        assert!(over, "{name}: {} sessions are left", metrics::sessions(world.target.admin));
        let (descriptors, memory) =
            *first.get_or_insert_with(|| (world.target.descriptors(), world.target.resident()));
        // The connection that asked for metrics may still be there when it is counted.
        let released = is_so_within(PATIENCE, || world.target.descriptors() <= descriptors + 1);
        assert!(released, "{name}: from {descriptors} to {} descriptors", world.target.descriptors());
        let now = world.target.resident();
        assert!(now <= memory + memory / 4 + ROOM, "{name}: from {memory} to {now} bytes");
    }
}

/// In each round.
const CLIENTS: usize = 200;
/// The first shows what the allocator keeps.
const ROUNDS: usize = 4;
/// What the allocator may keep beside it.
const ROOM: usize = 8 << 20;
/// Longer than a busy machine takes for a round.
const PATIENCE: Duration = Duration::from_secs(30);

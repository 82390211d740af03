//! Networks with faults, between a client and the proxy and between the proxy and its backend (`../cuts/relay.rs`).
//!
//! `cuts` and `faults` have the ends of both sides; here both sides are well, and what is between them is not.

mod half_open;
mod late;
mod posts;
mod switched;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use tokio::runtime::Runtime;

use crate::abandoned::{WAYS, Way};
use crate::relay_with_faults::{Counts, Cut, Manner, lead_to};
use crate::support::http::Client;
use crate::support::target::Target;
use crate::support::wire::{Fill, Wire, find};
use crate::support::world::{Excluded, proxy_is_asked};
use crate::support::{Event, QUIET, SOON, Setup, World, eventually, is_so_within, metrics};

/// A network to one address, which ends with it.
struct Network {
    address: SocketAddr,
    /// How many connections have met their fault.
    happened: Arc<AtomicU64>,
    _runtime: Runtime,
}

impl Network {
    fn to(target: SocketAddr, cut: impl Fn(u64) -> Option<Cut> + Send + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let (runtime, happened) = (runtime.unwrap(), Arc::new(AtomicU64::new(0)));
        let count = Arc::clone(&happened);
        let note = move || {
            count.fetch_add(1, Ordering::Relaxed);
        };
        let address = runtime.block_on(lead_to(target, cut, note));
        Self { address, happened, _runtime: runtime }
    }

    fn happened(&self) -> u64 {
        self.happened.load(Ordering::Relaxed)
    }
}

const fn from_the_first_byte(manner: Manner) -> Cut {
    Cut { counts: Counts::Sent, after: 0, manner }
}

/// Plays this for every dialect at once.
fn each(play: fn(&Way)) {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    thread::scope(|scope| {
        for way in &WAYS {
            scope.spawn(move || play(way));
        }
    });
}

/// Lifts the limit of handshakes, which would refuse so many.
fn unlimited(setup: Setup) -> Setup {
    Setup { sections: "[limits]\nhandshakes_per_second = 0\n".to_owned(), ..setup }
}

/// Returns the proxy, with a network before its backend.
fn before_backend(setup: &Setup, cut: fn(u64) -> Option<Cut>) -> (World, Network) {
    let mut network = None;
    let start = |setup: &Setup, backend| {
        let to = network.insert(Network::to(backend, cut));
        Target::proxy(setup, to.address)
    };
    let world = World::start_with(&Setup { log: "warn", ..setup.clone() }, start);
    (world, network.unwrap())
}

/// Waits until nothing is left of any session.
#[track_caller]
fn assert_nothing_stays(name: &str, world: &World, descriptors: usize) {
    let admin = world.target.admin;
    let is_over = || metrics::sessions(admin) == 0;
    assert!(is_so_within(SOON * 2, is_over), "{name}: {} sessions are left", metrics::sessions(admin));
    // The connection that asked for metrics may still be there when it is counted.
    let released = is_so_within(SOON * 2, || world.target.descriptors() <= descriptors + 1);
    assert!(released, "{name}: from {descriptors} to {} descriptors", world.target.descriptors());
}

/// Returns everything that comes before the connection ends or `mark` has come.
fn read_until(wire: &mut Wire, mark: &[u8]) -> String {
    let deadline = Instant::now() + SOON * 2;
    while find(wire.buffered(), mark).is_none() && wire.fill(deadline) == Fill::Data {}
    String::from_utf8_lossy(wire.buffered()).into_owned()
}

fn is_accepted(answer: &str) -> bool {
    ["HTTP/1.1 200 ", "HTTP/1.1 201 ", "HTTP/1.1 101 "].iter().any(|line| answer.starts_with(line))
}

#[test]
fn a_handshake_that_trickles_on_either_side_is_answered() {
    each(|(name, setup, begin)| {
        let trickle = |_| Some(from_the_first_byte(Manner::Trickle));
        let (world, behind) = before_backend(&setup(), trickle);
        let front = Network::to(world.target.public, trickle);
        let mut wire = Wire::connect(front.address);
        wire.send(begin(0).as_bytes());
        let peer = world.accept_within(SOON * 2).unwrap_or_else(|| panic!("{name}: no session"));
        let answer = read_until(&mut wire, b"\r\n\r\n");
        assert!(is_accepted(&answer), "{name}: {answer}");
        assert_eq!((front.happened(), behind.happened()), (1, 1), "{name}");
        drop(wire);
        let end = peer.event_within(SOON * 2);
        assert!(matches!(end, Some(Event::Closed(_))), "{name}: {end:?}");
    });
}

#[test]
fn a_post_that_trickles_on_either_side_arrives_once() {
    let trickle = |_| Some(from_the_first_byte(Manner::Trickle));
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    let (world, _behind) = before_backend(&Setup::new(), trickle);
    let front = Network::to(world.target.public, trickle);
    let (mut poller, peer) = world.poller();
    for turn in 0..20 {
        let text = format!("{turn}-{}", "x".repeat(200));
        let target = poller.target();
        Client::connect(front.address).post(&target, format!("4{text}\u{1e}4behind it")).assert(200, "ok");
        peer.assert_text(&text);
        peer.assert_text("behind it");
        peer.send(&text);
        assert_eq!(poller.poll(), format!("4{text}"));
    }
}

/// How long the answers of the scripted backend are: the shortest comes from a plain application.
const CUTS: u64 = 120;

#[test]
fn a_backends_101_that_is_cut_at_any_byte_is_a_502_and_leaves_nothing() {
    each(|(name, setup, begin)| {
        // Every second handshake is whole, so that the address is not left out.
        let cut = |connection: u64| {
            let manner = if connection % 4 == 1 { Manner::Reset } else { Manner::Close };
            (connection % 2 == 1).then_some(Cut { counts: Counts::Received, after: connection / 2, manner })
        };
        let setup = unlimited(setup().upstream("retry = false"));
        let (world, network) = before_backend(&setup, cut);
        let mut descriptors = None;
        for handshake in 0..CUTS * 2 {
            let mut wire = Wire::connect(world.target.public);
            wire.send(begin(usize::try_from(handshake).unwrap()).as_bytes());
            let answer = read_until(&mut wire, b"\r\n\r\n");
            if handshake % 2 == 1 {
                assert!(answer.starts_with("HTTP/1.1 502 "), "{name}: {handshake}: {answer}");
                continue;
            }
            assert!(is_accepted(&answer), "{name}: {handshake}: {answer}");
            wire.reset();
            if descriptors.is_none() {
                eventually(|| metrics::sessions(world.target.admin) == 0, || (*name).to_owned());
                descriptors = Some(world.target.descriptors());
            }
        }
        assert_eq!(network.happened(), CUTS, "{name}");
        assert_nothing_stays(name, &world, descriptors.unwrap());
    });
}

#[test]
fn an_answer_to_a_handshake_that_is_cut_on_its_way_to_the_client_leaves_nothing() {
    each(|(name, setup, begin)| {
        let cut = |connection: u64| {
            let manner =
                [Manner::Reset, Manner::Close, Manner::Silence][usize::try_from(connection % 3).unwrap()];
            Some(Cut { counts: Counts::Received, after: 1 + connection * 3, manner })
        };
        let (world, _behind) = before_backend(&unlimited(setup()), |_| None);
        let network = Network::to(world.target.public, cut);
        let descriptors = world.target.descriptors();
        for handshake in 0..60 {
            let mut wire = Wire::connect(network.address);
            wire.send(begin(handshake).as_bytes());
            let peer = world.accept_within(SOON * 2);
            assert!(peer.is_some(), "{name}: {handshake}");
            // What passes before the fault.
            wire.fill(Instant::now() + QUIET);
        }
        drop(network);
        assert_nothing_stays(name, &world, descriptors);
    });
}

//! Nodes of a cluster in front of one application, and what may go wrong between them.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::backend::Backend;
use super::peer::Peer;
use super::poller::Poller;
use super::setup::Setup;
use super::target::{Target, free_port};
use super::world::TOKEN;
use super::{SOON, eventually, metrics, ms};

/// Nodes `a`, `b`, `c` and so on. Nothing leads a request to one of them: a test says which it asks.
#[derive(Debug)]
pub(crate) struct Nodes {
    pub(crate) nodes: Vec<Target>,
    backend: Backend,
}

impl Nodes {
    /// Starts so many nodes.
    pub(crate) fn start(count: usize, setup: &Setup) -> Self {
        Self::start_by(count, setup, |_, _, address| address)
    }

    /// Starts so many nodes. `way` returns where the first of two nodes reaches the second, which listens at an address.
    pub(crate) fn start_by(
        count: usize,
        setup: &Setup,
        way: impl Fn(usize, usize, SocketAddr) -> SocketAddr,
    ) -> Self {
        let backend = Backend::listen(setup.kind, setup.script.clone());
        let peers: Vec<SocketAddr> = (0..count).map(|_| free_port()).collect();
        let node = |from: usize| {
            let entry = |(to, address): (usize, &SocketAddr)| {
                let address = if from == to { *address } else { way(from, to, *address) };
                format!("{} = \"{address}\"", char::from(b"abcdefgh"[to]))
            };
            let entries: Vec<String> = peers.iter().enumerate().map(entry).collect();
            let (listen, entries) = (peers[from], entries.join(", "));
            let cluster =
                format!("[cluster]\nlisten = \"{listen}\"\npeers = {{ {entries} }}\ntoken = \"{TOKEN}\"\n");
            let sections = cluster + &setup.sections;
            Target::proxy(&Setup { sections, ..setup.clone() }, backend.addr)
        };
        Self { nodes: (0..count).map(node).collect(), backend }
    }

    /// Returns a new session of the first node, whose client asks at the second.
    #[track_caller]
    pub(crate) fn poller(&self) -> (Poller, Peer) {
        let mut poller = Poller::handshake(self.nodes[0].public);
        poller.admin = Some(self.nodes[0].admin);
        poller.ask_at(self.nodes[1].public);
        (poller, self.accept())
    }

    /// Returns the next session of the application.
    #[track_caller]
    pub(crate) fn accept(&self) -> Peer {
        self.backend.peers.recv_timeout(SOON).expect("a session reaches the application in time")
    }

    /// Fails unless the first node soon has this many sessions.
    #[track_caller]
    pub(crate) fn assert_sessions(&self, count: u64) {
        let sessions = || metrics::sessions(self.nodes[0].admin);
        eventually(|| sessions() == count, || format!("{count} sessions, but {}", sessions()));
    }

    /// Fails unless the first node soon has this many parked polls.
    #[track_caller]
    pub(crate) fn assert_parked(&self, count: u64) {
        let parked = || metrics::parked(self.nodes[0].admin);
        eventually(|| parked() == count, || format!("{count} parked polls, but {}", parked()));
    }
}

/// The network between two nodes, which passes bytes on until it is told otherwise.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) addr: SocketAddr,
    state: Arc<State>,
}

#[derive(Default, Debug)]
struct State {
    /// Nothing passes, and nobody is told.
    is_silent: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl Network {
    /// Leads to an address.
    pub(crate) fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (addr, state) = (listener.local_addr().unwrap(), Arc::<State>::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for from in listener.incoming().map_while(Result::ok) {
                while shared.is_silent.load(Ordering::Relaxed) {
                    // The interval between two looks.
                    thread::sleep(ms(5));
                }
                // Who is not there is not there for the other either.
                let Ok(to) = TcpStream::connect(target) else { continue };
                for (one, other) in [(&from, &to), (&to, &from)] {
                    let (mut one, mut other) = (one.try_clone().unwrap(), other.try_clone().unwrap());
                    shared.streams.lock().unwrap().push(one.try_clone().unwrap());
                    let state = Arc::clone(&shared);
                    thread::spawn(move || pass(&mut one, &mut other, &state));
                }
            }
        });
        Self { addr, state }
    }

    /// Breaks all connections; new ones may follow.
    pub(crate) fn cut(&self) {
        for stream in self.state.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Passes nothing on, or does so again. Nobody is told.
    pub(crate) fn silence(&self, is_silent: bool) {
        self.state.is_silent.store(is_silent, Ordering::Relaxed);
    }
}

fn pass(from: &mut TcpStream, to: &mut TcpStream, state: &State) {
    let mut piece = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        while state.is_silent.load(Ordering::Relaxed) {
            // The interval between two looks.
            thread::sleep(ms(5));
        }
        if to.write_all(&piece[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

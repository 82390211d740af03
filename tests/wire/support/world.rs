//! A target and the application behind it, with which every test begins.

use std::net::SocketAddr;
use std::time::Duration;

use super::backend::Backend;
use super::frames::Socket;
use super::http::{Client, Response};
use super::http2::{entrance, is_wanted};
use super::peer::Peer;
use super::poller::Poller;
pub(crate) use super::poller::{POLLING, WEBSOCKET};
use super::reference::Reference;
use super::setup::Setup;
use super::target::{Target, free_port};
use super::wire::divert;
use super::{SOON, eventually, metrics};

/// One target with its application.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) addr: SocketAddr,
    pub(crate) target: Target,
    /// A second node, if sessions begin at the first and are asked for at this one.
    pub(crate) other: Option<Target>,
    /// Where the two ask each other.
    pub(crate) peers: Vec<SocketAddr>,
    app: App,
}

#[derive(Debug)]
enum App {
    Backend(Backend),
    Reference(Reference),
}

impl World {
    /// Starts the proxy in front of a scripted backend, or the reference server if the tests themselves are tested.
    #[expect(clippy::needless_pass_by_value, reason = "a setup is made for one world, where the test begins")]
    pub(crate) fn new(setup: Setup) -> Self {
        if oracle() {
            let target = Target::reference(&setup);
            let app = App::Reference(Reference::connect(target.admin));
            return Self { addr: target.public, target, other: None, peers: Vec::new(), app };
        }
        Self::start(&setup)
    }

    /// Starts the proxy for a test that the reference server does not run; the reason says why.
    #[expect(clippy::needless_pass_by_value, reason = "a setup is made for one world, where the test begins")]
    pub(crate) fn proxy_only(setup: Setup, reason: Excluded) -> Option<Self> {
        proxy_is_asked(reason).then(|| Self::start(&setup))
    }

    /// Starts two nodes of a cluster. Handshakes go to the first, and every request for one of its sessions to the second.
    pub(crate) fn foreign(setup: &Setup) -> Self {
        Self::foreign_with(setup, "")
    }

    /// Starts the same with more lines in `[cluster]`.
    pub(crate) fn foreign_with(setup: &Setup, lines: &str) -> Self {
        let backend = Backend::listen(setup.kind, setup.script.clone());
        let (first, second) = (free_port(), free_port());
        let node = |listen: SocketAddr| {
            let sections = format!(
                "[cluster]\nlisten = \"{listen}\"\npeers = {{ a = \"{first}\", b = \"{second}\" }}\n\
                 token = \"{TOKEN}\"\n{lines}\n"
            );
            Target::proxy(&Setup { sections, ..setup.clone() }, backend.addr)
        };
        let (target, other) = (node(first), node(second));
        let addr = entrance(target.public);
        divert(addr, "2a---", entrance(other.public));
        Self { addr, target, other: Some(other), peers: vec![first, second], app: App::Backend(backend) }
    }

    fn start(setup: &Setup) -> Self {
        if std::env::var_os("POLLIWOG_WIRE_FOREIGN").is_some_and(|value| value == "1") {
            return Self::foreign(setup);
        }
        Self::start_with(setup, Target::proxy)
    }

    /// Starts one proxy as `start` does it.
    pub(crate) fn start_with(setup: &Setup, start: impl FnOnce(&Setup, SocketAddr) -> Target) -> Self {
        let backend = Backend::listen(setup.kind, setup.script.clone());
        let target = start(setup, backend.addr);
        let addr = entrance(target.public);
        Self { addr, target, other: None, peers: Vec::new(), app: App::Backend(backend) }
    }

    /// Returns whether what a test sends on two connections reaches the target in that order: not by way of another node, and
    /// not where it is translated to HTTP/2. (`one_connection.rs` has what HTTP/2 promises.)
    pub(crate) fn keeps_order(&self) -> bool {
        self.other.is_none() && !is_wanted()
    }

    /// Returns whether this is the reference server.
    pub(crate) fn is_oracle(&self) -> bool {
        matches!(self.app, App::Reference(_))
    }

    /// Returns the scripted backend.
    #[track_caller]
    pub(crate) fn backend(&self) -> &Backend {
        match &self.app {
            App::Backend(backend) => backend,
            App::Reference(_) => panic!("the reference server has no backend"),
        }
    }

    /// Returns the next session of the application.
    #[track_caller]
    pub(crate) fn accept(&self) -> Peer {
        self.accept_within(SOON).expect("a session reaches the application in time")
    }

    /// Returns the next session of the application, if one comes in time.
    pub(crate) fn accept_within(&self, wait: Duration) -> Option<Peer> {
        match &self.app {
            App::Backend(backend) => backend.peers.recv_timeout(wait).ok(),
            App::Reference(reference) => reference.peers.recv_timeout(wait).ok(),
        }
    }

    /// Returns a fresh HTTP connection.
    pub(crate) fn http(&self) -> Client {
        Client::connect(self.addr)
    }

    /// Sends a GET on a new connection and returns its response.
    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Response {
        self.http().get(target)
    }

    /// Returns a new polling session and its end in the application.
    #[track_caller]
    pub(crate) fn poller(&self) -> (Poller, Peer) {
        let mut poller = Poller::handshake(self.addr);
        poller.admin = (!self.is_oracle()).then_some(self.target.admin);
        (poller, self.accept())
    }

    /// Returns a new WebSocket session, its open packet read, and its end in the application.
    #[track_caller]
    pub(crate) fn websocket(&self) -> (Socket, Peer) {
        self.websocket_with("", &[])
    }

    /// Returns the same with more query parameters and headers.
    #[track_caller]
    pub(crate) fn websocket_with(&self, query: &str, headers: &[(&str, &str)]) -> (Socket, Peer) {
        let target = format!("{WEBSOCKET}{query}");
        let mut socket =
            Socket::try_connect(self.addr, &target, headers).expect("the WebSocket handshake is accepted");
        let open = socket.text();
        assert!(open.starts_with("0{"), "{open}");
        (socket, self.accept())
    }

    /// Returns what the target has logged, and its other node.
    pub(crate) fn log(&self) -> String {
        self.target.log() + &self.other.as_ref().map(Target::log).unwrap_or_default()
    }

    /// Returns how many sessions there are.
    pub(crate) fn sessions(&self) -> u64 {
        match &self.app {
            App::Backend(_) => {
                let others = self.other.iter().map(|other| metrics::sessions(other.admin));
                metrics::sessions(self.target.admin) + others.sum::<u64>()
            }
            App::Reference(reference) => reference.sessions(),
        }
    }

    /// Fails unless there are soon this many sessions.
    #[track_caller]
    pub(crate) fn assert_sessions(&self, count: u64) {
        eventually(|| self.sessions() == count, || format!("{count} sessions, but {}", self.sessions()));
    }

    /// Fails unless new sessions still work: earlier events have harmed no other session.
    #[track_caller]
    pub(crate) fn assert_healthy(&self) {
        let mut poller = Poller::handshake_at(self.addr, &format!("{POLLING}&healthy"));
        // Sessions of the test itself may still be in the queue.
        let mut peer = self.accept();
        while !peer.opening.target.contains("healthy") {
            peer = self.accept();
        }
        poller.post_ok("4ping");
        peer.assert_text("ping");
        peer.send("pong");
        assert_eq!(poller.poll(), "4pong");
        poller.post_ok("1");
        peer.assert_closed();
    }
}

/// What the nodes of a test prove themselves with.
pub(crate) const TOKEN: &str = "a-long-secret-of-all-nodes";

/// Why a test does not run against the reference server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Excluded {
    /// Only an intermediary has the behaviour.
    OnlyAProxyHasThis,
    /// The reference has a fault there; ENGINEIO.md names it.
    FaultOfTheReference,
}

/// Returns whether the target is the proxy; if not, prints the reason for skipping the reference server.
pub(crate) fn proxy_is_asked(reason: Excluded) -> bool {
    if oracle() {
        eprintln!("not asked of the reference server: {reason:?}");
    }
    !oracle()
}

fn oracle() -> bool {
    std::env::var_os("POLLIWOG_WIRE_ORACLE").is_some_and(|value| value == "1")
}

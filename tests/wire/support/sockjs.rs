//! A raw client of SockJS: requests to one base, and streams that are read chunk by chunk.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::http::{Client, Response, head};
use super::wire::Fill;
use super::world::Excluded;
use super::{QUIET, SOON, Setup, World};

/// The base of the clients.
pub(crate) const BASE: &str = "/echo";

/// Returns the proxy with a route of SockJS in front of a plain WebSocket application, with these lines in the route.
pub(crate) fn world(lines: &str) -> Option<World> {
    world_of(setup(lines))
}

/// Returns the same with more of a setup.
pub(crate) fn world_of(setup: Setup) -> Option<World> {
    World::proxy_only(setup, Excluded::OnlyAProxyHasThis)
}

/// Returns a route of SockJS with these lines.
pub(crate) fn setup(lines: &str) -> Setup {
    Setup { dialect: "sockjs", path: "/echo/", ..Setup::plain() }.route(lines)
}

/// Returns the target of a request of this session.
pub(crate) fn target(sid: &str, what: &str) -> String {
    format!("{BASE}/000/{sid}/{what}")
}

/// Sends a poll on a new connection and returns its response.
#[track_caller]
pub(crate) fn poll(world: &World, sid: &str) -> Response {
    world.http().request("POST", &target(sid, "xhr"), &[], b"")
}

/// Parks a poll and returns its connection.
#[track_caller]
pub(crate) fn park(world: &World, sid: &str) -> Client {
    let mut client = world.http();
    client.send("POST", &target(sid, "xhr"), &[], b"");
    client.assert_parked();
    client
}

/// Returns a session whose open frame was read, with its end in the application.
#[track_caller]
pub(crate) fn begin(world: &World, sid: &str) -> super::Peer {
    poll(world, sid).assert(200, "o\n");
    world.accept()
}

/// Sends a POST, which must be accepted.
#[track_caller]
pub(crate) fn send(world: &World, sid: &str, body: &str) {
    world.http().request("POST", &target(sid, "xhr_send"), &[], body.as_bytes()).assert(204, "");
}

/// A streaming response, read chunk by chunk.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) client: Client,
    pub(crate) head: Response,
}

impl Stream {
    /// Requests a stream and reads its headers.
    #[track_caller]
    pub(crate) fn open(world: &World, method: &str, target: &str) -> Self {
        Self::open_at(world.addr, method, target)
    }

    /// Does the same at this address.
    #[track_caller]
    pub(crate) fn open_at(addr: SocketAddr, method: &str, target: &str) -> Self {
        let mut client = Client::connect(addr);
        let length = if method == "POST" { &[("Content-Length", "0")][..] } else { &[] };
        client.wire.send(head(method, target, length).as_bytes());
        let head = client.wire.take_until(b"\r\n\r\n", Instant::now() + SOON).expect("a response begins");
        Self { head: Response::parse(&head), client }
    }

    /// Returns the next chunk.
    #[track_caller]
    pub(crate) fn chunk(&mut self) -> String {
        self.chunk_within(SOON).expect("the next chunk arrives")
    }

    /// Returns the next chunk, if it comes in time; the last is empty.
    pub(crate) fn chunk_within(&mut self, wait: Duration) -> Result<String, Fill> {
        let deadline = Instant::now() + wait;
        let wire = &mut self.client.wire;
        let line = wire.take_until(b"\r\n", deadline)?;
        let length = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
        let chunk = wire.take_exact(length, deadline)?;
        wire.take_exact(2, deadline)?;
        Ok(String::from_utf8(chunk).unwrap())
    }

    /// Fails unless the next chunk is this.
    #[track_caller]
    pub(crate) fn assert(&mut self, chunk: &str) {
        assert_eq!(self.chunk(), chunk);
    }

    /// Fails unless the response ends here.
    #[track_caller]
    pub(crate) fn assert_over(&mut self) {
        self.assert("");
    }

    /// Fails if anything comes now.
    #[track_caller]
    pub(crate) fn assert_quiet(&mut self) {
        assert!(matches!(self.chunk_within(QUIET), Err(Fill::Quiet)), "expected nothing on the stream");
    }
}

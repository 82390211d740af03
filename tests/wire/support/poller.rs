//! A polling client: two connections, one for its GETs and one for its POSTs, as a browser has.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::frames::Socket;
use super::http::{Client, Response};
use super::wire::Fill;
use super::{SOON, is_so_within, metrics, ms};

/// One polling session.
#[derive(Debug)]
pub(crate) struct Poller {
    addr: SocketAddr,
    /// The admin listener of a proxy, which shows when a poll is parked.
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) sid: String,
    /// The response to the handshake.
    pub(crate) handshake: Response,
    /// When that response arrived.
    pub(crate) since: Instant,
    pub(crate) gets: Client,
    pub(crate) posts: Client,
}

impl Poller {
    /// Opens a session.
    #[track_caller]
    pub(crate) fn handshake(addr: SocketAddr) -> Self {
        Self::handshake_at(addr, POLLING)
    }

    /// Opens a session with another request target.
    #[track_caller]
    pub(crate) fn handshake_at(addr: SocketAddr, target: &str) -> Self {
        let (mut gets, posts) = (Client::connect(addr), Client::connect(addr));
        let handshake = gets.get(target);
        let since = Instant::now();
        assert_eq!(handshake.status, 200, "{handshake:?}");
        let sid = open_packet(handshake.text())["sid"].as_str().unwrap().to_owned();
        Self { addr, admin: None, sid, handshake, since, gets, posts }
    }

    /// Asks at another node from now on.
    pub(crate) fn ask_at(&mut self, addr: SocketAddr) {
        self.addr = addr;
        (self.gets, self.posts) = (Client::connect(addr), Client::connect(addr));
    }

    /// Returns the target of this session's polling requests.
    pub(crate) fn target(&self) -> String {
        format!("{POLLING}&sid={}", self.sid)
    }

    /// Sends a GET and returns its response.
    #[track_caller]
    pub(crate) fn get(&mut self) -> Response {
        let target = self.target();
        self.gets.get(&target)
    }

    /// Sends a GET and returns the body of its response, which must be a 200.
    #[track_caller]
    pub(crate) fn poll(&mut self) -> String {
        let answer = self.get();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text().to_owned()
    }

    /// Sends a GET that finds nothing to fetch, and waits until it is parked.
    #[track_caller]
    pub(crate) fn park(&mut self) {
        let target = self.target();
        let before = self.admin.map(metrics::parked);
        self.gets.send_get(&target);
        if let Some((admin, before)) = self.admin.zip(before) {
            // A poll that another client has left behind may end meanwhile, and then none more is parked than before.
            is_so_within(SOON, || metrics::parked(admin) > before);
        }
        self.gets.assert_parked();
    }

    /// Returns the response to a parked GET.
    #[track_caller]
    pub(crate) fn parked(&mut self) -> Response {
        self.gets.answer()
    }

    /// Fails unless the parked GET is answered with this body.
    #[track_caller]
    pub(crate) fn assert_parked_gets(&mut self, body: &str) {
        self.parked().assert(200, body);
    }

    /// Sends a GET, parked or not.
    pub(crate) fn poll_later(&mut self) {
        let target = self.target();
        self.gets.send_get(&target);
    }

    /// Parks again if a noop has released the parked GET meanwhile.
    #[track_caller]
    pub(crate) fn repark(&mut self) {
        if let Ok(answer) = self.gets.answer_within(ms(130)) {
            answer.assert(200, "6");
            self.poll_later();
        }
    }

    /// Sends a POST and returns its response.
    #[track_caller]
    pub(crate) fn post(&mut self, body: impl AsRef<[u8]>) -> Response {
        let target = self.target();
        self.posts.post(&target, body)
    }

    /// Sends a POST, which must be accepted.
    #[track_caller]
    pub(crate) fn post_ok(&mut self, body: impl AsRef<[u8]>) {
        self.post(body).assert(200, "ok");
    }

    /// Sends a POST and returns its response, if it arrives in time.
    pub(crate) fn post_within(&mut self, body: impl AsRef<[u8]>, wait: Duration) -> Result<Response, Fill> {
        let target = self.target();
        self.posts.send_post(&target, body.as_ref());
        self.posts.answer_within(wait)
    }

    /// Sends any request of this session on a new connection and returns its response.
    #[track_caller]
    pub(crate) fn request(&self, method: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        Client::connect(self.addr).request(method, &self.target(), headers, body)
    }

    /// Fails unless the session is gone.
    #[track_caller]
    pub(crate) fn assert_gone(&self) {
        self.request("GET", &[], b"").assert_unknown_sid();
    }

    /// Opens the WebSocket to which this session may move.
    #[track_caller]
    pub(crate) fn upgrade(&self) -> Socket {
        Socket::connect(self.addr, &self.upgrade_target())
    }

    /// Returns the target of that WebSocket.
    pub(crate) fn upgrade_target(&self) -> String {
        format!("{WEBSOCKET}&sid={}", self.sid)
    }

    /// Opens that WebSocket and has its probe answered.
    #[track_caller]
    pub(crate) fn probe(&self) -> Socket {
        let mut socket = self.upgrade();
        socket.send("2probe");
        socket.assert_text("3probe");
        socket
    }

    /// Moves the session to a WebSocket, as a correct client does.
    #[track_caller]
    pub(crate) fn upgraded(&self) -> Socket {
        let mut socket = self.probe();
        socket.send("5");
        socket
    }
}

/// Returns the JSON of an open packet, which may have other packets behind it.
#[track_caller]
pub(crate) fn open_packet(body: &str) -> Value {
    let first = body.split('\u{1e}').next().unwrap();
    let json = first.strip_prefix('0').unwrap_or_else(|| panic!("no open packet: {body}"));
    serde_json::from_str(json).unwrap()
}

/// The handshake of a polling client.
pub(crate) const POLLING: &str = "/engine.io/?EIO=4&transport=polling";
/// The handshake of a WebSocket client.
pub(crate) const WEBSOCKET: &str = "/engine.io/?EIO=4&transport=websocket";

//! The application behind the proxy, in this process: a scripted Engine.IO or plain WebSocket server.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::frames::{self, Frame, Masked, Op};
use super::http::Response;
use super::line::Line;
use super::peer::{Opening, Peer, Side};
use super::script::{Kind, Script};
use super::wire::Wire;

/// A listening backend.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) addr: SocketAddr,
    /// Sessions that were accepted.
    pub(crate) peers: Receiver<Peer>,
    /// Received requests, accepted or not.
    pub(crate) openings: Receiver<Opening>,
    /// Received checks of its health.
    pub(crate) checks: Receiver<()>,
    script: Arc<Mutex<Script>>,
    over: Arc<AtomicBool>,
}

impl Backend {
    /// Listens on a free port.
    pub(crate) fn listen(kind: Kind, script: Script) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        if script.narrow {
            // Accepted sockets inherit it.
            SockRef::from(&listener).set_recv_buffer_size(16 << 10).unwrap();
        }
        let (peers_tx, peers) = channel();
        let (openings_tx, openings) = channel();
        let (checks_tx, checks) = channel();
        let script = Arc::new(Mutex::new(script));
        let over = Arc::new(AtomicBool::new(false));
        let (scripts, ends) = (script.clone(), over.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let connection = Connection {
                    kind,
                    script: scripts.lock().unwrap().clone(),
                    peers: peers_tx.clone(),
                    openings: openings_tx.clone(),
                    checks: checks_tx.clone(),
                };
                thread::spawn(move || connection.run(Wire::new(stream)));
            }
        });
        Self { addr, peers, openings, checks, script, over }
    }

    /// Changes the script for further requests.
    pub(crate) fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }
}

/// Closes the listener, but no open session.
impl Drop for Backend {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.addr));
    }
}

/// One connection to the backend.
struct Connection {
    kind: Kind,
    script: Script,
    peers: Sender<Peer>,
    openings: Sender<Opening>,
    checks: Sender<()>,
}

impl Connection {
    fn run(self, mut wire: Wire) {
        if let Some(hasty) = self.script.hasty {
            wire.send(&hasty);
            return wire.close();
        }
        let Ok(head) = wire.take_until(b"\r\n\r\n", Instant::now() + PATIENCE) else { return };
        let opening = opening(&head);
        if opening.path() == "/healthz" {
            let _ = self.checks.send(());
            wire.send(&self.script.health);
            return wire.close();
        }
        let _ = self.openings.send(opening.clone());
        if wire.ends_within(self.script.delay) {
            return;
        }
        if opening.method == "OPTIONS" {
            wire.send(&self.script.options);
            return wire.close();
        }
        if let Some(refusal) = self.script.refusal {
            wire.send(&refusal);
            if self.script.held {
                wire.ends_within(PATIENCE);
            }
            return wire.close();
        }
        let key = opening.header("sec-websocket-key").unwrap_or_default();
        let accept = frames::accept(key);
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
        );
        // As `ws` does, the first subprotocol is chosen, unless the script says otherwise.
        if let Some(offer) =
            opening.header("sec-websocket-protocol").filter(|_| !self.script.headers.contains("Protocol"))
        {
            let first = offer.split(',').next().unwrap_or_default().trim();
            write!(answer, "Sec-WebSocket-Protocol: {first}\r\n").unwrap();
        }
        answer.push_str(&self.script.headers);
        answer.push_str("\r\n");
        let mut answer = answer.into_bytes();
        if let Some(after) = self.script.after {
            answer.extend(after);
            wire.send(&answer);
            wire.ends_within(PATIENCE);
            return;
        }
        if let Some(open) = &self.script.open {
            answer.extend(Frame::new(Op::TEXT, open).encode(Masked::No));
        }
        let line = Line::new(self.kind, wire.writer());
        for text in &self.script.first {
            answer.extend(line.encode_text(text));
        }
        wire.send(&answer);
        let (events_tx, events) = channel();
        let reader = line.clone();
        let _ = self.peers.send(Peer { opening, events, side: Side::Backend(line) });
        reader.read(&mut wire, &events_tx);
    }
}

fn opening(head: &[u8]) -> Opening {
    let head = Response::parse(&[b"HTTP/1.1 0 ".as_slice(), head].concat());
    let word = |index| head.line.split(' ').nth(index).unwrap_or_default().to_owned();
    Opening { method: word(2), target: word(3), headers: head.headers }
}

/// After this a test has failed anyway.
const PATIENCE: Duration = Duration::from_secs(10);

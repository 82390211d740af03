//! The application behind the proxy, in this process: an Engine.IO or plain WebSocket server that does as it is told.

use std::io::{self, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::frames::{self, Frame, Masked, Op};
use super::http::Response;
use super::peer::{Event, Opening, Peer, Side};
use super::setup::Kind;
use super::wire::{Fill, Wire};

/// A listening backend.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) addr: SocketAddr,
    /// Sessions that were accepted.
    pub(crate) peers: Receiver<Peer>,
    /// Requests that came, accepted or not.
    pub(crate) openings: Receiver<Opening>,
    /// Connections that are open now.
    pub(crate) connections: Arc<AtomicUsize>,
    script: Arc<Mutex<Script>>,
    over: Arc<AtomicBool>,
}

/// What the backend does with a request to open a session.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// How long it thinks before it answers.
    pub(crate) delay: Duration,
    /// Bytes with which it answers before it closes, instead of accepting.
    pub(crate) refusal: Option<Vec<u8>>,
    /// More header lines of its 101.
    pub(crate) headers: String,
    /// What it says first: an Engine.IO server's open packet.
    pub(crate) open: Option<String>,
    /// Bytes behind its 101 instead of all that.
    pub(crate) after: Option<Vec<u8>>,
    /// Text messages that leave together with the open packet.
    pub(crate) first: Vec<String>,
    /// Whether its receive buffers are small, so that they fill up quickly.
    pub(crate) narrow: bool,
}

impl Script {
    /// Accepts everybody.
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            delay: Duration::ZERO,
            refusal: None,
            headers: String::new(),
            open: (kind == Kind::EngineIo).then(|| Self::open_packet(25_000, 20_000, 1_000_000)),
            after: None,
            first: Vec::new(),
            narrow: false,
        }
    }

    /// The open packet of an Engine.IO server.
    pub(crate) fn open_packet(interval: u64, timeout: u64, max_payload: u64) -> String {
        format!(
            r#"0{{"sid":"backendbackendback01","upgrades":[],"pingInterval":{interval},"pingTimeout":{timeout},"maxPayload":{max_payload}}}"#
        )
    }
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
        let script = Arc::new(Mutex::new(script));
        let over = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(AtomicUsize::new(0));
        let (scripts, ends, open) = (script.clone(), over.clone(), connections.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let visit = Visit {
                    kind,
                    script: scripts.lock().unwrap().clone(),
                    peers: peers_tx.clone(),
                    openings: openings_tx.clone(),
                };
                let open = open.clone();
                open.fetch_add(1, Ordering::Relaxed);
                thread::spawn(move || {
                    visit.run(Wire::new(stream));
                    open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Self { addr, peers, openings, connections, script, over }
    }

    /// Changes what becomes of the next requests.
    pub(crate) fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }
}

/// The listener ends, living sessions do not.
impl Drop for Backend {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.addr));
    }
}

/// One connection to the backend.
struct Visit {
    kind: Kind,
    script: Script,
    peers: Sender<Peer>,
    openings: Sender<Opening>,
}

impl Visit {
    fn run(self, mut wire: Wire) {
        let Ok(head) = wire.take_until(b"\r\n\r\n", Instant::now() + PATIENCE) else { return };
        let opening = opening(&head);
        let _ = self.openings.send(opening.clone());
        if wire.ends_within(self.script.delay) {
            return;
        }
        if let Some(refusal) = self.script.refusal {
            wire.send(&refusal);
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
            answer.push_str(&format!("Sec-WebSocket-Protocol: {first}\r\n"));
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
    let target = head.line.split(' ').nth(3).unwrap_or_default().to_owned();
    Opening { target, headers: head.headers }
}

/// The backend's end of one session.
#[derive(Clone, Debug)]
pub(crate) struct Line(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    writer: Mutex<Writer>,
    echo: AtomicBool,
    /// Whether the backend reads.
    reading: Mutex<bool>,
    changed: Condvar,
}

#[derive(Debug)]
struct Writer {
    stream: TcpStream,
    /// What a flood left unwritten: the next bytes must follow it.
    left: Vec<u8>,
    /// Whether the other end of the connection has.
    gone: bool,
}

impl Line {
    fn new(kind: Kind, stream: TcpStream) -> Self {
        Self(Arc::new(Inner {
            kind,
            writer: Mutex::new(Writer { stream, left: Vec::new(), gone: false }),
            echo: AtomicBool::new(false),
            reading: Mutex::new(true),
            changed: Condvar::new(),
        }))
    }

    fn encode_text(&self, text: &str) -> Vec<u8> {
        let text = if self.0.kind == Kind::EngineIo { format!("4{text}") } else { text.to_owned() };
        Frame::new(Op::TEXT, text).encode(Masked::No)
    }

    pub(super) fn send_text(&self, text: &str) {
        self.send_raw(&self.encode_text(text));
    }

    pub(super) fn send_texts(&self, texts: &[&str]) {
        self.send_raw(&texts.iter().flat_map(|text| self.encode_text(text)).collect::<Vec<_>>());
    }

    pub(super) fn send_binary(&self, bytes: &[u8]) {
        self.send_frame(&Frame::new(Op::BINARY, bytes));
    }

    pub(super) fn echo(&self) {
        self.0.echo.store(true, Ordering::Relaxed);
    }

    /// Sends one frame.
    pub(crate) fn send_frame(&self, frame: &Frame) {
        self.send_raw(&frame.encode(Masked::No));
    }

    /// Sends any bytes.
    pub(crate) fn send_raw(&self, bytes: &[u8]) {
        let left = self.0.writer.lock().unwrap().push(bytes, PATIENCE);
        assert_eq!(left, 0, "the target reads what the backend sends");
    }

    /// Sends text messages, numbered from `from`, until nobody has read for `stall` or `limit` bytes are gone; the
    /// next number. What was cut in a frame's middle leaves with the next bytes.
    pub(crate) fn flood(
        &self,
        from: usize,
        text: impl Fn(usize) -> String,
        limit: usize,
        stall: Duration,
    ) -> Flood {
        let mut writer = self.0.writer.lock().unwrap();
        let mut flood = Flood { next: from, bytes: 0, stalled: false };
        while flood.bytes < limit {
            let frame = self.encode_text(&text(flood.next));
            flood.next += 1;
            flood.bytes += frame.len();
            let left = writer.push(&frame, stall);
            if left > 0 || writer.gone {
                flood.bytes -= left;
                flood.stalled = true;
                break;
            }
        }
        flood
    }

    /// Ends the session with a close frame.
    pub(crate) fn close(&self, code: Option<u16>) {
        self.send_frame(&Frame::close(code));
    }

    /// Ends the connection without a word.
    pub(crate) fn kill(&self) {
        let _ = self.0.writer.lock().unwrap().stream.shutdown(Shutdown::Both);
    }

    /// Stops reading, so that the client's messages pile up.
    pub(crate) fn pause(&self) {
        *self.0.reading.lock().unwrap() = false;
    }

    /// Reads again.
    pub(crate) fn resume(&self) {
        *self.0.reading.lock().unwrap() = true;
        self.0.changed.notify_all();
    }

    fn read(&self, wire: &mut Wire, events: &Sender<Event>) {
        let mut parts: Option<Frame> = None;
        loop {
            let mut reading = self.0.reading.lock().unwrap();
            while !*reading {
                reading = self.0.changed.wait(reading).unwrap();
            }
            drop(reading);
            let event = match frames::read(wire, Instant::now() + STEP) {
                Ok(frame) => {
                    // RFC 6455, section 5.1: a client masks; the reader unmasks either way, so here only order counts.
                    if frame.op.0 < 8 {
                        let whole = parts.take().map_or_else(
                            || frame.clone(),
                            |mut parts| {
                                parts.payload.extend(&frame.payload);
                                Frame { fin: frame.fin, ..parts }
                            },
                        );
                        if !whole.fin {
                            parts = Some(whole);
                            continue;
                        }
                        self.message(whole)
                    } else {
                        self.control(&frame)
                    }
                }
                Err(Fill::Quiet | Fill::Data) => continue,
                Err(Fill::Eof) => Some(Event::Closed(1006)),
            };
            let Some(event) = event else { continue };
            let over = matches!(event, Event::Closed(_));
            if events.send(event).is_err() || over {
                return;
            }
        }
    }

    fn message(&self, frame: Frame) -> Option<Event> {
        if self.0.echo.load(Ordering::Relaxed) {
            self.send_frame(&frame);
        }
        if frame.op == Op::BINARY {
            return Some(Event::Binary(frame.payload));
        }
        let text = String::from_utf8(frame.payload).expect("the proxy sends UTF-8");
        match (self.0.kind, text.chars().next()) {
            (Kind::WebSocket, _) => Some(Event::Text(text)),
            (Kind::EngineIo, Some('4')) => Some(Event::Text(text[1..].to_owned())),
            (Kind::EngineIo, Some('3')) => Some(Event::Pong),
            (Kind::EngineIo, _) => panic!("the proxy sent the Engine.IO packet {text:?}"),
        }
    }

    fn control(&self, frame: &Frame) -> Option<Event> {
        match frame.op {
            Op::CLOSE => {
                let _ = self.0.writer.lock().unwrap().push(&frame_close(frame).encode(Masked::No), STEP);
                self.kill();
                Some(Event::Closed(frame.code().unwrap_or(1005)))
            }
            Op::PONG => (self.0.kind == Kind::WebSocket).then_some(Event::Pong),
            Op::PING => {
                self.send_frame(&Frame::new(Op::PONG, &frame.payload));
                None
            }
            _ => panic!("the proxy sent {frame:?}"),
        }
    }
}

/// What a flood came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flood {
    /// The number of the next message.
    pub(crate) next: usize,
    /// Bytes that left this process.
    pub(crate) bytes: usize,
    /// Whether it ended because nobody read, or nobody was there any more.
    pub(crate) stalled: bool,
}

impl Writer {
    /// Writes what was left and `bytes`; gives up when nothing could be written for `stall`. How much is left.
    fn push(&mut self, bytes: &[u8], stall: Duration) -> usize {
        self.left.extend_from_slice(bytes);
        self.stream.set_write_timeout(Some(stall)).unwrap();
        while !self.left.is_empty() {
            match self.stream.write(&self.left) {
                Ok(count) => drop(self.left.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    break;
                }
                // The peer has gone: the reader tells.
                Err(_) => {
                    self.gone = true;
                    self.left.clear();
                }
            }
        }
        self.left.len()
    }
}

fn frame_close(frame: &Frame) -> Frame {
    Frame::close(frame.code())
}

/// After this a test has failed anyway.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a reader looks whether it was paused.
const STEP: Duration = Duration::from_millis(20);

//! The backend's end of one session: it sends, floods, stops reading and dies on demand.

use std::io::{self, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::event::Event;
use super::frames::{self, Frame, Masked, Op};
use super::ms;
use super::script::Kind;
use super::wire::{Fill, Wire};

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
    /// Whether the other end of the connection has closed.
    gone: bool,
}

impl Line {
    pub(super) fn new(kind: Kind, stream: TcpStream) -> Self {
        Self(Arc::new(Inner {
            kind,
            writer: Mutex::new(Writer { stream, left: Vec::new(), gone: false }),
            echo: AtomicBool::new(false),
            reading: Mutex::new(true),
            changed: Condvar::new(),
        }))
    }

    pub(crate) fn encode_text(&self, text: &str) -> Vec<u8> {
        let text = if self.0.kind == Kind::EngineIo { format!("4{text}") } else { text.to_owned() };
        Frame::new(Op::TEXT, text).encode(Masked::No)
    }

    pub(crate) fn send_text(&self, text: &str) {
        self.send_raw(&self.encode_text(text));
    }

    pub(crate) fn send_texts(&self, texts: &[&str]) {
        self.send_raw(&texts.iter().flat_map(|text| self.encode_text(text)).collect::<Vec<_>>());
    }

    pub(super) fn send_binary(&self, bytes: &[u8]) {
        self.send_frame(&Frame::new(Op::BINARY, bytes));
    }

    /// Sends a ping. Its pong, an [`Event::Pong`], shows that everything before it has been read.
    pub(super) fn ping(&self) {
        self.send_frame(&match self.0.kind {
            Kind::EngineIo => Frame::new(Op::TEXT, "2"),
            Kind::WebSocket => Frame::new(Op::PING, ""),
        });
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
        assert_eq!(left, 0, "expected the target to read what the backend sends, but {left} bytes are left");
    }

    /// Sends any bytes, as far as the target reads them now. Returns whether it has hung up.
    pub(crate) fn pour(&self, bytes: &[u8]) -> bool {
        let mut writer = self.0.writer.lock().unwrap();
        writer.push(bytes, ms(100));
        writer.gone
    }

    /// Sends text messages, numbered from `from`, until nothing was read for `stall` or `limit` bytes are written.
    /// The rest of a frame that was written in part goes out before the next bytes.
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

    /// Ends the connection without a close frame.
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

    /// Reads frames and reports them as events, until the session is over.
    pub(super) fn read(&self, wire: &mut Wire, events: &Sender<Event>) {
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
                        Some(self.message(whole))
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

    fn message(&self, frame: Frame) -> Event {
        if self.0.echo.load(Ordering::Relaxed) {
            self.send_frame(&frame);
        }
        if frame.op == Op::BINARY {
            return Event::Binary(frame.payload);
        }
        let text = String::from_utf8(frame.payload).expect("the proxy sends UTF-8");
        match (self.0.kind, text.chars().next()) {
            (Kind::WebSocket, _) => Event::Text(text),
            (Kind::EngineIo, Some('4')) => Event::Text(text[1..].to_owned()),
            (Kind::EngineIo, Some('3')) => Event::Pong,
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

/// The result of a flood.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flood {
    /// The number of the next message.
    pub(crate) next: usize,
    /// Bytes that left this process.
    pub(crate) bytes: usize,
    /// Whether it ended because the other side stopped reading, or had closed.
    pub(crate) stalled: bool,
}

impl Writer {
    /// Writes what was left and `bytes`; gives up when nothing could be written for `stall`. Returns how much is left.
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
                // The peer has closed: the reader reports it.
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
/// How often a reader checks whether it was paused.
const STEP: Duration = Duration::from_millis(20);

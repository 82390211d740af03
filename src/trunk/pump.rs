//! Moves frames between a trunk and its current WebSocket.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::gathering::Gathering;
use super::shared::{Connection, Trunk};
use crate::duplex::{Farewell, Fault, Incoming, Violation, WebSocket, binary_frame, text_frame};
use crate::mux::{Frame as MuxFrame, Hello, Profile};
use crate::packet::Message;

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It broke, was silent for too long, or the other side closed it; another may follow.
    Broken,
    /// One side violated the protocol: the epoch is over, and the other side is told with 1002.
    Violated(&'static str),
}

/// One active connection; dropped, it closes without a Close frame.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug)]
pub struct Pump<'t> {
    trunk: &'t Trunk,
    connection: Connection,
    socket: WebSocket,
    profile: Profile,
    /// When the other side has been silent for too long.
    clock: Pin<Box<Sleep>>,
    heard: bool,
    pinged: bool,
    /// How long acknowledgements may still wait to be sent together, if there are any.
    acks: Option<Pin<Box<Sleep>>>,
    acks_due: bool,
    dirty: bool,
    gathering: Gathering,
}

impl<'t> Pump<'t> {
    /// Joins the trunk and a WebSocket that has just been opened.
    pub fn new(trunk: &'t Trunk, connection: Connection, socket: WebSocket, profile: Profile) -> Self {
        let now = Instant::now();
        Self {
            trunk,
            connection,
            socket,
            profile,
            clock: Box::pin(sleep_until(now + PING_INTERVAL)),
            heard: false,
            pinged: false,
            acks: None,
            acks_due: false,
            dirty: false,
            gathering: Gathering::default(),
        }
    }

    /// Runs until the connection ends.
    pub async fn run(&mut self) -> Ended {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Closes the connection in the background.
    pub fn close(self, code: u16, reason: &'static str) -> impl Future<Output = ()> + use<> {
        part(self.socket, code, reason)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        // Before the turns: a session that adds a frame when they have passed it by must wake this task.
        if !self.trunk.register(self.connection, cx) {
            return Poll::Ready(Ended::Broken);
        }
        match self.turns(cx) {
            Ok(()) => Poll::Pending,
            Err(Stop::Broken) => Poll::Ready(Ended::Broken),
            Err(Stop::Violation(reason)) => Poll::Ready(Ended::Violated(reason)),
        }
    }

    fn turns(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        let is_due = self.gathering.begin();
        let mut turns = 0;
        while self.turn(cx)? {
            turns += 1;
            // If nobody can be ended, the connection is read on, but frame by frame.
            if turns == TURNS_MAX || self.trunk.budget().is_used_up() {
                // Other tasks need this thread too.
                cx.waker().wake_by_ref();
                break;
            }
        }
        self.flush(cx, is_due)
    }

    /// Reads and writes what is ready. Returns whether anything moved.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<bool, Stop> {
        let mut moved = self.read(cx)?;
        moved |= self.tick(cx)?;
        moved |= self.write(cx)?;
        Ok(moved)
    }

    /// Flushes the output of all sessions in one write, if that `is_due`: only after every task that is already
    /// runnable has run.
    fn flush(&mut self, cx: &mut Context<'_>, is_due: bool) -> Result<(), Stop> {
        if self.dirty && !is_due {
            self.trunk.suppress_wakes(self.connection);
            self.gathering.hold(cx);
        } else if self.dirty {
            match self.socket.poll_flush(cx) {
                Poll::Ready(Ok(())) => self.dirty = false,
                Poll::Ready(Err(_)) => return Err(Stop::Broken),
                Poll::Pending => {}
            }
        }
        Ok(())
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, Stop> {
        // The other side does not read the answers to its own frames. If it were read, they would pile up.
        if self.trunk.is_choked() {
            return Ok(false);
        }
        // For as long as it takes to choose who ends, a matter of milliseconds. As if something had moved: the next turn asks again.
        if self.trunk.budget().awaits_relief() {
            return Ok(true);
        }
        for read in 0..FRAMES_MAX {
            let message = match self.socket.poll_next(cx) {
                Poll::Pending => return Ok(read > 0),
                Poll::Ready(Some(Ok(Incoming::Message(message)))) => message,
                Poll::Ready(Some(Ok(Incoming::Ping(_) | Incoming::Pong(_)))) => {
                    self.heard = true;
                    continue;
                }
                Poll::Ready(Some(Ok(Incoming::Close(frame)))) => {
                    // The answering Close waits already; what there is no room for now is not waited for.
                    let _ = self.socket.poll_flush(cx);
                    let violated = frame.is_some_and(|frame| frame.code == CloseCode::Protocol);
                    return Err(if violated {
                        Stop::Violation("the other side says so")
                    } else {
                        Stop::Broken
                    });
                }
                Poll::Ready(Some(Err(fault))) => return Err(fault.into()),
                Poll::Ready(None) => return Err(Stop::Broken),
            };
            self.heard = true;
            let frame = self.profile.decode(message).map_err(|error| Stop::Violation(error.0))?;
            self.trunk.handle(self.connection, frame).map_err(|violation| Stop::Violation(violation.0))?;
            if self.trunk.budget().is_used_up() {
                break;
            }
        }
        Ok(true)
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, Stop> {
        for written in 0..FRAMES_MAX {
            match self.socket.poll_ready(cx) {
                Poll::Pending => return Ok(written > 0),
                Poll::Ready(Err(_)) => return Err(Stop::Broken),
                Poll::Ready(Ok(())) => {}
            }
            let Some(frame) = self.trunk.next_frame(self.connection, self.acks_due) else {
                self.acks_due = false;
                return Ok(written > 0);
            };
            if matches!(frame, MuxFrame::Acks(_)) {
                (self.acks, self.acks_due) = (None, false);
            }
            let frame = match self.profile.encode(&frame) {
                Message::Text(text) => text_frame(text.into_bytes()),
                Message::Binary(bytes) => binary_frame(bytes),
            };
            self.socket.start_send(&frame).map_err(|_| Stop::Broken)?;
            self.dirty = true;
        }
        Ok(true)
    }

    /// Handles the timers. Returns whether anything is to be written.
    fn tick(&mut self, cx: &mut Context<'_>) -> Result<bool, Stop> {
        let mut moved = false;
        if self.clock.as_mut().poll(cx).is_ready() {
            // Anything that was read is a sign of life: a busy side may send its pong late.
            if self.pinged && !self.heard {
                return Err(Stop::Broken);
            }
            (self.heard, self.pinged) = (false, true);
            self.trunk.tidy();
            if let Poll::Ready(Ok(())) = self.socket.poll_ready(cx) {
                self.socket.start_send(&Frame::ping(Bytes::new())).map_err(|_| Stop::Broken)?;
                self.dirty = true;
            }
            self.clock.as_mut().reset(Instant::now() + PING_INTERVAL);
            moved = true;
        }
        // Acknowledgements wait a moment, to be sent together.
        if !self.acks_due && self.trunk.has_acks() {
            let delay = || Box::pin(sleep_until(Instant::now() + ACK_DELAY));
            if self.acks.get_or_insert_with(delay).as_mut().poll(cx).is_ready() {
                self.acks = None;
                self.acks_due = true;
                moved = true;
            }
        }
        Ok(moved)
    }
}

/// Reads the first frame of an accepted connection; `None` if it is not a hello, which the other side is told.
pub async fn read_hello(mut socket: WebSocket, profile: Profile) -> Option<(WebSocket, Hello)> {
    let reason = match tokio::time::timeout(HELLO_TIMEOUT, first_message(&mut socket)).await {
        Ok(Ok(first)) => match profile.decode(first) {
            Ok(MuxFrame::Hello(hello)) if hello.names_an_epoch() => return Some((socket, hello)),
            Ok(_) => "the first frame is no hello with an epoch",
            Err(error) => error.0,
        },
        Ok(Err(Stop::Broken)) => return None,
        Ok(Err(Stop::Violation(reason))) => reason,
        Err(_) => "no hello",
    };
    part(socket, CloseCode::Protocol.into(), reason).await;
    None
}

async fn first_message(socket: &mut WebSocket) -> Result<Message, Stop> {
    loop {
        match socket.next().await {
            Some(Ok(Incoming::Message(message))) => return Ok(message),
            Some(Ok(Incoming::Ping(_) | Incoming::Pong(_))) => {}
            Some(Ok(Incoming::Close(_))) => {
                // The answer to it.
                let _ = poll_fn(|cx| socket.poll_flush(cx)).await;
                return Err(Stop::Broken);
            }
            None => return Err(Stop::Broken),
            Some(Err(fault)) => return Err(fault.into()),
        }
    }
}

/// Returns the largest message of the shared WebSocket: in JSON, a control character takes six bytes, and base64 a
/// third more.
pub fn frame_max(message_max: usize) -> usize {
    message_max.saturating_mul(6).saturating_add(FRAME_ROOM)
}

/// Closes with a reason, towards a side that may still be sending.
async fn part(mut socket: WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
    // It fails if the other side closed first; what is buffered for it is still sent.
    let _ = socket.start_send(&Frame::close(Some(frame)));
    let mut farewell = Farewell::default();
    let goodbye = poll_fn(|cx| farewell.poll(cx, &mut socket));
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await;
}

/// Why a turn is the last.
enum Stop {
    Broken,
    Violation(&'static str),
}

/// Distinguishes a broken connection from one whose fault would recur on the next.
impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Lost | Fault::Stalled => Self::Broken,
            Fault::Violation(Violation::Protocol | Violation::Malformed) => {
                Self::Violation("not a WebSocket frame")
            }
            Fault::Violation(Violation::TooLarge) => Self::Violation("a frame is too large"),
            Fault::Violation(Violation::NotUtf8) => Self::Violation("a text is not UTF-8"),
        }
    }
}

/// For everything beside the payload: the headers of an `open`, a part of a `sync`.
const FRAME_ROOM: usize = 1 << 20;
/// How often the other side is pinged; it is dead if it is silent for as long again.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// How long acknowledgements may wait to be sent together.
const ACK_DELAY: Duration = Duration::from_millis(20);
/// How many frames are read, or written, in one turn.
const FRAMES_MAX: usize = 128;
/// How many turns in a row, before other tasks run.
const TURNS_MAX: usize = 8;
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest wait for the first frame.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

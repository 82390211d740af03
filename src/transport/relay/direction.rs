//! One direction of a relay: what it reads it writes, as far as the frames' sizes let it.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::codec::frames::{Counted, FrameScanner, HEADER_LEN_MAX, Scan};
use crate::duplex::{Duplex, Stalled};

/// Bytes on their way from one end to the other.
#[derive(Debug)]
pub(super) struct Direction {
    scanner: FrameScanner,
    /// Read before the relay began; scanned like everything else.
    read_ahead: Bytes,
    /// A header that is not complete yet, and may not pass before it has been judged.
    held: Vec<u8>,
    /// Judged, and not written yet.
    pending: Pending,
    state: State,
    /// Whether nobody wants to see what passes any more.
    shown: bool,
    /// Whether something was written that may still stand in a buffer of TLS.
    unflushed: bool,
}

#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    written: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Open,
    /// A frame came that makes its message too large: nothing more is read.
    TooLarge,
    /// A Close frame of ours was put in: what still comes is dropped.
    Closed(Then),
    /// Nothing more comes; the other side has not taken the rest yet, and does not know of the end.
    Draining(Source),
    /// Nothing more comes, and the other side knows.
    Ended(Source),
}

/// How a source ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    /// It said so; it may still listen.
    Done,
    /// Its connection broke.
    Broken,
}

/// What becomes of the sink once it has been told the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Then {
    /// Its stream is ended too.
    End,
    /// It is the one to end the stream.
    Wait,
}

/// How far a direction came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    /// It waits for one of its ends.
    Waiting,
    /// It read a frame that makes its message too large.
    TooLarge,
    /// Its source has ended, and its sink knows.
    Ended,
    /// Its source is gone altogether, and its sink knows.
    Broken,
    /// Its sink took nothing for too long: what the source still says is dropped.
    Stalled,
}

impl Direction {
    pub(super) fn new(message_max: u64, read_ahead: Bytes) -> Self {
        Self {
            scanner: FrameScanner::new(message_max),
            read_ahead,
            held: Vec::new(),
            pending: Pending::default(),
            state: State::Open,
            shown: false,
            unflushed: false,
        }
    }

    /// Moves what can be moved. `show` sees what passes, until it says that it has seen enough.
    ///
    /// # Errors
    /// The sink is broken.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Duplex,
        sink: &mut Duplex,
        show: &mut dyn FnMut(&[u8]) -> bool,
    ) -> io::Result<Flow> {
        match self.poll_flow(cx, source, sink, show) {
            Err(error) if Stalled::among(&error).is_some() => {
                self.pending = Pending::default();
                self.unflushed = false;
                self.say(&[], Then::Wait);
                Ok(Flow::Stalled)
            }
            flow => flow,
        }
    }

    fn poll_flow(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Duplex,
        sink: &mut Duplex,
        show: &mut dyn FnMut(&[u8]) -> bool,
    ) -> io::Result<Flow> {
        for _ in 0..READS_MAX {
            if self.poll_write(cx, sink)?.is_pending() {
                return Ok(Flow::Waiting);
            }
            match self.state {
                State::TooLarge => return Ok(Flow::TooLarge),
                State::Ended(Source::Done) => return Ok(Flow::Ended),
                State::Ended(Source::Broken) => return Ok(Flow::Broken),
                State::Closed(then) => {
                    if then == Then::End {
                        // It may be gone already, which is as good.
                        let _ = Pin::new(&mut *sink).poll_shutdown(cx);
                    }
                    match SCRATCH.with_borrow_mut(|scratch| poll_drop(cx, source, scratch))? {
                        Poll::Pending => return Ok(Flow::Waiting),
                        Poll::Ready(0) => self.state = State::Draining(Source::Done),
                        Poll::Ready(_) => {}
                    }
                }
                State::Draining(source) => {
                    if Pin::new(&mut *sink).poll_shutdown(cx)?.is_pending() {
                        return Ok(Flow::Waiting);
                    }
                    self.state = State::Ended(source);
                }
                State::Open => {
                    let read =
                        SCRATCH.with_borrow_mut(|scratch| self.poll_pass(cx, source, sink, scratch, show));
                    if read?.is_pending() {
                        return Ok(Flow::Waiting);
                    }
                }
            }
        }
        // The other sessions of this thread have a right to it too.
        cx.waker().wake_by_ref();
        Ok(Flow::Waiting)
    }

    /// Reads once, and writes once what may pass.
    fn poll_pass(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Duplex,
        sink: &mut Duplex,
        scratch: &mut [u8],
        show: &mut dyn FnMut(&[u8]) -> bool,
    ) -> io::Result<Poll<()>> {
        let held = self.held.len();
        scratch[..held].copy_from_slice(&self.held);
        let len = if self.read_ahead.is_empty() {
            let mut space = ReadBuf::new(&mut scratch[held..]);
            match Pin::new(source).poll_read(cx, &mut space) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Ok(())) => space.filled().len(),
                // What came before is still delivered.
                Poll::Ready(Err(_)) => {
                    self.state = State::Draining(Source::Broken);
                    return Ok(Poll::Ready(()));
                }
            }
        } else {
            let len = self.read_ahead.len().min(scratch.len() - held);
            scratch[held..held + len].copy_from_slice(&self.read_ahead.split_to(len));
            len
        };
        if len == 0 {
            // An unfinished header goes on as it came: what it means is between the two.
            self.pending.bytes.append(&mut self.held);
            self.state = State::Draining(Source::Done);
            return Ok(Poll::Ready(()));
        }
        let bytes = &scratch[..held + len];
        let pass = match self.scanner.scan(bytes) {
            Scan::Pass(pass) => {
                self.held.clear();
                self.held.extend_from_slice(&bytes[pass..]);
                pass
            }
            Scan::TooLarge(pass) => {
                self.held = Vec::new();
                self.state = State::TooLarge;
                pass
            }
        };
        if !self.shown && pass > 0 {
            self.shown = show(&bytes[..pass]);
        }
        let mut rest = &bytes[..pass];
        while !rest.is_empty() {
            match Pin::new(&mut *sink).poll_write(cx, rest)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => {
                    self.unflushed = true;
                    rest = &rest[written..];
                }
                Poll::Pending => {
                    self.pending.bytes.extend_from_slice(rest);
                    break;
                }
            }
        }
        Ok(Poll::Ready(()))
    }

    /// Writes what waits; ready when nothing does.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, sink: &mut Duplex) -> Poll<io::Result<()>> {
        while self.pending.written < self.pending.bytes.len() {
            let rest = &self.pending.bytes[self.pending.written..];
            match ready!(Pin::new(&mut *sink).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.pending.written += written,
            }
            self.unflushed = true;
        }
        // An idle session keeps no room for a burst that is over.
        if !self.pending.bytes.is_empty() {
            self.pending = Pending::default();
        }
        if self.unflushed {
            ready!(Pin::new(sink).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Puts a Close frame of the proxy's own behind what waits. What the source still says is read and dropped: nothing
    /// may follow a Close frame, and to leave it unread would reset the connection.
    pub(super) fn say(&mut self, close: &[u8], then: Then) {
        self.pending.bytes.extend_from_slice(close);
        self.held = Vec::new();
        self.state = State::Closed(then);
    }

    /// Returns whether a Close frame may stand here: between two frames, and behind no other.
    pub(super) fn may_close(&self) -> bool {
        self.scanner.is_between_frames()
            && !self.scanner.is_closed()
            && matches!(self.state, State::Open | State::TooLarge)
    }

    /// Returns whether a message has begun that is expected to end.
    pub(super) fn is_inside_message(&self) -> bool {
        self.state == State::Open && !(self.scanner.is_between_messages() && self.held.is_empty())
    }

    /// Returns whether a Close frame has passed.
    pub(super) const fn is_closed(&self) -> bool {
        self.scanner.is_closed()
    }

    /// Returns whether nothing more comes from the source.
    pub(super) const fn is_ended(&self) -> bool {
        matches!(self.state, State::Draining(_) | State::Ended(_))
    }

    /// Judges the frames that begin from now on by another limit.
    pub(super) const fn set_message_max(&mut self, message_max: u64) {
        self.scanner.set_message_max(message_max);
    }

    pub(super) const fn take_counted(&mut self) -> Counted {
        self.scanner.take_counted()
    }
}

/// Reads and forgets.
fn poll_drop(cx: &mut Context<'_>, source: &mut Duplex, scratch: &mut [u8]) -> io::Result<Poll<usize>> {
    let mut space = ReadBuf::new(scratch);
    let read = Pin::new(source).poll_read(cx, &mut space)?;
    Ok(read.map(|()| space.filled().len()))
}

thread_local! {
    /// One for all relays of a thread: it holds nothing between two polls.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_LEN].into());
}

/// As much as one read takes.
const SCRATCH_LEN: usize = 16 << 10;
const _: () = assert!(SCRATCH_LEN > HEADER_LEN_MAX);
/// How much one session may move before others have their turn.
const READS_MAX: usize = 16;

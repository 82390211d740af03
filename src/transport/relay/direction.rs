//! One direction of a relay: it writes what it reads, within the limits on the size of a message.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::codec::frames::{Counted, FrameScanner, Scan};
use crate::duplex::{Duplex, LINGER_LEN_MAX, Stalled};
use crate::frame_header::HEADER_LEN_MAX;

/// Bytes on their way from one side to the other.
#[derive(Debug)]
pub(super) struct Direction {
    scanner: FrameScanner,
    /// Bytes that were read before the relay began; they are scanned too.
    read_ahead: Bytes,
    /// An incomplete frame header, which must not pass before it is checked.
    held: Vec<u8>,
    /// Bytes that were checked but not written yet.
    pending: Pending,
    state: State,
    /// Whether the observer has seen enough.
    shown: bool,
    /// Whether something was written that may still be in a TLS buffer.
    unflushed: bool,
    /// How much was thrown away behind the proxy's own Close frame.
    dropped: usize,
    /// Whether nothing is read for now.
    paused: bool,
    /// How much may still be read in this turn.
    left: usize,
}

#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    written: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Open,
    /// A frame arrived that makes its message too large: nothing more is read.
    TooLarge,
    /// The proxy's own Close frame was added: what still arrives is discarded.
    Closed(Then),
    /// The source has ended; the sink has not received everything yet and does not know of the end.
    Draining(Source),
    /// The source has ended, and the sink knows.
    Ended(Source),
}

/// How a source ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    /// It ended its stream; it may still read.
    Done,
    /// Its connection broke.
    Broken,
}

/// What happens to the sink after the Close frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Then {
    /// Its stream is ended as well.
    End,
    /// The sink is expected to end the stream.
    Wait,
}

/// The progress of a direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    /// It waits for one of its sides.
    Waiting,
    /// It read a frame that makes its message too large.
    TooLarge,
    /// Its source has ended, and its sink knows.
    Ended,
    /// Its source's connection broke, and its sink knows.
    Broken,
    /// Its sink stopped reading for too long: what the source still sends is discarded.
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
            dropped: 0,
            paused: false,
            left: 0,
        }
    }

    /// Moves as many bytes as possible, at most `most`. `show` observes what passes until it returns true.
    ///
    /// # Errors
    /// Returns an error if the sink is broken.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Duplex,
        sink: &mut Duplex,
        most: usize,
        show: &mut dyn FnMut(&[u8]) -> bool,
    ) -> io::Result<Flow> {
        self.left = most;
        match self.poll_flow(cx, source, sink, show) {
            Err(error) if Stalled::among(&error).is_some() => {
                self.pending = Pending::default();
                self.unflushed = false;
                self.queue_close(&[], Then::Wait);
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
                        // The sink may already be closed, which is just as good.
                        let _ = Pin::new(&mut *sink).poll_shutdown(cx);
                    }
                    match SCRATCH.with_borrow_mut(|scratch| poll_drop(cx, source, scratch))? {
                        Poll::Pending => return Ok(Flow::Waiting),
                        Poll::Ready(0) => self.state = State::Draining(Source::Done),
                        Poll::Ready(len) => {
                            self.dropped += len;
                            if self.dropped > LINGER_LEN_MAX {
                                self.state = State::Draining(Source::Broken);
                            }
                        }
                    }
                }
                State::Draining(source) => {
                    if Pin::new(&mut *sink).poll_shutdown(cx)?.is_pending() {
                        return Ok(Flow::Waiting);
                    }
                    self.state = State::Ended(source);
                }
                State::Open if self.paused => return Ok(Flow::Waiting),
                State::Open if self.left == 0 => break,
                State::Open => {
                    let read =
                        SCRATCH.with_borrow_mut(|scratch| self.poll_pass(cx, source, sink, scratch, show));
                    if read?.is_pending() {
                        return Ok(Flow::Waiting);
                    }
                }
            }
        }
        // The thread's other sessions must get their turn, and what has passed is counted.
        cx.waker().wake_by_ref();
        Ok(Flow::Waiting)
    }

    /// Reads once, then writes what may pass.
    fn poll_pass(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Duplex,
        sink: &mut Duplex,
        scratch: &mut [u8],
        show: &mut dyn FnMut(&[u8]) -> bool,
    ) -> io::Result<Poll<()>> {
        let held = self.held.len();
        let scratch_len = scratch.len().min(held.saturating_add(self.left));
        let scratch = &mut scratch[..scratch_len];
        scratch[..held].copy_from_slice(&self.held);
        let len = if self.read_ahead.is_empty() {
            let mut space = ReadBuf::new(&mut scratch[held..]);
            match Pin::new(source).poll_read(cx, &mut space) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Ok(())) => space.filled().len(),
                // What was read before is still delivered.
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
            // An incomplete header is passed on unchanged; the sink decides what it means.
            self.pending.bytes.append(&mut self.held);
            self.state = State::Draining(Source::Done);
            return Ok(Poll::Ready(()));
        }
        self.left -= len;
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

    /// Writes what is pending; ready once nothing is.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, sink: &mut Duplex) -> Poll<io::Result<()>> {
        while self.pending.written < self.pending.bytes.len() {
            let rest = &self.pending.bytes[self.pending.written..];
            match ready!(Pin::new(&mut *sink).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.pending.written += written,
            }
            self.unflushed = true;
        }
        // An idle session keeps no buffer from an earlier burst.
        if !self.pending.bytes.is_empty() {
            self.pending = Pending::default();
        }
        if self.unflushed {
            ready!(Pin::new(sink).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Adds a Close frame of the proxy's own after what is pending. What the source still sends is read and discarded:
    /// nothing may follow a Close frame, and unread bytes would reset the connection.
    pub(super) fn queue_close(&mut self, close: &[u8], then: Then) {
        self.pending.bytes.extend_from_slice(close);
        self.held = Vec::new();
        self.state = State::Closed(then);
    }

    /// Returns how many bytes wait.
    pub(super) fn held(&self) -> usize {
        self.pending.bytes.len() + self.held.len() + self.read_ahead.len()
    }

    /// Stops reading the source, or goes on.
    pub(super) const fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Returns whether a Close frame may be sent here: between two frames, and not after another Close.
    pub(super) fn may_close(&self) -> bool {
        self.scanner.is_between_frames()
            && !self.scanner.is_closed()
            && matches!(self.state, State::Open | State::TooLarge)
    }

    /// Returns whether a message has begun whose rest is expected.
    pub(super) fn is_inside_message(&self) -> bool {
        self.state == State::Open && !(self.scanner.is_between_messages() && self.held.is_empty())
    }

    /// Returns whether a Close frame has passed.
    pub(super) const fn is_closed(&self) -> bool {
        self.scanner.is_closed()
    }

    /// Returns whether the source has ended.
    pub(super) const fn is_ended(&self) -> bool {
        matches!(self.state, State::Draining(_) | State::Ended(_))
    }

    /// Applies another limit to the messages that begin from now on.
    pub(super) const fn set_message_max(&mut self, message_max: u64) {
        self.scanner.set_message_max(message_max);
    }

    pub(super) const fn take_counted(&mut self) -> Counted {
        self.scanner.take_counted()
    }
}

/// Reads and discards.
fn poll_drop(cx: &mut Context<'_>, source: &mut Duplex, scratch: &mut [u8]) -> io::Result<Poll<usize>> {
    let mut space = ReadBuf::new(scratch);
    let read = Pin::new(source).poll_read(cx, &mut space)?;
    Ok(read.map(|()| space.filled().len()))
}

thread_local! {
    /// Shared by all relays of a thread; it holds no data between two polls.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_LEN].into());
}

/// The most that one read takes.
const SCRATCH_LEN: usize = 16 << 10;
const _: () = assert!(SCRATCH_LEN > HEADER_LEN_MAX);
/// How many reads one session may do before the thread's other sessions get their turn.
const READS_MAX: usize = 16;

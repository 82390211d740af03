//! The headers of requests and responses below hyper, which only knows their names in lower case.
//!
//! Hyper can preserve the case of names, but at a cost per request and per name that a poll must not pay. So the bytes
//! of a request's header are kept for a service that forwards them, and a response's names are written `Like-This`. Hyper
//! also refuses a target with `<`, `>` or `"`, which old clients send and other servers accept: these are escaped
//! before hyper reads them, if it is certain where a request begins.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use memchr::{memchr, memchr_iter, memchr3, memrchr};

use crate::budget::Charge;

/// The headers of a connection as bytes: what its server and the stream below hyper exchange about them.
#[derive(Clone, Default, Debug)]
pub struct RawHeaders(Arc<Shared>);

#[derive(Default, Debug)]
struct Shared {
    state: Mutex<State>,
    /// The length of the current request's header; 0 if it is not certain. Reading it takes no lock.
    head_len: AtomicUsize,
}

#[derive(Default, Debug)]
struct State {
    /// What was read of a request's header, perhaps with the beginning of the body.
    request: Vec<u8>,
    /// What a header that has not come in full takes, here and in hyper's buffer.
    charge: Option<Charge>,
    /// The header of a request that was read elsewhere.
    whole: Bytes,
    /// What comes next in the input.
    place: Place,
    /// It is no longer certain where requests begin, and never will be again: a wrong guess would change a body, and
    /// its extra bytes would become part of the next request.
    is_lost: bool,
    /// How much was read since the request began.
    read: u64,
    /// The length of the request with its body.
    len: u64,
    /// The next write begins with a response's header; these names in it are spelled.
    spelled: Option<SpelledNames>,
    /// The state of hyper's refusal of a header with too many lines.
    refusal: Refusal,
}

/// A position in the client's input.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Place {
    /// In a header's first line, before the target.
    #[default]
    Method,
    /// In the target.
    Path,
    /// In the query.
    Query,
    /// Elsewhere in a header, or in one whose beginning is not certain.
    Head,
    /// The request is being served: its body follows, or a pipelined request.
    Served,
    /// The connection speaks another protocol; no more headers follow.
    Over,
}

/// Which names of a response's header are spelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpelledNames {
    /// All: the response is our own.
    All,
    /// Those that hyper adds to a backend's response.
    Added,
    /// All, and the date is written anew: hyper refused the request itself, by its own clock.
    Refusal,
}

/// What hyper writes, and what happens to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Written {
    /// It is written unchanged.
    Bytes,
    /// It begins with a response's header, whose names are spelled.
    Head(SpelledNames),
    /// It is withheld from the client: a refusal of a header that will be read again.
    Kept,
}

/// Hyper reserves room for the maximum of header lines: it is low, and a header with more is read again with a higher one.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Refusal {
    #[default]
    Unheard,
    /// The refusal was withheld.
    Kept,
    /// The maximum was the highest: the client gets the refusal.
    Final,
}

impl RawHeaders {
    /// Counts what a header takes that has not come in full, if it is large already.
    #[must_use]
    pub fn counted(self, charge: Charge) -> Self {
        self.state().charge = Some(charge);
        self
    }

    /// Notes that a request was read. Hyper found `lines` header lines in it, and its body has this length, if known.
    /// What comes next is not a header.
    pub fn begin_request(&self, lines: usize, body_len: Option<u64>) {
        let mut state = self.state();
        let head_len = head_len(&state.request, lines);
        match head_len.zip(body_len) {
            Some((head_len, body_len)) => state.len = head_len as u64 + body_len,
            None => state.is_lost = true,
        }
        state.place = Place::Served;
        // From now on it counts with its request.
        state.charge();
        self.0.head_len.store(head_len.unwrap_or_default(), Ordering::Relaxed);
    }

    /// Notes a request that was read in full, without a trace of it here: this is its header.
    pub fn begin_whole_request(&self, header: Bytes) {
        let mut state = self.state();
        state.place = Place::Served;
        (state.read, state.len) = (0, 0);
        self.0.head_len.store(header.len(), Ordering::Relaxed);
        state.whole = header;
    }

    /// Returns the bytes of the current request's header, perhaps with some of its body; empty for a pipelined request.
    pub fn request(&self) -> Vec<u8> {
        let state = self.state();
        if state.whole.is_empty() { state.request.clone() } else { state.whole.to_vec() }
    }

    /// Returns the length of that header, if it is certain.
    pub fn request_len(&self) -> Option<usize> {
        Some(self.0.head_len.load(Ordering::Relaxed)).filter(|len| *len > 0)
    }

    /// Awaits the next request, after one was answered or aborted: unless the connection is over, a header comes next.
    ///
    /// A response brings the names to spell in its header, which is written next. Nothing else may wait to be written
    /// before it.
    pub fn await_request(&self, spelled: Option<SpelledNames>) {
        let mut state = self.state();
        if spelled.is_some() {
            state.spelled = spelled;
        }
        state.clear();
        state.request.shrink_to(KEPT_LEN_MAX);
        state.whole = Bytes::new();
        if state.place == Place::Served {
            // The start of the next request is certain only if exactly this request was read: not less, as with an
            // early response, and not more, as with pipelining.
            state.is_lost |= state.read != state.len;
            state.place = if state.is_lost { Place::Head } else { Place::Method };
            (state.read, state.len) = (0, 0);
        }
    }

    /// Returns whether what comes next certainly begins a request: of the last one everything was read, and nothing since.
    pub fn is_between_requests(&self) -> bool {
        matches!(*self.state(), State { place: Place::Method, read: 0, .. })
    }

    /// Returns whether something was read since the last request was answered. It is the beginning of the next one unless
    /// a body was still being read: then [`forget`](Self::forget) it.
    pub fn has_begun(&self) -> bool {
        let state = self.state();
        state.place.is_head() && !state.request.is_empty()
    }

    /// Forgets what was read since the last request was answered: it belonged to that request.
    pub fn forget(&self) {
        self.state().clear();
    }

    /// Returns whether more lines than this were read of the current header.
    pub fn has_lines_over(&self, max: usize) -> bool {
        // The first line is none of them.
        memchr_iter(b'\n', &self.state().request).nth(max + 1).is_some()
    }

    /// Returns whether memory is short, and a large header has not come in full.
    pub fn is_too_much(&self) -> bool {
        let state = self.state();
        state.request.len() > LARGE_LEN && state.charge.as_ref().is_some_and(Charge::is_scarce)
    }

    /// Releases the buffer for the next request, which is not expected soon.
    pub fn rest(&self) {
        let mut state = self.state();
        state.clear();
        state.request = Vec::new();
    }

    /// Ends the reading of headers: the connection now speaks another protocol.
    pub fn end(&self) {
        let mut state = self.state();
        state.place = Place::Over;
        state.charge();
    }

    /// Returns whether the connection speaks another protocol.
    pub(super) fn is_over(&self) -> bool {
        self.state().place == Place::Over
    }

    /// Returns, once, whether hyper refused a header that fits a higher maximum; the header is then read again.
    pub fn take_refused(&self) -> bool {
        let mut state = self.state();
        let is_refused = state.refusal == Refusal::Kept;
        if is_refused {
            state.refusal = Refusal::Final;
            state.clear();
            // It is read and counted again.
            state.is_lost = true;
            state.place = Place::Head;
        }
        is_refused
    }

    /// Decides what happens to what hyper writes. With `was_flushed`, nothing waits to be written before it.
    ///
    /// A service's response has its names spelled as it asks. Hyper's own refusal of a header is recognised because
    /// nothing else is written meanwhile: a client that does not pipeline has received all of its last response by
    /// then.
    pub(super) fn note_written(&self, written: &[u8], was_flushed: bool) -> Written {
        let mut state = self.state();
        if let Some(spelled) = state.spelled.take() {
            return Written::Head(spelled);
        }
        if !state.place.is_head() || state.request.is_empty() || !written.starts_with(b"HTTP/1.1 4") {
            return Written::Bytes;
        }
        let has_many = || memchr_iter(b'\n', &state.request).nth(HYPERS_LINES_MAX).is_some();
        if written.starts_with(REFUSAL) && state.refusal == Refusal::Unheard && has_many() {
            state.refusal = Refusal::Kept;
            return Written::Kept;
        }
        if was_flushed { Written::Head(SpelledNames::Refusal) } else { Written::Bytes }
    }

    /// Notes what was read; returns a replacement for it, if it needs one.
    pub(super) fn note_read(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut state = self.state();
        if matches!(state.place, Place::Method | Place::Path | Place::Query) {
            let end = memchr(b'\n', bytes);
            let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if memchr3(b'<', b'>', b'"', line).is_some()
                && let Some(escaped) = escaped(line, state.place)
            {
                return Some([&escaped[..], rest].concat());
            }
            let here = state.place;
            state.place =
                if end.is_some() { Place::Head } else { line.iter().copied().fold(here, Place::behind) };
        }
        if state.place != Place::Over {
            state.read += bytes.len() as u64;
        }
        // A longer header is refused.
        if state.place.is_head() && state.request.len() < HEAD_LEN_MAX {
            state.request.extend_from_slice(bytes);
            state.charge();
        }
        None
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets the header.
    fn clear(&mut self) {
        self.request.clear();
        self.charge();
    }

    /// Counts what has come of a header, and is still to come in full.
    fn charge(&mut self) {
        let len = if self.place.is_head() { self.request.len() } else { 0 };
        if let Some(charge) = &mut self.charge {
            charge.set(if len > LARGE_LEN { 2 * len } else { 0 });
        }
    }
}

impl Place {
    const fn is_head(self) -> bool {
        matches!(self, Self::Method | Self::Path | Self::Query | Self::Head)
    }

    /// Returns the position after a byte of a header's first line.
    const fn behind(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Method, b' ') => Self::Path,
            (Self::Path, b'?') => Self::Query,
            (place, _) => place,
        }
    }
}

/// Returns the length of the header at the beginning of `bytes`, in which hyper found `lines` lines; `None` if it is
/// not certain.
///
/// In what hyper accepts, a line feed only ends a line, and hyper may skip lines but never counts too many. So the
/// header is at least its first line, `lines` others and an empty one; if the next line is the empty one, it is exactly
/// that.
fn head_len(bytes: &[u8], lines: usize) -> Option<usize> {
    let feeds = lines + 2;
    // Usually nothing follows the header; then its lines need not be examined.
    let last = if memchr_iter(b'\n', bytes).count() == feeds {
        memrchr(b'\n', bytes)
    } else {
        memchr_iter(b'\n', bytes).nth(feeds - 1)
    };
    let head = &bytes[..=last?];
    // Hyper skips empty lines before a header.
    let begins = !matches!(head[0], b'\r' | b'\n');
    (begins && head.ends_with(b"\n\r\n")).then_some(head.len())
}

/// Returns part of a header's first line, with the bytes that hyper does not accept in a target or a query escaped as
/// in RFC 3986; `None` if there are none.
fn escaped(line: &[u8], mut place: Place) -> Option<Vec<u8>> {
    let mut escaped = Vec::with_capacity(line.len() + 16);
    for &byte in line {
        place = place.behind(byte);
        match (byte, place) {
            (b'<', Place::Path | Place::Query) => escaped.extend(b"%3C"),
            (b'>', Place::Path | Place::Query) => escaped.extend(b"%3E"),
            (b'"', Place::Query) => escaped.extend(b"%22"),
            (other, _) => escaped.push(other),
        }
    }
    (escaped.len() > line.len()).then_some(escaped)
}

/// Hyper's response to a header that is too large.
const REFUSAL: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n";
/// Hyper's default maximum of header lines.
const HYPERS_LINES_MAX: usize = 100;
/// Room kept for the next header, enough for a usual one.
const KEPT_LEN_MAX: usize = 4 << 10;
/// Less of a header is about what each request takes anyhow.
const LARGE_LEN: usize = 8 << 10;
/// Hyper's limit.
const HEAD_LEN_MAX: usize = 64 << 10;

//! The headers of requests and responses below hyper, which only knows their names in lower case.
//!
//! Hyper can preserve the case of names, but at a cost per request and per name that a poll must not pay. So the bytes
//! of a request's header are kept for a service that forwards them, and a response's names are written `Like-This`. Hyper
//! also refuses a target with `<`, `>` or `"`, which old clients send and other servers accept: these are escaped
//! before hyper reads them, if it is certain where a request begins.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memchr::{memchr, memchr_iter, memchr3, memrchr};

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
        self.0.head_len.store(head_len.unwrap_or_default(), Ordering::Relaxed);
    }

    /// Returns the bytes of the current request's header, perhaps with some of its body; empty for a pipelined request.
    pub fn request(&self) -> Vec<u8> {
        self.state().request.clone()
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
        state.request.clear();
        state.request.shrink_to(KEPT_LEN_MAX);
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

    /// Releases the buffer for the next request, which is not expected soon.
    pub fn rest(&self) {
        self.state().request = Vec::new();
    }

    /// Ends the reading of headers: the connection now speaks another protocol.
    pub fn end(&self) {
        self.state().place = Place::Over;
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
            state.request.clear();
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
        if was_flushed { Written::Head(SpelledNames::All) } else { Written::Bytes }
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
        }
        None
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
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
/// Hyper's limit.
const HEAD_LEN_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requests_head_is_kept_until_it_is_answered() {
        let raw = RawHeaders::default();
        raw.note_read(b"GET / HTTP/1.1\r\n");
        raw.note_read(b"\r\n");
        assert_eq!(raw.request(), b"GET / HTTP/1.1\r\n\r\n");
        raw.begin_request(0, Some(4));
        raw.note_read(b"body");
        assert_eq!((raw.request(), raw.request_len()), (b"GET / HTTP/1.1\r\n\r\n".to_vec(), Some(18)));
        raw.await_request(None);
        assert_eq!(raw.request(), b"");
        raw.note_read(b"GET");
        assert_eq!(raw.request(), b"GET");
        raw.end();
        raw.await_request(None);
        raw.note_read(b"GET");
        assert_eq!(raw.request(), b"", "another protocol has no headers");
    }

    #[test]
    fn only_what_is_written_while_a_head_is_read_is_a_refusal() {
        const REFUSED: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
        let raw = RawHeaders::default();
        let written = |bytes| raw.note_written(bytes, true);
        assert_eq!(written(REFUSED), Written::Bytes, "no head has come");
        raw.note_read(b"GET");
        assert_eq!(written(REFUSED), Written::Head(SpelledNames::All));
        assert_eq!(written(b"HTTP/1.1 200 OK\r\n\r\n"), Written::Bytes);
        assert_eq!(raw.note_written(REFUSED, false), Written::Bytes, "it may be a piece of a body");
        raw.begin_request(0, Some(0));
        assert_eq!(written(REFUSED), Written::Bytes, "a backend's");
        raw.end();
        raw.note_read(b"GET");
        assert_eq!(written(REFUSED), Written::Bytes, "another protocol's");
    }

    /// Returns what is read in place of these bytes.
    fn read(raw: &RawHeaders, bytes: &[u8]) -> String {
        let instead = raw.note_read(bytes);
        if let Some(instead) = &instead {
            assert_eq!(raw.note_read(instead), None, "it is escaped once");
        }
        String::from_utf8(instead.unwrap_or(bytes.to_vec())).unwrap()
    }

    #[test]
    fn what_no_target_may_have_is_escaped_there_and_nowhere_else() {
        let raw = RawHeaders::default();
        let head = "GET /<\"?a=<b>&c=\"d\" HTTP/1.1\r\nX: <>\"\r\n";
        let escaped = "GET /%3C\"?a=%3Cb%3E&c=%22d%22 HTTP/1.1\r\nX: <>\"\r\n";
        assert_eq!(read(&raw, head.as_bytes()), escaped);
        assert_eq!(read(&raw, b"Y: <>\"\r\n\r\n"), "Y: <>\"\r\n\r\n");
        // After requests without and with a body, part of which may come with the header; and in pieces.
        for (lines, body_len, body) in [(2, 0, &b""[..]), (1, 3, b"<>\""), (1, 5, b"<>\"")] {
            raw.begin_request(lines, Some(body_len));
            read(&raw, body);
            raw.await_request(None);
            let last = if body_len == 0 { "" } else { "<>" };
            let pieces = ["G", "ET /", "<\"", "?", "<\"", " HTTP/1.1\r\nX: <", "\r\n\r\n", last];
            let escaped: String = pieces.iter().map(|piece| read(&raw, piece.as_bytes())).collect();
            assert!(escaped.starts_with("GET /%3C\"?%3C%22 HTTP/1.1\r\nX: <\r\n\r\n"), "{escaped}");
        }
        let raw = RawHeaders::default();
        assert_eq!(read(&raw, b"G<T / HTTP/1.1\r\n"), "G<T / HTTP/1.1\r\n");
    }

    #[test]
    fn the_next_request_begins_behind_a_body_that_came_with_its_head() {
        for body in ["ab", "\r\n\r\n", "a\n\nGET / HTTP/1.1\r\n\r\n"] {
            let raw = RawHeaders::default();
            read(&raw, format!("POST / HTTP/1.1\r\nA: <\r\nB: >\r\n\r\n{body}").as_bytes());
            raw.begin_request(2, Some(body.len() as u64));
            raw.await_request(None);
            assert_eq!(read(&raw, b"GET /<"), "GET /%3C", "{body:?}");
        }
    }

    #[test]
    fn nothing_is_escaped_once_it_is_not_certain_where_a_request_begins() {
        const HEAD: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
        let with = |before: &[u8], behind: &[u8]| [before, HEAD, behind].concat();
        let cases = [
            ("an early answer", HEAD.to_vec(), Some(4), &b"bo"[..]),
            ("a body of unknown length", HEAD.to_vec(), None, b""),
            ("a request ahead of time", HEAD.to_vec(), Some(0), b"GET "),
            ("a part of a request behind it", with(b"", b"GET /"), Some(0), b""),
            ("a request behind it", with(b"", HEAD), Some(0), b""),
            ("a line that hyper has not counted", b"GET / HTTP/1.1\r\nX: y\r\n\r\n".to_vec(), Some(0), b""),
            ("an empty line before it", with(b"\r\n", b""), Some(0), b""),
            ("two empty lines before it", with(b"\r\n\r\n", b""), Some(16), b""),
            (
                "a bare line feed, and an empty line in what is behind it",
                b"GET / HTTP/1.1\n\nX\r\n\r\n".to_vec(),
                Some(0),
                b"",
            ),
        ];
        for (name, bytes, body_len, served) in cases {
            let raw = RawHeaders::default();
            read(&raw, &bytes);
            raw.begin_request(0, body_len);
            read(&raw, served);
            raw.await_request(None);
            assert_eq!(read(&raw, b"GET /<"), "GET /<", "{name}");
            // And never again.
            read(&raw, b" HTTP/1.1\r\n\r\n");
            raw.begin_request(0, Some(0));
            raw.await_request(None);
            assert_eq!(read(&raw, b"GET /<"), "GET /<", "{name}");
        }
        let raw = RawHeaders::default();
        raw.end();
        assert_eq!(read(&raw, b"GET /<"), "GET /<", "another protocol");
    }
}

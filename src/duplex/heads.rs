//! The heads of requests and responses as they pass below hyper, which knows the names in them in lower case alone.
//!
//! hyper can keep a spelling and write one, but at a cost for every request and every name that a poll must not pay. So the
//! bytes of a request's head are kept while it is read, for a service that forwards them; and the names in a response's
//! head are written `Like-This` as it goes out. And hyper refuses a target with `<`, `>` or `"` in it, which old clients send and
//! other servers take: these are escaped before it reads them, where it is certain that a request begins.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memchr::{memchr, memchr_iter, memchr3, memrchr};

/// What a server and the stream below hyper tell each other of heads.
#[derive(Clone, Default, Debug)]
pub struct Heads(Arc<Shared>);

#[derive(Default, Debug)]
struct Shared {
    state: Mutex<State>,
    /// How long the head is of the request that is being served; 0 if that is not certain. A look at it takes no lock.
    head_len: AtomicUsize,
}

#[derive(Default, Debug)]
struct State {
    /// What has been read of a request's head, perhaps with some of the body behind it.
    request: Vec<u8>,
    /// What is read next.
    place: Place,
    /// Where requests begin is not certain any more. It never is again: a guess that is wrong would change a body, and what
    /// it makes longer ends in the next request.
    is_lost: bool,
    /// How much has been read since the request began.
    read: u64,
    /// How long the request is, with its body.
    len: u64,
    /// What is written next begins with the head of a response, and which of its names are to be spelled.
    spells: Option<Spells>,
    /// What has become of hyper's refusal of a head that has too many lines for it.
    refusal: Refusal,
}

/// A place in what a client sends.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Place {
    /// A head's first line, up to the target.
    #[default]
    Method,
    /// The same, in the target.
    Path,
    /// The same, behind the `?`.
    Query,
    /// Another part of a head, or one of which it is not certain where it began.
    Head,
    /// The request is being served: what comes now is its body, or the next request ahead of time.
    Served,
    /// It speaks another protocol, and no head comes any more.
    Over,
}

/// Which names of a response's head are spelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spells {
    /// All of them: the response is our own.
    All,
    /// Those that hyper adds to a backend's.
    Added,
}

/// What hyper writes, and what becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Written {
    /// It goes out as it is.
    Bytes,
    /// It begins with a response's head, whose names are spelled.
    Head(Spells),
    /// It is kept from the client: a refusal of a head that is to be read again.
    Kept,
}

/// hyper clears room for each line that a head may have, whether it has it or not. So it is given little, and a head for
/// which that was too little is read again with more.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Refusal {
    #[default]
    Unheard,
    /// It was kept from the client.
    Kept,
    /// There was no less room than there can be: such a refusal is the client's to hear.
    Final,
}

impl Heads {
    /// A request has been read, in whose head hyper has found so many header lines, and whose body is this long, if that is
    /// known: what comes now is no head.
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

    /// The bytes with which the head came of the request that is being served, perhaps with some of its body; none of a request
    /// that came while the one before it was being served.
    pub fn request(&self) -> Vec<u8> {
        self.state().request.clone()
    }

    /// How long that head is, if that is certain.
    pub fn request_len(&self) -> Option<usize> {
        Some(self.0.head_len.load(Ordering::Relaxed)).filter(|len| *len > 0)
    }

    /// The request has been answered, or is gone: what comes now begins with a head, unless it is over.
    ///
    /// With an answer come the names to spell in its head, which is written next. Nothing else may wait to be written before it.
    pub fn await_request(&self, spells: Option<Spells>) {
        let mut state = self.state();
        if spells.is_some() {
            state.spells = spells;
        }
        state.request.clear();
        state.request.shrink_to(KEPT_LEN_MAX);
        if state.place == Place::Served {
            // The next request begins with what is read next where exactly this one has been read: not the less of it that an
            // early answer waited for, and nothing that was sent ahead.
            state.is_lost |= state.read != state.len;
            state.place = if state.is_lost { Place::Head } else { Place::Method };
            (state.read, state.len) = (0, 0);
        }
    }

    /// Gives back the room that the next request will need: there is none for a while.
    pub fn rest(&self) {
        self.state().request = Vec::new();
    }

    /// The connection becomes another protocol's.
    pub fn end(&self) {
        self.state().place = Place::Over;
    }

    /// Whether hyper has refused a head that more room may help. Told once, and the head is to be read again then.
    pub fn take_refused(&self) -> bool {
        let mut state = self.state();
        let is_refused = state.refusal == Refusal::Kept;
        if is_refused {
            state.refusal = Refusal::Final;
            state.request.clear();
            // It is read, and counted, again.
            state.is_lost = true;
            state.place = Place::Head;
        }
        is_refused
    }

    /// Says what becomes of what is written, before which nothing waits to be written where `was_flushed`.
    ///
    /// A service's response has its names spelled as it wants them. hyper's own refusal of the head that is being read is known by
    /// being the only thing that is written meanwhile: a client that does not send ahead has heard all of its last response by
    /// then.
    pub(super) fn note_written(&self, written: &[u8], was_flushed: bool) -> Written {
        let mut state = self.state();
        if let Some(spells) = state.spells.take() {
            return Written::Head(spells);
        }
        if !state.place.is_head() || state.request.is_empty() || !written.starts_with(b"HTTP/1.1 4") {
            return Written::Bytes;
        }
        let has_many = || memchr_iter(b'\n', &state.request).nth(HYPERS_LINES_MAX).is_some();
        if written.starts_with(REFUSAL) && state.refusal == Refusal::Unheard && has_many() {
            state.refusal = Refusal::Kept;
            return Written::Kept;
        }
        if was_flushed { Written::Head(Spells::All) } else { Written::Bytes }
    }

    /// Notes what was read; or gives what is to be read in its place.
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
        // A head that is longer is refused.
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

    /// The place behind a byte of a head's first line.
    const fn behind(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Method, b' ') => Self::Path,
            (Self::Path, b'?') => Self::Query,
            (place, _) => place,
        }
    }
}

/// How long the head at the beginning of `bytes` is, in which hyper has found so many header lines; nothing if that is not
/// certain.
///
/// No line that hyper takes has a line feed but at its end, and none is counted that is not there: it may pass over some. So
/// the head is no shorter than its first line, as many others and an empty one; and where that line is the empty one it is no
/// longer either.
fn head_len(bytes: &[u8], lines: usize) -> Option<usize> {
    let feeds = lines + 2;
    // Mostly there is none behind the head, and then they need not be looked at one by one.
    let last = if memchr_iter(b'\n', bytes).count() == feeds {
        memrchr(b'\n', bytes)
    } else {
        memchr_iter(b'\n', bytes).nth(feeds - 1)
    };
    let head = &bytes[..=last?];
    // hyper passes over empty lines before a head.
    let begins = !matches!(head[0], b'\r' | b'\n');
    (begins && head.ends_with(b"\n\r\n")).then_some(head.len())
}

/// A part of a head's first line with what RFC 3986 has in the place of bytes that hyper takes in no target, or in no query;
/// nothing if there are none.
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

/// How hyper says that a head is too much for it.
const REFUSAL: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n";
/// How many header lines it takes unless it is told otherwise.
const HYPERS_LINES_MAX: usize = 100;
/// Room that is kept for the next head: for a usual one.
const KEPT_LEN_MAX: usize = 4 << 10;
/// As hyper has it.
const HEAD_LEN_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requests_head_is_kept_until_it_is_answered() {
        let heads = Heads::default();
        heads.note_read(b"GET / HTTP/1.1\r\n");
        heads.note_read(b"\r\n");
        assert_eq!(heads.request(), b"GET / HTTP/1.1\r\n\r\n");
        heads.begin_request(0, Some(4));
        heads.note_read(b"body");
        assert_eq!((heads.request(), heads.request_len()), (b"GET / HTTP/1.1\r\n\r\n".to_vec(), Some(18)));
        heads.await_request(None);
        assert_eq!(heads.request(), b"");
        heads.note_read(b"GET");
        assert_eq!(heads.request(), b"GET");
        heads.end();
        heads.await_request(None);
        heads.note_read(b"GET");
        assert_eq!(heads.request(), b"", "another protocol has no heads");
    }

    #[test]
    fn only_what_is_written_while_a_head_is_read_is_a_refusal() {
        const REFUSED: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
        let heads = Heads::default();
        let written = |bytes| heads.note_written(bytes, true);
        assert_eq!(written(REFUSED), Written::Bytes, "no head has come");
        heads.note_read(b"GET");
        assert_eq!(written(REFUSED), Written::Head(Spells::All));
        assert_eq!(written(b"HTTP/1.1 200 OK\r\n\r\n"), Written::Bytes);
        assert_eq!(heads.note_written(REFUSED, false), Written::Bytes, "it may be a piece of a body");
        heads.begin_request(0, Some(0));
        assert_eq!(written(REFUSED), Written::Bytes, "a backend's");
        heads.end();
        heads.note_read(b"GET");
        assert_eq!(written(REFUSED), Written::Bytes, "another protocol's");
    }

    /// What is read in the place of these bytes.
    fn read(heads: &Heads, bytes: &[u8]) -> String {
        let instead = heads.note_read(bytes);
        if let Some(instead) = &instead {
            assert_eq!(heads.note_read(instead), None, "it is escaped once");
        }
        String::from_utf8(instead.unwrap_or(bytes.to_vec())).unwrap()
    }

    #[test]
    fn what_no_target_may_have_is_escaped_there_and_nowhere_else() {
        let heads = Heads::default();
        let head = "GET /<\"?a=<b>&c=\"d\" HTTP/1.1\r\nX: <>\"\r\n";
        let escaped = "GET /%3C\"?a=%3Cb%3E&c=%22d%22 HTTP/1.1\r\nX: <>\"\r\n";
        assert_eq!(read(&heads, head.as_bytes()), escaped);
        assert_eq!(read(&heads, b"Y: <>\"\r\n\r\n"), "Y: <>\"\r\n\r\n");
        // Behind requests without and with a body, a part of which may come with the head; and in pieces.
        for (lines, body_len, body) in [(2, 0, &b""[..]), (1, 3, b"<>\""), (1, 5, b"<>\"")] {
            heads.begin_request(lines, Some(body_len));
            read(&heads, body);
            heads.await_request(None);
            let pieces = [
                "G",
                "ET /",
                "<\"",
                "?",
                "<\"",
                " HTTP/1.1\r\nX: <",
                "\r\n\r\n",
                if body_len == 0 { "" } else { "<>" },
            ];
            let escaped: String = pieces.iter().map(|piece| read(&heads, piece.as_bytes())).collect();
            assert!(escaped.starts_with("GET /%3C\"?%3C%22 HTTP/1.1\r\nX: <\r\n\r\n"), "{escaped}");
        }
        let heads = Heads::default();
        assert_eq!(read(&heads, b"G<T / HTTP/1.1\r\n"), "G<T / HTTP/1.1\r\n");
    }

    #[test]
    fn the_next_request_begins_behind_a_body_that_came_with_its_head() {
        for body in ["ab", "\r\n\r\n", "a\n\nGET / HTTP/1.1\r\n\r\n"] {
            let heads = Heads::default();
            read(&heads, format!("POST / HTTP/1.1\r\nA: <\r\nB: >\r\n\r\n{body}").as_bytes());
            heads.begin_request(2, Some(body.len() as u64));
            heads.await_request(None);
            assert_eq!(read(&heads, b"GET /<"), "GET /%3C", "{body:?}");
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
            let heads = Heads::default();
            read(&heads, &bytes);
            heads.begin_request(0, body_len);
            read(&heads, served);
            heads.await_request(None);
            assert_eq!(read(&heads, b"GET /<"), "GET /<", "{name}");
            // Nor ever again.
            read(&heads, b" HTTP/1.1\r\n\r\n");
            heads.begin_request(0, Some(0));
            heads.await_request(None);
            assert_eq!(read(&heads, b"GET /<"), "GET /<", "{name}");
        }
        let heads = Heads::default();
        heads.end();
        assert_eq!(read(&heads, b"GET /<"), "GET /<", "another protocol");
    }
}

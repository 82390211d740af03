//! The heads of requests and responses as they pass below hyper, which knows the names in them in lower case alone.
//!
//! hyper can keep a spelling and write one, but at a cost for every request and every name that a poll must not pay. So the
//! bytes of a request's head are kept while it is read, for a service that forwards them; and the names in a response's
//! head are written `Like-This` as it goes out. And hyper refuses a target with `<`, `>` or `"` in it, which old clients send and
//! other servers take: these are escaped before it reads them, where it is certain that a request begins.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter, memchr3};

/// What a server and the stream below hyper tell each other of heads.
#[derive(Clone, Default, Debug)]
pub struct Heads(Arc<Mutex<State>>);

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
    /// Takes the bytes with which a request's head came. They are there while the service is called, and not after it; and
    /// none of a request that came while the one before it was being served.
    pub fn take_request(&self) -> Vec<u8> {
        let mut state = self.state();
        state.note_head();
        std::mem::take(&mut state.request)
    }

    /// The service has been called: what comes now is no head. The request's body is this long, if that is known.
    pub fn end_request(&self, body_len: Option<u64>) {
        let mut state = self.state();
        if !state.request.is_empty() {
            state.note_head();
        }
        state.request = Vec::new();
        state.is_lost |= body_len.is_none();
        state.len += body_len.unwrap_or_default();
        state.place = Place::Served;
    }

    /// The request has been answered, or is gone: what comes now begins with a head, unless it is over.
    pub fn await_request(&self) {
        let mut state = self.state();
        if state.place == Place::Served {
            // The next request begins with what is read next where exactly this one has been read: not the less of it that an
            // early answer waited for, and nothing that was sent ahead.
            state.is_lost |= state.read != state.len;
            state.place = if state.is_lost { Place::Head } else { Place::Method };
            (state.read, state.len) = (0, 0);
        }
    }

    /// The connection becomes another protocol's.
    pub fn end(&self) {
        self.state().place = Place::Over;
    }

    /// Spells names in the head of the response that is written next. Nothing else may wait to be written before it.
    pub fn spell_response(&self, spells: Spells) {
        self.state().spells = Some(spells);
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

    /// Whether `written` is hyper's own refusal of the head that is being read, which is then kept from the client.
    ///
    /// A client that does not send ahead has heard all of its last response by then: what has this form is no part of that.
    pub(super) fn keeps(&self, written: &[u8]) -> bool {
        if !written.starts_with(REFUSAL) {
            return false;
        }
        let mut state = self.state();
        let has_many = memchr_iter(b'\n', &state.request).nth(HYPERS_LINES_MAX).is_some();
        let keeps = has_many && state.place.is_head() && state.refusal == Refusal::Unheard;
        if keeps {
            state.refusal = Refusal::Kept;
        }
        keeps
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

    /// Which names are to be spelled in `written`, if it begins with a head: a service's, or hyper's own refusal of the head
    /// that is being read, before which nothing waits to be written where `was_flushed`.
    pub(super) fn take_spells(&self, written: &[u8], was_flushed: bool) -> Option<Spells> {
        let mut state = self.state();
        state.spells.take().or_else(|| {
            // hyper reads no head while it writes an answer, so these bytes are none of a body.
            let is_refusal = was_flushed
                && state.place.is_head()
                && !state.request.is_empty()
                && written.starts_with(b"HTTP/1.1 4");
            is_refusal.then_some(Spells::All)
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes how long the head is of which the service has been told. It ends with its first empty line, if no empty line is
    /// before it; a bare line feed makes that uncertain.
    fn note_head(&mut self) {
        let begins = !matches!(self.request.first(), None | Some(b'\r' | b'\n'));
        let empty_line =
            EMPTY_LINE.find(&self.request).filter(|at| BARE_LINE.find(&self.request[..*at]).is_none());
        self.is_lost |= !begins || empty_line.is_none();
        self.len = empty_line.map_or(0, |at| (at + EMPTY_LINE.needle().len()) as u64);
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
/// Searched for in each request: made once.
static EMPTY_LINE: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\n\r\n"));
static BARE_LINE: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\n\n"));
/// As hyper has it.
const HEAD_LEN_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requests_head_is_kept_until_the_service_has_been_called() {
        let heads = Heads::default();
        heads.note_read(b"GET / HTTP/1.1\r\n");
        heads.note_read(b"\r\n");
        assert_eq!(heads.take_request(), b"GET / HTTP/1.1\r\n\r\n");
        heads.end_request(Some(4));
        heads.note_read(b"body");
        assert_eq!(heads.take_request(), b"");
        heads.await_request();
        heads.note_read(b"GET");
        assert_eq!(heads.take_request(), b"GET");
        heads.end();
        heads.await_request();
        heads.note_read(b"GET");
        assert_eq!(heads.take_request(), b"", "another protocol has no heads");
    }

    #[test]
    fn only_what_is_written_while_a_head_is_read_is_a_refusal() {
        const REFUSED: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
        let heads = Heads::default();
        assert_eq!(heads.take_spells(REFUSED, true), None, "no head has come");
        heads.note_read(b"GET");
        assert_eq!(heads.take_spells(REFUSED, true), Some(Spells::All));
        assert_eq!(heads.take_spells(b"HTTP/1.1 200 OK\r\n\r\n", true), None);
        assert_eq!(heads.take_spells(REFUSED, false), None, "it may be a piece of a body");
        heads.end_request(Some(0));
        assert_eq!(heads.take_spells(REFUSED, true), None, "a backend's");
        heads.end();
        heads.note_read(b"GET");
        assert_eq!(heads.take_spells(REFUSED, true), None, "another protocol's");
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
        for (body_len, body) in [(0, &b""[..]), (3, b"<>\""), (5, b"<>\"")] {
            heads.end_request(Some(body_len));
            read(&heads, body);
            heads.await_request();
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
    fn nothing_is_escaped_once_it_is_not_certain_where_a_request_begins() {
        const HEAD: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
        let with = |before: &[u8], behind: &[u8]| [before, HEAD, behind].concat();
        let cases = [
            ("an early answer", HEAD.to_vec(), Some(4), &b"bo"[..]),
            ("a body of unknown length", HEAD.to_vec(), None, b""),
            ("a request ahead of time", HEAD.to_vec(), Some(0), b"GET "),
            ("a part of a request behind it", with(b"", b"GET /"), Some(0), b""),
            ("a request behind it", with(b"", HEAD), Some(0), b""),
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
            for takes in [false, true] {
                let heads = Heads::default();
                read(&heads, &bytes);
                if takes {
                    heads.take_request();
                }
                heads.end_request(body_len);
                read(&heads, served);
                heads.await_request();
                assert_eq!(read(&heads, b"GET /<"), "GET /<", "{name}");
                // Nor ever again.
                read(&heads, b" HTTP/1.1\r\n\r\n");
                heads.end_request(Some(0));
                heads.await_request();
                assert_eq!(read(&heads, b"GET /<"), "GET /<", "{name}");
            }
        }
        let heads = Heads::default();
        heads.end();
        assert_eq!(read(&heads, b"GET /<"), "GET /<", "another protocol");
    }
}

//! The heads of requests and responses as they pass below hyper, which knows the names in them in lower case alone.
//!
//! hyper can keep a spelling and write one, but at a cost for every request and every name that a poll must not pay. So the
//! bytes of a request's head are kept while it is read, for a service that forwards them; and the names in a response's
//! head are written `Like-This` as it goes out.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use memchr::{memchr, memchr_iter};
use tokio::io::AsyncWrite as _;

use super::Duplex;

/// What a server and the stream below hyper tell each other of heads.
#[derive(Clone, Default, Debug)]
pub struct Heads(Arc<Mutex<State>>);

#[derive(Default, Debug)]
struct State {
    /// What has been read of a request's head, perhaps with some of the body behind it.
    request: Vec<u8>,
    /// What is read next.
    place: Place,
    /// What is written next begins with the head of a response, and which of its names are to be spelled.
    spells: Option<Spells>,
    /// What has become of hyper's refusal of a head that has too many lines for it.
    refusal: Refusal,
}

/// A place in what a client sends.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Place {
    /// A head.
    #[default]
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
        std::mem::take(&mut self.state().request)
    }

    /// The service has been called: what comes now is no head.
    pub fn end_request(&self) {
        let mut state = self.state();
        state.request = Vec::new();
        state.place = Place::Served;
    }

    /// The request has been answered, or is gone: what comes now begins with a head, unless it is over.
    pub fn await_request(&self) {
        let mut state = self.state();
        if state.place == Place::Served {
            state.place = Place::Head;
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
        let keeps = has_many && state.place == Place::Head && state.refusal == Refusal::Unheard;
        if keeps {
            state.refusal = Refusal::Kept;
        }
        keeps
    }

    pub(super) fn note_read(&self, bytes: &[u8]) {
        let mut state = self.state();
        // A head that is longer is refused.
        if state.place == Place::Head && state.request.len() < HEAD_LEN_MAX {
            state.request.extend_from_slice(bytes);
        }
    }

    fn take_spells(&self) -> Option<Spells> {
        self.state().spells.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes to a stream, and spells the names in heads.
#[derive(Default, Debug)]
pub(super) struct Speller {
    /// What is written in the place of as many bytes: the rest of a head of which the stream has taken a part.
    rest: Vec<u8>,
}

impl Speller {
    /// Writes `bufs`, as `AsyncWrite::poll_write_vectored` does.
    pub(super) fn poll_write(
        &mut self,
        duplex: &mut Duplex,
        heads: &Heads,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            return self.poll_write_spelled(duplex, &rest, cx, bufs);
        }
        let first = bufs.first().map_or(&[][..], |buf| buf);
        let Some(spells) = heads.take_spells().filter(|_| first.starts_with(b"HTTP/1.")) else {
            return Pin::new(duplex).poll_write_vectored(cx, bufs);
        };
        let mut room = [0; ROOM_LEN];
        if let Some(head) = room.get_mut(..first.len()) {
            head.copy_from_slice(first);
            self.poll_write_spelled(duplex, spelled(head, spells), cx, bufs)
        } else {
            self.poll_write_spelled(duplex, spelled(&mut first.to_vec(), spells), cx, bufs)
        }
    }

    /// Writes `head` in the place of as many bytes.
    fn poll_write_spelled(
        &mut self,
        duplex: &mut Duplex,
        head: &[u8],
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let [first, second] = [0, 1].map(|at| bufs.get(at).map_or(&[][..], |buf| buf));
        let behind = first.get(head.len()..).unwrap_or_default();
        let pieces = [IoSlice::new(head), IoSlice::new(behind), IoSlice::new(second)];
        let written = Pin::new(duplex).poll_write_vectored(cx, &pieces);
        let taken = if let Poll::Ready(Ok(taken)) = written { taken } else { 0 };
        if taken < head.len() {
            self.rest = head[taken..].to_vec();
        }
        written
    }
}

/// The head at the beginning of `bytes`, with its names spelled; nothing if there is no end to it.
fn spelled(bytes: &mut [u8], spells: Spells) -> &[u8] {
    // The first line has no name.
    let mut start = memchr(b'\n', bytes).map_or(bytes.len(), |len| len + 1);
    while let Some(len) = memchr(b'\n', &bytes[start..]) {
        let line = &mut bytes[start..=start + len];
        start += len + 1;
        if line == b"\r\n" {
            return &bytes[..start];
        }
        if spells == Spells::Added && !ADDED.iter().any(|name| line.starts_with(name)) {
            continue;
        }
        let mut at = 0;
        loop {
            line[at].make_ascii_uppercase();
            let Some(len) = line[at..].iter().position(|byte| matches!(byte, b'-' | b':')) else { break };
            at += len + 1;
            if line[at - 1] == b':' || at == line.len() {
                break;
            }
        }
    }
    &[]
}

/// What hyper may add to a response, as it writes it.
const ADDED: [&[u8]; 3] = [b"connection:", b"date:", b"transfer-encoding:"];
/// How hyper says that a head is too much for it.
const REFUSAL: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n";
/// How many header lines it takes unless it is told otherwise.
const HYPERS_LINES_MAX: usize = 100;
/// As hyper has it.
const HEAD_LEN_MAX: usize = 64 << 10;
/// Room for the head of an answer to a poll.
const ROOM_LEN: usize = 512;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, duplex};

    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 200 fine-by-me\r\ncontent-type: a-b\r\nx-own: c\r\nDate: d\r\n\r\n";
    const SPELLED: &[u8] = b"HTTP/1.1 200 fine-by-me\r\nContent-Type: a-b\r\nX-Own: c\r\nDate: d\r\n\r\n";
    const BODY: &[u8] = b"a\r\nname: b\r\n\r\n";

    /// What comes out of a stream that takes `room` bytes at a time.
    async fn passed(head: &[u8], room: usize, spells: bool) -> Vec<u8> {
        let (ours, mut theirs) = duplex(room);
        let (mut stream, heads, mut speller) = (Duplex::from(ours), Heads::default(), Speller::default());
        if spells {
            heads.spell_response(Spells::All);
        }
        let all = [head, BODY].concat();
        let writing = async move {
            let mut at = 0;
            while at < all.len() {
                let (head, body) = all.split_at(at.max(head.len()));
                let bufs = [IoSlice::new(&head[at..]), IoSlice::new(body)];
                let bufs = if at < head.len() { &bufs[..] } else { &bufs[1..] };
                at += poll_fn(|cx| speller.poll_write(&mut stream, &heads, cx, bufs)).await.unwrap();
            }
        };
        let mut read = Vec::new();
        tokio::join!(writing, theirs.read_to_end(&mut read)).1.unwrap();
        read
    }

    #[tokio::test]
    async fn names_are_spelled_in_the_head_and_nowhere_else() {
        for room in 1..200 {
            assert_eq!(passed(HEAD, room, true).await, [SPELLED, BODY].concat(), "{room}");
            assert_eq!(passed(HEAD, room, false).await, [HEAD, BODY].concat(), "{room}");
        }
    }

    #[tokio::test]
    async fn a_head_of_any_length_is_spelled() {
        let long = format!("HTTP/1.1 200 OK\r\nset-cookie: {}\r\n\r\n", "x".repeat(2 * ROOM_LEN));
        let spelled = long.replace("set-cookie", "Set-Cookie");
        assert_eq!(passed(long.as_bytes(), 100, true).await, [spelled.as_bytes(), BODY].concat());
    }

    #[tokio::test]
    async fn what_is_no_head_stays_as_it_is() {
        for bytes in [
            &b"name: value\r\nother: value\r\n\r\n"[..],
            &b"HTTP/1.1 200 OK\r\nname: value\r\nother: value"[..],
            b"x",
            b"\r\n",
            b"\r\n\r",
        ] {
            assert_eq!(passed(bytes, 3, true).await, [bytes, BODY].concat());
        }
    }

    #[test]
    fn of_a_backends_names_only_those_that_hyper_adds_are_spelled() {
        let mut head = *b"HTTP/1.1 200 OK\r\nx-own: date: a\r\ndate: d\r\ntransfer-encoding: chunked\r\n\r\n";
        let spelled = spelled(&mut head, Spells::Added);
        assert_eq!(
            spelled,
            b"HTTP/1.1 200 OK\r\nx-own: date: a\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
    }

    #[test]
    fn a_requests_head_is_kept_until_the_service_has_been_called() {
        let heads = Heads::default();
        heads.note_read(b"GET / HTTP/1.1\r\n");
        heads.note_read(b"\r\n");
        assert_eq!(heads.take_request(), b"GET / HTTP/1.1\r\n\r\n");
        heads.end_request();
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
}

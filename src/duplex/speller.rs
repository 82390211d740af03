//! Spells the names in the heads of responses as they are written.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use memchr::memchr;
use tokio::io::AsyncWrite as _;

use super::Duplex;
use super::heads::{Heads, Spells};

/// Writes to a stream, and spells the names in heads.
#[derive(Default, Debug)]
pub(super) struct Speller {
    /// What is written in the place of as many bytes: the rest of a head of which the stream has taken a part.
    rest: Vec<u8>,
}

impl Speller {
    /// Writes `bufs`, as `AsyncWrite::poll_write_vectored` does; `was_flushed` says that nothing waits before them.
    pub(super) fn poll_write(
        &mut self,
        duplex: &mut Duplex,
        heads: &Heads,
        was_flushed: bool,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            return self.poll_write_spelled(duplex, &rest, cx, bufs);
        }
        let first = bufs.first().map_or(&[][..], |buf| buf);
        let Some(spells) = heads.take_spells(first, was_flushed).filter(|_| first.starts_with(b"HTTP/1."))
        else {
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
        if matches!(line[0], b'E' | b'W' | b'X')
            && let Some((_, own)) = EXCEPTIONS.iter().find(|(usual, _)| line.starts_with(usual))
        {
            line[..own.len()].copy_from_slice(own);
        }
    }
    &[]
}

/// The names that `Like-This` gets wrong.
const EXCEPTIONS: [(&[u8], &[u8]); 3] = [
    (b"Etag:", b"ETag:"),
    (b"Www-Authenticate:", b"WWW-Authenticate:"),
    (b"X-Xss-Protection:", b"X-XSS-Protection:"),
];

/// What hyper may add to a response, as it writes it.
const ADDED: [&[u8]; 3] = [b"connection:", b"date:", b"transfer-encoding:"];
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
                at += poll_fn(|cx| speller.poll_write(&mut stream, &heads, true, cx, bufs)).await.unwrap();
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

    #[test]
    fn names_that_are_spelled_otherwise_are_spelled_so() {
        let mut head = *b"HTTP/1.1 200 OK\r\nx-xss-protection: 0\r\netag: 1\r\nwww-authenticate: Basic\r\nx-xss: 1\r\n\r\n";
        let expected =
            b"HTTP/1.1 200 OK\r\nX-XSS-Protection: 0\r\nETag: 1\r\nWWW-Authenticate: Basic\r\nX-Xss: 1\r\n\r\n";
        assert_eq!(spelled(&mut head, Spells::All), expected);
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
}

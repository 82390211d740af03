//! Spells the names in response headers as they are written.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite as _;

use super::Duplex;
use super::raw_headers::SpelledNames;
use crate::date;

/// Writes to a stream, and spells the names in headers.
#[derive(Default, Debug)]
pub(super) struct Speller {
    /// Written in place of as many bytes: the rest of a header that the stream has taken in part.
    rest: Vec<u8>,
}

impl Speller {
    /// Writes `bufs`, as `AsyncWrite::poll_write_vectored` does. `spelled_names` says which names are spelled, if they begin
    /// with a response's header.
    pub(super) fn poll_write(
        &mut self,
        duplex: &mut Duplex,
        spelled_names: Option<SpelledNames>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            return self.poll_write_spelled(duplex, &rest, cx, bufs);
        }
        let first = bufs.first().map_or(&[][..], |buf| buf);
        let Some(spelled_names) = spelled_names.filter(|_| first.starts_with(b"HTTP/1.")) else {
            return Pin::new(duplex).poll_write_vectored(cx, bufs);
        };
        let mut room = [0; ROOM_LEN];
        if let Some(head) = room.get_mut(..first.len()) {
            head.copy_from_slice(first);
            self.poll_write_spelled(duplex, spelled(head, spelled_names), cx, bufs)
        } else {
            self.poll_write_spelled(duplex, spelled(&mut first.to_vec(), spelled_names), cx, bufs)
        }
    }

    /// Writes `head` in place of as many bytes.
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

/// Spells the names in a response's header, as they are in responses that hyper writes.
pub fn spell_header(header: &mut [u8]) {
    spelled(header, SpelledNames::All);
}

/// Returns the header at the beginning of `bytes`, with its names spelled; empty if it is incomplete.
fn spelled(bytes: &mut [u8], spelled_names: SpelledNames) -> &[u8] {
    // The first line has no name.
    let mut at = if spelled_names == SpelledNames::All { spell_beginning(bytes) } else { 0 };
    while let Some(len) = line_len(&bytes[at..]) {
        let start = at + len;
        let line = &mut bytes[start..];
        if line.starts_with(b"\r\n") {
            return &bytes[..start + 2];
        }
        at = start + spell(line, spelled_names);
    }
    &[]
}

/// Spells the lines with which nearly all responses to polls and POSTs begin. Returns how many bytes are done.
fn spell_beginning(bytes: &mut [u8]) -> usize {
    for (lower, own) in BEGINNINGS {
        if bytes.starts_with(lower) {
            bytes[..own.len()].copy_from_slice(own);
            // All but its line feed.
            return lower.len() - 1;
        }
    }
    0
}

/// Returns the length of the first line with its line feed. Header lines are short: a search in larger steps would take
/// longer to set up than this takes to finish.
fn line_len(bytes: &[u8]) -> Option<usize> {
    let mut words = bytes.chunks_exact(8);
    let mut at = 0;
    for word in &mut words {
        let word = word.try_into().map_or(0, u64::from_le_bytes) ^ (LOWEST * u64::from(b'\n'));
        // The lowest bit set is the highest bit of the first byte that was a line feed.
        let found = word.wrapping_sub(LOWEST) & !word & (LOWEST << 7);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8 + 1);
        }
        at += 8;
    }
    words.remainder().iter().position(|&byte| byte == b'\n').map(|len| at + len + 1)
}

/// Spells the name in a line. Names of nearly every response are recognised without looking at each letter, as are
/// those that `Like-This` gets wrong. Returns how many bytes of the line are done.
fn spell(line: &mut [u8], spelled_names: SpelledNames) -> usize {
    let all = spelled_names != SpelledNames::Added;
    if spelled_names == SpelledNames::Refusal && line.starts_with(b"date: ") {
        date::overwrite(&mut line[b"date: ".len()..]);
    }
    let known = match line.first() {
        Some(b'd') => put(line, b"date:", b"Date:"),
        Some(b't') => put(line, b"transfer-encoding:", b"Transfer-Encoding:"),
        Some(b'c') => put(line, b"connection:", b"Connection:").or_else(|| {
            all.then_some(())?;
            put(line, b"content-length:", b"Content-Length:")
                .or_else(|| put(line, b"content-type:", b"Content-Type:"))
                .or_else(|| put(line, b"cache-control:", b"Cache-Control:"))
        }),
        Some(b'a') if all => put(line, b"access-control-allow-origin:", b"Access-Control-Allow-Origin:")
            .or_else(|| {
                put(line, b"access-control-allow-credentials:", b"Access-Control-Allow-Credentials:")
            }),
        Some(b'v') if all => put(line, b"vary:", b"Vary:"),
        Some(b'e') if all => put(line, b"etag:", b"ETag:"),
        Some(b'w') if all => put(line, b"www-authenticate:", b"WWW-Authenticate:"),
        Some(b'x') if all => put(line, b"x-xss-protection:", b"X-XSS-Protection:"),
        Some(_) | None => None,
    };
    known.unwrap_or_else(|| if all { spell_like_this(line) } else { 0 })
}

/// Writes a name's spelling over the one in lower case, if the line begins with it. Returns its length.
#[inline]
fn put<const N: usize>(line: &mut [u8], lower: &[u8; N], own: &[u8; N]) -> Option<usize> {
    let name = line.first_chunk_mut().filter(|name| *name == lower)?;
    *name = *own;
    Some(N)
}

fn spell_like_this(line: &mut [u8]) -> usize {
    let mut begins = true;
    for (at, byte) in line.iter_mut().enumerate() {
        if matches!(byte, b':' | b'\n') {
            return at;
        }
        if begins {
            byte.make_ascii_uppercase();
        }
        begins = *byte == b'-';
    }
    0
}

/// As hyper writes it, and as it is spelled.
const BEGINNINGS: [(&[u8], &[u8]); 4] = [
    (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=UTF-8\r\ncache-control: no-store\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=UTF-8\r\nCache-Control: no-store\r\n",
    ),
    (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncache-control: no-store\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: no-store\r\n",
    ),
    (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/javascript; charset=UTF-8\r\n\
          cache-control: no-store, no-cache, no-transform, must-revalidate, max-age=0\r\n\
          access-control-allow-credentials: true\r\nvary: Origin\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/javascript; charset=UTF-8\r\n\
          Cache-Control: no-store, no-cache, no-transform, must-revalidate, max-age=0\r\n\
          Access-Control-Allow-Credentials: true\r\nVary: Origin\r\n",
    ),
    (
        b"HTTP/1.1 204 No Content\r\ncontent-type: text/plain; charset=UTF-8\r\n\
          cache-control: no-store, no-cache, no-transform, must-revalidate, max-age=0\r\n\
          access-control-allow-credentials: true\r\nvary: Origin\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Type: text/plain; charset=UTF-8\r\n\
          Cache-Control: no-store, no-cache, no-transform, must-revalidate, max-age=0\r\n\
          Access-Control-Allow-Credentials: true\r\nVary: Origin\r\n",
    ),
];
/// A 1 in each byte.
const LOWEST: u64 = 0x0101_0101_0101_0101;
/// Room for the header of a response to a poll.
const ROOM_LEN: usize = 512;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, duplex};

    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 200 fine-by-me\r\ncontent-type: a-b\r\nx-own: c\r\nDate: d\r\n\r\n";
    const SPELLED: &[u8] = b"HTTP/1.1 200 fine-by-me\r\nContent-Type: a-b\r\nX-Own: c\r\nDate: d\r\n\r\n";
    const BODY: &[u8] = b"a\r\nname: b\r\n\r\n";

    /// Returns the output of a stream that takes `room` bytes at a time.
    async fn passed(head: &[u8], room: usize, spelled_names: bool) -> Vec<u8> {
        let (ours, mut theirs) = duplex(room);
        let (mut stream, mut speller) = (Duplex::from(ours), Speller::default());
        let mut spelled_names = spelled_names.then_some(SpelledNames::All);
        let all = [head, BODY].concat();
        let writing = async move {
            let mut at = 0;
            while at < all.len() {
                let (head, body) = all.split_at(at.max(head.len()));
                let bufs = [IoSlice::new(&head[at..]), IoSlice::new(body)];
                let bufs = if at < head.len() { &bufs[..] } else { &bufs[1..] };
                at += poll_fn(|cx| speller.poll_write(&mut stream, spelled_names.take(), cx, bufs))
                    .await
                    .unwrap();
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
        assert_eq!(spelled(&mut head, SpelledNames::All), expected);
    }

    #[test]
    fn a_usual_beginning_is_spelled_like_any_other() {
        for (lower, own) in BEGINNINGS {
            let rest = b"content-length: 2\r\nx-own: c\r\n\r\n";
            let expected = [own, b"Content-Length: 2\r\nX-Own: c\r\n\r\n"].concat();
            assert_eq!(spelled(&mut [lower, rest].concat(), SpelledNames::All), expected);
            // With something before it.
            let line_len = |head: &[u8]| head.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            let other = |head: &[u8]| [b"HTTP/1.1 201 OK\r\n", &head[line_len(head)..]].concat();
            assert_eq!(spelled(&mut other(&[lower, rest].concat()), SpelledNames::All), other(&expected));
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
        let spelled = spelled(&mut head, SpelledNames::Added);
        assert_eq!(
            spelled,
            b"HTTP/1.1 200 OK\r\nx-own: date: a\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
    }
}

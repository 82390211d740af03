//! A late refusal: the reference server accepts a WebSocket whose protocol revision it does not speak, and then writes
//! HTTP where the first frame is expected.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use tokio::io::AsyncReadExt as _;

use crate::duplex::Duplex;
use crate::reply::{Refused, Refuser, Reply};

/// The first bytes after the 101 of a server that sends first.
pub(super) enum Greeting {
    /// The beginning of a frame, or nothing.
    Frame(Bytes),
    /// HTTP.
    Refusal(Refused),
}

/// Reads the first bytes after a 101; `read_ahead` may already contain some.
pub(super) async fn greeting(stream: &mut Duplex, read_ahead: Bytes) -> Greeting {
    let mut bytes = BytesMut::from(&read_ahead[..]);
    // A failure or an end here is found again when frames are read.
    while bytes.is_empty() && matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {}
    // As a frame, an H would be an unfinished one with a reserved bit, which no server sends.
    if bytes.first() != Some(&b'H') {
        return Greeting::Frame(bytes.freeze());
    }
    while refusal(&bytes).is_none() && bytes.len() < REFUSAL_LEN_MAX {
        if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
            break;
        }
    }
    match refusal(&bytes) {
        Some(refused) => Greeting::Refusal(refused),
        None => Greeting::Frame(bytes.freeze()),
    }
}

/// Returns the status and the body, once they are complete.
fn refusal(bytes: &[u8]) -> Option<Refused> {
    let head_len = memchr::memmem::find(bytes, b"\r\n\r\n")?;
    let (head, body) = (std::str::from_utf8(&bytes[..head_len]).ok()?, &bytes[head_len + 4..]);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    let body_len: usize = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())?;
    let reply = Reply {
        status: StatusCode::from_bytes(status.as_bytes())
            .ok()
            .filter(|status| Refused::STATUSES.contains(&status.as_u16()))?,
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.get(..body_len)?),
    };
    Some(Refused { reply, by: Refuser::EngineIo })
}

/// The reference's refusals have some hundred bytes.
const REFUSAL_LEN_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    const REFUSAL: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-type: text/html\r\n\
        Content-Length: 28\r\n\r\nUnsupported protocol version";

    async fn hear(said: &'static [u8], ahead: usize) -> Greeting {
        let (ours, mut theirs) = tokio::io::duplex(7);
        let (ahead, rest) = said.split_at(ahead);
        let said = async move {
            let _ = theirs.write_all(rest).await;
        };
        let mut ours = Duplex::from(ours);
        tokio::join!(greeting(&mut ours, Bytes::from_static(ahead)), said).0
    }

    #[tokio::test]
    async fn a_refusal_after_the_101_is_heard() {
        for ahead in [0, 1, 50, REFUSAL.len()] {
            let Greeting::Refusal(refused) = hear(REFUSAL, ahead).await else { panic!("no refusal") };
            assert_eq!(
                (refused.reply.status.as_u16(), &refused.reply.body[..]),
                (400, &b"Unsupported protocol version"[..])
            );
        }
    }

    #[tokio::test]
    async fn a_frame_is_left_as_it_is() {
        for ahead in [0, 1, 3] {
            let Greeting::Frame(bytes) = hear(b"\x81\x010", ahead).await else { panic!("no frame") };
            assert_eq!(&bytes[..], &b"\x81\x010"[..bytes.len()]);
            assert!(!bytes.is_empty());
        }
        assert!(matches!(hear(b"", 0).await, Greeting::Frame(bytes) if bytes.is_empty()));
        assert!(matches!(hear(b"HTTP/1.1 400 Bad", 4).await, Greeting::Frame(_)));
    }
}

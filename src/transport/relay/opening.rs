//! The first message that a backend sends to a relayed client, for backends that describe the session in it.

use std::io::Read as _;
use std::task::Poll;

use bytes::Bytes;

use crate::codec::frames::Beginning;
use crate::packet::Text;
use crate::upstream::{Introduction, Opened};

/// The part of the first message that has arrived.
#[derive(Debug)]
pub(super) struct Opening {
    read: Introduction,
    partial: Vec<u8>,
}

impl Opening {
    /// Expects a first message, which `read` decodes.
    pub(super) const fn new(read: Introduction) -> Self {
        Self { read, partial: Vec::new() }
    }

    /// Returns how many bytes of it wait.
    pub(super) const fn held(&self) -> usize {
        self.partial.len()
    }

    /// Reads more of the message. Ready once it is complete, with `None` if it does not describe the session.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Poll<Option<Opened>> {
        // Usually one read brings the whole message.
        let joined;
        let bytes = if self.partial.is_empty() {
            bytes
        } else {
            joined = [&self.partial, bytes].concat();
            &joined
        };
        match Beginning::of(bytes, LEN_MAX) {
            Beginning::Text { payload, compressed: false } => Poll::Ready(self.decode(payload)),
            Beginning::Text { payload, compressed: true } => Poll::Ready(self.decode(&inflate(payload))),
            Beginning::Other => Poll::Ready(None),
            Beginning::Partial => {
                self.partial = bytes.to_vec();
                Poll::Pending
            }
        }
    }

    fn decode(&self, payload: &[u8]) -> Option<Opened> {
        (self.read)(&Text::new(Bytes::copy_from_slice(payload)).ok()?)
    }
}

/// Decompresses a first message (permessage-deflate), which has no context before it (RFC 7692, section 7.2.2).
fn inflate(payload: &[u8]) -> Vec<u8> {
    let bytes = [payload, &[0, 0, 0xff, 0xff]].concat();
    let mut inflated = Vec::new();
    // The compressed data has no end marker: the decoder returns everything it has, and then an error.
    let _ = flate2::read::DeflateDecoder::new(&*bytes).take(LEN_MAX as u64).read_to_end(&mut inflated);
    inflated
}

/// The message has a few fields in about 150 bytes.
const LEN_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const HELLO: &str = "hello, you are number 7 and may say this and that, this and that, this and that";

    fn opening() -> Opening {
        Opening::new(|text| {
            (text.as_bytes() == HELLO.as_bytes())
                .then(|| Opened { max_payload: Some(1000), ..Opened::default() })
        })
    }

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        [&[first, u8::try_from(payload.len()).unwrap()], payload].concat()
    }

    fn compressed(text: &str) -> Vec<u8> {
        let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(text.as_bytes()).unwrap();
        packer.flush().unwrap();
        let mut bytes = packer.get_ref().clone();
        assert!(bytes.ends_with(&[0, 0, 0xff, 0xff]), "{bytes:?}");
        bytes.truncate(bytes.len() - 4);
        bytes
    }

    #[test]
    fn the_first_message_is_read_however_it_comes() {
        for bytes in [frame(0x81, HELLO.as_bytes()), frame(0xc1, &compressed(HELLO))] {
            for cut in 1..bytes.len() {
                let mut opening = opening();
                assert!(opening.read(&bytes[..cut]).is_pending());
                let read = opening.read(&[&bytes[cut..], b"more"].concat());
                let Poll::Ready(Some(opened)) = read else { panic!("{read:?}") };
                assert_eq!(opened.max_payload, Some(1000));
            }
        }
    }

    #[test]
    fn another_first_message_ends_the_search() {
        for bytes in [
            frame(0x81, b"4x"),
            frame(0x81, b""),
            frame(0x81, b"\xff"),
            frame(0x82, HELLO.as_bytes()),
            frame(0xc1, HELLO.as_bytes()),
            b"\x81\x82\x01\x02\x03\x040{".to_vec(),
        ] {
            assert!(matches!(opening().read(&bytes), Poll::Ready(None)), "{bytes:?}");
        }
    }
}

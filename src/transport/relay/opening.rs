//! What a backend of Engine.IO says first to a client that it is left to: the open packet.

use std::io::Read as _;
use std::task::Poll;

use bytes::Bytes;

use crate::codec::engineio::OpenPacket;
use crate::codec::frames::Beginning;
use crate::packet::Text;

/// The first message, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Opening(Vec<u8>);

impl Opening {
    /// Reads on. Ready once the first message is complete, and `None` where it is something else.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Poll<Option<OpenPacket>> {
        // One read brings all of it, as a rule.
        let joined;
        let bytes = if self.0.is_empty() {
            bytes
        } else {
            joined = [&self.0, bytes].concat();
            &joined
        };
        match Beginning::of(bytes, LEN_MAX) {
            Beginning::Text { payload, compressed: false } => Poll::Ready(decode(payload)),
            Beginning::Text { payload, compressed: true } => Poll::Ready(decode(&inflate(payload))),
            Beginning::Other => Poll::Ready(None),
            Beginning::Partial => {
                self.0 = bytes.to_vec();
                Poll::Pending
            }
        }
    }
}

fn decode(packet: &[u8]) -> Option<OpenPacket> {
    let json = Bytes::copy_from_slice(packet.strip_prefix(b"0")?);
    OpenPacket::decode(&Text::new(json).ok()?)
}

/// Undoes permessage-deflate, as far as a first message goes: there is no context before it (RFC 7692, section 7.2.2).
fn inflate(payload: &[u8]) -> Vec<u8> {
    let bytes = [payload, &[0, 0, 0xff, 0xff]].concat();
    let mut inflated = Vec::new();
    // The stream has no end of its own: the decoder gives all that there is, and then an error.
    let _ = flate2::read::DeflateDecoder::new(&*bytes).take(LEN_MAX as u64).read_to_end(&mut inflated);
    inflated
}

/// Its few fields take some 150 bytes.
const LEN_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const OPEN: &str =
        r#"0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000}"#;

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
    fn the_open_packet_is_read_however_it_comes() {
        for bytes in [frame(0x81, OPEN.as_bytes()), frame(0xc1, &compressed(OPEN))] {
            for cut in 1..bytes.len() {
                let mut opening = Opening::default();
                assert_eq!(opening.read(&bytes[..cut]), Poll::Pending);
                let read = opening.read(&[&bytes[cut..], b"more"].concat());
                let Poll::Ready(Some(open)) = read else { panic!("{read:?}") };
                assert_eq!((&*open.sid, open.max_payload), ("abc", Some(1000)));
            }
        }
    }

    #[test]
    fn what_is_no_open_packet_ends_the_search() {
        for bytes in [
            frame(0x81, b"4x"),
            frame(0x81, b""),
            frame(0x82, b"0{}"),
            frame(0xc1, b"0{}"),
            b"\x81\x82\x01\x02\x03\x040{".to_vec(),
        ] {
            assert_eq!(Opening::default().read(&bytes), Poll::Ready(None), "{bytes:?}");
        }
    }
}

//! What is read and written by a connection with compression, beside the vectors of the RFC and a plain reference.

mod hostile;
mod wire;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use proptest::prelude::*;

use super::inbound::{DeflateFault, Inbound};
use super::offer::{Agreed, Deflate};
use super::outbound;

/// A frame as it is on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Frame {
    /// FIN, the reserved bits and the opcode.
    first: u8,
    mask: Option<[u8; 4]>,
    payload: Vec<u8>,
}

impl Frame {
    fn new(first: u8, payload: &[u8]) -> Self {
        Self { first, mask: None, payload: payload.to_vec() }
    }

    fn masked(self, mask: [u8; 4]) -> Self {
        Self { mask: Some(mask), ..self }
    }

    fn bytes(&self) -> Vec<u8> {
        let bit = if self.mask.is_some() { 0x80 } else { 0 };
        let mut bytes = vec![self.first];
        match self.payload.len() {
            len @ 0..=125 => bytes.push(bit | u8::try_from(len).unwrap()),
            len @ 126..=0xffff => {
                bytes.push(bit | 0x7e);
                bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
            len => {
                bytes.push(bit | 0x7f);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        bytes.extend(self.mask.iter().flatten());
        let mask = self.mask.unwrap_or_default();
        bytes.extend(self.payload.iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]));
        bytes
    }

    /// Reads whole frames.
    fn all(mut bytes: &[u8]) -> Vec<Self> {
        let mut frames = Vec::new();
        while let [first, second, rest @ ..] = bytes {
            let (len, rest) = match second & 0x7f {
                126 => (usize::from(u16::from_be_bytes(rest[..2].try_into().unwrap())), &rest[2..]),
                127 => (u64::from_be_bytes(rest[..8].try_into().unwrap()).try_into().unwrap(), &rest[8..]),
                len => (usize::from(len), rest),
            };
            let is_masked = second & 0x80 != 0;
            let (mask, rest) = if is_masked { rest.split_at(4) } else { (&[0; 4][..], rest) };
            let mask: [u8; 4] = mask.try_into().unwrap();
            let (payload, rest) = rest.split_at(len);
            let payload = payload.iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]).collect();
            frames.push(Self { first: *first, mask: is_masked.then_some(mask), payload });
            bytes = rest;
        }
        assert!(bytes.is_empty(), "not a whole frame");
        frames
    }
}

/// Puts the fragments of messages together; control frames come as they are.
fn messages(frames: Vec<Frame>) -> Vec<(u8, Vec<u8>)> {
    let (mut whole, mut message): (_, Option<(u8, Vec<u8>)>) = (Vec::new(), None);
    for Frame { first, payload, .. } in frames {
        assert_eq!(first & 0x70, 0, "a reserved bit");
        let (is_last, opcode) = (first & 0x80 != 0, first & 0x0f);
        if opcode >= 8 {
            whole.push((opcode, payload));
            continue;
        }
        assert_eq!(opcode == 0, message.is_some(), "a fragment out of place");
        let (_, content) = message.get_or_insert((opcode, Vec::new()));
        content.extend(payload);
        if is_last {
            whole.extend(message.take());
        }
    }
    assert_eq!(message, None, "a message without its end");
    whole
}

/// Returns what the WebSocket reads if `bytes` arrive in pieces of these lengths.
fn read(bytes: &[u8], cuts: &[usize]) -> Result<Vec<u8>, DeflateFault> {
    let (mut inbound, mut plain, mut held) = (Inbound::new(), Vec::new(), Vec::new());
    let (mut cuts, mut rest) = (cuts.iter().cycle(), bytes);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
        rest = after;
        held.extend_from_slice(piece);
        loop {
            let mut passed_on = Vec::new();
            let passed = inbound.pass(&held, &mut passed_on)?;
            assert!(passed_on.len() <= MOST, "{} bytes at once", passed_on.len());
            plain.extend(passed_on);
            held.drain(..passed.len);
            if !passed.has_more {
                break;
            }
        }
        assert!(held.len() < super::HEADER_LEN_MAX, "bytes were not taken");
    }
    Ok(plain)
}

/// Compresses a message as any sender may.
fn compressed(content: &[u8], level: u32, way: Way) -> Vec<u8> {
    let mut state = Compress::new(Compression::new(level), false);
    let mut bytes = Vec::with_capacity(content.len() * 2 + 10_000);
    let pieces = if way == Way::Blocks { content.len().div_ceil(5).max(1) } else { content.len().max(1) };
    for piece in content.chunks(pieces) {
        state.compress_vec(piece, &mut bytes, FlushCompress::Sync).unwrap();
    }
    if content.is_empty() {
        state.compress_vec(&[], &mut bytes, FlushCompress::Sync).unwrap();
    }
    if way == Way::Finished {
        state.compress_vec(&[], &mut bytes, FlushCompress::Finish).unwrap();
        bytes.push(0);
        return bytes;
    }
    assert!(bytes.ends_with(&[0, 0, 0xff, 0xff]));
    bytes.truncate(bytes.len() - 4);
    bytes
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Whole,
    /// In several blocks (RFC 7692, section 7.2.3.5).
    Blocks,
    /// With a block that is the last (section 7.2.3.4).
    Finished,
}

/// Inflates a message as its receiver does (section 7.2.2).
fn inflated(bytes: &[u8]) -> Vec<u8> {
    let bytes = [bytes, &[0, 0, 0xff, 0xff]].concat();
    let mut content = Vec::with_capacity(1 << 21);
    Decompress::new(false).decompress_vec(&bytes, &mut content, FlushDecompress::Sync).unwrap();
    content
}

fn deflate(threshold: usize) -> Deflate {
    let headers = http::HeaderMap::from_iter([(
        http::header::SEC_WEBSOCKET_EXTENSIONS,
        http::HeaderValue::from_static("permessage-deflate"),
    )]);
    Deflate { threshold, agreed: Agreed::to_offer(&headers).unwrap() }
}

#[test]
fn the_vectors_of_the_specification_are_read() {
    let hello = vec![(1, b"Hello".to_vec())];
    let vectors: [(&str, &[u8]); 6] = [
        ("7.2.3.1, one frame", b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"),
        ("7.2.3.1, two frames", b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00"),
        ("7.2.3.3, no compression", b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"),
        ("7.2.3.4, a last block", b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
        ("a last block alone", b"\xc1\x07\xf3\x48\xcd\xc9\xc9\x07\x00"),
        ("7.2.3.5, two blocks", b"\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
    ];
    for (name, bytes) in vectors {
        assert_eq!(messages(Frame::all(&read(bytes, &[1000]).unwrap())), hello, "{name}");
        assert_eq!(messages(Frame::all(&read(bytes, &[1]).unwrap())), hello, "{name}, byte by byte");
    }
    for (name, empty) in [("7.2.3.6", &b"\xc1\x01\x00"[..]), ("nothing", b"\xc1\x00")] {
        assert_eq!(messages(Frame::all(&read(empty, &[1000]).unwrap())), [(1, vec![])], "{name}");
    }
}

#[test]
fn a_message_that_needs_the_one_before_is_refused() {
    // Section 7.2.3.2: the second "Hello" refers to the first.
    let both = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00";
    assert_eq!(read(both, &[1000]), Err(DeflateFault::Content));
}

#[test]
fn a_short_message_stays_one_frame() {
    let bytes = Frame::new(0xc2, &compressed(&[7; 5000], 6, Way::Whole)).masked([1, 2, 3, 4]).bytes();
    let frames = Frame::all(&read(&bytes, &[1000]).unwrap());
    assert_eq!(frames, [Frame::new(0x82, &[7; 5000]).masked([0; 4])]);
}

#[test]
fn only_messages_from_the_threshold_are_compressed() {
    let text = b"a text that goes on and on and on and on and on";
    let unchanged = [
        ("short", Frame::new(0x81, &text[..20])),
        ("a fragment", Frame::new(0x01, text)),
        ("the end of one", Frame::new(0x80, text)),
        ("a ping", Frame::new(0x89, text)),
        ("a Close", Frame::new(0x88, text)),
    ];
    for (name, frame) in &unchanged {
        let bytes = frame.bytes();
        assert_eq!(outbound::compress(&bytes, deflate(21)), (bytes.len(), None), "{name}");
    }
    let long = Frame::new(0x81, text).bytes();
    let (len, shorter) = outbound::compress(&long, deflate(text.len()));
    let shorter = Frame::all(&shorter.unwrap());
    assert_eq!((len, shorter[0].first, inflated(&shorter[0].payload)), (long.len(), 0xc1, text.to_vec()));
    assert!(shorter[0].payload.len() < text.len());
    // Between others, in one piece.
    let all = [unchanged[0].1.bytes(), long, unchanged[3].1.bytes()].concat();
    let (len, bytes) = outbound::compress(&all, deflate(21));
    let frames = [unchanged[0].1.clone(), shorter[0].clone(), unchanged[3].1.clone()];
    assert_eq!((len, Frame::all(&bytes.unwrap())), (all.len(), frames.to_vec()));
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::collection::vec(
        prop::sample::select(vec!["alpha", "beta ", "{\"id\":", "0123456789"]),
        0..3000,
    );
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..2000),
        4 => words.prop_map(|words| words.concat().into_bytes()),
        1 => (any::<u8>(), 0..200_000usize).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn way() -> impl Strategy<Value = Way> {
    prop::sample::select(vec![Way::Whole, Way::Blocks, Way::Finished])
}

proptest! {
    #[test]
    fn whatever_a_peer_compresses_is_read_as_it_was(
        sent in prop::collection::vec((content(), any::<bool>(), 0..10u32, way(), any::<Option<[u8; 4]>>(), 1..5usize, any::<bool>()), 1..5),
        cuts in prop::collection::vec(1..3000usize, 1..20),
    ) {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for (content, is_compressed, level, way, mask, fragments, pings) in sent {
            let payload = if is_compressed { compressed(&content, level, way) } else { content.clone() };
            let mut at = 0;
            for index in 0..fragments {
                let end = if index + 1 == fragments { payload.len() } else { at + (payload.len() - at) / 2 };
                let fin = if index + 1 == fragments { 0x80 } else { 0 };
                let first = match (index, is_compressed) { (0, true) => 0x42, (0, false) => 0x02, _ => 0 };
                let frame = Frame { first: fin | first, mask, payload: payload[at..end].to_vec() };
                bytes.extend(frame.bytes());
                at = end;
                if pings && index + 1 < fragments {
                    bytes.extend(Frame { first: 0x89, mask, payload: vec![1, 2, 3] }.bytes());
                    expected.push((9, vec![1, 2, 3]));
                }
            }
            expected.push((2, content));
        }
        prop_assert_eq!(messages(Frame::all(&read(&bytes, &cuts).unwrap())), expected);
    }

    #[test]
    fn whatever_is_written_is_what_the_peer_inflates(
        sent in prop::collection::vec((content(), any::<bool>(), any::<Option<[u8; 4]>>()), 1..8),
        threshold in 0..3000usize,
    ) {
        let frames: Vec<Frame> = sent
            .into_iter()
            .map(|(payload, is_ping, mask)| {
                let short = payload[..payload.len().min(125)].to_vec();
                if is_ping { Frame { first: 0x89, mask, payload: short } } else { Frame { first: 0x81, mask, payload } }
            })
            .collect();
        let bytes = frames.iter().flat_map(Frame::bytes).collect::<Vec<_>>();
        let (mut written, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let (len, compressed) = outbound::compress(&bytes[at..], deflate(threshold));
            prop_assert!(len > 0);
            written.extend(compressed.unwrap_or_else(|| bytes[at..at + len].to_vec()));
            at += len;
        }
        let on_the_wire = Frame::all(&written);
        prop_assert_eq!(on_the_wire.len(), frames.len());
        for (frame, sent) in on_the_wire.into_iter().zip(frames) {
            if frame.first & 0x40 == 0 {
                prop_assert_eq!(frame, sent);
            } else {
                prop_assert!(sent.payload.len() >= threshold);
                prop_assert_eq!((frame.first, frame.mask), (sent.first | 0x40, sent.mask));
                prop_assert_eq!(inflated(&frame.payload), sent.payload);
            }
        }
    }
}

/// How much may be passed on at once: what a call begins with, and one more chunk or frame.
const MOST: usize = 48 << 10;

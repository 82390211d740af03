//! What is read and written, beside tungstenite and the vectors of the RFCs.

pub(crate) mod any;
mod deflated;
mod hostile;
mod reference;
mod unread;
mod wire;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use http::header::{HeaderMap, HeaderValue, SEC_WEBSOCKET_EXTENSIONS};
use proptest::prelude::*;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::*;
use crate::duplex::Agreed;
use crate::frame_header::{FrameHeader, apply_mask};
use crate::packet::Message;

/// A frame as it is on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
struct RawFrame {
    /// FIN, the reserved bits and the opcode.
    first: u8,
    mask: Option<[u8; 4]>,
    payload: Vec<u8>,
}

impl RawFrame {
    fn new(first: u8, payload: &[u8]) -> Self {
        Self { first, mask: None, payload: payload.to_vec() }
    }

    fn masked(self, mask: [u8; 4]) -> Self {
        Self { mask: Some(mask), ..self }
    }

    fn bytes(&self) -> Vec<u8> {
        let &Self { first, mask, ref payload } = self;
        let (fin, reserved, opcode) = (first & 0x80 != 0, first & 0x70, first & 0x0f);
        let mut bytes = Vec::new();
        FrameHeader { fin, reserved, opcode, mask, payload_len: payload.len() as u64 }.write(&mut bytes);
        let begin = bytes.len();
        bytes.extend(payload);
        apply_mask(&mut bytes[begin..], mask.unwrap_or_default());
        bytes
    }

    /// Reads whole frames.
    fn all(mut bytes: &[u8]) -> Vec<Self> {
        let mut frames = Vec::new();
        while let Some((header, len)) = FrameHeader::read(bytes) {
            let FrameHeader { fin, reserved, opcode, mask, payload_len } = header;
            let (payload, rest) = bytes[len..].split_at(payload_len.try_into().unwrap());
            let mut payload = payload.to_vec();
            apply_mask(&mut payload, mask.unwrap_or_default());
            let first = if fin { 0x80 } else { 0 } | reserved | opcode;
            frames.push(Self { first, mask, payload });
            bytes = rest;
        }
        assert!(bytes.is_empty(), "not a whole frame");
        frames
    }
}

fn text(text: &str) -> Incoming {
    Incoming::Message(Message::text(text))
}

fn binary(bytes: &[u8]) -> Incoming {
    Incoming::Message(Message::Binary(Bytes::copy_from_slice(bytes)))
}

/// Returns what a connection with compression reads if `bytes` arrive in pieces of these lengths.
fn inflated(bytes: &[u8], role: Role, cuts: &[usize]) -> Result<Vec<Incoming>, Violation> {
    let mut reader = Reader::new(MESSAGE_MAX, role == Role::Server);
    reader.inflates = true;
    let (mut all, mut held) = (Vec::new(), Vec::new());
    let (mut cuts, mut rest) = (cuts.iter().cycle(), bytes);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
        rest = after;
        held.extend_from_slice(piece);
        let mut left = &held[..];
        while let Some(incoming) = reader.read(&mut left)? {
            all.push(incoming);
        }
        held = left.to_vec();
        assert!(held.len() < REST_MAX, "bytes were not taken");
    }
    Ok(all)
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
fn inflate(bytes: &[u8]) -> Vec<u8> {
    let bytes = [bytes, &[0, 0, 0xff, 0xff]].concat();
    let mut content = Vec::with_capacity(1 << 21);
    Decompress::new(false).decompress_vec(&bytes, &mut content, FlushDecompress::Sync).unwrap();
    content
}

fn deflate(threshold: usize) -> Deflate {
    let headers =
        HeaderMap::from_iter([(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static("permessage-deflate"))]);
    Deflate { threshold, agreed: Agreed::to_offer(&headers).unwrap() }
}

const MESSAGE_MAX: usize = 1 << 20;

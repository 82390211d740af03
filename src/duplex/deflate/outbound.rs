//! Outgoing frames: plain messages become compressed ones.

use std::io::Cursor;

use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::inbound::apply_mask;
use super::offer::Deflate;
use super::states;

/// Compresses the messages in `frames`, which are whole frames. Returns how many bytes of them the result stands for,
/// and the result, or `None` if they are to be written unchanged.
///
/// A message from the threshold on is compressed even if that makes it longer, as the reference server does. Control
/// frames stay as they are.
pub(super) fn compress(frames: &[u8], deflate: Deflate) -> (usize, Option<Vec<u8>>) {
    let mut compressed: Option<Vec<u8>> = None;
    let mut at = 0;
    while at < frames.len() && compressed.as_ref().is_none_or(|bytes| bytes.len() < WRITTEN_MAX) {
        let mut cursor = Cursor::new(&frames[at..]);
        let Ok(Some((header, payload_len))) = FrameHeader::parse(&mut cursor) else { break };
        let header_len = usize::try_from(cursor.position()).unwrap_or(0);
        let Some(end) = usize::try_from(payload_len).ok().and_then(|len| (at + header_len).checked_add(len))
        else {
            break;
        };
        let Some(payload) = frames.get(at + header_len..end) else { break };
        let is_message = header.is_final && matches!(header.opcode, OpCode::Data(Data::Text | Data::Binary));
        let frame = if is_message && payload.len() >= deflate.threshold {
            compress_one(&header, payload, deflate)
        } else {
            None
        };
        match (frame, &mut compressed) {
            (Some(frame), Some(bytes)) => bytes.extend(frame),
            (Some(frame), None) if at == 0 => compressed = Some(frame),
            (Some(frame), None) => compressed = Some([&frames[..at], &frame].concat()),
            (None, Some(bytes)) => bytes.extend_from_slice(&frames[at..end]),
            (None, None) => {}
        }
        at = end;
    }
    // Never so: the WebSocket above writes whole frames.
    if at == 0 { (frames.len(), None) } else { (at, compressed) }
}

/// Returns a message as a compressed frame.
fn compress_one(header: &FrameHeader, payload: &[u8], deflate: Deflate) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let window_bits = deflate.agreed.window_bits();
    let is_done = match header.mask {
        None => states::compress(payload, window_bits, &mut content),
        Some(mask) => {
            let mut plain = vec![0; payload.len()];
            apply_mask(payload, mask, &mut plain);
            states::compress(&plain, window_bits, &mut content)
        }
    };
    if !is_done {
        return None;
    }
    // The mask was drawn for this frame, which leaves in this form only.
    let mask = header.mask;
    let header = FrameHeader { rsv1: true, ..header.clone() };
    let mut frame = Vec::with_capacity(header.len(content.len() as u64) + content.len());
    header.format(content.len() as u64, &mut frame).ok()?;
    let begin = frame.len();
    frame.extend_from_slice(&content);
    if let Some(mask) = mask {
        apply_mask(&content, mask, &mut frame[begin..]);
    }
    Some(frame)
}

/// When so much is compressed, it is written first.
const WRITTEN_MAX: usize = 16 << 10;

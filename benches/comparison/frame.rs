//! The part of WebSocket framing (RFC 6455, section 5.2) that short, whole messages need.

/// A short message, or a control frame.
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
    /// How many bytes it took on the wire.
    len: usize,
}

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// Returns a frame as a server writes it.
pub(crate) fn from_server(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(opcode, payload.len(), 0);
    frame.extend_from_slice(payload);
    frame
}

/// Returns the same as a client writes it, with a mask that changes nothing.
pub(crate) fn from_client(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(opcode, payload.len(), 0x80);
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// Takes the frame at the beginning of `bytes`, if it is whole.
pub(crate) fn take(bytes: &mut Vec<u8>) -> Option<Frame> {
    let frame = read(bytes)?;
    bytes.drain(..frame.len);
    Some(frame)
}

fn read(bytes: &[u8]) -> Option<Frame> {
    let [first, second, ..] = *bytes else { return None };
    let (mut at, mut len) = (2, usize::from(second & 0x7f));
    if len == 126 {
        len = usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]));
        at = 4;
    }
    let mut mask = [0; 4];
    if second & 0x80 != 0 {
        mask.copy_from_slice(bytes.get(at..at + 4)?);
        at += 4;
    }
    let masked = bytes.get(at..at + len)?;
    let payload = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    Some(Frame { opcode: first & 0xf, payload, len: at + len })
}

fn head(opcode: u8, len: usize, mask: u8) -> Vec<u8> {
    if let Ok(len @ ..126) = u8::try_from(len) {
        return vec![0x80 | opcode, mask | len];
    }
    let [high, low] = u16::try_from(len).expect("messages here are short").to_be_bytes();
    vec![0x80 | opcode, mask | 0x7e, high, low]
}

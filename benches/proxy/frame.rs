//! As much of WebSocket framing (RFC 6455, section 5.2) as short, whole messages need.

/// A short message, or a control frame.
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
    /// How many bytes it took on the wire.
    pub(crate) len: usize,
}

pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;

/// A text message as a server writes it.
pub(crate) fn from_server(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(opcode, payload.len(), 0);
    frame.extend_from_slice(payload);
    frame
}

/// The same as a client writes it, with a mask that changes nothing.
pub(crate) fn from_client(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(opcode, payload.len(), 0x80);
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// The frame at the beginning of `bytes`, if it is whole.
pub(crate) fn read(bytes: &[u8]) -> Option<Frame> {
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
    let len = u8::try_from(len).ok().filter(|len| *len < 126).expect("messages here are short");
    vec![0x80 | opcode, mask | len]
}

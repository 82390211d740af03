//! The frames of a WebSocket, as short as a test needs them.

use bytes::{Buf as _, BytesMut};

pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// Appends a frame; a client's is masked.
pub(crate) fn encode(into: &mut Vec<u8>, op: u8, payload: &[u8], is_masked: bool) {
    into.push(0x80 | op);
    let bit = if is_masked { 0x80 } else { 0 };
    match payload.len() {
        length @ 0..126 => into.push(bit | u8::try_from(length).expect("below 126")),
        length @ 126..0x1_0000 => {
            into.push(bit | 0x7E);
            into.extend_from_slice(&u16::try_from(length).expect("below 65,536").to_be_bytes());
        }
        length => {
            into.push(bit | 0x7F);
            into.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    if is_masked {
        const MASK: [u8; 4] = [7, 77, 177, 251];
        into.extend_from_slice(&MASK);
        into.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    } else {
        into.extend_from_slice(payload);
    }
}

/// Takes the next whole frame: its first byte and its payload.
pub(crate) fn decode(buffer: &mut BytesMut) -> Option<(u8, Vec<u8>)> {
    let (first, second) = (*buffer.first()?, *buffer.get(1)?);
    let (length, mut at) = match second & 0x7F {
        126 => (u64::from(u16::from_be_bytes(buffer.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(buffer.get(2..10)?.try_into().ok()?), 10),
        short => (u64::from(short), 2),
    };
    let length = usize::try_from(length).ok()?;
    let mask: [u8; 4] = if second & 0x80 == 0 {
        [0; 4]
    } else {
        at += 4;
        buffer.get(at - 4..at)?.try_into().ok()?
    };
    let payload = buffer
        .get(at..at + length)?
        .iter()
        .zip(mask.iter().cycle())
        .map(|(byte, mask)| byte ^ mask)
        .collect();
    buffer.advance(at + length);
    Some((first, payload))
}

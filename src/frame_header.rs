//! The header of a WebSocket frame (RFC 6455, section 5.2), and the mask of its payload (section 5.3).

/// What stands before a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// Whether the frame is the last of its message.
    pub fin: bool,
    /// The reserved bits, where they stand in the first byte.
    pub reserved: u8,
    /// The kind of frame, four bits.
    pub opcode: u8,
    /// The mask, in what a client sends.
    pub mask: Option<[u8; 4]>,
    /// The length of the payload. Up to 2^64 - 1 may be claimed.
    pub payload_len: u64,
}

impl FrameHeader {
    /// Reads a header and returns it with its length; `None` if it is incomplete.
    pub fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let [first, second, ..] = *bytes else { return None };
        let (payload_len, at) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(*bytes[2..].first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*bytes[2..].first_chunk()?), 10),
            short => (u64::from(short), 2),
        };
        let (mask, len) = match second & MASKED {
            0 => (None, at),
            _ => (Some(*bytes[at..].first_chunk()?), at + 4),
        };
        let header = Self {
            fin: first & FIN != 0,
            reserved: first & RESERVED,
            opcode: first & 0x0f,
            mask,
            payload_len,
        };
        Some((header, len))
    }

    /// Appends the header to what is written.
    pub fn write(&self, out: &mut Vec<u8>) {
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        out.push(self.opcode | self.reserved | if self.fin { FIN } else { 0 });
        match (u8::try_from(self.payload_len), u16::try_from(self.payload_len)) {
            (Ok(len @ ..=125), _) => out.push(masked | len),
            (_, Ok(len)) => {
                out.push(masked | 0x7e);
                out.extend_from_slice(&len.to_be_bytes());
            }
            (_, Err(_)) => {
                out.push(masked | 0x7f);
                out.extend_from_slice(&self.payload_len.to_be_bytes());
            }
        }
        if let Some(mask) = self.mask {
            out.extend_from_slice(&mask);
        }
    }

    /// Returns whether the frame is no part of a message (section 5.5).
    pub const fn is_control(&self) -> bool {
        self.opcode & 0x08 != 0
    }
}

/// Returns the length of a frame's header.
pub const fn header_len(payload_len: usize, masked: bool) -> usize {
    let length_len = match payload_len {
        0..=125 => 0,
        126..=0xffff => 2,
        _ => 8,
    };
    2 + length_len + if masked { 4 } else { 0 }
}

/// Masks bytes, or unmasks them; the first is the first of the payload.
pub fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    // Not `cycle`, which takes longer to set up than these seven bytes at most.
    for (index, byte) in rest.iter_mut().enumerate() {
        *byte ^= mask[index % 4];
    }
}

/// A further frame of a message.
pub const CONTINUATION: u8 = 0;
/// A text message.
pub const TEXT: u8 = 1;
/// A binary message.
pub const BINARY: u8 = 2;
/// The end of the connection.
pub const CLOSE: u8 = 8;
/// A request for a pong.
pub const PING: u8 = 9;
/// The answer to a ping.
pub const PONG: u8 = 10;
/// The first reserved bit: the message is compressed (RFC 7692, section 6).
pub const RSV1: u8 = 0x40;
/// The longest header: two bytes, eight of length and four of mask.
pub const HEADER_LEN_MAX: usize = 14;
const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_is_as_long_as_its_frame_needs() {
        for (payload_len, len) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            for mask in [None, Some([1, 2, 3, 4])] {
                let header = FrameHeader { fin: true, reserved: 0, opcode: TEXT, mask, payload_len };
                let mut bytes = Vec::new();
                header.write(&mut bytes);
                assert_eq!(bytes.len(), len + if mask.is_some() { 4 } else { 0 });
                assert_eq!(header_len(usize::try_from(payload_len).unwrap(), mask.is_some()), bytes.len());
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_once_it_is_whole(
            first in any::<u8>(),
            mask in any::<Option<[u8; 4]>>(),
            payload_len in prop_oneof![0..130_u64, 65_530..65_540_u64, any::<u64>()],
            rest in prop::collection::vec(any::<u8>(), 0..3),
        ) {
            let (fin, reserved, opcode) = (first & FIN != 0, first & RESERVED, first & 0x0f);
            let header = FrameHeader { fin, reserved, opcode, mask, payload_len };
            let mut bytes = Vec::new();
            header.write(&mut bytes);
            prop_assert_eq!(bytes[0], first);
            let len = bytes.len();
            for part in 0..len {
                prop_assert_eq!(FrameHeader::read(&bytes[..part]), None);
            }
            bytes.extend(rest);
            prop_assert_eq!(FrameHeader::read(&bytes), Some((header, len)));
        }

        #[test]
        fn a_mask_is_applied_byte_by_byte(bytes in prop::collection::vec(any::<u8>(), 0..40), mask in any::<[u8; 4]>()) {
            let mut masked = bytes.clone();
            apply_mask(&mut masked, mask);
            let expected: Vec<u8> = bytes.iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]).collect();
            prop_assert_eq!(masked, expected);
        }
    }
}

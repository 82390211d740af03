//! Base64 as the reference reads it: with or without padding, in either alphabet, skipping everything else.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};
use bytes::Bytes;

/// Appends `bytes` with padding (protocol 4, "Binary").
pub(crate) fn encode_into(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + encoded_len(bytes.len()), 0);
    // The room was made just above, so nothing can fail.
    let _ = general_purpose::STANDARD.encode_slice(bytes, &mut out[start..]);
}

/// Returns the length of `len` bytes in padded base64.
pub(crate) const fn encoded_len(len: usize) -> usize {
    len.div_ceil(3) * 4
}

/// Decodes what a client sent; never fails, as the reference never does.
pub(crate) fn decode(text: &[u8]) -> Bytes {
    if let Ok(bytes) = LENIENT.decode(text) {
        return Bytes::from(bytes);
    }
    // The slow path: a URL-safe alphabet, line breaks, an extra character.
    let mut plain: Vec<u8> = text
        .iter()
        .take_while(|byte| **byte != b'=')
        .filter_map(|byte| match byte {
            b'-' => Some(b'+'),
            b'_' => Some(b'/'),
            b'+' | b'/' => Some(*byte),
            _ => byte.is_ascii_alphanumeric().then_some(*byte),
        })
        .collect();
    if plain.len() % 4 == 1 {
        plain.pop();
    }
    LENIENT.decode(&plain).map(Bytes::from).unwrap_or_default()
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_leniently_as_the_reference_reads_it() {
        for text in ["AQIDBA==", "AQIDBA", "AQID\r\nBA==", "AQIDBA=garbage", "A Q I D B A"] {
            assert_eq!(decode(text.as_bytes()), Bytes::from_static(&[1, 2, 3, 4]), "{text}");
        }
        assert_eq!(decode(b"-_-_"), decode(b"+/+/"));
        assert_eq!(decode(b""), Bytes::new());
        assert_eq!(decode(b"A"), Bytes::new());
        assert_eq!(decode(b"===="), Bytes::new());
    }

    #[test]
    fn base64_is_written_with_padding() {
        let mut out = b"b".to_vec();
        encode_into(&[1, 2, 3, 4], &mut out);
        assert_eq!(out, b"bAQIDBA==");
    }
}

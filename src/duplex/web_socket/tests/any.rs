//! Any bytes at all, read in any pieces.

use super::*;

/// Panics if tungstenite reads or answers otherwise. The first byte is the length of the pieces, and its lowest bit the side.
pub(crate) fn check_web_socket(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let role = if first.is_multiple_of(2) { Role::Server } else { Role::Client };
    reference::agree(bytes, role, &[1 + usize::from(first / 2)]);
}

/// Panics if pieces make a difference to compressed messages, or if what was agreed to is no answer to what was offered.
/// The first byte is the length of the pieces, and its lowest bit the side; a first line is what is offered.
pub(crate) fn check_deflate(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let (offer, frames) = match memchr::memchr(b'\n', bytes) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (&b""[..], bytes),
    };
    let role = if first.is_multiple_of(2) { Role::Server } else { Role::Client };
    // Of two faults in one message, either may be found first.
    let read = |cut| inflated(frames, role, &[cut]).map_err(Violation::code);
    assert_eq!(read(1 + usize::from(first / 2)), read(frames.len().max(1)));
    let extensions = |value| HeaderMap::from_iter([(SEC_WEBSOCKET_EXTENSIONS, value)]);
    if let Ok(offer) = HeaderValue::from_bytes(offer)
        && let Some(agreed) = Agreed::to_offer(&extensions(offer))
    {
        let read = Agreed::of_response(&extensions(agreed.response()));
        assert!(matches!(read, Ok(Some(_))), "the response is one that we would take");
    }
}

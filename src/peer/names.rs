//! The headers that cross to a session's node, and the names that are one byte on the wire.

use http::HeaderName;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, CONNECTION,
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, IF_NONE_MATCH, ORIGIN, SET_COOKIE, UPGRADE,
    USER_AGENT, VARY,
};

/// Returns the byte for a name; any other name is spelled behind [`SPELLED`].
pub(super) fn byte_of(name: &HeaderName) -> u8 {
    // The byte of the first one is 1.
    let byte = (1..).zip(&NAMES).find_map(|(byte, known)| (known == name).then_some(byte));
    byte.unwrap_or(SPELLED)
}

/// Returns the name that a byte stands for.
pub(super) fn of_byte(byte: u8) -> Option<HeaderName> {
    NAMES.get(usize::from(byte).checked_sub(1)?).cloned()
}

/// Returns whether a session's requests are judged by such a header. Who the client is, the asker says itself.
pub(super) fn crosses(byte: u8, name: &HeaderName) -> bool {
    match byte {
        SPELLED => name.as_str().starts_with("sec-websocket-"),
        _ => byte <= CROSSING,
    }
}

/// The byte before a name that is spelled.
pub(super) const SPELLED: u8 = 0;

/// How many of the names are those of requests; the others are those of responses.
const CROSSING: u8 = 15;
/// The most frequent ones come first.
static NAMES: [HeaderName; 20] = [
    HOST,
    CONNECTION,
    USER_AGENT,
    ACCEPT,
    ACCEPT_ENCODING,
    ORIGIN,
    CONTENT_TYPE,
    CONTENT_LENGTH,
    COOKIE,
    UPGRADE,
    IF_NONE_MATCH,
    ACCESS_CONTROL_REQUEST_METHOD,
    ACCESS_CONTROL_REQUEST_HEADERS,
    CONTENT_ENCODING,
    HeaderName::from_static("last-event-id"),
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    CACHE_CONTROL,
    VARY,
    SET_COOKIE,
];

//! The headers that cross to a session's node, and the names that are one byte on the wire.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, CONNECTION,
    CONTENT_ENCODING, CONTENT_TYPE, COOKIE, HOST, IF_NONE_MATCH, ORIGIN, SET_COOKIE, UPGRADE, USER_AGENT,
    VARY,
};
use http::{HeaderName, HeaderValue};

use crate::agent::is_legacy_ie;

/// Returns the byte for a name; any other name is spelled behind [`SPELLED`].
pub(super) fn byte_of(name: &HeaderName) -> u8 {
    let name = name.as_str();
    // No two of the names agree in both.
    let byte: u8 = match (name.len(), name.as_bytes().last()) {
        (4, Some(b't')) => 1,
        (10, Some(b't')) => USER_AGENT_BYTE,
        (6, Some(b'n')) => 3,
        (6, Some(b't')) => ACCEPT_BYTE,
        (15, Some(b'g')) => 5,
        (12, Some(b'e')) => 6,
        (6, Some(b'e')) => COOKIE_BYTE,
        (13, Some(b'h')) => 8,
        (29, Some(b'd')) => 9,
        (30, Some(b's')) => 10,
        (16, Some(b'g')) => 11,
        (13, Some(b'd')) => 12,
        (7, Some(b'e')) => 13,
        (10, Some(b'n')) => CONNECTION_BYTE,
        (27, Some(b'n')) => 15,
        (32, Some(b's')) => 16,
        (13, Some(b'l')) => 17,
        (4, Some(b'y')) => 18,
        (10, Some(b'e')) => SET_COOKIE_BYTE,
        _ => return SPELLED,
    };
    if NAMES[usize::from(byte) - 1].0 == name { byte } else { SPELLED }
}

/// Returns whether such a line is seldom the same for two clients.
pub(super) const fn is_of_one_client(byte: u8) -> bool {
    matches!(byte, COOKIE_BYTE | SET_COOKIE_BYTE)
}

/// Returns the name that a byte stands for.
pub(super) fn of_byte(byte: u8) -> Option<HeaderName> {
    NAMES.get(usize::from(byte).checked_sub(1)?).map(|(_, name)| name.clone())
}

/// Returns whether a session's requests are judged by such a header. Who the client is, the asker says itself, and a
/// connection is about more than itself only if the request `upgrades`.
pub(super) fn crosses(byte: u8, name: &HeaderName, value: &HeaderValue, upgrades: bool) -> bool {
    match byte {
        SPELLED => upgrades && name.as_str().starts_with("sec-websocket-"),
        CONNECTION_BYTE => upgrades,
        // It takes anything, as without the header.
        ACCEPT_BYTE => value != "*/*",
        // All others are served alike.
        USER_AGENT_BYTE => is_legacy_ie(value.as_bytes()),
        _ => byte <= CROSSING,
    }
}

/// The byte before a name that is spelled.
pub(super) const SPELLED: u8 = 0;

const USER_AGENT_BYTE: u8 = 2;
const ACCEPT_BYTE: u8 = 4;
const COOKIE_BYTE: u8 = 7;
const CONNECTION_BYTE: u8 = 14;
const SET_COOKIE_BYTE: u8 = 19;
/// How many of the names are those of requests; the others are those of responses.
const CROSSING: u8 = 14;
/// As they are spelled, which is quickly compared.
static NAMES: [(&str, HeaderName); 19] = [
    ("host", HOST),
    ("user-agent", USER_AGENT),
    ("origin", ORIGIN),
    ("accept", ACCEPT),
    ("accept-encoding", ACCEPT_ENCODING),
    ("content-type", CONTENT_TYPE),
    ("cookie", COOKIE),
    ("if-none-match", IF_NONE_MATCH),
    ("access-control-request-method", ACCESS_CONTROL_REQUEST_METHOD),
    ("access-control-request-headers", ACCESS_CONTROL_REQUEST_HEADERS),
    ("content-encoding", CONTENT_ENCODING),
    ("last-event-id", HeaderName::from_static("last-event-id")),
    ("upgrade", UPGRADE),
    ("connection", CONNECTION),
    ("access-control-allow-origin", ACCESS_CONTROL_ALLOW_ORIGIN),
    ("access-control-allow-credentials", ACCESS_CONTROL_ALLOW_CREDENTIALS),
    ("cache-control", CACHE_CONTROL),
    ("vary", VARY),
    ("set-cookie", SET_COOKIE),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_one_byte_and_is_spelled_as_it_is() {
        for (byte, (spelled, name)) in (1..).zip(&NAMES) {
            assert_eq!((byte_of(name), of_byte(byte).as_ref()), (byte, Some(name)));
            assert_eq!(name, spelled);
        }
        let bytes = [&USER_AGENT, &ACCEPT, &CONNECTION, &COOKIE, &SET_COOKIE].map(byte_of);
        assert_eq!(bytes, [USER_AGENT_BYTE, ACCEPT_BYTE, CONNECTION_BYTE, COOKIE_BYTE, SET_COOKIE_BYTE]);
        assert_eq!((byte_of(&http::header::REFERER), of_byte(20)), (SPELLED, None));
    }

    #[test]
    fn what_says_nothing_does_not_cross() {
        let crosses = |name: &HeaderName, value, upgrades| {
            crosses(byte_of(name), name, &HeaderValue::from_static(value), upgrades)
        };
        for (name, value) in [
            (ACCEPT, "text/event-stream"),
            (USER_AGENT, "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko"),
            (ORIGIN, "https://example.org"),
        ] {
            assert!(crosses(&name, value, false), "{name}: {value}");
        }
        for (name, value) in [
            (ACCEPT, "*/*"),
            (USER_AGENT, "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
            (CONNECTION, "keep-alive"),
            (http::header::CONTENT_LENGTH, "4"),
            (http::header::REFERER, "https://example.org/"),
            (VARY, "Origin"),
        ] {
            assert!(!crosses(&name, value, false), "{name}: {value}");
        }
        assert!(crosses(&CONNECTION, "upgrade", true));
    }
}

//! What a client's first request decided about how its packets are written.

use crate::revision::Revision;

/// How packets are written for one client: what its first request decided, for as long as its session lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct EngineIoFraming {
    /// The revision of Engine.IO that the client speaks.
    pub(super) revision: Revision,
    /// Whether a WebSocket frame may be binary, and in revision 3 a poll's answer; a client that can't asked for base64
    /// (`b64`).
    pub(super) binary: bool,
    /// The function that polls' answers call, for a client that polls by script tags (JSONP).
    pub(super) jsonp: Option<Jsonp>,
    /// Whether text in polls is encoded in UTF-8 twice, as clients of Socket.IO 1 do.
    pub(super) doubled: bool,
}

impl EngineIoFraming {
    /// A client that can all that its revision offers.
    pub(super) const fn new(revision: Revision) -> Self {
        Self { revision, binary: true, jsonp: None, doubled: false }
    }
}

/// A revision's number, as `EIO` names it.
pub(super) const fn number(revision: Revision) -> u8 {
    match revision {
        Revision::V3 => 3,
        Revision::V4 => 4,
    }
}

/// The number of a client's function for polls by script tags: the `j` of its handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Jsonp {
    digits: [u8; Self::LEN_MAX],
    len: u8,
}

impl Jsonp {
    /// No page has had as many functions as a longer number says.
    const LEN_MAX: usize = 10;

    /// The digits of what the client wrote, of which there may be none.
    pub(super) fn new(written: &str) -> Self {
        let mut jsonp = Self { digits: [0; Self::LEN_MAX], len: 0 };
        for (place, digit) in jsonp.digits.iter_mut().zip(written.bytes().filter(u8::is_ascii_digit)) {
            *place = digit;
            jsonp.len += 1;
        }
        jsonp
    }

    /// The number, as the client wrote it.
    pub(super) fn as_str(&self) -> &str {
        let digits = self.digits.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(digits).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_has_the_digits_that_the_client_wrote() {
        for (written, digits) in [("0", "0"), ("007", "007"), ("a1b2", "12"), ("x", ""), ("1é2", "12")] {
            assert_eq!(Jsonp::new(written).as_str(), digits, "{written}");
        }
        assert_eq!(Jsonp::new("12345678901234").as_str(), "1234567890");
    }
}

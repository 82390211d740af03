//! What a client's first request decided about how its packets are written, for as long as the session lives.

/// How packets are written for one client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Framing {
    /// The revision of Engine.IO that the client speaks.
    pub revision: Revision,
    /// Whether a WebSocket frame may be binary, and in revision 3 a poll's answer; a client that can't asked for base64
    /// (`b64`).
    pub binary: bool,
    /// The function that polls' answers call, for a client that polls by script tags (JSONP).
    pub jsonp: Option<Jsonp>,
    /// Whether text in polls is encoded in UTF-8 twice, as clients of Socket.IO 1 do.
    pub doubled: bool,
}

impl Framing {
    /// A client that can all that its revision offers.
    pub const fn new(revision: Revision) -> Self {
        Self { revision, binary: true, jsonp: None, doubled: false }
    }
}

/// The number of a client's function for polls by script tags: the `j` of its handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Jsonp {
    digits: [u8; Self::LEN_MAX],
    len: u8,
}

impl Jsonp {
    /// No page has had as many functions as a longer number says.
    const LEN_MAX: usize = 10;

    /// The digits of what the client wrote, of which there may be none.
    pub fn new(written: &str) -> Self {
        let mut jsonp = Self { digits: [0; Self::LEN_MAX], len: 0 };
        for (place, digit) in jsonp.digits.iter_mut().zip(written.bytes().filter(u8::is_ascii_digit)) {
            *place = digit;
            jsonp.len += 1;
        }
        jsonp
    }

    /// The number, as the client wrote it.
    pub fn as_str(&self) -> &str {
        let digits = self.digits.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(digits).unwrap_or_default()
    }
}

/// A revision of Engine.IO, the `EIO` of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Revision {
    /// Socket.IO 1 and 2.
    V3,
    /// Socket.IO 3 and 4.
    V4,
}

/// Which revisions are spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Versions {
    /// Revision 3.
    pub v3: bool,
    /// Revision 4.
    pub v4: bool,
}

impl Versions {
    /// Both.
    pub const ALL: Self = Self { v3: true, v4: true };

    /// Whether this one is spoken.
    pub const fn has(self, revision: Revision) -> bool {
        match revision {
            Revision::V3 => self.v3,
            Revision::V4 => self.v4,
        }
    }

    /// The one to speak with somebody who does not care.
    pub const fn newest(self) -> Revision {
        if self.v4 { Revision::V4 } else { Revision::V3 }
    }
}

impl Revision {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::V3 => Self::V4,
            Self::V4 => Self::V3,
        }
    }
}

/// What is spoken on a WebSocket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// Engine.IO.
    EngineIo,
    /// Whatever the application makes of it.
    WebSocket,
    /// Many sessions at once (`docs/mux.md`).
    Mux,
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

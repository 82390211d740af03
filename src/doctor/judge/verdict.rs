//! What a check found: its mark, and where something is wrong, the evidence and the trouble.

use crate::doctor::remedy::Trouble;

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::doctor) struct Verdict {
    pub(in crate::doctor) check: Check,
    pub(in crate::doctor) mark: Mark,
    /// The finding, in some words.
    pub(in crate::doctor) says: String,
    /// What was asked and what came, in a few lines.
    pub(in crate::doctor) evidence: Vec<String>,
    /// Which trouble it is, if it is one.
    pub(in crate::doctor) trouble: Option<Trouble>,
}

/// How a check ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::doctor) enum Mark {
    /// All is well.
    Ok,
    /// Worth knowing, but no fault.
    Note,
    /// Not looked at, or not long enough to say.
    Unseen,
    /// A fault.
    Wrong,
}

impl Mark {
    /// Returns its name in JSON.
    pub(in crate::doctor) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Unseen => "unseen",
            Self::Wrong => "wrong",
        }
    }
}

/// What is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::doctor) enum Check {
    /// Which versions are spoken.
    Versions,
    /// Whether any connection reaches the session.
    Sessions,
    /// Whether a waiting poll is answered at once.
    Push,
    /// Whether responses that go on come as they are written.
    Streaming,
    /// Whether a poll may wait until the heartbeat.
    IdlePoll,
    /// Whether a WebSocket may be silent until the heartbeat.
    IdleWebSocket,
    /// Whether a WebSocket opens.
    WebSocket,
    /// Whether a polling session gets its WebSocket.
    Upgrade,
    /// Whether a POST may be as large as the server allows.
    Payload,
    /// Whether pages of another origin may connect.
    Cors,
    /// Whether a browser sends the handshake's cookies back.
    Cookies,
    /// Whether a cache answers.
    Caching,
    /// Whether responses are compressed once, and as they say.
    Compression,
    /// Whether the server's clock runs evenly.
    Clock,
    /// Whether HTTP/2 is spoken, and WebSocket over it.
    Http2,
    /// Whether the certificate is trusted.
    Certificate,
}

impl Check {
    /// Returns its name in JSON, and for people.
    pub(in crate::doctor) const fn word(self) -> &'static str {
        match self {
            Self::Versions => "versions",
            Self::Sessions => "sessions",
            Self::Push => "push",
            Self::Streaming => "streaming",
            Self::IdlePoll => "idle-poll",
            Self::IdleWebSocket => "idle-websocket",
            Self::WebSocket => "websocket",
            Self::Upgrade => "upgrade",
            Self::Payload => "payload",
            Self::Cors => "cors",
            Self::Cookies => "cookies",
            Self::Caching => "caching",
            Self::Compression => "compression",
            Self::Clock => "clock",
            Self::Http2 => "http2",
            Self::Certificate => "certificate",
        }
    }
}

impl Verdict {
    /// Says that all is well.
    pub(super) fn ok(check: Check, says: impl Into<String>) -> Self {
        Self::of(check, Mark::Ok, says)
    }

    /// Says what is worth knowing.
    pub(super) fn note(check: Check, says: impl Into<String>) -> Self {
        Self::of(check, Mark::Note, says)
    }

    /// Says why nothing was looked at.
    pub(super) fn unseen(check: Check, says: impl Into<String>) -> Self {
        Self::of(check, Mark::Unseen, says)
    }

    /// Names a fault.
    pub(super) fn wrong(
        trouble: Trouble,
        check: Check,
        says: impl Into<String>,
        evidence: Vec<String>,
    ) -> Self {
        Self { evidence, trouble: Some(trouble), ..Self::of(check, Mark::Wrong, says) }
    }

    /// Stands for a check that needs the sessions to be found again.
    pub(super) fn behind(check: Check) -> Self {
        Self::unseen(check, "not seen: sessions are not found again")
    }

    fn of(check: Check, mark: Mark, says: impl Into<String>) -> Self {
        Self { check, mark, says: says.into(), evidence: Vec::new(), trouble: None }
    }
}

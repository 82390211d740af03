//! The types that every floor shares: what a client and a backend send to each other.
//!
//! A [`Message`] is what the application sends; a [`Packet`] is what a dialect puts on the wire, most often a message.
//! Both are cheap to clone: their payloads are shared, never copied.
//!
//! ```
//! use bytes::Bytes;
//! use polliwog::packet::{Message, Text};
//!
//! let body = Bytes::from("4hello");
//! let text = Text::new(body.clone()).expect("it is UTF-8");
//! let payload = text.skip(1);
//! assert_eq!(payload.as_str(), "hello");
//! // The same five bytes of the body, not a copy.
//! assert_eq!(payload.as_bytes().as_ptr(), body[1..].as_ptr());
//!
//! // A length counts bytes; what is no UTF-8 comes back as it was.
//! assert_eq!(Message::text("h\u{e9}llo").len(), 6);
//! assert_eq!(Text::new(Bytes::from_static(b"\xff")), Err(Bytes::from_static(b"\xff")));
//! ```

use std::fmt;
use std::time::Duration;

use bytes::{Buf as _, Bytes};

/// A run of valid UTF-8 that shares its buffer.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Text(Bytes);

impl Text {
    /// Checks that `bytes` are UTF-8.
    ///
    /// # Errors
    /// Returns the bytes if they are not UTF-8.
    pub fn new(bytes: Bytes) -> Result<Self, Bytes> {
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(Self(bytes)),
            Err(_) => Err(bytes),
        }
    }

    /// Decodes `bytes`; each ill-formed sequence becomes U+FFFD.
    pub fn lossy(bytes: Bytes) -> Self {
        Self::new(bytes).unwrap_or_else(|bytes| Self::from(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Takes bytes that were validated as UTF-8 as they came, without checking again.
    ///
    /// If they were not UTF-8, reading them as a string would panic; so nothing else is taken on trust.
    pub(crate) const fn from_checked(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Creates a text that lives as long as the program.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// Returns the text without its first `at` bytes, in the same buffer.
    ///
    /// # Panics
    /// If the byte before the cut is not ASCII, or does not exist.
    #[must_use]
    pub fn skip(mut self, at: usize) -> Self {
        // That byte is enough: checking the whole text again would cost as much as reading it.
        assert!(self.0[..at].last().is_none_or(u8::is_ascii), "a text is cut between characters");
        // Not a slice, which would have the buffer counted for two.
        self.0.advance(at);
        self
    }

    /// Returns the text before byte `at` and the text after it, sharing the buffer; the byte itself is left out.
    ///
    /// # Panics
    /// If the byte at `at` is not ASCII, or does not exist.
    pub fn split_around(&self, at: usize) -> (Self, Self) {
        assert!(self.0[at].is_ascii(), "a text is cut between characters");
        (Self(self.0.slice(..at)), Self(self.0.slice(at + 1..)))
    }

    /// Returns the text as a string slice.
    ///
    /// # Panics
    /// Never: a text was checked when it was made.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a Text was checked when it was made")
    }

    /// Returns the text's UTF-8.
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Returns the text's UTF-8, by value.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// Returns the length in bytes.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether it is empty.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Bytes::from(text))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

/// Bodies are private: a text only shows its length.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.len())
    }
}

/// One message of the application, in either direction.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// UTF-8 text.
    Text(Text),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// Returns a text message.
    pub fn text(text: impl Into<Text>) -> Self {
        Self::Text(text.into())
    }

    /// Returns the payload's length in bytes.
    pub const fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Returns whether the payload is empty.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Bodies are private: a message only shows its kind and length.
impl Message {
    /// Returns the message in a buffer of its own if it is short, for it may share a much larger one, which would live as
    /// long.
    #[must_use]
    pub fn detached(self) -> Self {
        if self.len() <= SHORT_LEN { self.copied() } else { self }
    }

    /// Returns the message as it is kept where `waiting` bytes wait before it: if that is much, it is going to wait, too,
    /// and does so in a buffer of its own. The one that it was read into may be twice as large.
    #[must_use]
    pub fn behind(self, waiting: usize) -> Self {
        if waiting >= WAITING_LEN && self.len() <= LONG_LEN { self.copied() } else { self }
    }

    fn copied(self) -> Self {
        match self {
            Self::Text(Text(bytes)) => Self::Text(Text(Bytes::copy_from_slice(&bytes))),
            Self::Binary(bytes) => Self::Binary(Bytes::copy_from_slice(&bytes)),
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
        }
    }
}

/// What a dialect puts on the wire, with Engine.IO's names (protocol 4, "Packet types").
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Packet {
    /// The response to a handshake: JSON of sid, upgrades and heartbeat.
    Open(Text),
    /// The transport can be closed, with the reason if the dialect can express it. Boxed, because it is rare.
    Close(Option<Box<Closing>>),
    /// One half of the heartbeat, or a probe.
    Ping(Text),
    /// The other half.
    Pong(Text),
    /// A message of the application.
    Message(Message),
    /// The client moves to the transport that this packet comes on.
    Upgrade,
    /// No content: it ends a poll.
    Noop,
}

impl Packet {
    /// Returns the payload's length in bytes, without the packet's type.
    pub const fn len(&self) -> usize {
        match self {
            Self::Open(text) | Self::Ping(text) | Self::Pong(text) => text.len(),
            Self::Message(message) => message.len(),
            Self::Close(_) | Self::Upgrade | Self::Noop => 0,
        }
    }

    /// Returns how many bytes of the payload belong to the application.
    pub const fn message_len(&self) -> usize {
        match self {
            Self::Message(message) => message.len(),
            Self::Open(_) | Self::Close(_) | Self::Ping(_) | Self::Pong(_) | Self::Upgrade | Self::Noop => 0,
        }
    }

    /// Returns whether the payload is empty.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What carries the client's packets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    /// HTTP long-polling.
    Polling,
    /// Answers over HTTP that go on. A session does not know them from polling, since a client may have one after the other.
    Streaming,
    /// A WebSocket, from the start or after an upgrade.
    WebSocket,
}

impl Transport {
    /// Every variant, in the order of declaration.
    pub const ALL: &[Self] = &[Self::Polling, Self::Streaming, Self::WebSocket];

    /// Returns the word in metrics and for backends, which is Engine.IO's where that has one.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::Streaming => "streaming",
            Self::WebSocket => "websocket",
        }
    }

    /// Returns the transport that the session itself is on.
    #[must_use]
    pub const fn of_session(self) -> Self {
        match self {
            Self::Polling | Self::Streaming => Self::Polling,
            Self::WebSocket => Self::WebSocket,
        }
    }
}

/// A heartbeat's two durations (Engine.IO protocol 4, "Heartbeat").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heartbeat {
    /// From a pong to the next ping.
    pub interval: Duration,
    /// From a ping until its pong is overdue.
    pub timeout: Duration,
}

/// Why one side of a session ended, as it is passed to the other side: the code and reason of RFC 6455, section 7.1.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Closing {
    /// The status code, if one was given.
    pub code: Option<u16>,
    /// The reason, at most 123 bytes, often empty.
    pub reason: Text,
    /// Whether a close packet came before it, which shows a client that the close was intended.
    pub by_packet: bool,
}

impl Closing {
    /// Creates a close with a code and a reason.
    pub const fn new(code: u16, reason: &'static str) -> Self {
        Self { code: Some(code), reason: Text::from_static(reason), by_packet: false }
    }
}

/// Messages up to this length are copied rather than kept in a buffer that may be larger by far.
const SHORT_LEN: usize = 1024;
/// So much waits only for a side that does not keep up.
const WAITING_LEN: usize = 8 << 10;
/// A longer message fills its buffer.
const LONG_LEN: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ill_formed_text_is_refused_or_replaced() {
        let bytes = Bytes::from_static(b"a\xffb");
        assert_eq!(Text::new(bytes.clone()), Err(bytes.clone()));
        assert_eq!(Text::lossy(bytes).as_str(), "a\u{fffd}b");
    }

    #[test]
    fn a_short_message_gives_back_the_buffer_that_it_was_read_into() {
        for (len, is_free) in [(SHORT_LEN, true), (SHORT_LEN + 1, false)] {
            let buffer = Bytes::from(vec![b'a'; 2 * SHORT_LEN]);
            let text = Message::Text(Text::new(buffer.slice(..len)).unwrap()).detached();
            let binary = Message::Binary(buffer.slice(..len)).detached();
            assert_eq!((text.len(), binary.len(), buffer.is_unique()), (len, len, is_free));
        }
    }

    #[test]
    fn a_message_that_is_going_to_wait_gives_back_its_buffer() {
        for (len, waiting, is_free) in
            [(5000, WAITING_LEN, true), (5000, WAITING_LEN - 1, false), (LONG_LEN + 1, WAITING_LEN, false)]
        {
            let buffer = Bytes::from(vec![b'a'; 2 * len]);
            let message = Message::Binary(buffer.slice(..len)).behind(waiting);
            assert_eq!((message.len(), buffer.is_unique()), (len, is_free));
        }
    }

    #[test]
    fn a_payload_never_shows_in_debug_output() {
        let packet = Packet::Message(Message::text("secret"));
        assert_eq!(format!("{packet:?}"), "Message(Text(6 bytes))");
    }
}

//! The header of a Socket.IO packet, the only part of it that a translator reads.
//!
//! Both protocols write it alike: `TYPE [ATTACHMENTS-] [/NAMESPACE,] [ID] [DATA]`, where DATA is JSON. In the old one,
//! the namespace of a client's CONNECT may have a query.

use std::str;

use crate::packet::{Message, Text};

/// The type of a packet, by the protocol's names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A namespace is requested, or granted.
    Connect,
    /// A namespace is disconnected.
    Disconnect,
    /// An event without attachments.
    Event,
    /// The answer to an event.
    Ack,
    /// A namespace is refused (`CONNECT_ERROR` in the new protocol).
    Error,
    /// An event whose attachments follow as binary messages.
    BinaryEvent,
    /// An answer whose attachments follow as binary messages.
    BinaryAck,
}

impl Kind {
    /// Every variant, in the order of their digits.
    pub const ALL: [Self; 7] = [
        Self::Connect,
        Self::Disconnect,
        Self::Event,
        Self::Ack,
        Self::Error,
        Self::BinaryEvent,
        Self::BinaryAck,
    ];

    const fn has_attachments(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }
}

/// The header of a packet, and the rest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// The packet's type.
    pub kind: Kind,
    /// How many binary messages follow it.
    pub attachments: u32,
    /// The namespace, `/` if none is named; with its query, if there is one.
    pub namespace: &'a str,
    /// The digits of the ack id, often none.
    pub id: &'a [u8],
    /// JSON, unread.
    pub data: &'a [u8],
}

impl<'a> Head<'a> {
    /// Reads the header of a text message; `None` if it is not a packet.
    pub fn read(text: &'a [u8]) -> Option<Self> {
        let (digit, rest) = text.split_first()?;
        let kind = *Kind::ALL.get(usize::from(digit.checked_sub(b'0')?))?;
        let (attachments, rest) = if kind.has_attachments() {
            let (count, rest) = split_digits(rest);
            (str::from_utf8(count).ok()?.parse().ok()?, rest.strip_prefix(b"-")?)
        } else {
            (0, rest)
        };
        let (namespace, rest) = if rest.starts_with(b"/") {
            // Both parsers allow the comma to be absent if nothing follows.
            let end = memchr::memchr(b',', rest).unwrap_or(rest.len());
            (&rest[..end], rest.get(end + 1..).unwrap_or_default())
        } else {
            (ROOT.as_bytes(), rest)
        };
        let (id, data) = split_digits(rest);
        Some(Self { kind, attachments, namespace: str::from_utf8(namespace).ok()?, id, data })
    }

    /// Returns the namespace and its query, as in a CONNECT of the old protocol.
    pub fn split_query(&self) -> (&'a str, &'a str) {
        self.namespace.split_once('?').unwrap_or((self.namespace, ""))
    }
}

/// Writes a packet without attachments and id. The namespace may include a query.
pub fn write(kind: Kind, namespace: &str, data: &str) -> Message {
    let digit = kind as u8;
    Message::text(Text::from(if namespace == ROOT {
        format!("{digit}{data}")
    } else {
        format!("{digit}{namespace},{data}")
    }))
}

/// The namespace that has no name on the wire.
pub const ROOT: &str = "/";

fn split_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    bytes.split_at(end)
}

/// Bodies are private: a header only shows what a label may contain.
impl std::fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} with {} attachments", self.kind, self.attachments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_both_parsers_read_it() {
        for (text, kind, attachments, namespace, id, data) in [
            ("0", Kind::Connect, 0, "/", "", ""),
            ("0{\"sid\":\"x\"}", Kind::Connect, 0, "/", "", "{\"sid\":\"x\"}"),
            ("0/nsp", Kind::Connect, 0, "/nsp", "", ""),
            ("0/nsp?a=b,", Kind::Connect, 0, "/nsp?a=b", "", ""),
            ("1/nsp,", Kind::Disconnect, 0, "/nsp", "", ""),
            ("20[\"e\"]", Kind::Event, 0, "/", "0", "[\"e\"]"),
            ("2/é,[\"a,b\"]", Kind::Event, 0, "/é", "", "[\"a,b\"]"),
            ("3/nsp,12[]", Kind::Ack, 0, "/nsp", "12", "[]"),
            ("4\"no\"", Kind::Error, 0, "/", "", "\"no\""),
            ("52-/nsp,1[\"e\"]", Kind::BinaryEvent, 2, "/nsp", "1", "[\"e\"]"),
            ("61-7[]", Kind::BinaryAck, 1, "/", "7", "[]"),
        ] {
            let head = Head { kind, attachments, namespace, id: id.as_bytes(), data: data.as_bytes() };
            assert!(Head::read(text.as_bytes()) == Some(head), "{text}");
        }
    }

    #[test]
    fn what_is_no_packet_is_told_apart() {
        for text in ["", "7", "/", "a", "\"", "5", "5[]", "5-[]", "51", "51[]", "5-1-[]", "599999999999-[]"] {
            assert!(Head::read(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn a_packet_is_written_as_both_encoders_write_it() {
        assert!(write(Kind::Connect, "/", "") == Message::text("0"));
        assert!(write(Kind::Connect, "/nsp", "") == Message::text("0/nsp,"));
        assert!(write(Kind::Connect, "/?a=b", "") == Message::text("0/?a=b,"));
        assert!(write(Kind::Error, "/nsp", "\"no\"") == Message::text("4/nsp,\"no\""));
    }
}

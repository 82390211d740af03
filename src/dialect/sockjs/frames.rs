//! Frames, and how each transport wraps them.

use bytes::Bytes;
use serde_json::json;

use super::json::{Place, quote, quoted_len};
use super::path::Receiver;
use super::query::Callback;
use crate::packet::{Closing, Message, Packet};

/// How frames are wrapped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Wrapping {
    /// A line for each frame.
    Lines,
    /// An event for each frame.
    Events,
    /// A script for each frame, which calls a function of the page.
    Scripts,
    /// A call of this function.
    Call(Callback),
}

impl Wrapping {
    /// Returns the frames of these packets, wrapped.
    pub(super) fn encode(&self, packets: &[Packet]) -> Bytes {
        let room = |packet: &Packet| packet.len() + BESIDE_MESSAGE;
        let mut out = Vec::with_capacity(packets.iter().map(room).sum::<usize>() + BESIDE_FRAME);
        for_each_frame(packets, |packets| match self {
            Self::Lines => {
                write(packets, Place::Frame, &mut out);
                out.push(b'\n');
            }
            Self::Events => {
                out.extend_from_slice(b"data: ");
                write(packets, Place::Event, &mut out);
                out.extend_from_slice(b"\r\n\r\n");
            }
            Self::Scripts => {
                out.extend_from_slice(b"<script>\np(");
                quote(&text(packets), Place::Html, &mut out);
                out.extend_from_slice(b");\n</script>\r\n");
            }
            Self::Call(callback) => {
                // The comment keeps a browser from interpreting the response as anything but a script.
                out.extend_from_slice(b"/**/");
                out.extend_from_slice(callback.as_str().as_bytes());
                out.push(b'(');
                quote(&text(packets), Place::Frame, &mut out);
                out.extend_from_slice(b");\r\n");
            }
        });
        out.into()
    }
}

/// Returns a frame that is itself written as a string.
fn text(packets: &[Packet]) -> Vec<u8> {
    let mut frame = Vec::new();
    write(packets, Place::Frame, &mut frame);
    frame
}

/// Calls `write` with the packets of one frame after another: messages that follow each other are one frame.
fn for_each_frame(packets: &[Packet], mut write: impl FnMut(&[Packet])) {
    let both_messages =
        |one: &Packet, other: &Packet| matches!((one, other), (Packet::Message(_), Packet::Message(_)));
    for frame in packets.chunk_by(both_messages) {
        // What has no frame is not said.
        if !matches!(frame, [Packet::Pong(_) | Packet::Upgrade | Packet::Noop]) {
            write(frame);
        }
    }
}

/// Returns one frame as sent on a WebSocket, or nothing if SockJS has no frame for the packet.
pub(super) fn frame(packet: &Packet) -> Option<Bytes> {
    let mut out = Vec::with_capacity(packet.len() + BESIDE_FRAME);
    for_each_frame(std::slice::from_ref(packet), |packets| write(packets, Place::Frame, &mut out));
    (!out.is_empty()).then(|| out.into())
}

fn write(packets: &[Packet], place: Place, out: &mut Vec<u8>) {
    match packets {
        [Packet::Open(_)] => out.push(b'o'),
        [Packet::Ping(_)] => out.push(b'h'),
        [Packet::Close(closing)] => write_close(closing.as_deref(), place, out),
        messages => {
            out.extend_from_slice(b"a[");
            for (at, packet) in messages.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_message(packet, place, out);
            }
            out.push(b']');
        }
    }
}

fn write_message(packet: &Packet, place: Place, out: &mut Vec<u8>) {
    match packet {
        Packet::Message(Message::Text(text)) => quote(text.as_bytes(), place, out),
        // SockJS has text alone.
        Packet::Message(Message::Binary(bytes)) => {
            quote(String::from_utf8_lossy(bytes).as_bytes(), place, out);
        }
        Packet::Open(_)
        | Packet::Close(_)
        | Packet::Ping(_)
        | Packet::Pong(_)
        | Packet::Upgrade
        | Packet::Noop => {}
    }
}

fn write_close(closing: Option<&Closing>, place: Place, out: &mut Vec<u8>) {
    let (code, reason) = closing.map_or((None, ""), |closing| (closing.code, closing.reason.as_str()));
    out.extend_from_slice(format!("c[{},", json!(code.unwrap_or(1000))).as_bytes());
    quote(reason.as_bytes(), place, out);
    out.push(b']');
}

/// Returns a packet's length in a frame, in bytes, without what stands between two.
pub(super) fn encoded_len(packet: &Packet) -> usize {
    match packet {
        Packet::Message(Message::Text(text)) => quoted_len(text.as_bytes()),
        Packet::Message(Message::Binary(bytes)) => quoted_len(String::from_utf8_lossy(bytes).as_bytes()),
        Packet::Close(closing) => closing.as_deref().map_or(0, |closing| closing.reason.len()) + BESIDE_FRAME,
        Packet::Open(_) | Packet::Ping(_) | Packet::Pong(_) | Packet::Upgrade | Packet::Noop => 1,
    }
}

/// Returns how many units of UTF-16 these bytes are, in which clients of the reference count: all of its own beyond
/// them is escaped.
pub(super) fn units(bytes: &[u8]) -> usize {
    if bytes.is_ascii() {
        return bytes.len();
    }
    let is_unit = |byte: &&u8| !matches!(byte, 0x80..0xc0);
    bytes.iter().filter(is_unit).count()
}

/// Returns the prelude of a stream: enough bytes to make browsers and proxies pass on the frames that follow.
pub(super) fn prelude(receiver: Receiver, callback: Option<&Callback>) -> Bytes {
    match receiver {
        Receiver::XhrStreaming => {
            let mut out = vec![b'h'; PRELUDE_LEN];
            out.push(b'\n');
            out.into()
        }
        Receiver::EventSource => Bytes::from_static(b"\r\n"),
        Receiver::HtmlFile => {
            let mut page = PAGE.replace("CB", callback.map_or("", Callback::as_str));
            page.extend(std::iter::repeat_n(' ', PAGE_SPACES));
            page.push_str("\r\n\r\n");
            page.into()
        }
        Receiver::Xhr | Receiver::Jsonp => Bytes::new(),
    }
}

/// Quotes and a comma.
const BESIDE_MESSAGE: usize = 3;
/// Brackets and signs around the messages of a frame.
const BESIDE_FRAME: usize = 16;
const PRELUDE_LEN: usize = 2048;
/// Browsers show nothing of a page before its first kilobyte.
const PAGE_SPACES: usize = 653;
/// The protocol's own, to the byte.
const PAGE: &str = r#"<!doctype html>
<html><head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
</head><body><h2>Don't panic!</h2>
  <script>
    document.domain = document.domain;
    var c = parent.CB;
    c.start();
    function p(d) {c.message(d);};
    window.onload = function() {c.stop();};
  </script>"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn callback(name: &str) -> Callback {
        Callback::of(&format!("c={name}"), 128).unwrap()
    }

    fn message(text: &str) -> Packet {
        Packet::Message(Message::text(text))
    }

    fn encoded(wrapping: &Wrapping, packets: &[Packet]) -> String {
        String::from_utf8(wrapping.encode(packets).to_vec()).unwrap()
    }

    fn closing() -> Packet {
        Packet::Close(Some(Box::new(Closing::new(3000, "Go \"away\"!\u{2028}"))))
    }

    #[test]
    fn each_way_wraps_frames_as_the_reference_does() {
        let batch = [message("a%\"<\n"), message("\u{200b}😀")];
        for (wrapping, expected) in [
            (Wrapping::Lines, "a[\"a%\\\"<\\n\",\"\u{200b}\\ud83d\\ude00\"]\n"),
            (Wrapping::Events, "data: a[\"a%25\\\"<\\n\",\"\u{200b}\\ud83d\\ude00\"]\r\n\r\n"),
            (
                Wrapping::Scripts,
                "<script>\np(\"a[\\\"a%\\\\\\\"\\u003c\\\\n\\\",\\\"\u{200b}\\\\ud83d\\\\ude00\\\"]\");\n</script>\r\n",
            ),
            (
                Wrapping::Call(callback("x.y")),
                "/**/x.y(\"a[\\\"a%\\\\\\\"<\\\\n\\\",\\\"\u{200b}\\\\ud83d\\\\ude00\\\"]\");\r\n",
            ),
        ] {
            assert_eq!(encoded(&wrapping, &batch), expected);
        }
        assert_eq!(encoded(&Wrapping::Lines, &[Packet::Open("".into())]), "o\n");
        assert_eq!(encoded(&Wrapping::Events, &[Packet::Ping("".into())]), "data: h\r\n\r\n");
        assert_eq!(encoded(&Wrapping::Lines, &[closing()]), "c[3000,\"Go \\\"away\\\"!\\u2028\"]\n");
        assert_eq!(
            encoded(&Wrapping::Call(callback("f")), &[Packet::Close(None)]),
            "/**/f(\"c[1000,\\\"\\\"]\");\r\n"
        );
    }

    #[test]
    fn packets_of_several_frames_are_one_frame_each() {
        let batch = [Packet::Open("".into()), message("a"), message("b"), Packet::Noop, closing()];
        assert_eq!(
            encoded(&Wrapping::Lines, &batch),
            "o\na[\"a\",\"b\"]\nc[3000,\"Go \\\"away\\\"!\\u2028\"]\n"
        );
        assert_eq!(frame(&Packet::Noop), None);
        assert_eq!(frame(&message("a")), Some(Bytes::from_static(b"a[\"a\"]")));
    }

    #[test]
    fn a_stream_begins_with_as_many_bytes_as_the_references() {
        assert_eq!(prelude(Receiver::XhrStreaming, None).len(), 2049);
        assert_eq!(&prelude(Receiver::EventSource, None)[..], b"\r\n");
        let page = prelude(Receiver::HtmlFile, Some(&callback("callback")));
        assert_eq!(page.len(), 1027 + "callback".len());
        assert!(page.ends_with(b"</script>\x20\x20\x20".as_slice()) || page.ends_with(b" \r\n\r\n"));
        let text = String::from_utf8(page.to_vec()).unwrap();
        assert!(text.contains("    var c = parent.callback;\n    c.start();\n"), "{text}");
    }

    #[test]
    fn units_are_those_of_utf_16() {
        let text = encoded(&Wrapping::Lines, &[message("aé\u{200b}😀\u{ffff}")]);
        assert_eq!(units(text.as_bytes()), text.encode_utf16().count());
    }
}

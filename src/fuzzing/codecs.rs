//! Decoders alone: what is read is written and read again, and pieces make no difference.

use std::io::Cursor;

use bytes::{Bytes, BytesMut};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::codec::engineio::v3::{self, Strings};
use crate::codec::engineio::{self, OpenPacket, Payload};
use crate::codec::frames::{Beginning, FrameScanner, Scan};
use crate::frame::{Frame, Malformed};
use crate::frame_header::HEADER_LEN_MAX;
use crate::mux::Profile;
use crate::packet::{Message, Packet, Text};
use crate::peer;

pub(super) fn payloads(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let packets = read(Payload::new(body.clone()), bytes);
    if !packets.is_empty() {
        let written = engineio::encode_payload(&packets);
        let separators = packets.len() - 1;
        assert_eq!(written.len(), packets.iter().map(engineio::encoded_len).sum::<usize>() + separators);
        assert_eq!(Payload::new(written).collect::<Result<Vec<_>, _>>(), Ok(packets));
    }
    for strings in [Strings::Plain, Strings::EncodedTwice] {
        let packets = read(v3::TextPayload::new(body.clone(), strings), bytes);
        if !packets.is_empty() {
            let written = v3::encode_text_payload(&packets, strings);
            let bound: usize = packets.iter().map(v3::encoded_len).sum();
            assert!(strings == Strings::EncodedTwice || written.len() <= bound, "{bound} is no bound");
            let read = v3::TextPayload::new(written, strings).collect::<Result<Vec<_>, _>>();
            assert_eq!(read, Ok(packets), "{strings:?}");
        }
    }
    let packets = read(v3::BinaryPayload::new(body), bytes);
    let written = v3::encode_binary_payload(&packets);
    assert_eq!(v3::BinaryPayload::new(written).collect::<Result<Vec<_>, _>>(), Ok(packets));
}

/// Returns the packets before the first that is malformed.
fn read(payload: impl Iterator<Item = Result<Packet, Malformed>>, body: &[u8]) -> Vec<Packet> {
    let all: Vec<_> = payload.take(body.len() + 2).collect();
    assert!(all.len() <= body.len() + 1, "more packets than bytes");
    let broken = all.iter().position(Result::is_err).unwrap_or(all.len());
    assert!(broken + 1 >= all.len(), "something comes behind what is malformed");
    all.into_iter().flatten().collect()
}

pub(super) fn packets(bytes: &[u8]) {
    let text = Text::lossy(Bytes::copy_from_slice(bytes));
    if let Ok(packet) = engineio::decode_text(text.clone()) {
        assert_eq!(unframed(engineio::encode_frame(&packet)), Ok(packet));
    }
    let old = [v3::decode_text(text.clone()), v3::decode_binary(&Bytes::copy_from_slice(bytes))];
    for packet in old.into_iter().flatten() {
        let frame = v3::encode_frame(&packet);
        let again = match frame {
            Frame::Text(bytes) => v3::decode_text(Text::new(bytes).expect("a text frame is UTF-8")),
            Frame::Binary(bytes) => v3::decode_binary(&bytes),
        };
        assert_eq!(again, Ok(packet));
    }
    if let Some(open) = OpenPacket::decode(&text) {
        assert_eq!(OpenPacket::decode(&open.encode()), Some(open));
    }
}

fn unframed(frame: Frame) -> Result<Packet, Malformed> {
    match frame {
        Frame::Text(bytes) => engineio::decode_text(Text::new(bytes).expect("a text frame is UTF-8")),
        Frame::Binary(bytes) => Ok(Packet::Message(Message::Binary(bytes))),
    }
}

pub(super) fn jsonp(bytes: &[u8]) {
    if let Some(payload) = v3::form_payload(bytes) {
        assert!(payload.len() <= bytes.len());
    }
    let payload = Bytes::copy_from_slice(bytes);
    let script = v3::wrap("0", &payload);
    let script = std::str::from_utf8(&script).expect("a script is text");
    assert!(!script.contains(['\n', '\u{2028}', '\u{2029}']), "old JavaScript ends a line there");
    let string = script.strip_prefix("___eio[0](").and_then(|rest| rest.strip_suffix(");"));
    let told: String = serde_json::from_str(string.expect("a call")).expect("a string");
    assert_eq!(told, String::from_utf8_lossy(bytes));
    // As the reference's client sends it; a backslash before a line break is ambiguous.
    if !told.contains("\\\n") {
        let escaped = told.replace("\\n", "\\\n").replace('\n', "\\n");
        let form = escaped.bytes().fold("d=".to_owned(), |form, byte| form + &format!("%{byte:02x}"));
        assert_eq!(v3::form_payload(form.as_bytes()).as_deref(), Some(told.as_bytes()));
    }
}

pub(super) fn websocket_frames(bytes: &[u8]) {
    let Some((&[limit, cut], bytes)) = bytes.split_first_chunk() else { return };
    let message_max = 1_u64.checked_shl(limit.into()).unwrap_or(u64::MAX);
    let mut whole = FrameScanner::new(message_max);
    let scan = whole.scan(bytes);
    if let Some(expected) = scanned(bytes, message_max) {
        assert_eq!(scan, expected);
    }
    // In pieces.
    let mut scanner = FrameScanner::new(message_max);
    let (mut passed, mut seen) = (0, 0);
    let pieces = loop {
        seen = (seen + 1 + usize::from(cut)).min(bytes.len());
        match scanner.scan(&bytes[passed..seen]) {
            Scan::TooLarge(pass) => break Scan::TooLarge(passed + pass),
            Scan::Pass(pass) => passed += pass,
        }
        assert!(seen - passed < HEADER_LEN_MAX, "more is held back than a header");
        if seen == bytes.len() {
            break Scan::Pass(passed);
        }
    };
    assert_eq!(pieces, scan);
    assert_eq!(scanner.take_counted(), whole.take_counted());
    assert_eq!(
        (scanner.is_between_frames(), scanner.is_between_messages(), scanner.is_closed()),
        (whole.is_between_frames(), whole.is_between_messages(), whole.is_closed())
    );
    if let Beginning::Text { payload, .. } = Beginning::of(bytes, message_max.min(1 << 20) as usize) {
        assert!(payload.len() as u64 <= message_max);
    }
}

/// Returns what may pass, as another implementation reads the headers; `None` if it refuses one.
fn scanned(bytes: &[u8], message_max: u64) -> Option<Scan> {
    let (mut at, mut message_len) = (0, 0_u64);
    loop {
        let mut cursor = Cursor::new(&bytes[at..]);
        let Some((header, len)) = FrameHeader::parse(&mut cursor).ok()? else { return Some(Scan::Pass(at)) };
        if let OpCode::Data(kind) = header.opcode {
            let before = if kind == Data::Continue { message_len } else { 0 };
            message_len = before.saturating_add(len);
            if message_len > message_max {
                return Some(Scan::TooLarge(at));
            }
        }
        let behind = (at as u64 + cursor.position()).saturating_add(len);
        match usize::try_from(behind) {
            Ok(behind) if behind <= bytes.len() => at = behind,
            _ => return Some(Scan::Pass(bytes.len())),
        }
    }
}

pub(super) fn mux_frames(bytes: &[u8]) {
    let text = Text::lossy(Bytes::copy_from_slice(bytes));
    let binary = Message::Binary(Bytes::copy_from_slice(bytes));
    for (profile, message) in [(Profile::Binary, binary), (Profile::Json, Message::Text(text))] {
        let Ok(read) = profile.decode(message) else { continue };
        // Some of what is read means nothing there, and is not written.
        let frame = profile.decode(profile.encode(&read)).expect("what was written can be read");
        for profile in Profile::ALL {
            assert_eq!(profile.decode(profile.encode(&frame)), Ok(frame.clone()), "{profile:?}");
        }
    }
}

pub(super) fn peer_frames(bytes: &[u8]) {
    let (whole, fault) = peer_frames_of(&[bytes]);
    let pieces: Vec<&[u8]> = bytes.chunks(7).collect();
    assert_eq!(peer_frames_of(&pieces), (whole.clone(), fault));
    // A header that is read may have lines that are not written.
    let again = |frame: &peer::Frame| {
        let mut wire = BytesMut::new();
        frame.write(&mut wire);
        let (frames, fault) = peer_frames_of(&[&wire]);
        assert_eq!(fault, None, "what was written can be read");
        frames.into_iter().next()
    };
    for frame in whole {
        if let Some(written) = again(&frame) {
            assert_eq!(again(&written), Some(written));
        }
    }
}

/// Returns the frames in these pieces, and what is wrong with what follows.
fn peer_frames_of(pieces: &[&[u8]]) -> (Vec<peer::Frame>, Option<peer::Malformed>) {
    let (mut wire, mut lines, mut frames) = (BytesMut::new(), peer::Lines::default(), Vec::new());
    for piece in pieces {
        wire.extend_from_slice(piece);
        loop {
            match peer::Frame::read(&mut wire, &mut lines) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(fault) => return (frames, Some(fault)),
            }
        }
    }
    (frames, None)
}

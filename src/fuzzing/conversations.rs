//! Whole conversations, each with the model of its tests.

use bytes::Bytes;

use super::drawn::drawn;
use crate::mux::Profile;
use crate::mux::tests::{breaks, hostile};
use crate::packet::{Message, Text};
use crate::server::alike;
use crate::session::tests::model::{self, Kind};
use crate::socketio;

/// The first byte chooses the client's kind, and the rest the script.
pub(super) fn session(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let kind = Kind::ALL[usize::from(first) % Kind::ALL.len()];
    if let Some(script) = drawn(&model::script(kind), bytes) {
        model::keeps_its_promises(script);
    }
}

/// The first byte chooses the profile, and the rest the script.
pub(super) fn mux_lines(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    if let Some(script) = drawn(&breaks::script(), bytes) {
        breaks::nothing_is_lost(Profile::ALL[usize::from(first) % Profile::ALL.len()], script);
    }
}

/// Lines of JSON, each a frame. The first byte chooses who gets them.
pub(super) fn mux_peer(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let frames = bytes.split(|byte| *byte == b'\n').map(|line| Text::lossy(Bytes::copy_from_slice(line)));
    let frames = frames.map_while(|line| Profile::Json.decode(Message::Text(line)).ok());
    hostile::is_survived(first.is_multiple_of(2), frames);
}

/// Lines: `C` or `B`, who sends it, a blank, and a text; behind a `#`, a binary message. The first line chooses who is old.
pub(super) fn socketio(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let is_old_client = lines.next() == Some(b"old client");
    let message = |line: &[u8]| match line.strip_prefix(b"#") {
        Some(bytes) => Message::Binary(Bytes::copy_from_slice(bytes)),
        None => Message::Text(Text::lossy(Bytes::copy_from_slice(line))),
    };
    let messages = lines.filter_map(|line| match line {
        [b'C', b' ', rest @ ..] => Some((true, message(rest))),
        [b'B', b' ', rest @ ..] => Some((false, message(rest))),
        _ => None,
    });
    socketio::tests::random::both_get_whole_packets(is_old_client, messages);
}

/// Pieces of what a client sends, with a byte between them that is in no text.
pub(super) fn http1(bytes: &[u8]) {
    let pieces: Vec<Vec<u8>> = bytes
        .split(|byte| *byte == 0xff)
        .filter(|piece| !piece.is_empty())
        .take(PIECES_MAX)
        .map(<[u8]>::to_vec)
        .collect();
    alike::is_alike(&pieces);
}

/// As many as tests have.
const PIECES_MAX: usize = 30;

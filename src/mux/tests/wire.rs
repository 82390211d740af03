//! Frames on the wire: the test vectors for every implementation, and malformed bytes.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::packet::Text;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../tests/mux/vectors.json")).expect("the vectors are JSON")
}

fn bytes(hex: &str) -> Bytes {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(digit).collect()
}

/// Returns a vector as a message of each profile that it has.
fn written(vector: &Value) -> Vec<(Profile, Message)> {
    let json = vector["json"].as_str().map(|json| (Profile::Json, Message::text(json)));
    let binary = vector["hex"].as_str().map(|hex| (Profile::Binary, Message::Binary(bytes(hex))));
    let all: Vec<_> = json.into_iter().chain(binary).collect();
    assert!(!all.is_empty(), "{vector} is written in no profile");
    all
}

fn list(name: &str) -> Vec<Value> {
    let list = vectors()[name].as_array().expect("a list").clone();
    assert!(list.len() > 50, "there are vectors");
    list
}

#[test]
fn every_vector_is_read_alike_in_both_profiles_and_written_again() {
    let frames = list("frames");
    for vector in &frames {
        let name = vector["name"].as_str().expect("a name");
        let like = vector["as"].as_str().unwrap_or(name);
        let like = frames.iter().find(|other| other["name"] == like).expect("a vector to be read like");
        let (profile, message) = written(like).remove(0);
        let expected = profile.decode(message).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (profile, message) in written(vector) {
            assert_eq!(profile.decode(message).as_ref(), Ok(&expected), "{name} in {profile:?}");
            assert_eq!(profile.decode(profile.encode(&expected)).as_ref(), Ok(&expected), "{name}");
        }
    }
}

#[test]
fn every_malformed_vector_is_refused() {
    let mut taken = Vec::new();
    for vector in list("malformed") {
        let name = vector["name"].as_str().expect("a name");
        for (profile, message) in written(&vector) {
            let Ok(frame) = profile.decode(message) else { continue };
            // Some are wrong for one side only.
            let mut line = match vector["to"].as_str() {
                Some("B") => backend(100, true),
                Some("P") => proxy(100),
                _ => {
                    taken.push(format!("{name} in {profile:?}: {frame:?}"));
                    continue;
                }
            };
            line.connect();
            if !matches!(frame, Frame::Hello(_)) {
                let hello = Hello { epoch: "epoch".to_owned(), credit: 1, ..Hello::default() };
                line.handle(Frame::Hello(hello)).expect("sound");
            }
            if line.handle(frame.clone()).is_ok() {
                taken.push(format!("{name}: {frame:?}"));
            }
        }
    }
    assert!(taken.is_empty(), "taken: {taken:#?}");
}

#[test]
fn the_other_profiles_messages_are_refused() {
    assert!(Profile::Json.decode(Message::Binary(Bytes::from_static(b"[\"drain\",1]"))).is_err());
    assert!(Profile::Binary.decode(Message::text("\u{a}[1]")).is_err());
}

#[test]
fn a_sync_means_the_same_in_both_profiles() {
    // The largest number that the binary profile can write one more of.
    for (seq, is_read) in [(9_007_199_254_740_990_u64, true), (9_007_199_254_740_991, false)] {
        let frame = Profile::Json.decode(Message::text(format!("[\"sync\",[[\"s1\",{seq},0]]]")));
        assert_eq!(frame.is_ok(), is_read);
        let again = frame.map(|frame| Profile::Binary.decode(Profile::Binary.encode(&frame)) == Ok(frame));
        assert_ne!(again, Ok(false));
    }
    // And an empty epoch is none.
    let expected = Ok(sync(None, false));
    assert_eq!(Profile::Json.decode(Message::text("[\"sync\",\"\",[]]")), expected);
    assert_eq!(Profile::Binary.decode(Message::Binary(bytes("0b0000"))), expected);
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..300u64, Just((1 << 53) - 1), 0..1u64 << 53]
}

fn id() -> impl Strategy<Value = Id> {
    prop_oneof![1..300u64, Just((1 << 53) - 1)].prop_map(|number| Id::new(number).expect("in range"))
}

fn frame() -> impl Strategy<Value = Frame> {
    let message = prop_oneof![
        any::<String>().prop_map(Message::text),
        any::<Vec<u8>>().prop_map(|bytes| Message::Binary(bytes.into())),
    ];
    let closing =
        (prop::option::of(prop_oneof![1000..1005u16, 1006..5000u16]), any::<String>(), any::<bool>())
            .prop_map(|(code, reason, by_packet)| Closing { code, reason: Text::from(reason), by_packet });
    let ack = (id(), number(), number()).prop_map(|(id, seq, limit)| Ack { id, seq, limit });
    let held = (id(), prop::option::of(0..1u64 << 52), number()).prop_map(|(id, seq, limit)| Held {
        id,
        seq,
        limit,
    });
    prop_oneof![
        (id(), number(), message).prop_map(|(id, seq, message)| Frame::Message(id, seq, message)),
        (id(), number(), closing).prop_map(|(id, seq, closing)| Frame::Close(id, seq, closing)),
        prop::collection::vec(ack, 0..4).prop_map(Frame::Acks),
        (prop::option::of("[a-z]{1,9}"), prop::collection::vec(held, 0..4), any::<bool>())
            .prop_map(|(epoch, sessions, more)| Frame::Sync { epoch, sessions, more }),
        number().prop_map(Frame::Drain),
        (id(), any::<String>()).prop_map(|(id, word)| Frame::Transport(id, word)),
    ]
}

proptest! {
    #[test]
    fn every_frame_comes_back_as_it_was_written(frame in frame()) {
        for &profile in Profile::ALL {
            prop_assert_eq!(profile.decode(profile.encode(&frame)), Ok(frame.clone()));
        }
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in any::<Vec<u8>>(), verb in 0..13u8) {
        let _ = Profile::Binary.decode(Message::Binary([&[verb], &bytes[..]].concat().into()));
        let _ = Profile::Json.decode(Message::Text(Text::lossy(bytes.into())));
    }

    #[test]
    fn a_frame_that_is_cut_or_changed_is_no_panic(frame in frame(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for &profile in Profile::ALL {
            let written = match profile.encode(&frame) {
                Message::Text(text) => text.into_bytes(),
                Message::Binary(bytes) => bytes,
            };
            let at = at.index(written.len());
            let mut changed = written.to_vec();
            changed[at] = byte;
            for bytes in [written.slice(..at), changed.into()] {
                let _ = Profile::Binary.decode(Message::Binary(bytes.clone()));
                let _ = Profile::Json.decode(Message::Text(Text::lossy(bytes)));
            }
        }
    }
}

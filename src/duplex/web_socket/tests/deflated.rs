//! Compressed messages, beside the vectors of the RFC and a plain reference.

use super::*;
use crate::duplex::deflate::Compression as Outgoing;

#[test]
fn the_vectors_of_the_specification_are_read() {
    let vectors: [(&str, &[u8]); 6] = [
        ("7.2.3.1, one frame", b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"),
        ("7.2.3.1, two frames", b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00"),
        ("7.2.3.3, no compression", b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"),
        ("7.2.3.4, a last block", b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
        ("a last block alone", b"\xc1\x07\xf3\x48\xcd\xc9\xc9\x07\x00"),
        ("7.2.3.5, two blocks", b"\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
    ];
    for (name, bytes) in vectors {
        for cut in [1000, 1] {
            assert_eq!(inflated(bytes, Role::Client, &[cut]), Ok(vec![text("Hello")]), "{name}, {cut}");
        }
    }
    for (name, empty) in [("7.2.3.6", &b"\xc1\x01\x00"[..]), ("nothing", b"\xc1\x00")] {
        assert_eq!(inflated(empty, Role::Client, &[1000]), Ok(vec![text("")]), "{name}");
    }
}

#[test]
fn a_message_that_needs_the_one_before_is_refused() {
    // Section 7.2.3.2: the second "Hello" refers to the first.
    let both = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00";
    assert_eq!(inflated(both, Role::Client, &[1000]), Err(Violation::Malformed));
}

#[test]
fn only_messages_from_the_threshold_are_compressed() {
    let compression = Outgoing::new(deflate(21), None);
    let text = b"a text that goes on and on and on and on and on";
    assert_eq!(compression.compress(&text[..20]), None);
    assert_eq!(inflate(&compression.compress(&text[..21]).unwrap()), &text[..21]);
    let shorter = compression.compress(text).unwrap();
    assert!(shorter.len() < text.len());
    assert_eq!(inflate(&shorter), text);
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::collection::vec(
        prop::sample::select(vec!["alpha", "beta ", "{\"id\":", "0123456789"]),
        0..3000,
    );
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..2000),
        4 => words.prop_map(|words| words.concat().into_bytes()),
        1 => (any::<u8>(), 0..200_000usize).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

proptest! {
    #[test]
    fn whatever_a_peer_compresses_is_read_as_it_was(
        sent in prop::collection::vec((content(), any::<bool>(), 0..10u32, prop::sample::select(vec![Way::Whole, Way::Blocks, Way::Finished]), 1..5usize, any::<bool>()), 1..5),
        mask in any::<Option<[u8; 4]>>(),
        cuts in prop::collection::vec(1..3000usize, 1..20),
    ) {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for (content, is_compressed, level, way, fragments, pings) in sent {
            let payload = if is_compressed { compressed(&content, level, way) } else { content.clone() };
            let mut at = 0;
            for index in 0..fragments {
                let end = if index + 1 == fragments { payload.len() } else { at + (payload.len() - at) / 2 };
                let fin = if index + 1 == fragments { 0x80 } else { 0 };
                let first = match (index, is_compressed) { (0, true) => 0x42, (0, false) => 0x02, _ => 0 };
                bytes.extend(RawFrame { first: fin | first, mask, payload: payload[at..end].to_vec() }.bytes());
                at = end;
                if pings && index + 1 < fragments {
                    bytes.extend(RawFrame { first: 0x89, mask, payload: vec![1, 2, 3] }.bytes());
                    expected.push(Incoming::Ping(Bytes::from_static(&[1, 2, 3])));
                }
            }
            expected.push(binary(&content));
        }
        let role = if mask.is_some() { Role::Server } else { Role::Client };
        prop_assert_eq!(inflated(&bytes, role, &cuts).unwrap(), expected);
    }

    #[test]
    fn whatever_is_written_is_what_the_peer_inflates(content in content()) {
        let compression = Outgoing::new(deflate(0), None);
        prop_assert_eq!(inflate(&compression.compress(&content).unwrap()), content);
    }
}

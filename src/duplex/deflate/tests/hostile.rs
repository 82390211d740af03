//! What no honest peer sends.

use super::*;

#[test]
fn a_frame_that_the_extension_forbids_is_a_fault_of_the_protocol() {
    let text = compressed(b"Hello", 6, Way::Whole);
    let cases = [
        ("RSV1 on the end of a message", vec![Frame::new(0x41, &text), Frame::new(0xc0, b"")]),
        ("RSV1 on the end of a plain one", vec![Frame::new(0x01, b"Hel"), Frame::new(0xc0, b"lo")]),
        ("RSV1 and RSV2", vec![Frame::new(0xe1, &text)]),
        ("RSV3 on the end of a message", vec![Frame::new(0x41, &text), Frame::new(0x90, b"")]),
        ("a message within a compressed one", vec![Frame::new(0x41, &text), Frame::new(0x81, b"Hello")]),
        ("a compressed one within a message", vec![Frame::new(0x01, b"Hello"), Frame::new(0xc1, &text)]),
    ];
    for (name, frames) in cases {
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
        assert_eq!(read(&bytes, &[1000]), Err(DeflateFault::Frame), "{name}");
    }
    // The WebSocket refuses these by itself, so they must reach it.
    for first in [0xc9, 0xc8, 0xa1, 0x80, 0x83, 0xc3, 0x8b] {
        let bytes = Frame::new(first, b"").bytes();
        assert_eq!(read(&bytes, &[1000]).as_deref(), Ok(&bytes[..]), "{first:x}");
    }
}

#[test]
fn a_message_that_is_cut_off_is_not_read_as_a_shorter_one() {
    let content: Vec<u8> = (0..2000_u32).flat_map(|number| number.to_string().into_bytes()).collect();
    for way in [Way::Whole, Way::Blocks] {
        let whole = compressed(&content, 6, way);
        let ends: Vec<usize> = (1..whole.len())
            .filter(|&len| read(&Frame::new(0xc2, &whole[..len]).bytes(), &[1000]).is_ok())
            .collect();
        // Where a block ends, what came is a message of its own.
        let blocks: Vec<usize> = memchr::memmem::find_iter(&whole, b"\x00\x00\xff\xff").collect();
        assert_eq!((ends, blocks.len()), (blocks.clone(), if way == Way::Whole { 0 } else { 4 }), "{way:?}");
    }
}

#[test]
fn garbage_behind_a_message_is_refused() {
    for way in [Way::Whole, Way::Finished] {
        let mut bytes = compressed(b"Hello, hello, hello", 6, way);
        bytes.extend([0xff; 20]);
        assert_eq!(read(&Frame::new(0xc2, &bytes).bytes(), &[1000]), Err(DeflateFault::Content), "{way:?}");
    }
}

#[test]
fn a_bomb_takes_no_memory_before_it_is_read() {
    // A thousandth of what it becomes.
    let bomb = compressed(&vec![0; 16 << 20], 9, Way::Whole);
    assert!(bomb.len() < 20_000);
    let (mut inbound, frame) = (Inbound::new(), Frame::new(0xc2, &bomb).bytes());
    let mut taken = 0;
    for _ in 0..10 {
        let mut plain = Vec::new();
        let passed = inbound.pass(&frame[taken..], &mut plain).unwrap();
        assert!(passed.has_more && plain.len() <= MOST);
        taken += passed.len;
    }
    assert!(taken < 1000, "the rest waits: {taken} bytes were taken");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(pieces in prop::collection::vec((prop::sample::select(vec![0xc1, 0x41, 0x80, 0x00, 0x89, 0xff]), prop::collection::vec(any::<u8>(), 0..300)), 0..20), cut in 1..100usize) {
        let bytes: Vec<u8> = pieces.iter().flat_map(|(first, payload)| Frame::new(*first, payload).bytes()).collect();
        let _ = read(&bytes, &[cut]);
    }

    #[test]
    fn neither_do_bytes_without_any_order(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = read(&bytes, &[bytes.len().max(1)]);
    }
}

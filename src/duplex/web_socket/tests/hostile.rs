//! What no honest peer sends to a connection with compression.

use super::*;

#[test]
fn a_frame_that_the_extension_forbids_is_a_fault_of_the_protocol() {
    let hello = compressed(b"Hello", 6, Way::Whole);
    let cases = [
        ("RSV1 on the end of a message", vec![RawFrame::new(0x41, &hello), RawFrame::new(0xc0, b"")]),
        ("RSV1 on the end of a plain one", vec![RawFrame::new(0x01, b"Hel"), RawFrame::new(0xc0, b"lo")]),
        ("RSV1 and RSV2", vec![RawFrame::new(0xe1, &hello)]),
        ("RSV3 on the end of a message", vec![RawFrame::new(0x41, &hello), RawFrame::new(0x90, b"")]),
        (
            "a message within a compressed one",
            vec![RawFrame::new(0x41, &hello), RawFrame::new(0x81, b"Hello")],
        ),
        (
            "a compressed one within a message",
            vec![RawFrame::new(0x01, b"Hello"), RawFrame::new(0xc1, &hello)],
        ),
    ];
    for (name, frames) in cases {
        let bytes: Vec<u8> = frames.iter().flat_map(RawFrame::bytes).collect();
        assert_eq!(inflated(&bytes, Role::Client, &[1000]), Err(Violation::Protocol), "{name}");
    }
    for first in [0xc9, 0xc8, 0xa1, 0x80, 0x83, 0xc3, 0x8b] {
        let bytes = RawFrame::new(first, b"").bytes();
        assert_eq!(inflated(&bytes, Role::Client, &[1000]), Err(Violation::Protocol), "{first:x}");
    }
    let masked = RawFrame::new(0xc1, &hello).masked([1, 2, 3, 4]).bytes();
    assert_eq!(inflated(&masked, Role::Client, &[1000]), Err(Violation::Protocol));
    assert_eq!(inflated(&masked, Role::Server, &[1000]), Ok(vec![text("Hello")]));
}

#[test]
fn a_message_that_is_cut_off_is_not_read_as_a_shorter_one() {
    let content: Vec<u8> = (0..2000_u32).flat_map(|number| number.to_string().into_bytes()).collect();
    for way in [Way::Whole, Way::Blocks] {
        let whole = compressed(&content, 6, way);
        let ends: Vec<usize> = (1..whole.len())
            .filter(|&len| {
                inflated(&RawFrame::new(0xc2, &whole[..len]).bytes(), Role::Client, &[1000]).is_ok()
            })
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
        let frame = RawFrame::new(0xc2, &bytes).bytes();
        assert_eq!(inflated(&frame, Role::Client, &[1000]), Err(Violation::Malformed), "{way:?}");
    }
}

#[test]
fn a_text_is_checked_before_it_is_whole_though_it_is_compressed() {
    let nonsense = compressed(&[b'x', 0xff, b'x'], 6, Way::Blocks);
    let frame = RawFrame::new(0x41, &nonsense).bytes();
    assert_eq!(inflated(&frame, Role::Client, &[1000]), Err(Violation::NotUtf8));
}

#[test]
fn a_bomb_takes_no_more_memory_than_a_message_may() {
    // A thousandth of what it becomes.
    let bomb = RawFrame::new(0xc2, &compressed(&vec![0; 16 << 20], 9, Way::Whole)).bytes();
    assert!(bomb.len() < 20_000);
    assert_eq!(inflated(&bomb, Role::Client, &[1000]), Err(Violation::TooLarge));
    let (mut taken, mut reader) = (&bomb[..], Reader::new(50_000, false));
    reader.inflates = true;
    assert_eq!(reader.read(&mut taken), Err(Violation::TooLarge));
}

#[test]
fn a_message_of_blocks_without_content_does_not_go_on_for_ever() {
    let empty = [0, 0, 0, 0xff, 0xff].repeat(10_000);
    let (begin, more) = (RawFrame::new(0x42, &empty).bytes(), RawFrame::new(0x00, &empty).bytes());
    let mut reader = Reader::new(1000, false);
    reader.inflates = true;
    assert_eq!(reader.read(&mut &begin[..]), Ok(None));
    assert_eq!(reader.read(&mut &more[..]), Err(Violation::TooLarge));
    // Nor does one of a length that there can't be (RFC 6455, section 5.2).
    let endless = [&[0xc2, 0x7f, 0x80][..], &[0; 7]].concat();
    assert_eq!(inflated(&endless, Role::Client, &[1000]), Err(Violation::TooLarge));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(pieces in prop::collection::vec((prop::sample::select(vec![0xc1, 0x41, 0x80, 0x00, 0x89, 0xff]), prop::collection::vec(any::<u8>(), 0..300)), 0..20), cut in 1..100usize) {
        let bytes: Vec<u8> = pieces.iter().flat_map(|(first, payload)| RawFrame::new(*first, payload).bytes()).collect();
        let _ = inflated(&bytes, Role::Client, &[cut]);
    }

    #[test]
    fn neither_do_bytes_without_any_order(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = inflated(&bytes, Role::Client, &[bytes.len().max(1)]);
    }
}

//! Frames on the wire, whole, in pieces and broken; and both lists of a body under any order of events.

mod lists;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

fn headers() -> impl Strategy<Value = HeaderMap> {
    // Some have a byte of their own on the wire.
    let name = prop_oneof!["[a-z][a-z0-9-]{0,20}", "host|cookie|set-cookie|content-type"];
    vec((name, "[ -~]{0,40}"), 0..8).prop_map(|lines| {
        let line = |(name, value): (String, String)| {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            (name, HeaderValue::try_from(value.trim().to_owned()).expect("a value"))
        };
        lines.into_iter().map(line).collect()
    })
}

fn ask() -> impl Strategy<Value = Ask> {
    let known = (any::<[bool; 4]>(), any::<u32>());
    let known = known.prop_map(|([upgrades, secure, is_search, names_listener], head_len)| Known {
        head_len,
        upgrades,
        secure,
        is_search,
        names_listener,
        read: None,
    });
    let address = any::<([u8; 16], u16)>().prop_map(|(ip, port)| Address { ip, port });
    let method = prop_oneof![Just(Method::GET), Just(Method::POST), Just(Method::OPTIONS)];
    let read = proptest::option::of(read());
    (method, "/[!-~]{0,200}", headers(), address, known, content(), read).prop_map(
        |(method, target, headers, client, known, content, read)| {
            let known = Known { read: read.and_then(|read| within(read, &target)), ..known };
            Ask { method, target: target.into(), headers: headers.into(), client, known, content }
        },
    )
}

/// Returns what was read in a target, and not yet where.
fn read() -> impl Strategy<Value = Read> {
    let parts = any::<(u64, u8, u16, u8)>();
    parts.prop_map(|(route, intent, sid_at, sid_len)| Read { route, intent, sid_at, sid_len })
}

/// Moves it into a target.
fn within(read: Read, target: &str) -> Option<Read> {
    let at = usize::from(read.sid_at) % target.len();
    let len = usize::from(read.sid_len).min(target.len() - at);
    Read::new(read.route, read.intent, target, &target[at..at + len])
}

fn head() -> impl Strategy<Value = Head> {
    (100_u16..1000, headers(), content()).prop_map(|(status, headers, content)| Head {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: headers.into(),
        content,
    })
}

fn content() -> impl Strategy<Value = Content> {
    let bytes = || vec(any::<u8>(), 0..5000).prop_map(Bytes::from);
    prop_oneof![
        Just(Content::Nothing),
        bytes().prop_map(Content::Whole),
        bytes().prop_map(Content::Awaited),
        any::<Option<u64>>().prop_map(Content::Pieces),
    ]
}

fn frame() -> impl Strategy<Value = Frame> {
    let number = || any::<u32>().prop_map(Number);
    let load = any::<(u32, u32)>().prop_map(|(sessions, asked)| Load { sessions, asked });
    prop_oneof![
        (number(), ask()).prop_map(|(number, ask)| Frame::Ask(number, Box::new(ask))),
        (number(), head()).prop_map(|(number, head)| Frame::Head(number, Box::new(head))),
        (number(), vec(any::<u8>(), 0..5000)).prop_map(|(number, body)| Frame::Body(number, body.into())),
        number().prop_map(Frame::End),
        (number(), any::<u64>()).prop_map(|(number, count)| Frame::Took(number, count)),
        number().prop_map(Frame::Gone),
        number().prop_map(Frame::Lost),
        number().prop_map(Frame::Release),
        Just(Frame::Ping),
        load.prop_map(Frame::Pong),
        Just(Frame::Leaving),
    ]
}

fn next(wire: &mut BytesMut) -> Result<Option<Frame>, Malformed> {
    Frame::read(wire, &mut Lines::default())
}

fn written(frame: &Frame) -> BytesMut {
    let mut out = BytesMut::new();
    frame.write(&mut out);
    out
}

proptest! {
    #[test]
    fn a_frame_that_was_written_is_read(frame in frame(), behind in vec(any::<u8>(), 0..20)) {
        let mut wire = written(&frame);
        wire.extend_from_slice(&behind);
        prop_assert_eq!(next(&mut wire), Ok(Some(frame)));
        prop_assert_eq!(&wire[..], &behind[..]);
    }

    #[test]
    fn a_search_is_for_the_session_of_its_request(ask in ask(), len in any::<Option<u64>>()) {
        // Its body is not in the frame that it is made of.
        let ask = Ask { content: Content::Pieces(len), ..ask };
        let search = search_of(&written(&Frame::Ask(Number(7), Box::new(ask.clone()))));
        let known = Known { is_search: true, ..ask.known };
        let expected = Frame::Ask(Number(7), Box::new(Ask { known, content: Content::Nothing, ..ask }));
        prop_assert_eq!(next(&mut BytesMut::from(&search[..])), Ok(Some(expected)));
    }

    #[test]
    fn a_request_crosses_with_its_whole_body(ask in ask(), body in vec(any::<u8>(), 0..5000)) {
        let ask = Ask { content: Content::Pieces(Some(body.len() as u64)), ..ask };
        // What was read of it is not in the frame, as not every node takes that.
        let read = ask.known.read;
        let unread = Ask { known: Known { read: None, ..ask.known }, ..ask.clone() };
        let frame = written(&Frame::Ask(Number(0), Box::new(unread.clone())));
        let (mut wire, body) = (written(&Frame::Ping), Bytes::from(body));
        Number(7).write_again(&frame, read, Some(&body), &mut wire);
        Number(8).write_again(&frame, read, None, &mut wire);
        Number(9).write_again(&frame, None, None, &mut wire);
        prop_assert_eq!(next(&mut wire), Ok(Some(Frame::Ping)));
        let whole = Ask { content: Content::Whole(body), ..ask.clone() };
        prop_assert_eq!(next(&mut wire), Ok(Some(Frame::Ask(Number(7), Box::new(whole)))));
        prop_assert_eq!(next(&mut wire), Ok(Some(Frame::Ask(Number(8), Box::new(ask)))));
        prop_assert_eq!(next(&mut wire), Ok(Some(Frame::Ask(Number(9), Box::new(unread)))));
    }

    #[test]
    fn a_frame_that_has_not_come_in_full_is_waited_for(frame in frame()) {
        let whole = written(&frame);
        for len in 0..whole.len() {
            let mut wire = BytesMut::from(&whole[..len]);
            prop_assert_eq!(next(&mut wire), Ok(None), "{} of {}", len, whole.len());
            wire.extend_from_slice(&whole[len..]);
            prop_assert_eq!(next(&mut wire), Ok(Some(frame.clone())));
        }
    }

    #[test]
    fn random_bytes_are_refused_or_read_and_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let mut wire = BytesMut::from(&bytes[..]);
        while let Ok(Some(_)) = next(&mut wire) {}
    }

    #[test]
    fn a_frame_with_a_wrong_byte_is_refused_or_read_and_never_panics(
        frame in frame(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut wire = written(&frame);
        let at = at.index(wire.len());
        wire[at] = byte;
        while let Ok(Some(_)) = next(&mut wire) {}
    }
}

#[test]
fn a_header_that_is_too_large_is_not_written() {
    let mut out = BytesMut::from(&b"before"[..]);
    let large = |name: &'static str, len| {
        HeaderMap::from_iter([(
            HeaderName::from_static(name),
            HeaderValue::try_from("x".repeat(len)).expect("a value"),
        )])
    };
    let write = |out: &mut BytesMut, headers| {
        write_head(out, Number(1), StatusCode::OK, &headers, &Content::Pieces(None))
    };
    assert_eq!(write(&mut out, large("a", 17 << 10)), Err(HeadTooLarge));
    assert_eq!(write(&mut out, large("a", 70 << 10)), Err(HeadTooLarge));
    assert_eq!(&out[..], b"before");
    assert_eq!(write(&mut out, large("a", 16_000)), Ok(()));
}

#[test]
fn a_frame_that_claims_too_much_is_refused_before_it_has_come() {
    for (bytes, why) in [
        (&[2, 0, 0, 3, 0, 0, 0, 1][..], "a frame is too long"),
        (&[0, 0, 0, 12, 0, 0, 0, 1], "an unknown verb"),
        (&[0, 0, 0, 0, 0, 0, 0, 1], "an unknown verb"),
        (&[0, 0, 1, 4, 0, 0, 0, 1, 0], "a frame of the wrong length"),
        (&[0, 0, 1, 5, 0, 0, 0, 1, 0], "a frame of the wrong length"),
    ] {
        assert_eq!(next(&mut BytesMut::from(bytes)), Err(Malformed(why)));
    }
    let ask = Ask {
        method: Method::GET,
        target: Bytes::from_static(b"/"),
        headers: HeaderMap::new().into(),
        client: Address { ip: [0; 16], port: 1 },
        known: Known { read: Some(Read { route: 0, intent: 0, sid_at: 1, sid_len: 1 }), ..Known::default() },
        content: Content::Nothing,
    };
    let wire = &mut written(&Frame::Ask(Number(1), Box::new(ask)));
    assert_eq!(next(wire), Err(Malformed("an id that is not in its target")));
    let short = Bytes::from_static(b"x");
    assert_eq!(
        next(&mut written(&Frame::Body(Number(1), short.clone()))),
        Ok(Some(Frame::Body(Number(1), short)))
    );
}

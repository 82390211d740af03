//! The WebSocket transport: frames, limits and closes (ENGINEIO.md, 2.6).

use crate::support::frames::{ENDING, Frame, Masked, Op};
use crate::support::wire::Fill;
use crate::support::world::Excluded;
use crate::support::{QUIET, Setup, World};

#[test]
fn text_and_binary_pass_unchanged() {
    let world = World::new(Setup::new());
    let (mut socket, peer) = world.websocket();
    socket.send("4héllo");
    peer.assert_text("héllo");
    socket.send_binary(b"\x04\x00\xff");
    peer.assert_binary(b"\x04\x00\xff");
    peer.send("wörld");
    socket.assert_text("4wörld");
    peer.send_binary(b"\x04\x00\xff");
    socket.assert_binary(b"\x04\x00\xff");
}

#[test]
fn empty_messages_cross() {
    let world = World::new(Setup::new());
    let (mut socket, peer) = world.websocket();
    socket.send("4");
    peer.assert_text("");
    socket.send_binary(b"");
    peer.assert_binary(b"");
    peer.send("");
    socket.assert_text("4");
    peer.send_binary(b"");
    socket.assert_binary(b"");
}

#[test]
fn messages_of_every_frame_length_cross() {
    let world = World::new(Setup::new());
    let (mut socket, peer) = world.websocket();
    for length in [1, 124, 125, 126, 127, 4095, 4096, 65_534, 65_535, 65_536, 300_000] {
        let text = "x".repeat(length);
        socket.send(&format!("4{text}"));
        peer.assert_text(&text);
        peer.send(&text);
        socket.assert_text(&format!("4{text}"));
        socket.send_binary(text.as_bytes());
        peer.assert_binary(text.as_bytes());
        peer.send_binary(text.as_bytes());
        socket.assert_binary(text.as_bytes());
    }
}

#[test]
fn b64_asks_for_binary_as_text() {
    let world = World::new(Setup::new());
    for query in ["&b64=1", "&b64=true", "&b64=0"] {
        let (mut socket, peer) = world.websocket_with(query, &[]);
        peer.send_binary(b"abc");
        socket.assert_text("bYWJj");
        socket.send_binary(b"abc");
        peer.assert_binary(b"abc");
    }
    let (mut socket, peer) = world.websocket_with("&b64=", &[]);
    peer.send_binary(b"abc");
    socket.assert_binary(b"abc");
}

#[test]
fn base64_text_is_accepted_from_any_client() {
    let world = World::new(Setup::new());
    let (mut socket, peer) = world.websocket();
    socket.send("bYWJj");
    peer.assert_binary(b"abc");
    socket.send("bYQ");
    peer.assert_binary(b"a");
}

#[test]
fn a_packet_that_cannot_be_read_closes_without_a_code() {
    let world = World::new(Setup::new());
    for bad in ["", "x", "7", "é4"] {
        let (mut socket, peer) = world.websocket();
        socket.send("4before");
        socket.send(bad);
        socket.assert_closed(None);
        peer.assert_text("before");
        peer.assert_closed();
    }
}

#[test]
fn a_close_packet_on_a_websocket_is_ignored() {
    let world = World::new(Setup::new());
    let (mut socket, peer) = world.websocket();
    socket.send("1");
    socket.assert_quiet();
    socket.send("4still here");
    peer.assert_text("still here");
}

#[test]
fn packets_that_only_a_server_sends_are_ignored() {
    let world = World::new(Setup::new());
    let (mut socket, peer) = world.websocket();
    for packet in ["0", "0{}", "3", "5", "6"] {
        socket.send(packet);
    }
    socket.send("4still here");
    peer.assert_text("still here");
    socket.assert_quiet();
}

#[test]
fn a_message_over_the_limit_closes_with_1009() {
    let world = World::new(Setup::new().max_payload(100));
    let (mut socket, peer) = world.websocket();
    let fits = "x".repeat(99);
    socket.send(&format!("4{fits}"));
    peer.assert_text(&fits);
    socket.send_binary(&[7; 100]);
    peer.assert_binary(&[7; 100]);
    socket.send(&format!("4{fits}x"));
    socket.assert_closed(Some(1009));
    peer.assert_closed();

    let (mut socket, peer) = world.websocket();
    for (op, fin) in [(Op::TEXT, false), (Op::CONTINUATION, false), (Op::CONTINUATION, true)] {
        socket.send_frame(&Frame { fin, ..Frame::new(op, "4".repeat(40)) });
    }
    socket.assert_closed(Some(1009));
    peer.assert_closed();
}

#[test]
fn a_frame_that_claims_to_be_endless_is_refused_unread() {
    let world = World::new(Setup::new());
    let (mut socket, peer) = world.websocket();
    socket.wire.send(&[0x82, 0xff, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]);
    socket.assert_closed(Some(1009));
    peer.assert_closed();
}

#[test]
fn a_message_may_come_in_fragments_with_a_ping_between() {
    let world = World::new(Setup::new());
    let (mut socket, peer) = world.websocket();
    socket.send_frame(&Frame { fin: false, ..Frame::new(Op::TEXT, "4fra") });
    socket.send_frame(&Frame::new(Op::PING, "are you there"));
    assert_eq!(socket.frame(), Frame::new(Op::PONG, "are you there"));
    // A character is cut in the middle.
    socket.send_frame(&Frame { fin: false, ..Frame::new(Op::CONTINUATION, b"g\xc3") });
    socket.send_frame(&Frame::new(Op::CONTINUATION, b"\xa9"));
    peer.assert_text("fragé");
}

#[test]
fn a_websocket_ping_is_answered_and_a_pong_ignored() {
    let world = World::new(Setup::new());
    let (mut socket, peer) = world.websocket();
    socket.send_frame(&Frame::new(Op::PONG, "unasked"));
    socket.send_frame(&Frame::new(Op::PING, ""));
    assert_eq!(socket.frame(), Frame::new(Op::PONG, ""));
    socket.send_frame(&Frame::new(Op::PING, [9; 125]));
    assert_eq!(socket.frame(), Frame::new(Op::PONG, [9; 125]));
    peer.assert_quiet();
}

#[test]
fn a_frame_against_the_rfc_ends_the_connection_with_1002() {
    let world = World::new(Setup::new());
    let text = Frame::new(Op::TEXT, "4x");
    let bad: [(&str, Vec<u8>); 9] = [
        ("unmasked", text.encode(Masked::No)),
        ("RSV1", Frame { reserved: 4, ..text.clone() }.encode(Masked::Yes)),
        ("RSV2", Frame { reserved: 2, ..text.clone() }.encode(Masked::Yes)),
        ("RSV3", Frame { reserved: 1, ..text.clone() }.encode(Masked::Yes)),
        ("reserved data opcode", Frame::new(Op(3), "4x").encode(Masked::Yes)),
        ("reserved control opcode", Frame::new(Op(11), "4x").encode(Masked::Yes)),
        ("fragmented ping", Frame { fin: false, ..Frame::new(Op::PING, "") }.encode(Masked::Yes)),
        ("long ping", Frame::new(Op::PING, [0; 126]).encode(Masked::Yes)),
        ("continuation of nothing", Frame::new(Op::CONTINUATION, "4x").encode(Masked::Yes)),
    ];
    for (name, bytes) in bad {
        let (mut socket, peer) = world.websocket();
        socket.wire.send(&bytes);
        let frame = socket.frame_within(crate::support::SOON).unwrap_or_else(|end| panic!("{name}: {end:?}"));
        assert_eq!((frame.op, frame.code()), (Op::CLOSE, Some(1002)), "{name}");
        assert!(socket.wire.ends_within(ENDING), "{name}: the connection ends soon");
        peer.assert_closed();
    }
}

#[test]
fn a_new_message_inside_a_fragmented_one_ends_the_connection_with_1002() {
    let world = World::new(Setup::new());
    let (mut socket, peer) = world.websocket();
    socket.send_frame(&Frame { fin: false, ..Frame::new(Op::TEXT, "4x") });
    socket.send("4y");
    socket.assert_closed(Some(1002));
    peer.assert_closed();
}

#[test]
fn ill_formed_text_ends_the_connection_with_1007() {
    let world = World::new(Setup::new());
    let (mut socket, peer) = world.websocket();
    socket.send_frame(&Frame::new(Op::TEXT, b"4\xff"));
    socket.assert_closed(Some(1007));
    peer.assert_closed();
}

#[test]
fn a_clients_close_is_echoed() {
    let world = World::new(Setup::new());
    for code in [None, Some(1000), Some(1001), Some(4321)] {
        let (mut socket, peer) = world.websocket();
        socket.send_frame(&Frame::close(code));
        let frame = socket.frame();
        assert_eq!((frame.op, frame.code()), (Op::CLOSE, code));
        assert!(socket.wire.ends_within(ENDING));
        drop(socket);
        peer.assert_closed();
    }
}

#[test]
fn the_applications_close_has_no_code() {
    let world = World::new(Setup::new());
    let (mut socket, peer) = world.websocket();
    peer.send("last");
    peer.close();
    socket.assert_text("4last");
    socket.assert_closed(None);
    peer.assert_closed();
    world.assert_sessions(0);
}

#[test]
fn an_offered_extension_is_not_taken() {
    let world = World::new(Setup::new());
    let offer = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")];
    let (socket, _peer) = world.websocket_with("", &offer);
    assert_eq!(socket.response.header("sec-websocket-extensions"), None);
}

#[test]
fn the_first_offered_subprotocol_is_chosen() {
    let world = World::new(Setup::new());
    let (socket, _peer) = world.websocket_with("", &[("Sec-WebSocket-Protocol", "one, two")]);
    assert_eq!(socket.response.header("sec-websocket-protocol"), Some("one"));
    let (socket, _peer) = world.websocket();
    assert_eq!(socket.response.header("sec-websocket-protocol"), None);
}

#[test]
fn the_backends_choice_of_a_subprotocol_is_the_clients() {
    let setup = Setup::new().script(|script| script.headers = "Sec-WebSocket-Protocol: two\r\n".into());
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let (socket, peer) = world.websocket_with("", &[("Sec-WebSocket-Protocol", "one, two")]);
    assert_eq!(socket.response.header("sec-websocket-protocol"), Some("two"));
    assert_eq!(peer.opening.header("sec-websocket-protocol"), Some("one, two"));
}

#[test]
fn frames_that_come_with_the_handshake_are_not_lost() {
    // The reference loses them, since it creates the session's id asynchronously.
    let reason = Excluded::FaultOfTheReference;
    let Some(world) = World::proxy_only(Setup::new(), reason) else { return };
    let mut client = world.http();
    let mut bytes = crate::support::http::head(
        "GET",
        crate::support::world::WEBSOCKET,
        &crate::support::frames::HANDSHAKE,
    )
    .into_bytes();
    bytes.extend(Frame::new(Op::TEXT, "4early").encode(Masked::Yes));
    bytes.extend(Frame::new(Op::BINARY, "bird").encode(Masked::Yes));
    client.wire.send(&bytes);
    assert_eq!(client.answer().status, 101);
    let peer = world.accept();
    peer.assert_text("early");
    peer.assert_binary(b"bird");
}

#[test]
fn polling_requests_on_a_websocket_session_are_code_3_and_it_lives() {
    let world = World::new(Setup::new());
    let mut socket = crate::support::frames::Socket::connect(world.addr, crate::support::world::WEBSOCKET);
    let open = crate::support::poller::open_packet(&socket.text());
    let peer = world.accept();
    let target = format!("{}&sid={}", crate::support::world::POLLING, open["sid"].as_str().unwrap());
    world.get(&target).assert_error(400, 3, "Bad request");
    world.http().post(&target, "4x").assert_error(400, 3, "Bad request");
    socket.send("4still here");
    peer.assert_text("still here");
    assert!(matches!(socket.frame_within(QUIET), Err(Fill::Quiet)));
}

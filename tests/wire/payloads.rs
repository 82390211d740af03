//! How packets share a polling body (ENGINEIO.md, 2.5, EIO 4).

use crate::support::frames::HANDSHAKE;
use crate::support::http::{Client, head};
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{QUIET, Setup, World};

#[test]
fn the_packets_of_a_post_arrive_in_order() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    poller.post_ok("4one\u{1e}btwo+\u{1e}4three");
    peer.assert_text("one");
    peer.assert_binary(&[0xb7, 0x0a, 0x3e]);
    peer.assert_text("three");
}

#[test]
fn messages_of_one_turn_share_a_response() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    peer.send_all(&["one", "two", "three"]);
    peer.settle();
    assert_eq!(poller.poll(), "4one\u{1e}4two\u{1e}4three");
}

#[test]
fn binary_is_base64_with_padding_in_both_directions() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    for (bytes, encoded) in [
        (&b""[..], "b"),
        (b"a", "bYQ=="),
        (b"ab", "bYWI="),
        (b"abc", "bYWJj"),
        (&[0xff, 0xfe, 0xfb], "b//77"),
        (&[0, 0, 0, 0], "bAAAAAA=="),
    ] {
        poller.post_ok(encoded);
        peer.assert_binary(bytes);
        peer.send_binary(bytes);
        assert_eq!(poller.poll(), encoded);
    }
}

#[test]
fn base64_without_padding_is_accepted() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    for (encoded, bytes) in [("bYQ", &b"a"[..]), ("bYWI", b"ab"), ("bYQ=", b"a")] {
        poller.post_ok(encoded);
        peer.assert_binary(bytes);
    }
}

#[test]
fn base64_in_the_urls_alphabet_is_accepted() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    poller.post_ok("b__77\u{1e}b-_-_");
    peer.assert_binary(&[0xff, 0xfe, 0xfb]);
    peer.assert_binary(&[0xfb, 0xff, 0xbf]);
}

#[test]
fn b64_makes_no_difference_on_polling() {
    let world = World::new(Setup::new());
    let handshake = format!("{POLLING}&b64=1");
    let mut poller = crate::support::Poller::handshake_at(world.addr, &handshake);
    let peer = world.accept();
    peer.send_binary(b"abc");
    assert_eq!(poller.poll(), "bYWJj");
    peer.send("abc");
    assert_eq!(poller.poll(), "4abc");
}

#[test]
fn an_empty_message_is_a_message() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    poller.post_ok("4\u{1e}4x");
    peer.assert_text("");
    peer.assert_text("x");
    peer.send("");
    assert_eq!(poller.poll(), "4");
}

#[test]
fn a_text_that_looks_like_another_packet_stays_text() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    for text in [
        "bYWJj",
        "2probe",
        "1",
        "0{}",
        "4",
        "😀 \u{2028} ü",
        "\u{0}nul\u{0}",
        "\u{feff}bom",
        "line\r\n\tbreak",
    ] {
        poller.post_ok(format!("4{text}"));
        peer.assert_text(text);
        peer.send(text);
        assert_eq!(poller.poll(), format!("4{text}"));
    }
}

#[test]
fn ill_formed_utf8_becomes_replacement_characters() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    poller.post_ok(b"4a\xffb");
    peer.assert_text("a\u{fffd}b");
    // A lone surrogate, as old browsers sent it: three ill-formed bytes, three replacements.
    poller.post_ok(b"4\xed\xa0\x80");
    peer.assert_text("\u{fffd}\u{fffd}\u{fffd}");
    // A character that is cut in the middle: one replacement.
    poller.post_ok(b"4\xf0\x9f\x98");
    peer.assert_text("\u{fffd}");
    poller.post_ok("4well formed");
    peer.assert_text("well formed");
}

#[test]
fn a_character_may_be_split_between_tcp_segments() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    let (target, body) = (poller.target(), "4😀".as_bytes());
    let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    poller.posts.wire.send(head.as_bytes());
    for byte in body {
        poller.posts.wire.send(&[*byte]);
        // Each byte in a segment of its own.
        std::thread::sleep(crate::support::ms(5));
    }
    poller.posts.answer().assert(200, "ok");
    peer.assert_text("😀");
}

#[test]
fn decoding_stops_at_the_first_bad_packet_and_what_came_before_is_delivered() {
    for bad in ["x", "", "7", "9nine", "é", "\u{feff}4bom"] {
        let world = World::new(Setup::new());
        let (mut poller, peer) = world.poller();
        poller.park();
        poller.post_ok(format!("4one\u{1e}4two\u{1e}{bad}\u{1e}4three"));
        peer.assert_text("one");
        peer.assert_text("two");
        peer.assert_closed();
        poller.assert_parked_gets("1");
        poller.assert_gone();
    }
}

#[test]
fn a_trailing_separator_is_an_empty_packet_and_ends_the_session() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    poller.post_ok("4one\u{1e}");
    peer.assert_text("one");
    peer.assert_closed();
    poller.assert_gone();
}

#[test]
fn an_empty_body_is_an_empty_packet_and_ends_the_session() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    poller.post_ok("");
    peer.assert_closed();
    poller.assert_gone();
}

#[test]
fn packets_that_only_a_server_sends_are_ignored() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    poller.post_ok("0\u{1e}0{\"sid\":\"x\"}\u{1e}5\u{1e}6\u{1e}3\u{1e}4hi");
    peer.assert_text("hi");
    poller.post_ok("4still here");
    peer.assert_text("still here");
}

#[test]
fn a_chunked_post_is_accepted() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", poller.target());
    poller.posts.wire.send(head.as_bytes());
    poller.posts.wire.send(b"3\r\n4on\r\n2;extension=1\r\ne\x1e\r\n2\r\n4x\r\n0\r\nTrailer: x\r\n\r\n");
    poller.posts.answer().assert(200, "ok");
    peer.assert_text("one");
    peer.assert_text("x");
}

#[test]
fn a_post_may_ask_to_continue() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
        poller.target()
    );
    poller.posts.wire.send(head.as_bytes());
    let deadline = std::time::Instant::now() + crate::support::SOON;
    let interim = poller.posts.wire.take_until(b"\r\n\r\n", deadline).unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&interim));
    poller.posts.wire.send(b"4x");
    poller.posts.answer().assert(200, "ok");
    peer.assert_text("x");
}

#[test]
fn a_body_that_is_refused_before_it_was_sent_is_not_asked_for() {
    let more = "[[routes]]\npath = \"/feed/\"\ndialect = \"longpoll\"\nupstream = \"b\"\n";
    let setup = Setup { sections: more.to_owned(), ..Setup::new() };
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let (poller, _peer) = world.poller();
    let unknown = format!("{POLLING}&sid=nobody");
    for (target, len, status) in
        [(unknown.as_str(), 2, 400), (&poller.target(), 10_000_001, 413), ("/feed/nobody", 2, 404)]
    {
        if world.other.is_some() && status == 413 {
            // The node that passes a request on reads its body, and the one that has the session decides meanwhile.
            continue;
        }
        // Not by way of a translator, which asks by itself.
        let mut client = Client::connect(world.target.public);
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\nExpect: 100-continue\r\n\r\n"
        );
        client.wire.send(head.as_bytes());
        let deadline = std::time::Instant::now() + crate::support::SOON;
        let head = client.wire.take_until(b"\r\n\r\n", deadline).unwrap();
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{target}: {head}");
        assert!(head.contains("connection: close"), "what comes now is no body: {head}");
    }
}

#[test]
fn a_compressed_post_is_not_decompressed() {
    let world = World::new(Setup::new());
    let (poller, peer) = world.poller();
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x33\xa9\x00\x00\xc1\xd2\x7c\xc5\x02\x00\x00\x00";
    poller.request("POST", &[("Content-Encoding", "gzip")], gzip).assert(200, "ok");
    peer.assert_closed();
    poller.assert_gone();
}

#[test]
fn the_content_type_of_a_post_does_not_matter() {
    let world = World::new(Setup::new());
    let (poller, peer) = world.poller();
    for kind in ["text/plain", "application/json", "application/x-www-form-urlencoded", "multipart/form-data"]
    {
        poller.request("POST", &[("Content-Type", kind)], b"4x").assert(200, "ok");
        peer.assert_text("x");
    }
    poller.request("POST", &[], b"4no type").assert(200, "ok");
    peer.assert_text("no type");
}

/// A request of each kind that a session has, with a body that is coded twice.
const CODED: &str = "Transfer-Encoding: gzip, chunked\r\n\r\n3\r\n4no\r\n0\r\n\r\n";

#[test]
fn a_body_in_an_unknown_coding_is_not_read_as_plain_text() {
    let Some(world) = World::proxy_only(Setup::new(), Excluded::FaultOfTheReference) else { return };
    let (mut poller, peer) = world.poller();
    for (method, target) in [("POST", poller.target()), ("GET", poller.target()), ("GET", POLLING.to_owned())]
    {
        let mut client = world.http();
        client.wire.send(format!("{method} {target} HTTP/1.1\r\nHost: h\r\n{CODED}").as_bytes());
        client.answer().assert(501, "unsupported transfer coding\n");
    }
    poller.post_ok("4yes");
    peer.assert_text("yes");
}

#[test]
fn a_websocket_handshake_with_a_body_in_an_unknown_coding_is_refused() {
    for setup in [Setup::new(), Setup::new().relayed(), Setup::sockets()] {
        let Some(world) = World::proxy_only(setup, Excluded::FaultOfTheReference) else { return };
        let mut client = world.http();
        let request = head("GET", WEBSOCKET, &HANDSHAKE);
        let request = request.strip_suffix("\r\n").expect("it ends with an empty line");
        client.wire.send(format!("{request}{CODED}").as_bytes());
        client.answer().assert(501, "unsupported transfer coding\n");
        assert!(world.accept_within(QUIET).is_none());
    }
}

#[test]
fn a_refusal_in_an_unknown_coding_is_passed_on_without_its_body() {
    let refusal = format!("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n{CODED}").into_bytes();
    let setup = Setup::plain().script(|script| script.refusal = Some(refusal));
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let answer = world.get(POLLING);
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(!answer.text().contains("4no"), "{answer:?}");
}

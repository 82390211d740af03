//! What counts as a handshake, and what its response says (ENGINEIO.md, 2.1 and 2.2).

use std::collections::HashSet;

use crate::support::frames::Socket;
use crate::support::poller::open_packet;
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{Poller, Script, Setup, World};

#[test]
fn the_open_packet_has_the_references_fields_in_its_order() {
    let world = World::new(Setup::new());
    let (poller, _peer) = world.poller();
    let expected = format!(
        r#"0{{"sid":"{}","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}}"#,
        poller.sid
    );
    assert_eq!(poller.handshake.text(), expected);
}

#[test]
fn a_websocket_is_offered_no_upgrades() {
    let world = World::new(Setup::new());
    let mut socket = Socket::connect(world.addr, WEBSOCKET);
    let open = socket.text();
    let sid = open_packet(&open)["sid"].as_str().unwrap().to_owned();
    let expected = format!(
        r#"0{{"sid":"{sid}","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}}"#
    );
    assert_eq!(open, expected);
}

#[test]
fn no_upgrades_are_offered_where_they_are_off() {
    let world = World::new(Setup::new().no_upgrades());
    let (poller, _peer) = world.poller();
    assert!(poller.handshake.text().contains(r#""upgrades":[],"#), "{:?}", poller.handshake.text());
}

#[test]
fn the_routes_heartbeat_and_limit_are_announced() {
    let world = World::new(Setup::new().heartbeat(1234, 567).max_payload(7777));
    let (poller, _peer) = world.poller();
    let rest = r#""pingInterval":1234,"pingTimeout":567,"maxPayload":7777}"#;
    assert!(poller.handshake.text().ends_with(rest), "{:?}", poller.handshake.text());
}

#[test]
fn the_backends_heartbeat_and_limit_are_mirrored() {
    let setup = Setup::new().script(|script| script.open = Some(Script::open_packet(4321, 765, 8888)));
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let (poller, _peer) = world.poller();
    let rest = r#""pingInterval":4321,"pingTimeout":765,"maxPayload":8888}"#;
    assert!(poller.handshake.text().ends_with(rest), "{:?}", poller.handshake.text());
    assert!(!poller.handshake.text().contains("backendback"), "the backend's sid must not reach the client");
}

/// A client that reads only the first packet of the response must lose nothing.
#[test]
fn messages_that_a_backend_sends_at_once_do_not_come_with_the_polling_handshake() {
    let setup = || Setup::new().script(|script| script.first = vec!["0".into(), "2[1]".into()]);
    let Some(world) = World::proxy_only(setup(), Excluded::OnlyAProxyHasThis) else { return };
    for _ in 0..20 {
        let (mut poller, peer) = world.poller();
        let open = poller.handshake.text();
        assert!(open.starts_with("0{") && open.ends_with('}'), "{open:?}");
        assert_eq!(poller.poll(), "40\u{1e}42[1]");
        drop(peer);
    }
    // Socket.IO 2 connects its clients in this response; a bare Engine.IO 3 server adds nothing to it.
    for (protocol, behind) in [("socket.io", "}2:40"), ("opaque", "}")] {
        let upstream = format!("versions = [3]\nprotocol = \"{protocol}\"");
        let world = World::proxy_only(setup().upstream(&upstream), Excluded::OnlyAProxyHasThis).unwrap();
        let answer = world.get("/engine.io/?EIO=3&transport=polling");
        assert!(answer.text().ends_with(behind), "{protocol}: {:?}", answer.text());
    }
}

#[test]
fn sids_are_long_url_safe_and_never_the_same() {
    let world = World::new(Setup::new());
    let mut sids = HashSet::new();
    for _ in 0..20 {
        let sid = Poller::handshake(world.addr).sid;
        assert!(sid.len() >= 20, "{sid}");
        assert!(sid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{sid}");
        assert!(sids.insert(sid));
    }
}

#[test]
fn the_path_is_a_prefix() {
    let world = World::new(Setup::new());
    assert_eq!(world.get("/engine.io/x/y?EIO=4&transport=polling").status, 200);
}

#[test]
fn a_path_without_the_slash_is_not_claimed() {
    let world = World::new(Setup::new());
    assert_eq!(world.get("/engine.io?EIO=4&transport=polling").status, 404);
    assert_eq!(world.get("/").status, 404);
    assert_eq!(world.get("/engine.i").status, 404);
}

#[test]
fn only_the_number_four_is_protocol_four() {
    let world = World::new(Setup::new());
    for eio in ["EIO=3", "EIO=4.0", "EIO=5", "EIO=abc", "EIO=", "eio=4", "EIO=04", "EIO=%204"] {
        let answer = world.get(&format!("/engine.io/?{eio}&transport=polling"));
        answer.assert_error(400, 5, "Unsupported protocol version");
    }
    world.get("/engine.io/?transport=polling").assert_error(400, 5, "Unsupported protocol version");
}

#[test]
fn the_last_of_duplicate_keys_wins() {
    let world = World::new(Setup::new());
    assert_eq!(world.get("/engine.io/?EIO=3&EIO=4&transport=polling").status, 200);
    assert_eq!(world.get("/engine.io/?EIO=4&transport=nonsense&transport=polling").status, 200);
    assert_eq!(world.get(&format!("{POLLING}&sid=nobody&sid=")).status, 200);
    world.get("/engine.io/?EIO=4&EIO=3&transport=polling").assert_error(
        400,
        5,
        "Unsupported protocol version",
    );
    world.get(&format!("{POLLING}&transport=nonsense")).assert_error(400, 0, "Transport unknown");
}

#[test]
fn keys_and_values_are_percent_decoded() {
    let world = World::new(Setup::new());
    assert_eq!(world.get("/engine.io/?E%49O=%34&tr%61nsport=p%6flling").status, 200);
}

#[test]
fn an_empty_sid_is_no_sid() {
    let world = World::new(Setup::new());
    assert_eq!(world.get(&format!("{POLLING}&sid=")).status, 200);
    assert_eq!(world.get(&format!("{POLLING}&sid")).status, 200);
}

#[test]
fn names_of_javascripts_prototypes_are_unknown_sids() {
    let world = World::new(Setup::new());
    for sid in ["__proto__", "constructor", "toString", "hasOwnProperty"] {
        world.get(&format!("{POLLING}&sid={sid}")).assert_unknown_sid();
    }
}

#[test]
fn checks_come_in_the_references_order() {
    let world = World::new(Setup::new());
    let (poller, _peer) = world.poller();
    let transport_first = "/engine.io/?EIO=3&transport=nonsense&sid=nobody";
    world.get(transport_first).assert_error(400, 0, "Transport unknown");
    let sid_before_version = "/engine.io/?EIO=3&transport=polling&sid=nobody";
    world.get(sid_before_version).assert_unknown_sid();
    let sid_before_method = format!("{POLLING}&sid=nobody");
    world.http().request("PUT", &sid_before_method, &[], b"").assert_unknown_sid();
    let version_before_method = format!("/engine.io/?EIO=3&transport=polling&sid={}", poller.sid);
    world.http().request("PUT", &version_before_method, &[], b"").assert_error(400, 3, "Bad request");
    let method_before_version = "/engine.io/?EIO=3&transport=polling";
    world.http().post(method_before_version, "4x").assert_error(400, 2, "Bad handshake method");
    let method_before_upgrade = WEBSOCKET;
    world.http().post(method_before_upgrade, "4x").assert_error(400, 2, "Bad handshake method");
    let upgrade_before_version = "/engine.io/?EIO=3&transport=websocket";
    world.get(upgrade_before_version).assert_error(400, 3, "Bad request");
}

#[test]
fn the_applications_query_reaches_it() {
    let world = World::new(Setup::new());
    let query = "&token=a%20b%26c&room=1&room=2&flag&empty=";
    let _poller = Poller::handshake_at(world.addr, &format!("{POLLING}{query}&t=cachebuster"));
    let peer = world.accept();
    let pairs = peer.opening.query();
    for pair in ["token=a%20b%26c", "room=1", "room=2", "flag", "empty=", "EIO=4"] {
        assert!(pairs.contains(&pair), "{pair} is not in {pairs:?}");
    }
    assert!(!peer.opening.target.contains("sid="));
}

#[test]
fn the_backend_sees_a_websocket_and_none_of_the_transports_own_keys() {
    let Some(world) = World::proxy_only(Setup::new(), Excluded::OnlyAProxyHasThis) else { return };
    let target = format!("{POLLING}&t=cachebuster&b64=1&sid=&x=1&ten=2");
    let _poller = Poller::handshake_at(world.addr, &target);
    let peer = world.accept();
    let mut pairs = peer.opening.query();
    pairs.sort_unstable();
    assert_eq!(pairs, ["EIO=4", "ten=2", "transport=websocket", "x=1"]);
    assert_eq!(peer.opening.path(), "/engine.io/");
}

#[test]
fn what_follows_the_prefix_is_appended_to_the_backends_path() {
    let Some(world) = World::proxy_only(Setup::new(), Excluded::OnlyAProxyHasThis) else { return };
    let _poller = Poller::handshake_at(world.addr, "/engine.io/x/y?EIO=4&transport=polling");
    assert_eq!(world.accept().opening.path(), "/engine.io/x/y");
}

#[test]
fn a_handshake_over_http_1_0_is_answered() {
    let world = World::new(Setup::new());
    let mut client = world.http();
    client.wire.send(format!("GET {POLLING} HTTP/1.0\r\nHost: a\r\n\r\n").as_bytes());
    let answer = client.answer();
    assert_eq!(answer.status, 200);
    assert_eq!(open_packet(answer.text())["pingInterval"], 25_000);
}

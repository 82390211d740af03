//! How large a message may be in each direction: `max_payload` is the client's limit, `max_message` the backend's.

use serde_json::json;

use crate::support::frames::{Frame, Op, Socket};
use crate::support::poller::open_packet;
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{Event, Peer, Script, Setup, World};

fn world(setup: Setup) -> Option<World> {
    World::proxy_only(setup, Excluded::OnlyAProxyHasThis)
}

/// Returns a client that is relayed.
fn relayed(world: &World, extension: &str) -> (Socket, Peer) {
    let more = [("Sec-WebSocket-Extensions", extension)];
    let more = if extension.is_empty() { &[][..] } else { &more[..] };
    let socket = Socket::try_connect(world.addr, WEBSOCKET, more).expect("accepted");
    (socket, world.accept())
}

/// Returns a relayed route of each dialect.
fn both_dialects() -> [(&'static str, Setup); 2] {
    let engine_io = Setup::new().relayed();
    [("websocket", Setup::sockets()), ("engine.io", engine_io)]
}

/// Returns a binary message, with `reserved` 4 if it is compressed; its content does not matter.
fn message(reserved: u8, len: usize) -> Frame {
    Frame { reserved, ..Frame::new(Op::BINARY, vec![7; len]) }
}

/// Fails unless client and backend both learn that a message was too large.
#[track_caller]
fn assert_too_large(world: &World, mut socket: Socket, peer: &Peer) {
    socket.assert_closed(Some(1009));
    drop(socket);
    // Engine.IO has no close code for it: the proxy's own link closes as the stock client does.
    let closed = peer.event();
    assert!(matches!(closed, Event::Closed(1009 | 1005)), "{closed:?}");
    world.assert_sessions(0);
}

#[test]
fn a_routes_max_payload_holds_for_a_relayed_websocket() {
    for (dialect, setup) in both_dialects() {
        let open = Script::open_packet(25_000, 20_000, 100_000_000);
        let setup = setup.route("max_payload = 1000").script(|script| {
            script.open = script.open.is_some().then_some(open);
            script.headers = "Sec-WebSocket-Extensions: permessage-deflate\r\n".to_owned();
        });
        let Some(world) = world(setup) else { return };
        for (extension, reserved) in [("", 0), ("permessage-deflate", 4)] {
            let connect = || {
                let (mut socket, peer) = relayed(&world, extension);
                if dialect == "engine.io" {
                    assert!(socket.text().starts_with("0{"));
                }
                (socket, peer)
            };
            let (mut socket, peer) = connect();
            socket.send_frame(&message(reserved, 1000));
            peer.assert_binary(&[7; 1000]);
            socket.send_frame(&message(reserved, 1001));
            assert_too_large(&world, socket, &peer);
            // The fragments count together: the Close follows those that have passed.
            let (mut socket, peer) = connect();
            socket.send_frame(&Frame { fin: false, ..message(reserved, 600) });
            socket.send_frame(&Frame::new(Op::PING, "has it passed?"));
            assert_eq!(socket.frame().op, Op::PONG);
            socket.send_frame(&Frame { op: Op::CONTINUATION, ..message(0, 401) });
            assert_too_large(&world, socket, &peer);
            // Nothing of the frame reaches the backend, however large it is.
            let (mut socket, peer) = connect();
            socket.send_frame(&message(reserved, 5_000_000));
            assert_too_large(&world, socket, &peer);
        }
    }
}

#[test]
fn the_limit_of_the_backends_open_packet_holds_for_a_relayed_websocket() {
    let open = Script::open_packet(25_000, 20_000, 5000);
    let setup = Setup::new().relayed().script(|script| script.open = Some(open));
    let Some(world) = world(setup) else { return };
    let (mut socket, peer) = relayed(&world, "");
    socket.text();
    socket.send_frame(&message(0, 5000));
    peer.assert_binary(&[7; 5000]);
    socket.send_frame(&message(0, 5001));
    assert_too_large(&world, socket, &peer);
}

#[test]
fn max_message_is_the_backends_and_does_not_bound_a_relayed_client() {
    for (dialect, setup) in both_dialects() {
        let open = Script::open_packet(25_000, 20_000, 100_000_000);
        let setup = setup.upstream("max_message = 1000").script(|script| {
            script.open = script.open.is_some().then_some(open);
        });
        let Some(world) = world(setup) else { return };
        let connect = || {
            let (mut socket, peer) = relayed(&world, "");
            if dialect == "engine.io" {
                socket.text();
            }
            (socket, peer)
        };
        let (mut socket, peer) = connect();
        socket.send_frame(&message(0, 20_000_000));
        assert_eq!(peer.event(), Event::Binary(vec![7; 20_000_000]), "{dialect}");
        peer.send_binary(&[7; 1000]);
        socket.assert_binary(&[7; 1000]);
        peer.send_binary(&[7; 1001]);
        assert_too_large(&world, socket, &peer);
        let (mut socket, peer) = connect();
        peer.line().send_frame(&Frame { fin: false, ..message(0, 600) });
        assert_eq!(socket.frame().payload.len(), 600);
        peer.line().send_frame(&Frame { op: Op::CONTINUATION, ..message(0, 401) });
        assert_too_large(&world, socket, &peer);
    }
}

#[test]
fn a_framed_message_is_bounded_where_neither_route_nor_backend_says_how() {
    let framed = Setup { dialect: "websocket", ..Setup::plain() };
    let Some(world) = world(framed.upstream("max_message = \"100MB\"")) else { return };
    let mut socket = Socket::connect(world.addr, WEBSOCKET);
    let peer = world.accept();
    socket.send_binary(&vec![7; 1_000_000]);
    peer.assert_binary(&vec![7; 1_000_000]);
    socket.send_binary(&vec![7; 1_000_001]);
    assert_too_large(&world, socket, &peer);
}

#[test]
fn a_framed_message_is_bounded_by_the_route_and_else_by_the_backend() {
    let open = Script::open_packet(25_000, 20_000, 5000);
    let setup = || Setup::new().script(|script| script.open = Some(open.clone()));
    for (setup, max) in [(setup(), 5000), (setup().route("max_payload = 3000"), 3000)] {
        let Some(world) = world(setup) else { return };
        let (mut socket, peer) = world.websocket();
        socket.send_binary(&vec![7; max]);
        peer.assert_binary(&vec![7; max]);
        socket.send_binary(&vec![7; max + 1]);
        assert_too_large(&world, socket, &peer);
    }
}

#[test]
fn an_old_clients_message_is_bounded_where_its_backend_names_no_limit() {
    let open = r#"0{"sid":"backendbackendback01","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#;
    let setup = Setup::new().upstream("versions = [3]\nmax_message = \"100MB\"");
    let setup = setup.script(|script| script.open = Some(open.to_owned()));
    let Some(world) = world(setup) else { return };
    let mut socket = Socket::connect(world.addr, &WEBSOCKET.replace("EIO=4", "EIO=3"));
    assert!(open_packet(&socket.text())["maxPayload"].is_null());
    let peer = world.accept();
    let mut packet = vec![7; 1_000_000];
    packet[0] = 4;
    socket.send_binary(&packet);
    peer.assert_binary(&packet);
    socket.send_binary(&vec![4; 1_000_001]);
    assert_too_large(&world, socket, &peer);
}

#[test]
fn a_message_on_a_mux_is_bounded_too() {
    let demux = |setup| Setup { dialect: "mux", path: "/mux", relay: false, ..setup };
    let hello =
        json!(["hello", {"v": 1, "epoch": "e", "credit": 0, "max_message": 100_000_000, "resume_ms": 0}]);
    let open = |id: &str| {
        json!(["open", id, {"path": "/", "dialect": "websocket", "transport": "websocket",
            "client": "203.0.113.9:51234", "headers": [], "protocols": []}])
    };
    for (setup, max) in [(Setup::plain(), 1_000_000), (Setup::plain().route("max_payload = 3000"), 3000)] {
        let Some(world) = world(demux(setup)) else { return };
        let offer = [("Sec-WebSocket-Protocol", "polliwog.mux.v1.json")];
        let mut edge = Socket::try_connect(world.addr, "/mux", &offer).expect("accepted");
        edge.send(&hello.to_string());
        edge.text();
        let mut peers = Vec::new();
        for id in ["s1", "s2"] {
            edge.send(&open(id).to_string());
            let told = if max == 3000 { json!({"max_payload": 3000}) } else { json!({}) };
            assert_eq!(edge.text(), json!(["ok", id, told]).to_string());
            peers.push(world.accept());
        }
        edge.send(&json!(["t", "s1", 1, "x".repeat(max)]).to_string());
        assert_eq!(peers[0].event(), Event::Text("x".repeat(max)));
        edge.send(&json!(["t", "s1", 2, "x".repeat(max + 1)]).to_string());
        assert_eq!(peers[0].event(), Event::Closed(1009));
        let closed = std::iter::repeat_with(|| edge.text()).find(|frame| frame.starts_with(r#"["x""#));
        assert!(
            closed.as_ref().is_some_and(|frame| frame.contains(r#""s1""#) && frame.contains("1009")),
            "{closed:?}"
        );
        edge.send(&json!(["t", "s2", 1, "the other goes on"]).to_string());
        peers[1].assert_text("the other goes on");
    }
}

#[test]
fn a_backend_that_compresses_its_open_packet_is_understood_all_the_same() {
    // As a server with `threshold: 0` sends it. A stored block needs no compressor here.
    let open = Script::open_packet(25_000, 20_000, 5000);
    let len = u16::try_from(open.len()).unwrap();
    let mut stored = vec![0];
    stored.extend(len.to_le_bytes());
    stored.extend((!len).to_le_bytes());
    stored.extend(open.as_bytes());
    stored.push(0);
    let setup = Setup::new().relayed().script(|script| {
        script.open = None;
        script.headers = "Sec-WebSocket-Extensions: permessage-deflate\r\n".to_owned();
    });
    let Some(world) = world(setup) else { return };
    let (mut socket, peer) = relayed(&world, "permessage-deflate");
    let frame = Frame { reserved: 4, ..Frame::new(Op::TEXT, stored) };
    let bytes = frame.encode(crate::support::frames::Masked::No);
    peer.line().send_raw(&bytes);
    assert!(socket.wire.take_exact(bytes.len(), std::time::Instant::now() + crate::support::SOON).is_ok());
    let target = format!("{POLLING}&sid=backendbackendback01");
    world.get(&target).assert_error(400, 3, "Bad request");
    socket.send_frame(&message(4, 5001));
    assert_too_large(&world, socket, &peer);
}

#[test]
fn an_old_client_that_polls_is_bounded_too() {
    let open = r#"0{"sid":"backendbackendback01","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#;
    let setup = Setup::new().upstream("versions = [3]").script(|script| script.open = Some(open.to_owned()));
    let Some(world) = world(setup) else { return };
    let answer = world.get(&POLLING.replace("EIO=4", "EIO=3"));
    assert_eq!(answer.status, 200);
    let _peer = world.accept();
    let target = format!("{}&sid=backendbackendback01", POLLING.replace("EIO=4", "EIO=3"));
    assert_eq!(world.http().post(&target, "x".repeat(1_000_001)).status, 413);
}

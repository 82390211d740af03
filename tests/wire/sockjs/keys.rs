//! The keys by which a route deviates from sockjs-node.

use crate::support::frames::Socket;
use crate::support::sockjs::{begin, setup, target, world, world_of};
use crate::support::world::World;

/// Returns the subprotocols that the next session's backend was offered.
#[track_caller]
fn offered(world: &World) -> Option<String> {
    world.accept().opening.header("sec-websocket-protocol").map(str::to_owned)
}

/// Connects a WebSocket that offers subprotocols, and returns what was chosen.
#[track_caller]
fn chosen(world: &World, path: &str) -> Option<String> {
    let offer = [("Sec-WebSocket-Protocol", "chat, superchat")];
    let socket = Socket::try_connect(world.addr, path, &offer).expect("accepted");
    socket.response.header("sec-websocket-protocol").map(str::to_owned)
}

#[test]
fn a_subprotocol_that_a_client_offers_ends_here_as_at_the_reference() {
    let Some(world) = world("") else { return };
    assert_eq!(chosen(&world, &target("a", "websocket")), None);
    assert_eq!(offered(&world), None);
    let headers = [("Sec-WebSocket-Protocol", "chat")];
    world.http().request("POST", &target("a", "xhr"), &headers, b"").assert(200, "o\n");
    assert_eq!(offered(&world), None);
}

#[test]
fn a_subprotocol_of_the_route_is_offered_for_each_transport_and_no_client_hears_of_it() {
    let Some(world) = world("subprotocol = \"v12.stomp\"") else { return };
    let peer = begin(&world, "a");
    assert_eq!(peer.opening.header("sec-websocket-protocol"), Some("v12.stomp"));
    assert_eq!(chosen(&world, &target("a", "websocket")), None);
    assert_eq!(offered(&world).as_deref(), Some("v12.stomp"));
}

#[test]
fn a_backend_that_chooses_another_subprotocol_than_the_routes_has_no_session() {
    let setup = setup("subprotocol = \"v12.stomp\"")
        .script(|script| script.headers = "Sec-WebSocket-Protocol: chat\r\n".into());
    let Some(world) = world_of(setup) else { return };
    let answer =
        world.http().request("POST", &target("a", "xhr"), &[("Sec-WebSocket-Protocol", "chat")], b"");
    assert_eq!(answer.status, 502);
}

#[test]
fn a_raw_web_socket_negotiates_its_subprotocol_with_the_backend() {
    for setup in [setup("subprotocol = \"v12.stomp\"").relayed(), setup("subprotocol = \"v12.stomp\"")] {
        let Some(world) = world_of(setup) else { return };
        assert_eq!(chosen(&world, "/echo/websocket").as_deref(), Some("chat"));
        assert_eq!(offered(&world).as_deref(), Some("chat, superchat"));
    }
}

//! Half-open connections: a network falls silent in the middle of a session, and neither end of it is told.
//!
//! The end on the other side of the proxy is told in time, and the silent one once it is heard again. Both learn why, in
//! the words of their protocol, and so do the metrics.

use std::thread;

use super::switched::{State, Switched};
use crate::abandoned::feed;
use crate::support::feed::Feed;
use crate::support::frames::{Frame, Op, Socket};
use crate::support::http::{Client, Response};
use crate::support::poller::{POLLING, Poller, WEBSOCKET};
use crate::support::sockjs::{self, target};
use crate::support::target::Target;
use crate::support::world::{Excluded, proxy_is_asked};
use crate::support::{Event, Peer, SOON, Script, Setup, World, eventually, metrics};

/// Returns the proxy, with a network before its backend.
fn before(setup: &Setup) -> (World, Switched) {
    let mut network = None;
    let start = |setup: &Setup, backend| {
        let to = network.insert(Switched::to(backend));
        Target::proxy(setup, to.address)
    };
    let world = World::start_with(setup, start);
    (world, network.unwrap())
}

/// Fails unless all sessions end, for this reason alone.
#[track_caller]
fn assert_ended(target: &Target, reason: &str) {
    eventually(|| metrics::sessions(target.admin) == 0, || "they end".to_owned());
    let ends = metrics::counted(target.admin, "polliwog_sessions_closed_total", "reason");
    assert!(!ends.is_empty() && ends.iter().all(|end| end == reason), "{ends:?}");
}

/// Passes a message each way.
#[track_caller]
fn cross(socket: &mut Socket, peer: &Peer, prefix: &str) {
    socket.send(&format!("{prefix}up"));
    peer.assert_text("up");
    peer.send("down");
    socket.assert_text(&format!("{prefix}down"));
}

#[test]
fn a_polling_client_that_falls_silent_is_detected_by_its_heartbeat() {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    let world = World::start_with(&Setup::new().heartbeat(500, 300), Target::proxy);
    let front = Switched::to(world.target.public);
    let mut poller = Poller::handshake(front.address);
    let peer = world.accept();
    poller.post_ok("4up");
    peer.assert_text("up");
    poller.park();
    front.set(State::Silent);
    assert_eq!(peer.event(), Event::Closed(1005), "as a stock client closes");
    assert_ended(&world.target, "ping_timeout");
    front.set(State::Passes);
    poller.assert_parked_gets("2");
    poller.post("3").assert_unknown_sid();
}

#[test]
fn a_websocket_client_that_falls_silent_is_detected_by_its_heartbeat() {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    let world = World::start_with(&Setup::new().heartbeat(300, 300), Target::proxy);
    let front = Switched::to(world.target.public);
    let mut socket = Socket::connect(front.address, WEBSOCKET);
    let peer = world.accept();
    assert!(socket.text().starts_with('0'));
    cross(&mut socket, &peer, "4");
    front.set(State::Silent);
    assert_eq!(peer.event(), Event::Closed(1005), "as a stock client closes");
    assert_ended(&world.target, "ping_timeout");
    front.set(State::Passes);
    socket.assert_text("2");
    socket.assert_closed(None);
}

#[test]
fn a_client_of_sockjs_that_falls_silent_is_given_up_once_it_does_not_come_back() {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    let setup = sockjs::setup("heartbeat = \"300ms\"\ndisconnect_delay = \"1s\"");
    let world = World::start_with(&setup, Target::proxy);
    let front = Switched::to(world.target.public);
    let mut client = Client::connect(front.address);
    client.request("POST", &target("a", "xhr"), &[], b"").assert(200, "o\n");
    let peer = world.accept();
    client.send("POST", &target("a", "xhr"), &[], b"");
    client.assert_parked();
    front.set(State::Silent);
    assert_eq!(peer.event(), Event::Closed(1001));
    assert_ended(&world.target, "client_gone");
    front.set(State::Passes);
    client.answer().assert(200, "h\n");
    let end = client.request("POST", &target("a", "xhr"), &[], b"");
    end.assert(200, "c[1002,\"Connection interrupted\"]\n");
}

#[test]
fn a_client_of_longpoll_that_falls_silent_is_given_up_once_it_does_not_come_back() {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    let world = World::start_with(&feed().route("wait = \"300ms\""), Target::proxy);
    let front = Switched::to(world.target.public);
    let mut client = Feed::begin(front.address);
    let peer = world.accept();
    client.park("after=0");
    front.set(State::Silent);
    assert_eq!(peer.event(), Event::Closed(1001));
    assert_ended(&world.target, "client_gone");
    front.set(State::Passes);
    client.gets.answer().assert(200, r#"{"after":0,"messages":[]}"#);
    client.get("after=0").assert(410, r#"{"closed":{"code":1001,"reason":"client gone"},"after":0}"#);
}

#[test]
fn a_backend_that_falls_silent_is_detected_by_its_own_heartbeat() {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    let setup = Setup::new().script(|script| script.open = Some(Script::open_packet(400, 300, 1_000_000)));
    let (world, behind) = before(&setup.heartbeat(25_000, 20_000));
    let (mut poller, first) = world.poller();
    let (mut socket, second) = world.websocket();
    poller.park();
    cross(&mut socket, &second, "4");
    behind.set(State::Silent);
    poller.assert_parked_gets("1");
    socket.assert_closed(None);
    assert_ended(&world.target, "upstream_closed");
    poller.assert_gone();
    behind.set(State::Passes);
    for peer in [first, second] {
        peer.assert_closed();
    }
}

/// Posts numbered texts until one is not accepted, and returns the answer to that.
#[track_caller]
fn post_until_one_fails(post: impl Fn(usize) -> Client) -> Response {
    let answers = (0..100).map(|number| post(number).answer_within(SOON * 2).expect("an answer"));
    let mut failed = answers.filter(|answer| answer.status != 204);
    failed.next().expect("one that the backend's side has no room for")
}

/// Returns a text that begins with its number, and soon fills what is between proxy and backend.
fn long(number: usize) -> String {
    format!("{number} {}", "x".repeat(400_000))
}

/// Fails unless the backend has got the first of these texts, in order, and then the end.
#[track_caller]
fn assert_first_of_them(peer: &Peer) {
    for number in 0.. {
        match peer.event() {
            Event::Text(text) => assert!(text == long(number), "{number}: {text:.20}"),
            Event::Closed(_) => return,
            other @ (Event::Binary(_) | Event::Pong | Event::Echoing) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_backend_that_falls_silent_and_takes_nothing_more_is_given_up_after_stall_timeout() {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            let (world, behind) = before(&sockjs::setup("stall_timeout = \"600ms\""));
            let peer = sockjs::begin(&world, "a");
            let mut parked = sockjs::park(&world, "a");
            behind.set(State::Silent);
            let answer = post_until_one_fails(|number| {
                let mut client = world.http();
                let body = format!("[\"{}\"]", long(number));
                client.send("POST", &target("a", "xhr_send"), &[], body.as_bytes());
                client
            });
            assert_eq!(answer.status, 404, "{answer:?}");
            parked.answer().assert(200, "c[1013,\"Connection stalled\"]\n");
            assert_ended(&world.target, "stalled");
            behind.set(State::Passes);
            assert_first_of_them(&peer);
        });
        scope.spawn(|| {
            let (world, behind) = before(&feed().route("stall_timeout = \"600ms\""));
            let mut client = Feed::begin(world.addr);
            let peer = world.accept();
            client.park("after=0");
            behind.set(State::Silent);
            let answer = post_until_one_fails(|number| {
                let mut posts = world.http();
                let text = [("Content-Type", "text/plain")];
                posts.send("POST", &client.target(""), &text, long(number).as_bytes());
                posts
            });
            let told = r#"{"closed":{"code":1013,"reason":"stalled"},"after":0}"#;
            answer.assert(410, told);
            client.gets.answer().assert(410, told);
            assert_ended(&world.target, "stalled");
            behind.set(State::Passes);
            assert_first_of_them(&peer);
        });
    });
}

/// Starts a proxy with a route of each dialect, whose sessions share a connection to this address.
fn edge(to: &Switched) -> Target {
    Target::proxy_with(|public, admin| {
        let dialects = ["engine.io", "sockjs", "longpoll", "websocket"].map(|dialect| {
            // As the clients of other tests call them.
            let path = match dialect {
                "sockjs" => "echo",
                "longpoll" => "feed",
                other => other,
            };
            format!("[[routes]]\npath = \"/{path}/\"\ndialect = \"{dialect}\"\nupstream = \"b\"\n")
        });
        format!(
            "[server]\nlisten = [\"{public}\"]\n[admin]\nlisten = \"{admin}\"\n{}\
             [upstreams.b]\nkind = \"mux\"\nurl = \"ws://{}/mux\"\nhandshake_timeout = \"500ms\"\n\
             [upstreams.b.mux]\nresume_timeout = \"300ms\"\n",
            dialects.concat(),
            to.address
        )
    })
}

#[test]
fn a_shared_connection_that_breaks_and_leads_nowhere_ends_its_sessions_on_both_sides() {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    let shared = Setup { dialect: "mux", path: "/mux", relay: false, ..Setup::plain() };
    let world = World::start_with(&shared, Target::proxy);
    let between = Switched::to(world.target.public);
    let edge = edge(&between);
    let mut peers = Vec::new();
    let mut poller = Poller::handshake(edge.public);
    peers.push(world.accept());
    poller.poll_later();
    let mut socket = Socket::connect(edge.public, WEBSOCKET);
    peers.push(world.accept());
    assert!(socket.text().starts_with('0'));
    cross(&mut socket, peers.last().unwrap(), "4");
    let mut plain = Socket::connect(edge.public, "/websocket/");
    peers.push(world.accept());
    cross(&mut plain, peers.last().unwrap(), "");
    let mut xhr = Client::connect(edge.public);
    xhr.request("POST", &target("a", "xhr"), &[], b"").assert(200, "o\n");
    peers.push(world.accept());
    xhr.send("POST", &target("a", "xhr"), &[], b"");
    xhr.assert_parked();
    let mut feed = Feed::begin(edge.public);
    peers.push(world.accept());
    feed.park("after=0");

    between.set(State::Parted);
    poller.assert_parked_gets("1");
    socket.assert_closed(None);
    assert_eq!(plain.frame().op, Op::CLOSE);
    plain.send_frame(&Frame::close(None));
    xhr.answer().assert(200, "c[1006,\"Connection lost\"]\n");
    let told = feed.gets.answer();
    assert!(told.status == 410 && told.text().contains("\"code\":1006"), "{told:?}");
    for peer in &peers {
        assert_eq!(peer.event(), Event::Closed(1001));
    }
    assert_ended(&edge, "upstream_closed");
    assert_ended(&world.target, "client_gone");

    between.set(State::Passes);
    let mut again = Client::connect(edge.public);
    eventually(|| again.get(POLLING).status == 200, || "new sessions begin".to_owned());
}

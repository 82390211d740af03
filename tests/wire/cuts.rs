//! The cut matrix: every wire of every dialect, cut at every byte, in either direction.
//!
//! What arrives is what was sent, once and in order; a cut loses nothing silently: the session goes on with the next
//! message, or both sides hear that it has ended, and no new one begins under its name. A client that acknowledges
//! messages loses none. `faults` has the same moments for Engine.IO with more ways to hang up.

#[path = "cuts/wires.rs"]
mod wires;

use std::thread;
use std::time::Instant;

use crate::support::frames::{Frame, Masked, Op, Socket};
use crate::support::sockjs;
use crate::support::wire::{Fill, Wire, find};
use crate::support::world::{Excluded, WEBSOCKET};
use crate::support::{Event, Peer, QUIET, SOON, Setup, World};
use wires::{Dialect, Received, TRANSPORTS, Transport};

/// Plays a part of the matrix for every transport, several at once, since most of it is waiting.
fn each(at_once: usize, play: fn(&Transport, &World)) {
    for some in TRANSPORTS.chunks(at_once) {
        thread::scope(|scope| {
            for transport in some {
                scope.spawn(move || {
                    let setup = transport.setup();
                    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
                    play(transport, &world);
                });
            }
        });
    }
}

fn hang_up(wire: Wire, turn: usize) {
    if turn.is_multiple_of(2) { wire.reset() } else { wire.close() }
}

/// Returns a new session and its end in the application.
#[track_caller]
fn begin(transport: &Transport, world: &World) -> (String, Peer) {
    (transport.begin(world), world.accept())
}

#[test]
fn a_post_that_is_cut_at_any_byte_is_delivered_whole_or_not_at_all() {
    each(TRANSPORTS.len(), |transport, world| {
        let (mut session, mut peer) = begin(transport, world);
        let mut ended = 0;
        let (head, body) = transport.send(&session, "cut");
        for cut in 0..=head.len() + body.len() {
            let (head, body) = transport.send(&session, "cut");
            let whole = head.clone() + &body;
            let mut wire = Wire::connect(world.addr);
            wire.send(&whole.as_bytes()[..cut]);
            if cut == whole.len() {
                peer.assert_text("cut");
                hang_up(wire, cut);
            } else if cut >= head.len() && transport.dialect == Dialect::EngineIo {
                // As on the reference server, a body that is cut ends its session.
                hang_up(wire, cut);
                if peer.event_within(QUIET * 3).is_none() {
                    // Its end has overtaken it, and nothing was received of the POST.
                    continue;
                }
                ended += 1;
                assert_eq!(
                    transport.receive_again(world, &session, "never"),
                    Received::Over,
                    "{}: cut at {cut}",
                    transport.name
                );
                (session, peer) = begin(transport, world);
            } else {
                hang_up(wire, cut);
            }
        }
        assert_eq!(ended > 0, transport.dialect == Dialect::EngineIo, "{}", transport.name);
        // None of them was delivered late, or has disturbed the session.
        let (head, body) = transport.send(&session, "end");
        let mut client = world.http();
        client.wire.send((head + &body).as_bytes());
        assert!(matches!(client.answer().status, 200 | 204), "{}", transport.name);
        peer.assert_text("end");
        peer.assert_quiet();
    });
}

/// Returns the bytes of a whole answer that brings this message, and whether its connection still waits for more.
#[track_caller]
fn whole_answer(transport: &Transport, world: &World) -> Vec<u8> {
    let (session, peer) = begin(transport, world);
    peer.send(FIRST);
    let mut wire = Wire::connect(world.addr);
    wire.send(transport.receive(&session).as_bytes());
    let deadline = Instant::now() + SOON;
    while find(wire.buffered(), FIRST.as_bytes()).is_none() {
        assert_eq!(wire.fill(deadline), Fill::Data, "{}", transport.name);
    }
    while wire.fill(Instant::now() + QUIET) == Fill::Data {}
    wire.buffered().to_vec()
}

#[test]
fn an_answer_that_is_cut_at_any_byte_is_delivered_or_both_sides_hear_of_it() {
    each(TRANSPORTS.len(), |transport, world| {
        let whole = whole_answer(transport, world);
        let body = find(&whole, b"\r\n\r\n").expect("a head") + 4;
        let message = find(&whole, FIRST.as_bytes()).unwrap().saturating_sub(12).max(body);
        // Every byte of the frame; of the head and the prelude, which are always the same, some.
        let cuts = (0..body).step_by(43).chain((body..message).step_by(397)).chain(message..=whole.len());
        for cut in cuts {
            let (session, peer) = begin(transport, world);
            peer.send(FIRST);
            peer.settle();
            let mut wire = Wire::connect(world.addr);
            wire.send(transport.receive(&session).as_bytes());
            wire.take_exact(cut, Instant::now() + SOON).expect("it comes");
            hang_up(wire, cut);
            let at = format!("{}: cut at {cut} of {}", transport.name, whole.len());
            let ends = transport.streams && cut > 0 && transport.dialect != Dialect::LongPoll;
            if ends {
                assert_eq!(peer.event(), Event::Closed(1001), "{at}");
            } else {
                peer.send(SECOND);
            }
            let received = transport.receive_again(world, &session, SECOND);
            let both = Received::Messages(vec![FIRST.to_owned(), SECOND.to_owned()]);
            match transport.dialect {
                Dialect::LongPoll => assert_eq!(received, both, "{at}"),
                Dialect::EngineIo | Dialect::SockJs if received == Received::Over => {
                    assert!(cut < whole.len() || ends, "{at}: it was read to its end");
                    if !ends {
                        peer.assert_closed();
                    }
                }
                Dialect::EngineIo | Dialect::SockJs => {
                    assert!(!ends, "{at}: {received:?}");
                    // The kernel of the proxy's host had the first; or nothing has received of the request.
                    let second = Received::Messages(vec![SECOND.to_owned()]);
                    assert!(received == second || (cut == 0 && received == both), "{at}: {received:?}");
                }
            }
        }
    });
}

#[test]
fn an_answer_that_no_connection_took_is_lost_and_both_sides_hear_of_it() {
    // All together would be too much for a busy machine.
    each(2, |transport, world| {
        let long = "x".repeat(LONG);
        // In the head, and behind every prelude.
        for (turn, cut) in [20, 3000].into_iter().enumerate() {
            let (session, peer) = begin(transport, world);
            peer.send(&long);
            let mut wire = Wire::connect_narrow(world.addr);
            wire.send(transport.receive(&session).as_bytes());
            wire.take_exact(cut, Instant::now() + SOON).expect("it begins");
            // The proxy writes what the connection takes meanwhile; that it stops shows nowhere.
            thread::sleep(QUIET);
            hang_up(wire, turn);
            if transport.dialect == Dialect::LongPoll {
                let received = transport.receive_again(world, &session, &long);
                assert_eq!(
                    received,
                    Received::Messages(vec![long.clone()]),
                    "{}: cut at {cut}",
                    transport.name
                );
                continue;
            }
            let end = peer.event_within(SOON * 3);
            assert!(matches!(end, Some(Event::Closed(_))), "{}: cut at {cut}: {end:?}", transport.name);
            assert_eq!(
                transport.receive_again(world, &session, "never"),
                Received::Over,
                "{}: cut at {cut}",
                transport.name
            );
        }
    });
}

/// A client's WebSocket, and how a message stands in a frame there.
struct WebSocketKind {
    name: &'static str,
    setup: fn() -> Setup,
    target: &'static str,
    /// What comes first.
    greeting: Option<&'static str>,
    sends: fn(&str) -> String,
    receives: fn(&str) -> String,
}

const SOCKETS: [WebSocketKind; 6] = [
    WebSocketKind {
        name: "Engine.IO",
        setup: Setup::new,
        target: WEBSOCKET,
        greeting: Some("0{"),
        sends: |text| format!("4{text}"),
        receives: |text| format!("4{text}"),
    },
    WebSocketKind {
        name: "Engine.IO, relayed",
        setup: || Setup::new().relayed(),
        target: WEBSOCKET,
        greeting: Some("0{"),
        sends: |text| format!("4{text}"),
        receives: |text| format!("4{text}"),
    },
    WebSocketKind {
        name: "SockJS",
        setup: || sockjs::setup(""),
        target: "/echo/000/w/websocket",
        greeting: Some("o"),
        sends: |text| format!("[\"{text}\"]"),
        receives: |text| format!("a[\"{text}\"]"),
    },
    WebSocketKind {
        name: "SockJS, raw",
        setup: || sockjs::setup(""),
        target: "/echo/websocket",
        greeting: None,
        sends: str::to_owned,
        receives: str::to_owned,
    },
    WebSocketKind {
        name: "plain",
        setup: || Setup { relay: false, ..Setup::sockets() },
        target: "/engine.io/",
        greeting: None,
        sends: str::to_owned,
        receives: str::to_owned,
    },
    WebSocketKind {
        name: "plain, relayed",
        setup: Setup::sockets,
        target: "/engine.io/",
        greeting: None,
        sends: str::to_owned,
        receives: str::to_owned,
    },
];

impl WebSocketKind {
    #[track_caller]
    fn open(&self, world: &World) -> (Socket, Peer) {
        let mut socket = Socket::connect(world.addr, self.target);
        if let Some(greeting) = self.greeting {
            assert!(socket.text().starts_with(greeting), "{}", self.name);
        }
        (socket, world.accept())
    }
}

/// Plays this for every WebSocket at once, with the frames of both messages, cut at every byte, and with how many of
/// them are whole.
fn each_socket(
    frames: fn(&WebSocketKind, &Peer) -> [Vec<u8>; 2],
    play: fn(&WebSocketKind, Socket, &Peer, &[u8], usize, usize),
) {
    thread::scope(|scope| {
        for transport in &SOCKETS {
            scope.spawn(move || {
                let setup = (transport.setup)();
                let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
                for cut in 0.. {
                    let (socket, peer) = transport.open(&world);
                    let [first, second] = frames(transport, &peer);
                    let both = [&first[..], &second[..]].concat();
                    let Some(bytes) = both.get(..cut) else { return };
                    let whole = usize::from(cut >= first.len()) + usize::from(cut == both.len());
                    play(transport, socket, &peer, bytes, whole, cut);
                }
            });
        }
    });
}

#[test]
fn a_websockets_frames_that_its_client_cuts_at_any_byte_arrive_whole_or_not_at_all() {
    let frames = |transport: &WebSocketKind, _: &Peer| {
        [FIRST, SECOND].map(|text| Frame::new(Op::TEXT, (transport.sends)(text)).encode(Masked::Yes))
    };
    each_socket(frames, |transport, mut socket, peer, bytes, whole, cut| {
        socket.wire.send(bytes);
        hang_up(socket.wire, cut);
        let mut came = Vec::new();
        loop {
            match peer.event() {
                Event::Text(text) => came.push(text),
                Event::Closed(_) => break,
                event @ (Event::Binary(_) | Event::Pong | Event::Echoing) => {
                    panic!("{}: {event:?}", transport.name)
                }
            }
        }
        let sent = &[FIRST, SECOND][..whole];
        // A reset discards what the proxy has not read.
        let expected = if cut % 2 == 0 { &sent[..came.len().min(sent.len())] } else { sent };
        assert_eq!(came, expected, "{}: cut at {cut}", transport.name);
    });
}

#[test]
fn a_websockets_frames_that_its_backend_cuts_at_any_byte_arrive_whole_or_not_at_all() {
    let frames = |_: &WebSocketKind, peer: &Peer| [FIRST, SECOND].map(|text| peer.line().encode_text(text));
    each_socket(frames, |transport, mut socket, peer, bytes, whole, cut| {
        peer.line().send_raw(bytes);
        peer.line().kill();
        let mut came = Vec::new();
        loop {
            match socket.frame_within(SOON) {
                Ok(frame) if frame.op == Op::TEXT => {
                    came.push(String::from_utf8(frame.payload).expect("a text is UTF-8"));
                }
                // SockJS's own last word is a text, too.
                Ok(frame) if frame.op == Op::CLOSE => break,
                Ok(frame) => panic!("{}: {frame:?}", transport.name),
                Err(Fill::Eof) => break,
                Err(end) => panic!("{}: cut at {cut}: {end:?}", transport.name),
            }
        }
        came.retain(|text| text != "c[1006,\"Connection lost\"]");
        let expected: Vec<_> =
            [FIRST, SECOND][..whole].iter().map(|text| (transport.receives)(text)).collect();
        assert_eq!(came, expected, "{}: cut at {cut}", transport.name);
    });
}

const FIRST: &str = "the-first";
const SECOND: &str = "the-second";
/// More than the kernels take for a client that reads nothing (4 MB).
const LONG: usize = 6_000_000;

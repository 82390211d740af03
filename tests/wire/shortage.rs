//! `memory_max`: what is refused when buffers take nearly all of it, and that it is served again afterwards.

use std::io::Write as _;
use std::net::TcpListener;
use std::thread;

use crate::support::frames::{Frame, Masked, Op, Socket};
use crate::support::http::{Client, Response, head};
use crate::support::multiplexed::Multiplexed;
use crate::support::poller::{POLLING, WEBSOCKET};
use crate::support::script::{Kind, Script};
use crate::support::target::Target;
use crate::support::wire::Wire;
use crate::support::world::{Excluded, proxy_is_asked};
use crate::support::{SOON, Setup, World, eventually, metrics};

const MEMORY_MAX: usize = 4_000_000;
/// Between 90 % and all of it.
const BODY_LEN: usize = 3_800_000;

fn counted(world: &World) -> usize {
    let text = Client::connect(world.target.admin).get("/metrics").text().to_owned();
    let bytes = text.lines().find_map(|line| line.strip_prefix("polliwog_buffers_bytes "));
    bytes.expect("the budget has a limit").parse().unwrap()
}

#[track_caller]
fn assert_short(refused: &Response) {
    let told = (refused.status, refused.header("retry-after"));
    assert_eq!(told, (503, Some("5")), "{refused:?}");
    assert!(refused.text().contains("the proxy is short of memory"), "{refused:?}");
}

#[test]
fn from_nine_tenths_of_the_memory_on_no_session_of_any_dialect_begins() {
    let more = ["sockjs", "longpoll", "websocket"].map(|dialect| {
        format!("[[routes]]\npath = \"/{dialect}/\"\ndialect = \"{dialect}\"\nupstream = \"b\"\n")
    });
    let site = "[[routes]]\npath = \"/site/\"\ndialect = \"http\"\nupstream = \"nowhere\"\n\
                [upstreams.nowhere]\nkind = \"http\"\nurl = \"http://127.0.0.1:9/\"\n";
    let limits = format!("[limits]\nmemory_max = {MEMORY_MAX}\n");
    let setup = Setup { path: "/engine.io/", ..Setup::plain() }.route("max_payload = \"8MB\"");
    let setup = Setup { sections: format!("{limits}{}{site}", more.concat()), ..setup };
    let setup = Setup { script: Script::new(Kind::WebSocket), ..setup };
    let world = World::start_with(&setup, Target::proxy);
    let (poller, _peer) = world.poller();

    // A POST that comes in pieces, and whose end does not come.
    let target = poller.target();
    let mut body = Wire::connect(world.target.public);
    body.send(format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY_LEN}\r\n\r\n4").as_bytes());
    body.send(&vec![b'x'; BODY_LEN - 2]);
    eventually(
        || counted(&world) >= MEMORY_MAX / 10 * 9,
        || format!("{} bytes are counted", counted(&world)),
    );
    let ask = |method: &str, target: &str, body: &[u8]| {
        Client::connect(world.target.public).request(method, target, &[], body)
    };
    for refused in [
        ask("GET", POLLING, b""),
        ask("POST", "/sockjs/000/a/xhr", b""),
        ask("POST", "/longpoll/", b""),
        ask("POST", "/site/", b"a body"),
        Socket::try_connect(world.target.public, WEBSOCKET, &[]).unwrap_err(),
        Socket::try_connect(world.target.public, "/websocket/", &[]).unwrap_err(),
        Socket::try_connect(world.target.public, "/sockjs/websocket", &[]).unwrap_err(),
    ] {
        assert_short(&refused);
    }
    // It holds little: only its backend is missing.
    assert_eq!(ask("GET", "/site/", b"").status, 502);
    // Those who are there are served, so a balancer keeps sending them here.
    metrics::assert_readiness(world.target.admin, 200);
    assert_eq!(world.sessions(), 1);

    body.send(b"x");
    Client { wire: body }.answer().assert(200, "ok");
    eventually(|| ask("GET", POLLING, b"").status == 200, || "there is room again".to_owned());
}

#[test]
fn large_headers_are_counted_and_from_nine_tenths_of_the_memory_on_their_requests_are_refused() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let sections = format!(
        "[[routes]]\npath = \"/longpoll/\"\ndialect = \"longpoll\"\nupstream = \"b\"\n\
         [[routes]]\npath = \"/site/\"\ndialect = \"http\"\nupstream = \"silent\"\n\
         [upstreams.silent]\nkind = \"http\"\nurl = \"{url}\"\n[limits]\nmemory_max = {MEMORY_MAX}\n"
    );
    let setup = Setup { sections, path: "/engine.io/", ..Setup::plain() }.server("h2c = true");
    let setup = Setup { script: Script::new(Kind::WebSocket), ..setup };
    let world = World::start_with(&setup, Target::proxy);
    let (mut poller, peer) = world.poller();
    let public = world.target.public;
    let cookie = "c".repeat(5000);
    let large = [("cookie", &*cookie); 8];
    let len = large.len() * cookie.len();
    let counts = |what: &str, expected: &dyn Fn(usize) -> bool| {
        eventually(|| expected(counted(&world)), || format!("{what}: {} bytes", counted(&world)));
    };

    // What is kept while a backend, or the rest of a body, is awaited, and no longer.
    let mut h1 = Client::connect(public);
    h1.send("GET", "/site/", &large, b"");
    counts("forwarded by HTTP/1.1", &|counted| (3 * len..7 * len).contains(&counted));
    drop(h1);
    counts("its client is gone", &|counted| counted == 0);
    let mut unfinished = Client::connect(public);
    let head = head("POST", "/longpoll/", &[&large[..], &[("transfer-encoding", "chunked")]].concat());
    unfinished.wire.send(head.as_bytes());
    counts("begun by HTTP/1.1", &|counted| (len..5 * len).contains(&counted));
    unfinished.wire.send(b"1\r\nx\r\n0\r\n\r\n");
    unfinished.answer();
    counts("it is answered", &|counted| counted == 0);
    let mut parked = Client::connect(public);
    parked.send("GET", &poller.target(), &large, b"");
    parked.assert_parked();
    assert_eq!(counted(&world), 0, "a poll keeps no header");
    peer.send("for the poll");
    parked.answer().assert(200, "4for the poll");

    let many = Multiplexed::connect(public);
    while counted(&world) < MEMORY_MAX / 10 * 9 {
        let before = counted(&world);
        drop(many.send_with("GET", "/site/", &large, ""));
        counts("forwarded by HTTP/2", &|counted| (before + 2 * len..before + 5 * len).contains(&counted));
    }
    for (method, target) in [("GET", "/site/"), ("POST", "/longpoll/"), ("GET", POLLING)] {
        let (status, text) = many.answer(many.send_with(method, target, &large, "")).unwrap();
        assert_eq!((status, &*text), (503, "the proxy is short of memory\n"), "{method} {target}");
        assert_short(&Client::connect(public).request(method, target, &large, b""));
    }
    assert!(metrics::has_counted(world.target.admin, "polliwog_limited_total", &["memory_max"]));
    // Others are served.
    poller.post_ok("4usual");
    peer.assert_text("usual");
    drop(many);
    counts("all are gone", &|counted| counted == 0);
    assert_ne!(Client::connect(public).request("GET", POLLING, &large, b"").status, 503);
}

#[test]
fn a_large_header_counts_before_it_has_come_in_full_and_is_refused_once_memory_is_short() {
    const MAX: usize = MEMORY_MAX / 2;
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    let sections = format!("[limits]\nmemory_max = {MAX}\nheader_timeout = \"2m\"\n");
    let world = World::start_with(&Setup { sections, ..Setup::new() }, Target::proxy);
    let (mut poller, peer) = world.poller();
    let public = world.target.public;
    let counts = |what: &str, expected: &dyn Fn(usize) -> bool| {
        eventually(|| expected(counted(&world)), || format!("{what}: {} bytes", counted(&world)));
    };
    let begun = format!("GET {POLLING} HTTP/1.1\r\nHost: h\r\nCookie: {}", "c".repeat(60_000));
    let unfinished = |len: usize| {
        let mut wire = Wire::connect(public);
        wire.send(&begun.as_bytes()[..len]);
        wire
    };

    let small = unfinished(8000);
    let ours = Client::connect(public);
    poller.post_ok("4usual");
    peer.assert_text("usual");
    assert_eq!(counted(&world), 0, "what each request may take");
    let mut large = unfinished(begun.len());
    counts("one is large", &|counted| (begun.len()..3 * begun.len()).contains(&counted));
    large.send(b"\r\n\r\n");
    Client { wire: large }.answer();
    counts("it is answered", &|counted| counted == 0);
    drop((small, ours));

    let mut held = Vec::new();
    while counted(&world) + 2 * begun.len() < MAX / 10 * 9 {
        let before = counted(&world);
        held.push(unfinished(begun.len()));
        counts("many are large", &|counted| counted > before + begun.len());
    }
    let mut late = Client { wire: unfinished(begun.len()) };
    assert_short(&late.answer());
    assert!(late.ends_within(SOON));
    // Those that were there go on, once there is room for what is made of them.
    held.truncate(5);
    counts("most are gone", &|counted| counted < MAX / 2);
    let mut first = held.remove(0);
    first.send(b"\r\n\r\n");
    assert_ne!(Client { wire: first }.answer().status, 503);
    assert!(metrics::has_counted(world.target.admin, "polliwog_limited_total", &["memory_max"]));
    poller.post_ok("4served");
    peer.assert_text("served");
    drop(held);
    counts("all are gone", &|counted| counted == 0);
}

#[test]
fn what_waits_in_a_relay_is_counted_in_either_direction_until_its_end() {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    let world = World::start_with(&Setup::sockets().script(|script| script.narrow = true), Target::proxy);
    let relayed = || {
        let socket = Socket::try_connect(world.target.public, "/engine.io/", &[]).unwrap();
        (socket, world.accept())
    };
    let frees = || eventually(|| counted(&world) == 0, || format!("{} bytes are counted", counted(&world)));
    // Once the systems of both sides take no more, the rest of one read waits.
    let waits = || eventually(|| counted(&world) > 0, || "nothing is counted".to_owned());

    let (silent, peer) = relayed();
    frees();
    let line = peer.line().clone();
    let flood = thread::spawn(move || line.flood(0, |_| "f".repeat(1000), 64 << 20, SOON));
    waits();
    drop(silent);
    frees();
    flood.join().unwrap();

    let (socket, silent) = relayed();
    silent.line().pause();
    let mut writer = socket.wire.writer();
    let frame = Frame::new(Op::TEXT, "f".repeat(1000)).encode(Masked::Yes);
    let flood = thread::spawn(move || while writer.write_all(&frame).is_ok() {});
    waits();
    socket.wire.close();
    silent.line().resume();
    frees();
    flood.join().unwrap();
}

#[test]
fn a_candidate_may_send_less_than_its_session_until_it_has_upgraded() {
    let Some(world) = World::proxy_only(Setup::new(), Excluded::OnlyAProxyHasThis) else { return };
    let (poller, peer) = world.poller();
    let mut socket = poller.upgrade();
    socket.send(&"2".repeat(5000));
    let frame = socket.frame();
    assert_eq!((frame.op, frame.code()), (Op::CLOSE, Some(1009)));
    let mut socket = poller.probe();
    let long = "x".repeat(100_000);
    // In one go: what follows is the session's.
    socket.wire.send(
        &[Frame::new(Op::TEXT, "5"), Frame::new(Op::TEXT, format!("4{long}"))]
            .map(|frame| frame.encode(Masked::Yes))
            .concat(),
    );
    peer.assert_text(&long);
}

//! `memory_max`: what is refused when buffers take nearly all of it, and that it is served again afterwards.

use std::io::Write as _;
use std::thread;

use crate::support::frames::{Frame, Masked, Op, Socket};
use crate::support::http::{Client, Response};
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

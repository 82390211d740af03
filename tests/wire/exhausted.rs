//! A system that has no more to give: no descriptors, no room on a disk for the log. Clients that are there are served on,
//! and newcomers as soon as there is something again.

use std::net::TcpStream;

use crate::support::frames::Socket;
use crate::support::http::{Client, Response};
use crate::support::poller::{POLLING, Poller, WEBSOCKET};
use crate::support::script::{Kind, Script};
use crate::support::sockjs::Stream;
use crate::support::target::Target;
use crate::support::world::{Excluded, proxy_is_asked};
use crate::support::{SOON, Setup, World, eventually, is_so_within, metrics};

/// Starts the proxy behind what a shell does first, with a route of each dialect.
fn start_behind(before: &str, log: &'static str) -> Option<World> {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return None;
    }
    let route = |path: &str, dialect: &str, relay: &str| {
        format!("[[routes]]\npath = \"/{path}/\"\ndialect = \"{dialect}\"\nupstream = \"b\"\n{relay}")
    };
    let routes = [
        route("sockjs", "sockjs", ""),
        route("longpoll", "longpoll", ""),
        route("framed", "websocket", "relay = false\n"),
        route("relayed", "websocket", ""),
        route("site", "http", "").replace("\"b\"", "\"nowhere\""),
        "[upstreams.nowhere]\nkind = \"http\"\nurl = \"http://127.0.0.1:9/\"\n".to_owned(),
    ];
    let setup = Setup { path: "/engine.io/", log, sections: routes.concat(), ..Setup::plain() };
    let setup = Setup { script: Script::new(Kind::WebSocket), ..setup }.server("drain_timeout = \"4s\"");
    Some(World::start_with(&setup, |setup, backend| {
        Target::proxy_in(|_| {}, before, |public, admin| setup.toml(public, admin, backend))
    }))
}

/// Asks for a new session of each dialect, and for a page; returns the statuses, and how long to wait.
fn newcomers(world: &World) -> Vec<(u16, Option<String>)> {
    let public = world.target.public;
    let told = |answer: &Response| (answer.status, answer.header("retry-after").map(str::to_owned));
    let ask = |method: &str, target: &str| told(&Client::connect(public).request(method, target, &[], b""));
    let socket = |target: &str| match Socket::try_connect(public, target, &[]) {
        Ok(_) => (101, None),
        Err(refused) => told(&refused),
    };
    vec![
        ask("GET", POLLING),
        socket(WEBSOCKET),
        ask("POST", "/sockjs/000/a/xhr"),
        socket("/sockjs/websocket"),
        ask("POST", "/longpoll/"),
        socket("/framed/"),
        socket("/relayed/"),
        ask("GET", "/site/"),
    ]
}

fn statuses(world: &World) -> Vec<u16> {
    newcomers(world).into_iter().map(|(status, _)| status).collect()
}

#[test]
fn without_descriptors_those_who_are_there_are_served_and_newcomers_later() {
    let Some(world) = start_behind("ulimit -n 120;", "warn") else { return };
    let public = world.target.public;
    let mut poller = Poller::handshake(public);
    let polling = world.accept();
    poller.post_ok("4a connection for each");
    polling.assert_text("a connection for each");
    let mut sockets = ["/framed/", "/relayed/"].map(|path| {
        let socket = Socket::try_connect(public, path, &[]).unwrap();
        (socket, world.accept())
    });
    let mut stream = Stream::open_at(public, "POST", "/sockjs/000/b/xhr_streaming");
    stream.assert(&format!("{}\n", "h".repeat(2048)));
    stream.assert("o\n");
    let streaming = world.accept();
    let mut serves = |turn: &str| {
        polling.send(turn);
        assert_eq!(poller.poll(), format!("4{turn}"));
        poller.post_ok(format!("4{turn}"));
        polling.assert_text(turn);
        for (socket, peer) in &mut sockets {
            socket.send(turn);
            peer.assert_text(turn);
            peer.send(turn);
            socket.assert_text(turn);
        }
        streaming.send(turn);
        stream.assert(&format!("a[\"{turn}\"]\n"));
    };
    serves("before");

    // Connections that say nothing, until one is left in the listener's queue.
    let is_short = || metrics::has_counted(world.target.admin, "polliwog_accept_errors_total", &[]);
    let mut fillers = Vec::new();
    eventually(
        || {
            fillers.push(TcpStream::connect(public).unwrap());
            is_short()
        },
        || "there is a descriptor for each".to_owned(),
    );
    // Those that the scrapes had.
    fillers.extend((0..4).map(|_| TcpStream::connect(public).unwrap()));
    for refused in newcomers(&world) {
        // By the listener, or, if the last descriptor is the client's, where one for its backend is missing.
        assert!(matches!(&refused, (503, Some(_))), "{refused:?}");
        serves("meanwhile");
    }
    // The operator's listener has a reserve.
    assert_eq!(metrics::livez(world.target.admin).status, 200);
    let told = |what: &str| world.log().matches(what).count();
    assert!(told("file descriptors") > 1 && told("no file descriptors left") <= 1, "{}", world.log());

    drop(fillers);
    let comes_in = || Client::connect(public).get(POLLING).status == 200;
    assert!(is_so_within(SOON, comes_in), "nobody comes in again: {}", world.log());
    assert_eq!(statuses(&world), SERVED);
    serves("afterwards");
}

#[test]
fn a_log_that_cannot_be_written_harms_nobody() {
    // Each write there fails, as on a disk that is full.
    let Some(mut world) = start_behind("exec 2> /dev/full;", "trace") else { return };
    assert_eq!(statuses(&world), SERVED);
    let mut socket = Socket::try_connect(world.target.public, "/framed/", &[]).unwrap();
    socket.send("hello");
    assert_eq!(Client::connect(world.target.admin).post("/api/reload", "").status, 200);
    world.target.signal("TERM");
    socket.assert_closed(Some(1001));
    let exit = world.target.exit_within(SOON * 3).expect("it ends");
    assert_eq!(exit.code(), Some(0));
}

/// What newcomers get while there is enough of everything. No page is there.
const SERVED: [u16; 8] = [200, 101, 200, 101, 201, 101, 101, 502];

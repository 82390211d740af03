//! A node of a cluster whose processes succeed each other: the other nodes find all sessions of all of its processes.

use std::net::SocketAddr;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;

use crate::nodes::shown;
use crate::support::feed::Feed;
use crate::support::frames::Socket;
use crate::support::http::{Client, Response};
use crate::support::poller::{POLLING, Poller};
use crate::support::processes::Processes;
use crate::support::setup::Setup;
use crate::support::sockjs;
use crate::support::target::{Target, free_port};
use crate::support::world::TOKEN;
use crate::support::{Op, QUIET, eventually};

/// A node whose processes succeed each other, and what another node needs to start.
struct Site {
    processes: Processes,
    other: Setup,
}

impl Site {
    fn start(setup: &Setup) -> Self {
        let (first, second) = (free_port(), free_port());
        let of = |listen| {
            let sections = format!(
                "[cluster]\nlisten = \"{listen}\"\npeers = {{ a = \"{first}\", b = \"{second}\" }}\ntoken = \"{TOKEN}\"\n"
            );
            Setup { sections, ..setup.clone() }
        };
        Self { processes: Processes::start_with(&of(first), "30s", |_| {}), other: of(second) }
    }

    /// Starts the other node, which connects the process that accepts now.
    fn other(&self) -> Target {
        Target::proxy(&self.other, self.processes.world.backend().addr)
    }

    /// Calls `check` with another node that is connected to the process before, and with one that is connected to its
    /// successor. `begin` has begun a session at the process before.
    fn each<S>(&self, begin: impl Fn() -> S, mut check: impl FnMut(&Target, S)) {
        let session = begin();
        let other = self.other();
        self.processes.succeed();
        check(&other, session);
        let session = begin();
        drop(other);
        self.processes.succeed();
        check(&self.other(), session);
    }
}

#[test]
fn another_node_asks_the_successor_for_sessions_of_the_process_before() {
    let (first, second) = (free_port(), free_port());
    let sections = |listen| {
        format!(
            "[cluster]\nlisten = \"{listen}\"\npeers = {{ a = \"{first}\", b = \"{second}\" }}\ntoken = \"{TOKEN}\"\n"
        )
    };
    let setup = Setup { sections: sections(first), ..Setup::new() };
    let processes = Processes::start_with(&setup, "30s", |_| {});
    let backend = processes.world.backend().addr;
    let other = Target::proxy(&Setup { sections: sections(second), ..Setup::new() }, backend);
    // One connection between the nodes is made before, and one after.
    for asked_before in [true, false] {
        let (mut poller, peer) = processes.world.poller();
        let talk = |poller: &mut Poller| {
            (poller.gets, poller.posts) = (Client::connect(other.public), Client::connect(other.public));
            poller.post_ok("4up");
            peer.assert_text("up");
            peer.send("down");
            assert_eq!(poller.poll(), "4down");
        };
        if asked_before {
            talk(&mut poller);
        }
        processes.succeed();
        talk(&mut poller);
        let (mut young, young_peer) = processes.world.poller();
        (young.gets, young.posts) = (Client::connect(other.public), Client::connect(other.public));
        young.post_ok("4up");
        young_peer.assert_text("up");
        // Of both processes.
        eventually(
            || shown(other.admin, "a")["sessions"] == 2,
            || format!("two sessions: {}", shown(other.admin, "a")),
        );
    }
}

fn post(node: SocketAddr, sid: &str, what: &str, body: &str) -> Response {
    Client::connect(node).request("POST", &sockjs::target(sid, what), &[], body.as_bytes())
}

#[test]
fn another_node_finds_a_session_of_a_clients_id_at_the_process_before() {
    let site = Site::start(&sockjs::setup(""));
    let world = &site.processes.world;
    let begin = |sid: &str| {
        post(world.addr, sid, "xhr", "").assert(200, "o\n");
        (sid.to_owned(), world.accept())
    };
    let names = std::cell::Cell::new(0);
    let begin_next = || {
        names.set(names.get() + 1);
        begin(&format!("session{}", names.get()))
    };
    site.each(begin_next, |other, (sid, peer)| {
        let young = format!("young-{sid}");
        for (sid, peer) in [(sid, peer), begin(&young)] {
            for turn in 0..3 {
                post(other.public, &sid, "xhr_send", r#"["hello"]"#).assert(204, "");
                peer.assert_text("hello");
                peer.send("hi");
                let node = if turn == 1 { world.addr } else { other.public };
                post(node, &sid, "xhr", "").assert(200, "a[\"hi\"]\n");
            }
            let mut stream =
                sockjs::Stream::open_at(other.public, "POST", &sockjs::target(&sid, "xhr_streaming"));
            stream.chunk();
            peer.send("streamed");
            stream.assert("a[\"streamed\"]\n");
            // A second receiver is refused wherever it comes.
            for node in [world.addr, other.public] {
                post(node, &sid, "xhr", "").assert(200, "c[2010,\"Another connection still open\"]\n");
            }
            peer.close();
            stream.assert("c[1000,\"Normal closure\"]\n");
            // Its end is remembered, and begins no new session.
            for node in [other.public, world.addr] {
                assert!(post(node, &sid, "xhr", "").text().starts_with("c["));
            }
        }
        // What nobody has is unknown, and begins where its client comes.
        let new = format!("new-{young}");
        post(other.public, &new, "xhr_send", r#"["hello"]"#).assert(404, "404 Error: Page not found\n");
        post(other.public, &new, "xhr", "").assert(200, "o\n");
        let peer = world.accept();
        post(world.addr, &new, "xhr_send", r#"["hello"]"#).assert(204, "");
        peer.assert_text("hello");
    });
    assert!(matches!(world.backend().peers.recv_timeout(QUIET), Err(RecvTimeoutError::Timeout)));
}

#[test]
fn another_node_finds_a_session_of_a_backends_id_at_the_process_before() {
    let versions = "versions = [3, 4]";
    let site = Site::start(&Setup::new().route(versions).upstream(versions));
    let world = &site.processes.world;
    let old = POLLING.replace("EIO=4", "EIO=3");
    let begin = || {
        let opened = world.get(&old).text().to_owned();
        let sid = opened.split_once("\"sid\":\"").unwrap().1.split_once('"').unwrap().0.to_owned();
        (sid, world.accept())
    };
    site.each(begin, |other, (sid, peer)| {
        let target = format!("{old}&sid={sid}");
        for node in [other.public, world.addr] {
            Client::connect(node).post(&target, "6:4hello").assert(200, "ok");
            peer.assert_text("hello");
            peer.send("hi");
            Client::connect(node).get(&target).assert(200, "3:4hi");
        }
        let mut parked = Client::connect(other.public);
        parked.send_get(&target);
        parked.assert_parked();
        peer.send("late");
        parked.answer().assert(200, "5:4late");
        let mut socket =
            Socket::connect(other.public, &target.replace("transport=polling", "transport=websocket"));
        socket.send("2probe");
        socket.assert_text("3probe");
        socket.send("5");
        socket.send("4by socket");
        peer.assert_text("by socket");
        peer.send("by socket");
        socket.assert_text("4by socket");
        peer.close();
        while socket.frame().op != Op::CLOSE {}
        let unknown = Client::connect(other.public).get(&format!("{old}&sid=nobodynobodynobody01"));
        assert_eq!(unknown.status, 400, "{unknown:?}");
    });
}

#[test]
fn another_node_finds_a_longpoll_session_at_the_process_before() {
    let site = Site::start(&Setup { dialect: "longpoll", path: "/feed/", ..Setup::plain() });
    let world = &site.processes.world;
    let begin = || (Feed::begin(world.addr), world.accept());
    site.each(begin, |other, (mut feed, peer)| {
        let mut after = 0;
        for node in [other.public, world.addr] {
            (feed.gets, feed.posts) = (Client::connect(node), Client::connect(node));
            for text in ["one", "two"] {
                feed.park(&format!("after={after}"));
                peer.send(text);
                after += 1;
                let body = format!(r#"{{"after":{after},"messages":[{{"id":{after},"text":"{text}"}}]}}"#);
                feed.gets.answer().assert(200, &body);
            }
            assert_eq!(feed.post("", b"up").status, 204);
            peer.assert_text("up");
        }
    });
}

#[test]
fn first_receivers_at_another_node_and_at_two_processes_begin_one_session() {
    let site = Site::start(&sockjs::setup(""));
    let world = &site.processes.world;
    let other = site.other();
    let rounds = 20;
    // A process that has left serves the connections that it has.
    let mut before: Vec<_> = (0..rounds).map(|_| world.http()).collect();
    for one in &mut before {
        let answer = one.request("GET", "/echo/info", &[], b"");
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    site.processes.succeed();
    for (round, before) in before.into_iter().enumerate() {
        let sid = format!("race{round}");
        // Every pair of the three.
        let after = Client::connect(if round % 2 == 0 { other.public } else { world.addr });
        let last = (round % 4 == 0).then(|| world.http());
        let asked: Vec<_> = [Some(before), Some(after), last]
            .into_iter()
            .flatten()
            .map(|mut client| {
                let target = sockjs::target(&sid, "xhr");
                thread::spawn(move || client.request("POST", &target, &[], b"").text().to_owned())
            })
            .collect();
        let peer = world.accept();
        peer.close();
        let answers: Vec<_> = asked.into_iter().map(|asked| asked.join().unwrap()).collect();
        let begun = answers.iter().filter(|answer| *answer == "o\n").count();
        let ended = answers.iter().filter(|answer| answer.starts_with("c[")).count();
        assert_eq!((begun, ended), (1, answers.len() - 1), "round {round}: {answers:?}");
    }
    assert!(matches!(world.backend().peers.recv_timeout(QUIET), Err(RecvTimeoutError::Timeout)));
}

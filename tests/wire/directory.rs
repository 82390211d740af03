//! A cluster whose nodes know of each other, and of the ids of `SockJS`, by a real Redis or NATS alone.

use std::env;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use super::support::backend::Backend;
use super::support::engine::{Engine, Kind, NATS, REDIS};
use super::support::http::{Client, Response};
use super::support::metrics;
use super::support::nodes::Network;
use super::support::sockjs::{setup, target};
use super::support::target::{Target, free_port};
use super::support::world::TOKEN;
use super::support::{Peer, QUIET, SOON, Setup, eventually, ms};

/// Nodes in front of one plain WebSocket application.
struct Cluster {
    nodes: Vec<Target>,
    backend: Backend,
    turn: usize,
}

impl Cluster {
    /// Starts three nodes that are told of the directory, and of no other node.
    fn start(lines: &str) -> Self {
        Self::start_by(|_| lines.to_owned(), "")
    }

    /// Does so with lines for each node, and these in the route.
    fn start_by(lines: impl Fn(usize) -> String, route: &str) -> Self {
        let setup = setup(route);
        let backend = Backend::listen(setup.kind, setup.script.clone());
        let node = |at| {
            let lines = lines(at);
            let sections = format!(
                "[cluster]\nlisten = \"{}\"\npeers = \"directory\"\n\
                 token = \"{TOKEN}\"\n{lines}\n",
                free_port()
            );
            Target::proxy(&Setup { sections, ..setup.clone() }, backend.addr)
        };
        let cluster = Self { nodes: (0..3).map(node).collect(), backend, turn: 0 };
        cluster.assert_complete();
        cluster
    }

    /// Waits until every node has met the others.
    fn assert_complete(&self) {
        for (at, node) in self.nodes.iter().enumerate() {
            let sid = format!("met{at}");
            post(node.public, &sid, "xhr", "").assert(200, "o\n");
            let peer = self.accept();
            for other in &self.nodes {
                let send = || post(other.public, &sid, "xhr_send", "[\"met\"]");
                eventually(|| send().status == 204, || "a node has not met another".to_owned());
                peer.assert_text("met");
            }
            peer.close();
        }
    }

    fn accept(&self) -> Peer {
        self.backend.peers.recv_timeout(SOON).expect("a session reaches the application in time")
    }

    /// Returns the next node, as a balancer would choose it.
    fn next(&mut self) -> SocketAddr {
        self.turn += 1;
        self.nodes[self.turn % self.nodes.len()].public
    }
}

fn post(node: SocketAddr, sid: &str, what: &str, body: &str) -> Response {
    Client::connect(node).request("POST", &target(sid, what), &[], body.as_bytes())
}

/// Plays tricks on a directory under traffic: no session ends, and new ones begin once each.
fn harm(kind: Kind) {
    let Some(mut engine) = Engine::start(kind) else { return };
    let mut cluster = Cluster::start(&engine.lines());
    let mut sessions = Vec::new();
    for at in 0..6 {
        let sid = format!("living{at}");
        post(cluster.next(), &sid, "xhr", "").assert(200, "o\n");
        sessions.push((sid, cluster.accept()));
    }
    let mut serve = |cluster: &mut Cluster, what: &str, lasts: Duration| {
        let until = Instant::now() + lasts;
        let mut count = 0;
        while Instant::now() < until {
            for (sid, peer) in &sessions {
                count += 1;
                let text = format!("{what}{count}");
                post(cluster.next(), sid, "xhr_send", &format!("[\"{text}\"]")).assert(204, "");
                peer.assert_text(&text);
                peer.send(&text);
                post(cluster.next(), sid, "xhr", "").assert(200, &format!("a[\"{text}\"]\n"));
            }
        }
        // New ones begin meanwhile, and once each.
        let sid = format!("new-{what}");
        post(cluster.next(), &sid, "xhr", "").assert(200, "o\n");
        sessions.push((sid, cluster.accept()));
    };
    // tests/long has more.
    let rounds = env::var("POLLIWOG_DIRECTORY_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    for round in 0..rounds {
        let mut serve =
            |cluster: &mut Cluster, what, lasts| serve(cluster, &format!("{what}{round}-"), lasts);
        serve(&mut cluster, "before", ms(500));
        engine.empty();
        serve(&mut cluster, "emptied", ms(1500));
        engine.signal("STOP");
        serve(&mut cluster, "paused", ms(1500));
        engine.signal("CONT");
        serve(&mut cluster, "continued", ms(1000));
        engine.kill();
        serve(&mut cluster, "killed", ms(1500));
        engine.start_again();
        serve(&mut cluster, "again", ms(1500));
    }
    assert!(matches!(cluster.backend.peers.recv_timeout(QUIET), Err(RecvTimeoutError::Timeout)));
    let log = cluster.nodes[0].log();
    assert!(log.contains("the directory is down; sessions go on"), "{log}");
    assert!(log.contains("the directory is up again"), "{log}");
    for (op, outcome) in
        [("find", "answered"), ("claim", "unsure"), ("claim", "failed"), ("keep", "answered")]
    {
        let labels = [format!("op=\"{op}\""), format!("outcome=\"{outcome}\"")];
        let labels = labels.each_ref().map(String::as_str);
        let has_counted =
            |node: &Target| metrics::has_counted(node.admin, "polliwog_directory_operations_total", &labels);
        assert!(cluster.nodes.iter().any(has_counted), "{op} {outcome}");
    }
}

#[test]
fn a_directory_that_is_emptied_paused_killed_and_started_again_harms_no_session() {
    harm(REDIS);
}

#[test]
fn a_nats_that_is_emptied_paused_killed_and_started_again_harms_no_session() {
    harm(NATS);
}

/// Has three nodes asked for one new session at once, time and again.
fn race(kind: Kind) {
    let Some(mut engine) = Engine::start(kind) else { return };
    let cluster = Cluster::start(&engine.lines());
    // Until its answers are believed.
    thread::sleep(Duration::from_secs(13));
    for round in 0..30 {
        let sid = format!("race{round}");
        let asked: Vec<_> = cluster
            .nodes
            .iter()
            .map(|node| {
                let (node, sid) = (node.public, sid.clone());
                thread::spawn(move || post(node, &sid, "xhr", "").text().to_owned())
            })
            .collect();
        cluster.accept().close();
        let answers: Vec<_> = asked.into_iter().map(|asked| asked.join().unwrap()).collect();
        let begun = answers.iter().filter(|answer| *answer == "o\n").count();
        assert_eq!(begun, 1, "round {round}: {answers:?}");
    }
    // It has forgotten these when it is asked by nodes that have not met them.
    let mut fresh = Vec::new();
    for at in 0..10 {
        let sid = format!("fresh{at}");
        post(cluster.nodes[0].public, &sid, "xhr", "").assert(200, "o\n");
        fresh.push((sid, cluster.accept()));
    }
    engine.empty();
    for (at, (sid, peer)) in fresh.iter().enumerate() {
        post(cluster.nodes[1 + at % 2].public, sid, "xhr_send", "[\"hello\"]").assert(204, "");
        peer.assert_text("hello");
    }
    assert!(matches!(cluster.backend.peers.recv_timeout(QUIET), Err(RecvTimeoutError::Timeout)));
}

#[test]
fn two_first_receivers_begin_one_session_by_a_directory_that_is_sure() {
    race(REDIS);
}

#[test]
fn two_first_receivers_begin_one_session_by_a_nats_that_is_sure() {
    race(NATS);
}

/// Kills the node of a session.
fn orphan(kind: Kind) {
    let Some(engine) = Engine::start(kind) else { return };
    let mut cluster = Cluster::start(&engine.lines());
    let first = cluster.nodes[0].public;
    post(first, "orphan", "xhr", "").assert(200, "o\n");
    let _peer = cluster.accept();
    cluster.nodes[0].kill();
    cluster.nodes.remove(0);
    let answer = post(cluster.next(), "orphan", "xhr", "");
    answer.assert(200, "o\n");
    let peer = cluster.accept();
    post(cluster.next(), "orphan", "xhr_send", "[\"hello\"]").assert(204, "");
    peer.assert_text("hello");
}

#[test]
fn a_session_of_a_killed_node_begins_anew_by_the_directory() {
    orphan(REDIS);
}

#[test]
fn a_session_of_a_killed_node_begins_anew_by_nats() {
    orphan(NATS);
}

/// Stops a node until another one has begun its session anew.
fn fence(kind: Kind) {
    let Some(engine) = Engine::start(kind) else { return };
    let way = Network::to(engine.addr);
    let lines = |at| if at == 0 { engine.lines_by(way.addr) } else { engine.lines() };
    let cluster = Cluster::start_by(lines, "heartbeat = \"5m\"\ndisconnect_delay = \"5m\"");
    // Until its answers are believed.
    thread::sleep(Duration::from_secs(13));
    let [old, new, _] = &cluster.nodes[..] else { unreachable!() };
    post(old.public, "fenced", "xhr", "").assert(200, "o\n");
    let before = cluster.accept();
    let mut waiting = Client::connect(old.public);
    waiting.send("POST", &target("fenced", "xhr"), &[], b"");
    waiting.assert_parked();
    old.signal("STOP");
    engine.expire();
    if kind == NATS {
        way.cut();
    }
    let begins = || post(new.public, "fenced", "xhr", "").text() == "o\n";
    eventually(begins, || format!("the session does not begin again: {}", new.log()));
    let after = cluster.accept();
    // Until the other nodes take it for gone.
    thread::sleep(Duration::from_secs(7));
    old.signal("CONT");
    // Its client is told of no end, and the application of one.
    let answer = waiting.answer_within(8 * SOON).expect("the poll that waits is answered");
    answer.assert(200, "h\n");
    before.assert_closed();
    assert!(metrics::has_counted(old.admin, "polliwog_sessions_closed_total", &["reason=\"taken_over\""]));
    for node in &cluster.nodes {
        post(node.public, "fenced", "xhr_send", "[\"hello\"]").assert(204, "");
        after.assert_text("hello");
    }
    after.send("bye");
    post(old.public, "fenced", "xhr", "").assert(200, "a[\"bye\"]\n");
}

#[test]
fn a_session_that_was_taken_over_ends_where_it_was() {
    fence(REDIS);
}

#[test]
fn a_session_that_was_taken_over_by_nats_ends_where_it_was() {
    fence(NATS);
}

/// Has nodes meet by TLS and as a user, also after the server was away.
fn meet(kind: Kind) {
    let Some(mut engine) = Engine::start(kind) else { return };
    let cluster = Cluster::start(&(engine.lines() + "directory_name = \"chat\"\n"));
    let (code, out) = check(&cluster.nodes[0]);
    assert!(code == Some(0) && out.contains(": ok, nodes that are there: 3\n"), "{out}");
    assert_eq!(out.matches(": ok, version ").count(), 3, "{out}");
    assert_up(&cluster.nodes[0], 1);
    engine.kill();
    let is_told = |text: &'static str| {
        let all = || cluster.nodes.iter().all(|node| node.log().contains(text));
        eventually(all, || format!("{text}: {}", cluster.nodes[0].log()));
    };
    is_told("the directory is down; sessions go on");
    assert_up(&cluster.nodes[0], 0);
    let ready = metrics::readyz(cluster.nodes[0].admin);
    assert!(ready.status == 200 && ready.text().contains("the directory is down\n"), "{ready:?}");
    engine.start_again();
    is_told("the directory is up again");
    assert_up(&cluster.nodes[0], 1);
    for node in &cluster.nodes {
        assert!(!node.log().contains("secret"), "{}", node.log());
    }
}

#[test]
fn a_directory_takes_a_user_who_may_do_no_more_than_it_needs() {
    meet(REDIS.with_user());
}

#[test]
fn a_nats_takes_a_user_who_may_do_no_more_than_it_needs() {
    meet(NATS.with_user());
}

#[test]
fn a_directory_takes_a_user_by_tls() {
    meet(REDIS.with_user().with_tls());
}

#[test]
fn a_nats_takes_a_user_by_tls() {
    meet(NATS.with_user().with_tls());
}

#[test]
fn a_nats_takes_a_token() {
    meet(NATS.with_token());
}

#[test]
fn a_directory_takes_those_with_a_certificate() {
    meet(REDIS.with_user().with_certificates());
}

#[test]
fn a_nats_knows_its_user_by_a_certificate() {
    meet(NATS.with_certificates());
}

/// Gives a node another password than the server's.
fn refuse(kind: Kind, said: &str) {
    let Some(engine) = Engine::start(kind.with_user()) else { return };
    let (setup, listen) = (setup(""), free_port());
    let backend = Backend::listen(setup.kind, setup.script.clone());
    let sections = format!(
        "[cluster]\nlisten = \"{listen}\"\npeers = {{ a = \"{listen}\" }}\ntoken = \"{TOKEN}\"\n{}",
        engine.lines_with(&engine.url_with("hunter22"))
    );
    let node = Target::proxy(&Setup { sections, ..setup }, backend.addr);
    eventually(|| node.log().contains("the directory is down; sessions go on"), || node.log());
    assert!(node.log().contains(said) && !node.log().contains("hunter22"), "{}", node.log());
    metrics::assert_readiness(node.admin, 200);
    assert!(metrics::readyz(node.admin).text().contains("the directory is down\n"));
    assert_up(&node, 0);
    post(node.public, "one", "xhr", "").assert(200, "o\n");
    let (code, out) = check(&node);
    assert!(code == Some(1) && out.contains(said) && !out.contains("hunter22"), "{out}");
}

#[test]
fn a_directory_that_refuses_the_password_is_told_and_harms_nothing() {
    refuse(REDIS, "Password authentication failed");
}

#[test]
fn a_nats_that_refuses_the_password_is_told_and_harms_nothing() {
    refuse(NATS, "authorization violation");
}

/// Checks the configuration of a node.
fn check(node: &Target) -> (Option<i32>, String) {
    let mut check = Command::new(env!("CARGO_BIN_EXE_polliwog"));
    check.args(["check", "--cluster", "--config"]).arg(node.folder().join("config.toml"));
    let output = check.output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// Waits until a node shows whether its directory is up.
fn assert_up(node: &Target, up: u8) {
    let line = format!("\npolliwog_directory_up {up}\n");
    let metrics = || Client::connect(node.admin).get("/metrics").text().to_owned();
    eventually(|| metrics().contains(&line), metrics);
}

#[test]
fn a_directory_with_another_certificate_is_met_again_with_what_the_files_hold_then() {
    for kind in [REDIS.with_certificates(), NATS.with_certificates()] {
        let Some(mut engine) = Engine::start(kind) else { return };
        let cluster = Cluster::start(&engine.lines());
        let are_all = |up: &str| {
            let shows = |node: &Target| {
                let shown = Client::connect(node.admin).get("/metrics");
                shown.text().lines().any(|line| line == format!("polliwog_directory_up {up}"))
            };
            cluster.nodes.iter().all(shows)
        };
        engine.kill();
        engine.renew();
        eventually(|| are_all("0"), || format!("{kind:?}: it is gone"));
        engine.start_again();
        eventually(|| are_all("1"), || format!("{kind:?}: {}", cluster.nodes[0].log()));
    }
}

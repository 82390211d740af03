//! A cluster whose nodes know of each other, and of the ids of `SockJS`, by a real Redis alone.

use std::net::SocketAddr;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use super::support::backend::Backend;
use super::support::http::{Client, Response};
use super::support::redis::Redis;
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
    fn start(url: &str, lines: &str) -> Self {
        let setup = setup("");
        let backend = Backend::listen(setup.kind, setup.script.clone());
        let node = || {
            let sections = format!(
                "[cluster]\nlisten = \"{}\"\npeers = \"directory\"\ndirectory = \"{url}\"\n\
                 token = \"{TOKEN}\"\n{lines}\n",
                free_port()
            );
            Target::proxy(&Setup { sections, ..setup.clone() }, backend.addr)
        };
        let cluster = Self { nodes: vec![node(), node(), node()], backend, turn: 0 };
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

fn url(redis: &Redis) -> String {
    format!("redis://{}/0", redis.addr)
}

#[test]
fn a_directory_that_is_emptied_paused_killed_and_started_again_harms_no_session() {
    let Some(mut redis) = Redis::start("") else { return };
    let mut cluster = Cluster::start(&url(&redis), "");
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
    serve(&mut cluster, "before", ms(500));
    redis.empty();
    serve(&mut cluster, "emptied", ms(1500));
    redis.signal("STOP");
    serve(&mut cluster, "paused", ms(1500));
    redis.signal("CONT");
    serve(&mut cluster, "continued", ms(1000));
    redis.kill();
    serve(&mut cluster, "killed", ms(1500));
    redis.start_again();
    serve(&mut cluster, "again", ms(1500));
    assert!(matches!(cluster.backend.peers.recv_timeout(QUIET), Err(RecvTimeoutError::Timeout)));
    let log = cluster.nodes[0].log();
    assert!(log.contains("the directory is down; sessions go on"), "{log}");
    assert!(log.contains("the directory is up again"), "{log}");
}

#[test]
fn two_first_receivers_begin_one_session_by_a_directory_that_is_sure() {
    let Some(redis) = Redis::start("") else { return };
    let cluster = Cluster::start(&url(&redis), "");
    // Until its answers are believed.
    thread::sleep(Duration::from_secs(11));
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
    assert!(matches!(cluster.backend.peers.recv_timeout(QUIET), Err(RecvTimeoutError::Timeout)));
}

#[test]
fn a_session_of_a_killed_node_begins_anew_by_the_directory() {
    let Some(redis) = Redis::start("") else { return };
    let mut cluster = Cluster::start(&url(&redis), "");
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
fn a_directory_takes_a_user_who_may_do_no_more_than_it_needs() {
    let acl = "user default off\nuser polliwog on >secret ~polliwog:* resetchannels -@all +eval +get +set +mget +unlink +zadd \
               +zrange +zrem +zremrangebyscore +time +select +hello +ping +client|setinfo";
    let acl = acl.replace("+client|setinfo", "+client");
    let Some(redis) = Redis::start(&acl) else { return };
    let url = format!("redis://polliwog:secret@{}/0", redis.addr);
    let cluster = Cluster::start(&url, "directory_name = \"chat\"");
    for node in &cluster.nodes {
        assert!(!node.log().contains("secret"), "{}", node.log());
    }
}

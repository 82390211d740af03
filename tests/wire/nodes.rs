//! What an operator sees of the nodes of a cluster: `/api/nodes`, `/readyz` and the metrics.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::support::backend::Backend;
use super::support::http::Client;
use super::support::poller::Poller;
use super::support::target::{Target, free_port};
use super::support::world::TOKEN;
use super::support::{SOON, Setup, World, eventually, metrics};

/// Returns one node as another shows it.
pub(crate) fn shown(admin: SocketAddr, name: &str) -> Value {
    let answer = Client::connect(admin).get("/api/nodes");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let all: Value = serde_json::from_slice(&answer.body).unwrap();
    let nodes = all["nodes"].as_array().unwrap();
    nodes.iter().find(|node| node["name"] == name).cloned().unwrap_or_default()
}

#[track_caller]
fn assert_state(admin: SocketAddr, name: &str, state: &str) {
    eventually(|| shown(admin, name)["state"] == state, || format!("{state}: {}", shown(admin, name)));
}

#[test]
fn a_node_shows_the_others_and_notices_when_one_is_killed() {
    let mut world = World::foreign(&Setup::new());
    let other = world.other.as_ref().unwrap().admin;
    assert_state(other, "a", "up");
    let (mut poller, peer) = world.poller();
    for _ in 0..3 {
        poller.post_ok("4hello");
        peer.assert_text("hello");
    }
    let (a, b) = (shown(other, "a"), shown(other, "b"));
    assert_eq!((&a["self"], &b["self"]), (&Value::from(false), &Value::from(true)));
    assert_eq!(a["address"], world.peers[0].to_string());
    assert_eq!(a["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&a["requests_asked"], &a["routes_differ"]), (&Value::from(3), &Value::from(false)));
    assert!(a["age_seconds"].as_f64().unwrap() > 0.0, "{a}");
    assert_eq!(shown(world.target.admin, "b")["requests_answered"], 3);
    // A poll that waits has the node asked once a second.
    poller.park();
    eventually(|| shown(other, "a")["sessions"] == 1, || shown(other, "a").to_string());
    assert!(shown(other, "a")["round_trip_seconds"].as_f64().unwrap() < 1.0);
    let asks = |role, outcome, number| {
        let labels: &[&str] = &[role, outcome];
        metrics::assert_shown(other, &[("polliwog_cluster_asks_total", labels, number)]);
    };
    asks("role=\"asker\"", "outcome=\"answered\"", 3);
    metrics::assert_shown(
        other,
        &[
            ("polliwog_cluster_asks_open", &["role=\"asker\""], 1),
            ("polliwog_cluster_peers", &["state=\"up\""], 1),
        ],
    );
    world.target.kill();
    poller.parked().assert_unknown_sid();
    assert_state(other, "a", "down");
    assert_eq!(shown(other, "a")["failure"], "nobody listens there");
    metrics::assert_shown(other, &[("polliwog_cluster_peers", &["state=\"down\""], 1)]);
    // What others are is no reason to be taken out of the balancer.
    let ready = metrics::readyz(other);
    assert_eq!(ready.status, 200);
    assert!(ready.text().contains("node a is down\n"), "{ready:?}");
}

/// Holds the switch with which the whole suite runs by way of another node.
#[test]
fn later_requests_of_a_session_come_by_the_other_node_if_the_suite_says_so() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    for _ in 0..2 {
        poller.post_ok("4hello");
        peer.assert_text("hello");
    }
    if let Some(other) = &world.other {
        let labels: &[&str] = &["role=\"asker\"", "outcome=\"answered\""];
        metrics::assert_shown(other.admin, &[("polliwog_cluster_asks_total", labels, 2)]);
    }
}

#[test]
fn without_a_cluster_there_are_no_nodes() {
    let world = World::new(Setup::new());
    if world.other.is_none() && !world.is_oracle() {
        let answer = Client::connect(world.target.admin).get("/api/nodes");
        assert_eq!((answer.status, answer.text()), (200, "{\n  \"nodes\": [],\n  \"processes\": []\n}\n"));
    }
}

#[test]
fn check_asks_every_node_and_tells_what_does_not_fit() {
    let mut world = World::foreign(&Setup::new());
    let (a, b) = (world.peers[0], world.peers[1]);
    let (public, admin, backend) = (world.addr, world.target.admin, world.backend().addr);
    let check = |token: &str, peers: &str, path: &str| {
        let cluster = format!("[cluster]\nlisten = \"{a}\"\npeers = {peers}\ntoken = \"{token}\"\n");
        let setup = Setup { sections: cluster, path: path.to_owned().leak(), ..Setup::new() };
        let toml = setup.toml(public, admin, backend);
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("check-{}.toml", a.port()));
        fs::write(&file, toml).unwrap();
        let binary = Command::new(env!("CARGO_BIN_EXE_polliwog"))
            .args(["check", "--cluster", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        fs::remove_file(&file).unwrap();
        (binary.status.code(), String::from_utf8(binary.stdout).unwrap())
    };
    let peers = format!("{{ a = \"{a}\", b = \"{b}\" }}");
    let (code, out) = check(TOKEN, &peers, "/engine.io/");
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains(&format!("node b at {b}: ok, version")), "{out}");
    assert!(out.contains("use-server b if { urlp(sid) -m beg 2b--- }"), "{out}");
    let swapped = format!("{{ a = \"{a}\", c = \"{b}\" }}");
    for (token, peers, path, said) in [
        (
            "another-secret-of-all-nodes",
            &peers,
            "/engine.io/",
            format!("node b at {b}: it has another token\n"),
        ),
        (TOKEN, &swapped, "/engine.io/", format!("node c at {b}: it is node b\n")),
        (TOKEN, &peers, "/x/", "routes with sessions differ from those of this configuration\n".to_owned()),
    ] {
        let (code, out) = check(token, peers, path);
        assert_eq!(code, Some(1), "{out}");
        assert!(out.contains(&said), "{said}: {out}");
    }
    world.other.as_mut().unwrap().kill();
    let (code, out) = check(TOKEN, &peers, "/engine.io/");
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains(&format!("node b at {b}: nobody listens there\n")), "{out}");
}

/// Starts a node with these lines in `[cluster]`.
fn node(setup: &Setup, backend: &Backend, lines: &str) -> Target {
    let sections = format!("[cluster]\ntoken = \"{TOKEN}\"\n{lines}\n");
    Target::proxy(&Setup { sections, ..setup.clone() }, backend.addr)
}

#[test]
fn of_two_nodes_with_one_name_the_later_one_is_not_ready() {
    let setup = Setup::new();
    let backend = Backend::listen(setup.kind, setup.script.clone());
    let (first, second) = (free_port(), free_port());
    let lines = |listen: SocketAddr| {
        // A copied configuration: both take themselves for `a`.
        format!("listen = \"{listen}\"\nadvertise = \"{first}\"\npeers = {{ a = \"{first}\" }}")
    };
    let earlier = node(&setup, &backend, &lines(first));
    metrics::assert_readiness(earlier.admin, 200);
    let later = node(&setup, &backend, &lines(second));
    metrics::assert_readiness(later.admin, 503);
    assert!(metrics::readyz(later.admin).text().contains("an older node has this node's name\n"));
    let ready = metrics::readyz(earlier.admin);
    assert_eq!(ready.status, 200);
    assert!(ready.text().contains("a younger node has this node's name\n"), "{ready:?}");
    assert!(earlier.log().contains("another node has this node's name"));
}

#[test]
fn a_node_with_another_token_or_name_is_told_on_both_sides() {
    let setup = Setup::new();
    let backend = Backend::listen(setup.kind, setup.script.clone());
    let (first, second) = (free_port(), free_port());
    let start = |listen: SocketAddr, token: &str, name: &str| {
        let sections = format!(
            "[cluster]\ntoken = \"{token}\"\nlisten = \"{listen}\"\npeers = {{ a = \"{first}\", {name} = \"{second}\" }}\n"
        );
        Target::proxy(&Setup { sections, ..setup.clone() }, backend.addr)
    };
    let says = |target: &Target, said: &str| eventually(|| target.log().contains(said), || target.log());
    let one = start(first, TOKEN, "b");
    let other = start(second, "another-secret-of-all-nodes", "b");
    for target in [&one, &other] {
        says(target, "a node refuses this one: it has another token");
        says(target, "a node that asks here has another token");
    }
    drop(other);
    let renamed = start(second, TOKEN, "c");
    says(&one, "a node refuses this one: it has another token");
    assert_state(one.admin, "b", "down");
    assert_state(renamed.admin, "a", "up");
    drop(one);
    let again = start(first, TOKEN, "b");
    says(&again, "a node refuses this one: it has another name");
}

#[test]
fn nodes_with_other_routes_are_told_apart() {
    let setup = Setup::new();
    let backend = Backend::listen(setup.kind, setup.script.clone());
    let (first, second) = (free_port(), free_port());
    let lines = |listen: SocketAddr| {
        format!("listen = \"{listen}\"\npeers = {{ a = \"{first}\", b = \"{second}\" }}")
    };
    let one = node(&setup, &backend, &lines(first));
    let other = node(&Setup { path: "/elsewhere/", ..setup.clone() }, &backend, &lines(second));
    for (target, peer) in [(&one, "b"), (&other, "a")] {
        eventually(
            || shown(target.admin, peer)["routes_differ"] == true,
            || shown(target.admin, peer).to_string(),
        );
        assert_eq!(metrics::readyz(target.admin).status, 200);
        assert!(metrics::readyz(target.admin).text().contains(", with other routes\n"));
        let metrics = Client::connect(target.admin).get("/metrics");
        assert!(metrics.text().contains("\npolliwog_cluster_config_differs 1\n"));
        assert!(target.log().contains("a node has other routes"));
    }
}

#[test]
fn nodes_behind_a_name_find_each_other() {
    // A namespace of its own gives the name addresses, where the system allows that.
    let allowed =
        Command::new("unshare").args(["-rm", "true"]).output().is_ok_and(|output| output.status.success());
    if !allowed {
        eprintln!("not run: there are no namespaces here");
        return;
    }
    let setup = Setup::new();
    let backend = Backend::listen(setup.kind, setup.script.clone());
    let port = free_port().port();
    let before = "exec unshare -rm sh -c 'printf \"127.0.0.1 peers\\n127.0.0.2 peers\\n\" > hosts; \
                  mount --bind hosts /etc/hosts; exec \"$0\" \"$@\"' \"$0\" \"$@\";";
    let node = |ip: &str| {
        let sections = format!(
            "[cluster]\nlisten = \"{ip}:{port}\"\npeers = \"dns:peers:{port}\"\ntoken = \"{TOKEN}\"\n"
        );
        let setup = Setup { sections, ..setup.clone() };
        Target::proxy_in(|_| {}, before, |public, admin| setup.toml(public, admin, backend.addr))
    };
    let (one, two) = (node("127.0.0.1"), node("127.0.0.2"));
    metrics::assert_readiness(two.admin, 200);
    let poller = Poller::handshake(one.public);
    let peer = backend.peers.recv_timeout(SOON).unwrap();
    let answer = Client::connect(two.public).post(&poller.target(), "4hello");
    assert_eq!(answer.status, 200, "{answer:?}");
    peer.assert_text("hello");
    let answer = Client::connect(two.admin).get("/api/nodes");
    assert!(answer.text().contains(&format!("\"address\": \"127.0.0.1:{port}\"")), "{answer:?}");
}

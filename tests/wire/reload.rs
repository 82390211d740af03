//! A new configuration takes over while connections and sessions live on.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::frames::Socket;
use crate::support::http::{Client, Response};
use crate::support::poller::{POLLING, Poller};
use crate::support::target::{Target, free_port};
use crate::support::{SOON, Setup, World, eventually, is_so_within, metrics, ms, sockjs};

/// A proxy whose configuration the test writes.
fn start(setup: &Setup) -> World {
    World::start_with(setup, Target::proxy)
}

impl World {
    fn config(&self) -> String {
        fs::read_to_string(self.target.folder().join("config.toml")).unwrap()
    }

    fn write(&self, text: &str) {
        fs::write(self.target.folder().join("config.toml"), text).unwrap();
    }

    fn reload(&self) -> Response {
        Client::connect(self.target.admin).post("/api/reload", "")
    }

    /// Changes the file and has it reloaded.
    #[track_caller]
    pub(crate) fn change(&self, from: &str, to: &str) {
        let text = self.config();
        assert!(text.contains(from), "{from} is not in {text}");
        self.write(&text.replace(from, to));
        self.reload().assert(200, "{\n  \"faults\": []\n}\n");
    }

    /// Fails unless the reload is refused for this; the file is then as it was.
    #[track_caller]
    fn refused(&self, from: &str, to: &str) -> Vec<Value> {
        let text = self.config();
        assert!(text.contains(from), "{from} is not in {text}");
        self.write(&text.replace(from, to));
        let answer = self.reload();
        assert_eq!(answer.status, 422, "{answer:?}");
        self.write(&text);
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        told["faults"].as_array().unwrap().clone()
    }

    /// Asks the proxy whether it could reload this text. Returns the exit code and what is printed.
    fn check_against(&self, text: &str) -> (i32, String) {
        let path = self.target.folder().join("next.toml");
        fs::write(&path, text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_polliwog"))
            .args(["check", "--against", &format!("http://{}", self.target.admin), "--config"])
            .arg(&path)
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), text)
    }

    fn shows_series_of(&self, route: &str) -> bool {
        Client::connect(self.target.admin).get("/metrics").text().contains(&format!("route=\"{route}\""))
    }

    fn metric(&self, line: &str) -> bool {
        Client::connect(self.target.admin).get("/metrics").text().lines().any(|one| one == line)
    }
}

mod at_once;
mod bound;
mod keys;
mod upstreams;

const ROUTE: &str = "path = \"/engine.io/\"";

#[test]
fn a_route_that_is_removed_serves_the_sessions_that_it_has() {
    let world = start(&Setup::new());
    let (mut poller, peer) = world.poller();
    let (mut socket, other) = world.websocket();
    world.change(ROUTE, "path = \"/elsewhere/\"");
    // On connections that are open: a new session begins only where it is now.
    assert_eq!(poller.gets.get(POLLING).status, 404);
    assert_eq!(poller.posts.get(&POLLING.replace("engine.io", "elsewhere")).status, 200);
    let _third = world.accept();
    for round in 0..3 {
        poller.post_ok(format!("4up {round}"));
        peer.assert_text(&format!("up {round}"));
        peer.send("down");
        assert_eq!(poller.poll(), "4down");
        socket.send("4hello");
        other.assert_text("hello");
    }
    poller.park();
    peer.send("parked");
    assert_eq!(poller.parked().text(), "4parked");
    // Its last session ends, and with it the route.
    poller.post_ok("1");
    peer.assert_closed();
    assert_eq!(poller.gets.get(&poller.target()).status, 404);
    assert!(world.shows_series_of("/engine.io/"));
    drop(socket);
    other.assert_closed();
    eventually(|| !world.shows_series_of("/engine.io/"), || "no series of the route".into());
    assert!(world.shows_series_of("/elsewhere/"));
}

#[test]
fn a_route_that_changes_its_dialect_keeps_what_it_has() {
    let world = start(&sockjs::setup(""));
    let mut client = world.http();
    let mut ask =
        |what: &str, body: &str| client.request("POST", &sockjs::target("first", what), &[], body.as_bytes());
    ask("xhr", "").assert(200, "o\n");
    let peer = world.accept();
    world.change("dialect = \"sockjs\"", "dialect = \"websocket\"");
    ask("xhr_send", "[\"still\"]").assert(204, "");
    peer.assert_text("still");
    peer.send("here");
    ask("xhr", "").assert(200, "a[\"here\"]\n");
    assert_eq!(ask("../second/xhr", "").status, 426);
}

#[test]
fn a_fault_refuses_the_whole_file_and_is_told_with_its_place() {
    let world = start(&Setup::new());
    let (mut poller, peer) = world.poller();
    let faults = world.refused(ROUTE, "path = \"/other/\"\npong = 1");
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0]["key"], json!("routes[0].pong"));
    let place = faults[0]["place"].as_str().unwrap();
    assert!(place.ends_with("config.toml:12:1"), "{place}");
    assert!(faults[0]["problem"].as_str().unwrap().starts_with("unknown key"), "{faults:?}");
    assert!(world.log().contains("the configuration was not reloaded"));
    assert!(world.metric("polliwog_config_last_reload_successful 0"));
    assert!(world.metric("polliwog_config_reloads_total{outcome=\"refused\"} 1"));
    // What was there stays.
    assert_eq!(world.http().get("/other/?EIO=4&transport=polling").status, 404);
    poller.post_ok("4on");
    peer.assert_text("on");
    world.reload().assert(200, "{\n  \"faults\": []\n}\n");
    assert!(world.metric("polliwog_config_last_reload_successful 1"));
    assert!(world.metric("polliwog_config_reloads_total{outcome=\"done\"} 1"));
    fs::remove_file(world.target.folder().join("config.toml")).unwrap();
    let answer = world.reload();
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("cannot be read"), "{}", answer.text());
}

#[test]
fn what_only_a_restart_changes_is_a_fault_that_names_its_key() {
    let world = start(&Setup::new());
    let admin = format!("listen = \"{}\"", world.target.admin);
    let moved = format!("listen = \"{}\"", free_port());
    let faults = world.refused(&admin, &moved);
    assert_eq!(faults[0]["key"], json!("admin.listen"));
    assert_eq!(faults[0]["problem"], json!("changes only at a restart"));
    let faults = world.refused("[log]", "[log]\nformat = \"json\"");
    assert_eq!(faults[0]["key"], json!("log.format"));
    let cluster = "[cluster]\nlisten = \"127.0.0.1:1\"\npeers = { a = \"127.0.0.1:1\" }\n\
                   token = \"a-secret-of-all-nodes\"\n[log]";
    let faults = world.refused("[log]", cluster);
    assert_eq!((faults.len(), &faults[0]["key"]), (1, &json!("cluster")), "{faults:?}");
    // The same, asked before anything is reloaded.
    let (code, text) = world.check_against(&world.config().replace(ROUTE, "path = \"/moved/\""));
    assert_eq!(code, 0, "{text}");
    assert!(text.ends_with("it can be reloaded\n"), "{text}");
    let (code, text) = world.check_against(&world.config().replace(&admin, &moved));
    assert_eq!(code, 78, "{text}");
    assert!(text.ends_with("next.toml:5:10: admin.listen: changes only at a restart\n"), "{text}");
}

#[test]
fn listeners_come_and_go_and_one_that_cannot_be_bound_changes_nothing() {
    let world = start(&Setup::new());
    let (mut poller, peer) = world.poller();
    let (mut socket, other) = world.websocket();
    let mut idle = world.http();
    assert_eq!(idle.get("/nowhere").status, 404);
    let (first, second) = (world.target.public, free_port());
    let both = format!("listen = [\"{first}\", \"{second}\"]");
    let only_first = format!("listen = [\"{first}\"]");

    let taken = std::net::TcpListener::bind(second).unwrap();
    let faults = world.refused(&only_first, &both.replace(']', "]\nmax_sessions = 1"));
    let problem = faults[0]["problem"].as_str().unwrap();
    assert!(problem.starts_with(&format!("cannot listen on {second}: ")), "{problem}");
    assert_eq!(faults[0]["key"], json!("server.listen[1]"));
    assert!(faults[0]["place"].as_str().unwrap().contains("config.toml:2:"), "{faults:?}");
    assert_eq!(world.get(POLLING).status, 200, "not even the other change was made");
    world.accept();
    drop(taken);

    world.change(&only_first, &both);
    let mut young = Poller::handshake(second);
    let youngest = world.accept();
    world.change(&both, &format!("listen = [\"{second}\"]"));
    // It accepts no more; its idle connections end, and its sessions go on by the other one.
    eventually(|| std::net::TcpStream::connect(first).is_err(), || "it accepts".to_owned());
    assert!(idle.ends_within(SOON));
    socket.send("4socket");
    other.assert_text("socket");
    poller.ask_at(second);
    poller.post_ok("4moved");
    peer.assert_text("moved");
    young.post_ok("4young");
    youngest.assert_text("young");
    // And back, at the same address.
    world.change(&format!("listen = [\"{second}\"]"), &both);
    poller.ask_at(first);
    poller.post_ok("4back");
    peer.assert_text("back");
}

#[test]
fn a_poll_on_a_listener_that_is_removed_is_answered() {
    let world = start(&Setup::new());
    let (mut poller, peer) = world.poller();
    poller.park();
    let second = free_port();
    world.change(&format!("listen = [\"{}\"]", world.target.public), &format!("listen = [\"{second}\"]"));
    peer.send("late");
    let answer = poller.parked();
    assert_eq!(answer.text(), "4late");
    assert!(poller.gets.ends_within(SOON));
    poller.ask_at(second);
    poller.post_ok("4on");
    peer.assert_text("on");
}

#[test]
fn the_number_of_sessions_may_fall_below_those_that_are_there() {
    let world = start(&Setup::new().server("max_sessions = 3"));
    let mut all: Vec<_> = (0..3).map(|_| world.poller()).collect();
    assert_eq!(world.get(POLLING).status, 503);
    world.change("max_sessions = 3", "max_sessions = 2");
    assert!(world.metric("polliwog_sessions_limit 2"));
    for (poller, peer) in &mut all {
        poller.post_ok("4here");
        peer.assert_text("here");
    }
    let mut end = || {
        let (mut poller, peer) = all.pop().unwrap();
        poller.post_ok("1");
        peer.assert_closed();
    };
    end();
    world.assert_sessions(2);
    assert_eq!(world.get(POLLING).status, 503, "none is free yet");
    end();
    world.assert_sessions(1);
    assert_eq!(world.get(POLLING).status, 200);
    world.accept();
    world.change("max_sessions = 2", "max_sessions = 3");
    assert_eq!(world.get(POLLING).status, 200);
}

#[test]
fn the_level_of_the_log_changes() {
    let world = start(&Setup::new());
    let reloads = || world.log().matches("the configuration was reloaded").count();
    world.reload();
    assert_eq!(reloads(), 1);
    world.change("level = \"debug\"", "level = \"warn\"");
    world.reload();
    assert_eq!(reloads(), 1, "{}", world.log());
    world.change("level = \"warn\"", "level = \"info\"");
    assert_eq!(reloads(), 2);
}

#[test]
fn a_signal_and_a_change_of_the_file_reload_as_well() {
    let world = start(&Setup::new().server("watch = \"100ms\""));
    let text = world.config();
    let is_there = |path: &str| {
        let answer = world.get(&format!("{path}?EIO=4&transport=polling"));
        if answer.status == 200 {
            world.accept();
        }
        answer.status == 200
    };
    world.write(&text.replace(ROUTE, "path = \"/watched/\""));
    assert!(is_so_within(SOON, || is_there("/watched/")), "{}", world.log());
    // A file that cannot be used is told once, not with every look.
    world.write("half a fi");
    assert!(is_so_within(SOON, || world.log().contains("the configuration was not reloaded")));
    // Several looks.
    std::thread::sleep(ms(500));
    assert_eq!(world.log().matches("the configuration was not reloaded").count(), 1);
    // By a link that leads elsewhere, as a mount of Kubernetes does.
    let folder = world.target.folder();
    fs::write(folder.join("other.toml"), text.replace(ROUTE, "path = \"/linked/\"")).unwrap();
    std::os::unix::fs::symlink(folder.join("other.toml"), folder.join("link")).unwrap();
    fs::rename(folder.join("link"), folder.join("config.toml")).unwrap();
    assert!(is_so_within(SOON, || is_there("/linked/")), "{}", world.log());

    world.change("watch = \"100ms\"", "watch = \"0s\"");
    fs::write(folder.join("other.toml"), text.replace("100ms", "0s")).unwrap();
    // Several looks, if there were any.
    std::thread::sleep(ms(500));
    assert!(is_there("/linked/"));
    world.target.signal("HUP");
    assert!(is_so_within(SOON, || is_there("/engine.io/")), "{}", world.log());
}

#[test]
fn a_pipe_is_read_only_once() {
    let world = start(&Setup::new().server("watch = \"100ms\""));
    let path = world.target.folder().join("config.toml");
    fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let answer = world.reload();
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("it is no regular file"), "{}", answer.text());
    // Several looks.
    std::thread::sleep(ms(300));
    world.assert_healthy();
}

#[test]
fn a_drain_refuses_a_reload() {
    let world = start(&Setup::new());
    let (mut poller, peer) = world.poller();
    world.target.signal("TERM");
    eventually(|| world.metric("polliwog_draining 1"), || "no drain".to_owned());
    let answer = world.reload();
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("this process is about to end"), "{}", answer.text());
    assert_eq!(poller.poll(), "6\u{1e}1");
    peer.assert_closed();
}

#[test]
fn a_page_of_another_site_cannot_reload() {
    let world = start(&Setup::new());
    let mut admin = Client::connect(world.target.admin);
    let mut ask =
        |method: &str, origin: &str| admin.request(method, "/api/reload", &[("Origin", origin)], b"").status;
    assert_eq!(ask("POST", "https://evil.example"), 403);
    assert_eq!(ask("POST", "null"), 403);
    assert_eq!(ask("GET", "https://evil.example"), 405);
    assert!(world.metric("polliwog_config_reloads_total{outcome=\"done\"} 0"));
}

#[test]
fn a_client_of_another_upstream_stays_with_the_one_that_it_has() {
    let (world, other) = (start(&Setup::new()), start(&Setup::new()));
    let (mut poller, peer) = world.poller();
    let url = |world: &World| format!("url = \"ws://{}/engine.io/\"", world.backend().addr);
    world.change(&url(&world), &url(&other));
    let mut young = Poller::handshake(world.addr);
    let new = other.accept();
    poller.post_ok("4old");
    peer.assert_text("old");
    young.post_ok("4new");
    new.assert_text("new");
    poller.post_ok("1");
    peer.assert_closed();
}

#[test]
fn sockets_are_opened_while_it_reloads() {
    let world = start(&Setup::new());
    let (text, mut sockets) = (world.config(), Vec::new());
    for round in 0..20 {
        world.write(&text.replace(ROUTE, &format!("path = \"/engine.io/\"\nlinger = \"{round}ms\"")));
        world.reload().assert(200, "{\n  \"faults\": []\n}\n");
        let mut socket =
            Socket::try_connect(world.addr, "/engine.io/?EIO=4&transport=websocket", &[]).unwrap();
        assert!(socket.text().starts_with("0{"));
        sockets.push((socket, world.accept()));
    }
    assert_eq!(metrics::sessions(world.target.admin), 20);
}

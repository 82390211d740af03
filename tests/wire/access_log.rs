//! The access log: one line for the end of each session, which says what it was and nothing that is secret.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::feed::Feed;
use crate::support::frames::Socket;
use crate::support::http::Client;
use crate::support::script::Kind;
use crate::support::target::Target;
use crate::support::world::Excluded;
use crate::support::{Frame, SOON, Script, Setup, World, eventually, is_so_within, metrics, sockjs};

/// Everything that is logged goes to files, as talkative as it can be.
fn logged(setup: Setup, format: &str) -> Setup {
    let access = format!("\naccess = \"sessions\"\naccess_to = \"access.log\"\naccess_format = \"{format}\"");
    Setup { log: "trace", access, ..setup }
}

pub(crate) fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_default()
}

/// Returns this many lines, once they are written.
#[track_caller]
fn lines(world: &World, count: usize) -> Vec<String> {
    let lines =
        || -> Vec<String> { read(world.target.folder(), "access.log").lines().map(str::to_owned).collect() };
    eventually(
        || lines().len() >= count,
        || format!("{count} lines, but {:#?}\n{}", lines(), world.target.log()),
    );
    let lines = lines();
    assert_eq!(lines.len(), count, "{lines:#?}");
    lines
}

/// Returns the only line, as JSON.
#[track_caller]
fn line(world: &World) -> Value {
    serde_json::from_str(&lines(world, 1)[0]).unwrap()
}

/// Returns what the admin listener calls the only session.
#[track_caller]
pub(crate) fn shown(world: &World) -> Value {
    let listed: Value =
        serde_json::from_str(Client::connect(world.target.admin).get("/api/sessions").text()).unwrap();
    let id = listed["sessions"][0]["id"].clone();
    assert!(id.as_str().is_some_and(|id| id.len() == 12), "{listed}");
    id
}

/// Fails unless the line says this of its session.
#[track_caller]
fn assert_line(line: &Value, words: [&str; 3], counts: [u64; 4]) {
    let [dialect, transport, reason] = words;
    for (name, value) in [("dialect", dialect), ("transport", transport), ("reason", reason)] {
        assert_eq!(line[name], value, "{name} of {line}");
    }
    let names = ["messages_from_client", "bytes_from_client", "messages_to_client", "bytes_to_client"];
    for (name, count) in names.into_iter().zip(counts) {
        assert_eq!(line[name], count, "{name} of {line}");
    }
    for (name, value) in [("kind", "session"), ("client", "127.0.0.1"), ("upstream", "b")] {
        assert_eq!(line[name], value, "{name} of {line}");
    }
    assert!(line["seconds"].as_f64().is_some_and(|seconds| (0.0..60.0).contains(&seconds)), "{line}");
    let route = line["route"].as_str().unwrap();
    assert!(["/engine.io/", "/echo/", "/feed/"].contains(&route), "{route}");
}

/// Fails if any log, of any node, has this in any line.
#[track_caller]
pub(crate) fn assert_nowhere(world: &World, secret: &str) {
    for target in [Some(&world.target), world.other.as_ref()].into_iter().flatten() {
        for name in ["access.log", "log"] {
            let text = read(target.folder(), name);
            assert_eq!(text.lines().find(|line| line.contains(secret)), None, "{name} has {secret}");
        }
    }
}

fn world(setup: Setup, format: &str) -> Option<World> {
    World::proxy_only(logged(setup, format), Excluded::OnlyAProxyHasThis)
}

#[test]
fn a_session_that_moves_to_a_websocket_is_one_line() {
    let Some(world) = world(Setup::new(), "json") else { return };
    let (mut poller, peer) = world.poller();
    poller.post_ok("4one\u{1e}4three");
    peer.assert_text("one");
    peer.send("back");
    assert_eq!(poller.poll(), "4back");
    let mut socket = poller.upgraded();
    socket.send("4frame");
    peer.assert_text("three");
    peer.assert_text("frame");
    peer.send("again");
    socket.assert_text("4again");
    assert_eq!(read(world.target.folder(), "access.log"), "", "it has not ended");
    let shown = shown(&world);
    socket.send_frame(&Frame::close(Some(1000)));
    peer.assert_closed();
    let line = line(&world);
    assert_line(&line, ["engine.io", "websocket", "client_closed"], [3, 13, 2, 9]);
    assert_eq!(line["session"], shown);
    assert_nowhere(&world, &poller.sid);
}

#[test]
fn a_session_that_only_polls_is_one_line() {
    let Some(world) = world(Setup::new(), "json") else { return };
    let (mut poller, peer) = world.poller();
    peer.send("back");
    assert_eq!(poller.poll(), "4back");
    peer.close();
    poller.poll_later();
    assert_line(&line(&world), ["engine.io", "polling", "upstream_closed"], [0, 0, 1, 4]);
    assert_nowhere(&world, &poller.sid);
}

#[test]
fn a_relayed_session_is_one_line() {
    let Some(world) = world(Setup::new().relayed(), "json") else { return };
    let mut socket = Socket::connect(world.addr, crate::support::world::WEBSOCKET);
    let open = socket.text();
    let sid = crate::support::poller::open_packet(&open)["sid"].as_str().unwrap().to_owned();
    let peer = world.accept();
    socket.send("4four");
    peer.assert_text("four");
    let shown = shown(&world);
    socket.send_frame(&Frame::close(Some(1000)));
    let relayed = line(&world);
    assert_eq!(relayed["session"], shown);
    // The open packet is the backend's message, and a packet's type is part of what is relayed.
    let (back, opened) = (relayed["messages_to_client"].as_u64(), open.len() as u64);
    assert_eq!(back, Some(1));
    assert_line(&relayed, ["engine.io", "websocket", "client_closed"], [1, 5, 1, opened]);
    assert_nowhere(&world, &sid);
}

#[test]
fn a_session_of_sockjs_is_one_line() {
    let Some(world) = world(sockjs::setup(""), "json") else { return };
    let sid = "a-sid-that-its-client-made";
    let peer = sockjs::begin(&world, sid);
    sockjs::send(&world, sid, r#"["to the backend"]"#);
    peer.assert_text("to the backend");
    peer.send("and back");
    sockjs::poll(&world, sid).assert(200, "a[\"and back\"]\n");
    peer.close();
    assert_line(&line(&world), ["sockjs", "polling", "upstream_closed"], [1, 14, 1, 8]);
    assert_nowhere(&world, sid);
}

#[test]
fn a_session_of_longpoll_is_one_line() {
    let setup = Setup {
        kind: Kind::WebSocket,
        dialect: "longpoll",
        path: "/feed/",
        script: Script::new(Kind::WebSocket),
        ..Setup::new()
    };
    let Some(world) = world(setup, "json") else { return };
    let mut feed = Feed::begin(world.addr);
    let peer = world.accept();
    assert_eq!(feed.post("", b"text").status, 204);
    peer.assert_text("text");
    let target = feed.target("");
    let sid = target.trim_start_matches("/feed/").split(['?', '/']).next().unwrap().to_owned();
    assert!(sid.len() > 8, "{target}");
    feed.request("DELETE", "", &[], b"");
    peer.assert_closed();
    assert_line(&line(&world), ["longpoll", "polling", "client_closed"], [1, 4, 0, 0]);
    assert_nowhere(&world, &sid);
}

#[test]
fn a_line_has_the_combined_form_where_that_is_wanted() {
    let Some(world) = world(Setup::new(), "combined") else { return };
    let (mut poller, _peer) = world.poller();
    poller.post_ok("1");
    let line = lines(&world, 1).remove(0);
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    assert!(
        line.contains(" +0000] \"SESSION /engine.io/ engine.io/polling\" - 0 \"-\" \"client_closed after "),
        "{line}"
    );
    assert_nowhere(&world, &poller.sid);
}

#[test]
fn a_file_that_was_rotated_is_opened_again_at_a_signal() {
    let Some(world) = world(Setup::new(), "text") else { return };
    let end = || {
        let (mut poller, _peer) = world.poller();
        poller.post_ok("1");
    };
    end();
    lines(&world, 1);
    let folder = world.target.folder();
    fs::rename(folder.join("access.log"), folder.join("access.log.1")).unwrap();
    end();
    let old = || read(folder, "access.log.1");
    eventually(|| old().lines().count() == 2, old);
    world.target.signal("USR1");
    eventually(|| folder.join("access.log").exists(), || world.target.log());
    end();
    assert!(lines(&world, 1)[0].contains(" session client=127.0.0.1 session="));
    assert_eq!(old().lines().count(), 2);
    assert_eq!(metrics::readyz(world.target.admin).status, 200);
}

#[test]
fn a_reload_changes_what_is_logged_and_where() {
    let Some(world) = world(Setup::new(), "text") else { return };
    let folder = world.target.folder();
    let config = folder.join("config.toml");
    let written = fs::read_to_string(&config).unwrap();
    let (mut poller, _peer) = world.poller();
    let reload = |text: &str| {
        fs::write(&config, text).unwrap();
        Client::connect(world.target.admin).post("/api/reload", b"")
    };
    // A folder that is not there: nothing changes.
    let refused = reload(&written.replace("access.log", "no/such/folder/access.log"));
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("access_to"), "{}", refused.text());
    // A session that is there already has its line where lines go now.
    assert_eq!(
        reload(&written.replace("access.log", "other.log").replace("\"text\"", "\"json\"")).status,
        200
    );
    poller.post_ok("1");
    let other = || read(folder, "other.log");
    eventually(|| other().starts_with("{\"time\":\""), other);
    assert_eq!(reload(&written.replace("access = \"sessions\"", "access = \"off\"")).status, 200);
    let (mut poller, _peer) = world.poller();
    poller.post_ok("1");
    world.assert_sessions(0);
    assert_eq!(reload(&written).status, 200);
    let (mut poller, _peer) = world.poller();
    poller.post_ok("1");
    lines(&world, 1);
    assert_eq!(other().lines().count(), 1);
}

#[test]
fn a_drain_writes_the_lines_of_all_sessions_before_the_process_ends() {
    for signals in [1, 2] {
        let Some(mut world) = world(Setup::new().server("drain_timeout = \"1s\""), "json") else { return };
        let (mut poller, _peer) = world.poller();
        let (_socket, _peer) = world.websocket();
        if signals == 1 {
            poller.park();
        }
        for _ in 0..signals {
            world.target.signal("TERM");
        }
        world.target.exit_within(2 * SOON).expect("it ends");
        let lines: Vec<Value> = read(world.target.folder(), "access.log")
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let reasons: Vec<_> = lines.iter().map(|line| line["reason"].as_str().unwrap()).collect();
        assert_eq!(reasons.len(), 2, "after {signals} signals: {lines:#?}");
        assert!(!reasons.contains(&"stalled"), "{reasons:?}");
    }
}

#[test]
fn a_reader_that_reads_nothing_stalls_nobody() {
    let setup = Setup { log: "trace", access: "\naccess = \"requests\"".into(), ..Setup::new() };
    if World::proxy_only(setup.clone(), Excluded::OnlyAProxyHasThis).is_none() {
        return;
    }
    // The pipes of both logs hold 64 KiB each, and nobody empties them.
    let (stdout, stderr) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
    let mut world = World::start_with(&setup, |setup, backend| {
        Target::proxy_in(
            |command| {
                command.stdout(Stdio::from(stdout.1.try_clone().unwrap()));
                command.stderr(Stdio::from(stderr.1.try_clone().unwrap()));
            },
            "",
            |public, admin| setup.toml(public, admin, backend),
        )
    });
    drop((stdout.1, stderr.1));
    // At this level each session logs more than half a kilobyte.
    for round in 0..300 {
        let (mut poller, peer) = world.poller();
        poller.post_ok(format!("4{round}"));
        peer.assert_text(&round.to_string());
        poller.post_ok("1");
    }
    assert_eq!(metrics::readyz(world.target.admin).status, 200);
    world.target.signal("TERM");
    assert!(is_so_within(3 * SOON, || world.target.exit_within(SOON).is_some()), "it ends all the same");
    drop((stdout.0, stderr.0));
}

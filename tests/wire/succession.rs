//! A new process takes over from the running one: no request fails, and sessions go on where they are.

mod nodes;
mod systemd;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::http::{Client, Response};
use crate::support::poller::POLLING;
use crate::support::processes::Processes;
use crate::support::sockjs;
use crate::support::target::free_port;
use crate::support::{AT_ONCE, Op, QUIET, SOON, eventually, is_so_within, ms};

#[track_caller]
fn assert_last(answer: &Response, is_last: bool) {
    let close = answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    assert_eq!(close, is_last, "{answer:?}");
}

#[test]
fn a_session_goes_on_where_it_is_and_is_asked_for_by_the_successor() {
    let processes = Processes::start("30s");
    let world = &processes.world;
    let (mut poller, peer) = world.poller();
    let (mut other, _) = world.poller();
    poller.park();
    processes.succeed();
    // What waits there is answered there, and then its connection closes.
    peer.send("parked");
    let answer = poller.parked();
    assert_eq!(answer.text(), "4parked");
    assert_last(&answer, true);
    assert!(poller.gets.ends_within(SOON));
    // An idle connection is told with its next response.
    let answer = poller.post("4idle");
    assert_eq!(answer.text(), "ok");
    assert_last(&answer, true);
    peer.assert_text("idle");
    for round in 0..20 {
        // The successor has these, and keeps them.
        if round == 0 {
            (poller.gets, poller.posts) = (world.http(), world.http());
        }
        let text = "x".repeat(round * 5000);
        let answer = poller.post(format!("4{text}"));
        assert_eq!(answer.text(), "ok");
        assert_last(&answer, false);
        peer.assert_text(&text);
        peer.send(&text);
        assert_eq!(poller.poll(), format!("4{text}"));
    }
    // New sessions are the successor's, by whichever process their clients ask.
    let answer = other.gets.get(POLLING);
    assert_last(&answer, true);
    world.accept();
    let (young, peer) = world.poller();
    assert_ne!(young.sid[..7], poller.sid[..7]);
    let answer = other.posts.post(&young.target(), "4by the old one");
    assert_eq!(answer.text(), "ok");
    assert_last(&answer, true);
    peer.assert_text("by the old one");
}

#[test]
fn an_operator_sees_what_the_process_before_still_holds() {
    let processes = Processes::start("30s");
    let world = &processes.world;
    let (mut poller, peer) = world.poller();
    let shown = || -> Value {
        let answer = Client::connect(world.target.admin).get("/api/nodes");
        serde_json::from_slice(&answer.body).unwrap()
    };
    assert_eq!(shown(), json!({ "nodes": [], "processes": [] }));
    processes.succeed();
    eventually(|| shown()["processes"][0]["sessions"] == json!(1), || shown().to_string());
    let process = shown()["processes"][0].clone();
    assert!(
        poller.sid.starts_with(&format!("2{}", process["name"].as_str().unwrap())),
        "{process} {}",
        poller.sid
    );
    assert_eq!(process["state"], json!("up"));
    let metric = |name: &str, value: u64| {
        let text = Client::connect(world.target.admin).get("/metrics").text().to_owned();
        text.lines().any(|line| line == format!("polliwog_succession_{name} {value}"))
    };
    assert!(is_so_within(SOON, || metric("processes", 1) && metric("sessions", 1)));
    // Its last session ends, and it with it.
    poller.ask_at(world.addr);
    poller.post_ok("1");
    peer.assert_closed();
    eventually(|| shown()["processes"] == json!([]), || shown().to_string());
    assert!(is_so_within(SOON, || metric("processes", 0) && metric("sessions", 0)));
}

#[test]
fn a_session_whose_id_names_no_process_is_found_as_well() {
    let processes = Processes::start_with(&sockjs::setup(""), "30s", |_| {});
    let post = |sid: &str, what: &str, body: &str| {
        processes.world.http().request("POST", &sockjs::target(sid, what), &[], body.as_bytes())
    };
    post("first", "xhr", "").assert(200, "o\n");
    let peer = processes.world.accept();
    for round in 0..2 {
        processes.succeed();
        post("first", "xhr_send", r#"["hello"]"#).assert(204, "");
        peer.assert_text("hello");
        peer.send("hi");
        post("first", "xhr", "").assert(200, "a[\"hi\"]\n");
        // New ones begin at the successor.
        let young = format!("young{round}");
        post(&young, "xhr", "").assert(200, "o\n");
        processes.world.accept();
    }
    peer.close();
    assert!(post("first", "xhr", "").text().starts_with("c["));
}

#[test]
fn a_post_beside_the_first_poll_at_the_successor_is_not_refused() {
    let processes = Processes::start_with(&sockjs::setup(""), "30s", |_| {});
    let request = |what: &str| {
        let mut client = processes.world.http();
        let body: &[u8] = if what == "xhr" { b"" } else { br#"["hello"]"# };
        client.send("POST", &sockjs::target("busy", what), &[], body);
        client
    };
    request("xhr").answer().assert(200, "o\n");
    let peer = processes.world.accept();
    processes.succeed();
    // The successor has to wait for the answer to its question who has the session.
    kill_first(&processes, "STOP");
    let mut poll = request("xhr");
    poll.assert_parked();
    let mut send = request("xhr_send");
    send.assert_parked();
    kill_first(&processes, "CONT");
    send.answer().assert(204, "");
    peer.assert_text("hello");
    peer.send("hi");
    poll.answer().assert(200, "a[\"hi\"]\n");
}

#[test]
fn a_process_ends_when_its_last_session_has() {
    let mut processes = Processes::start("30s");
    let (mut poller, _peer) = processes.world.poller();
    processes.succeed();
    assert!(processes.world.target.exit_within(QUIET).is_none());
    (poller.gets, poller.posts) = (processes.world.http(), processes.world.http());
    poller.post_ok("1");
    let status = processes.world.target.exit_within(SOON).expect("the first process ends");
    assert_eq!(status.code(), Some(0));
    assert_eq!(processes.sockets().len(), 1);
    poller.post("4late").assert_unknown_sid();
    processes.world.poller();
}

#[test]
fn a_session_moves_to_a_web_socket_at_the_successor() {
    let processes = Processes::start("30s");
    let (poller, peer) = processes.world.poller();
    processes.succeed();
    let mut socket = poller.upgraded();
    for round in 0..20 {
        let text = "y".repeat(round * 7000);
        socket.send(&format!("4{text}"));
        peer.assert_text(&text);
        peer.send(&text);
        socket.assert_text(&format!("4{text}"));
    }
}

#[test]
fn a_web_socket_stays_until_its_process_drains() {
    let mut processes = Processes::start("1s");
    let (mut socket, peer) = processes.world.websocket();
    let since = Instant::now();
    processes.succeed();
    socket.send("4still there");
    peer.assert_text("still there");
    assert_eq!(socket.frame().op, Op::CLOSE);
    assert!(since.elapsed() > ms(900), "{:?}", since.elapsed());
    drop(socket);
    peer.assert_closed();
    let status = processes.world.target.exit_within(SOON).expect("the first process ends");
    assert_eq!(status.code(), Some(0));
    processes.world.websocket();
}

#[test]
fn a_poller_fetches_the_last_words_of_its_process_from_the_successor() {
    let mut processes = Processes::start("500ms");
    let (mut poller, peer) = processes.world.poller();
    processes.succeed();
    peer.send_all(&["last", "words"]);
    peer.settle();
    // It polls late, as a client that does something else.
    std::thread::sleep(ms(900));
    poller.request("GET", &[], b"").assert(200, "4last\u{1e}4words");
    poller.gets = processes.world.http();
    assert_eq!(poller.poll(), "6\u{1e}1");
    peer.assert_closed();
    assert_eq!(processes.world.target.exit_within(SOON).expect("it ends").code(), Some(0));
}

#[test]
fn sessions_are_found_three_processes_back() {
    let processes = Processes::start("30s");
    let mut sessions = vec![processes.world.poller()];
    for _ in 0..3 {
        processes.succeed();
        sessions.push(processes.world.poller());
        for (poller, peer) in &mut sessions {
            (poller.gets, poller.posts) = (processes.world.http(), processes.world.http());
            poller.post_ok("4up");
            peer.assert_text("up");
            peer.send("down");
            assert_eq!(poller.poll(), "4down");
        }
    }
}

#[test]
fn a_successor_that_cannot_start_leaves_the_old_process_serving() {
    let processes = Processes::start("30s");
    let world = &processes.world;
    let (mut poller, peer) = world.poller();
    let config = world.target.folder().join("config.toml");
    let good = fs::read_to_string(&config).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = good.replace("listen = [", &format!("listen = [\"{}\", ", taken.local_addr().unwrap()));
    for (count, wrong) in [(1, "[servr]\n".to_owned() + &good), (2, busy)] {
        fs::write(&config, wrong).unwrap();
        kill_first(&processes, "USR2");
        processes.await_log("the successor failed to start; this process serves on", count);
    }
    processes.await_log("servr: unknown key", 1);
    fs::write(&config, &good).unwrap();
    let binary = world.target.folder().join("binary");
    let real = fs::read_link(&binary).unwrap();
    for (program, line, count) in
        [("/bin/false", "failed to start; this", 3), ("/nowhere/at/all", "cannot be started; this", 1)]
    {
        fs::remove_file(&binary).unwrap();
        symlink(program, &binary).unwrap();
        kill_first(&processes, "USR2");
        processes.await_log(line, count);
    }
    assert_last(&poller.post("4still here"), false);
    peer.assert_text("still here");
    fs::remove_file(&binary).unwrap();
    symlink(real, &binary).unwrap();
    kill_first(&processes, "USR2");
    processes.await_log("took over from the process before", 1);
    assert_last(&poller.post("4and there"), true);
}

/// Signals the first process: the youngest that was started may have failed.
fn kill_first(processes: &Processes, name: &str) {
    processes.world.target.signal(name);
}

#[test]
fn two_signals_at_once_start_one_successor() {
    let processes = Processes::start("30s");
    // Without it, the first process would end at once.
    let (_poller, _peer) = processes.world.poller();
    let pid = processes.world.target.id();
    let both = format!("kill -USR2 {pid}; sleep 0.01; kill -USR2 {pid}; kill -USR2 {pid}");
    assert!(std::process::Command::new("sh").args(["-c", &both]).status().unwrap().success());
    processes.await_log("took over from the process before", 1);
    // Later, too: its successor is the one to ask.
    kill_first(&processes, "USR2");
    processes.await_log("a successor was started already", 2);
    assert_eq!(processes.count("a successor was started pid="), 1);
    processes.world.poller();
}

#[test]
fn a_successor_that_dies_halfway_leaves_the_old_process_serving() {
    let processes = Processes::start("30s");
    let (mut poller, peer) = processes.world.poller();
    let mut heir = processes.socket();
    heir.write_all(b"polliwog.succession.v1 hand ----AA\n").unwrap();
    let mut said = [0; 12];
    heir.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"listeners 2\n");
    drop(heir);
    processes.await_log("has gone; this one serves on", 1);
    assert_last(&poller.post("4still here"), false);
    peer.assert_text("still here");
    processes.succeed();
    processes.world.poller();
}

#[test]
fn a_process_that_died_is_an_answer_and_not_a_wait() {
    let mut processes = Processes::start("30s");
    let (mut poller, _peer) = processes.world.poller();
    processes.succeed();
    (poller.gets, poller.posts) = (processes.world.http(), processes.world.http());
    poller.admin = None;
    poller.park();
    processes.world.target.kill();
    let since = Instant::now();
    poller.parked().assert_unknown_sid();
    poller.post("4late").assert_unknown_sid();
    assert!(since.elapsed() < 5 * AT_ONCE, "{:?}", since.elapsed());
    // Its socket is left over.
    assert_eq!(processes.sockets().len(), 2);
    processes.succeed();
    processes.await_log("the socket of a process that died is removed", 1);
    processes.world.poller();
}

#[test]
fn an_end_of_the_service_ends_every_process_of_it() {
    let mut processes = Processes::start("30s");
    let (mut socket, peer) = processes.world.websocket();
    let (mut poller, _) = processes.world.poller();
    let youngest = processes.succeed();
    poller.gets = processes.world.http();
    poller.admin = None;
    poller.park();
    processes.signal("TERM");
    assert_eq!(socket.frame().op, Op::CLOSE);
    drop(socket);
    peer.assert_closed();
    // The successor may have what waits there answered before.
    let mut last = poller.parked();
    if last.text() == "6" {
        last = Client::connect(processes.world.addr).get(&poller.target());
    }
    assert!(["1", "6\u{1e}1"].contains(&last.text()), "{last:?}");
    assert_eq!(processes.world.target.exit_within(SOON).expect("it ends").code(), Some(0));
    processes.await_end(youngest);
    assert_eq!(processes.sockets(), Vec::<String>::new());
}

#[test]
fn a_successor_has_the_configuration_of_its_start() {
    let processes = Processes::start("30s");
    let config = processes.world.target.folder().join("config.toml");
    let more = free_port();
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("listen = [", &format!("listen = [\"{more}\", "))).unwrap();
    processes.succeed();
    assert_eq!(Client::connect(more).get(POLLING).status, 200);
    processes.world.poller();
}

#[test]
fn what_knows_nothing_of_the_folder_is_let_go() {
    let processes = Processes::start("30s");
    for said in ["GET / HTTP/1.1\r\n\r\n", "polliwog.succession.v1 give ----AA\n", ""] {
        let mut socket: UnixStream = processes.socket();
        socket.write_all(said.as_bytes()).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        let _reset = socket.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{said}");
    }
    processes.world.poller();
}

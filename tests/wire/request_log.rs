//! Requests in the access log: one line for each, however it is answered, and none with a session's id or a secret query.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use serde_json::Value;

use crate::access_log::{assert_nowhere, read, shown};
use crate::support::feed::Feed;
use crate::support::frames::Socket;
use crate::support::http::Client;
use crate::support::http2::is_wanted;
use crate::support::script::Kind;
use crate::support::sockjs::{self, Stream, target};
use crate::support::target::Target;
use crate::support::world::{Excluded, POLLING, WEBSOCKET, proxy_is_asked};
use crate::support::{Frame, Script, Setup, World, eventually};

fn logged(setup: Setup, format: &str, more: &str) -> Setup {
    let access =
        format!("\naccess = \"requests\"\naccess_to = \"access.log\"\naccess_format = \"{format}\"\n{more}");
    Setup { log: "trace", access, ..setup }
}

fn world(setup: Setup, format: &str, more: &str) -> Option<World> {
    World::proxy_only(logged(setup, format, more), Excluded::OnlyAProxyHasThis)
}

/// Starts one node in any mode: what is forwarded never goes by another.
fn alone(setup: Setup, format: &str, more: &str) -> Option<World> {
    let setup = logged(setup, format, more);
    proxy_is_asked(Excluded::OnlyAProxyHasThis).then(|| World::start_with(&setup, Target::proxy))
}

/// Returns what all nodes have written, in no certain order.
fn written(world: &World) -> Vec<String> {
    let targets = [Some(&world.target), world.other.as_ref()];
    let logs = targets.into_iter().flatten().map(|target| read(target.folder(), "access.log"));
    logs.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Returns the lines of this many requests, once they are written.
#[track_caller]
fn requests(world: &World, count: usize) -> Vec<Value> {
    let all = || -> Vec<Value> {
        let lines = written(world).into_iter().map(|line| serde_json::from_str::<Value>(&line).unwrap());
        lines.filter(|line| line["kind"] == "request").collect()
    };
    eventually(|| all().len() >= count, || format!("{count} requests, but {:#?}", all()));
    let all = all();
    assert_eq!(all.len(), count, "{all:#?}");
    all
}

/// Returns the only line with this method and status.
#[track_caller]
fn only<'l>(lines: &'l [Value], method: &str, status: u16) -> &'l Value {
    let found: Vec<_> =
        lines.iter().filter(|line| line["method"] == method && line["status"] == status).collect();
    assert_eq!(found.len(), 1, "{method} {status}: {lines:#?}");
    found[0]
}

/// Fails unless a line is of a request for this session, which only the node that has it can name.
#[track_caller]
fn assert_of_session(world: &World, line: &Value, session: &Value) {
    if world.other.is_none() {
        assert_eq!(line["session"], *session, "{line}");
    }
}

#[test]
fn each_request_of_a_session_is_one_line() {
    let Some(world) = world(Setup::new(), "json", "") else { return };
    let (mut poller, peer) = world.poller();
    let session = shown(&world);
    assert_of_session(&world, &requests(&world, 1)[0], &session);
    poller.park();
    poller.post_ok("4one");
    let before = requests(&world, 2);
    let post = before.iter().find(|line| line["method"] == "POST").unwrap();
    assert_of_session(&world, post, &session);
    assert_eq!(
        (&post["status"], &post["bytes_from_client"], &post["bytes_to_client"]),
        (&200.into(), &4.into(), &2.into())
    );
    peer.send("back");
    poller.assert_parked_gets("4back");
    let lines = requests(&world, 3);
    let poll = lines.iter().find(|line| line["bytes_to_client"] == 5).expect("a poll");
    assert_of_session(&world, poll, &session);
    for line in &lines {
        for (name, value) in
            [("client", "127.0.0.1"), ("route", "/engine.io/"), ("dialect", "engine.io"), ("upstream", "b")]
        {
            assert_eq!(line[name], value, "{line}");
        }
        assert_eq!(line["protocol"], if is_wanted() { "HTTP/2.0" } else { "HTTP/1.1" });
        assert_eq!(line["target"], Value::Null, "{line}");
        assert!(line["seconds"].as_f64().is_some_and(|seconds| (0.0..60.0).contains(&seconds)), "{line}");
    }
    let _socket = poller.probe();
    let upgrade = requests(&world, 4);
    assert_of_session(&world, only(&upgrade, "GET", 101), &session);
    assert_nowhere(&world, &poller.sid);
}

#[test]
fn a_refused_request_is_one_line_too() {
    let Some(world) = world(Setup::new(), "json", "") else { return };
    world.get(&format!("{POLLING}&sid=a-sid-that-nobody-has")).assert_unknown_sid();
    assert_eq!(world.get("/elsewhere/a-secret-path?token=a-secret-token").status, 404);
    let agent = [("User-Agent", "one \"two\"")];
    assert_eq!(world.http().request("PUT", POLLING, &agent, b"").status, 400);
    let lines = requests(&world, 3);
    let (unknown, elsewhere, put) =
        (only(&lines, "GET", 400), only(&lines, "GET", 404), only(&lines, "PUT", 400));
    assert_eq!((&unknown["route"], &unknown["session"]), (&"/engine.io/".into(), &Value::Null));
    assert_eq!((&elsewhere["route"], &elsewhere["target"]), (&Value::Null, &Value::Null));
    assert_eq!(put["agent"], "one \"two\"");
    for secret in ["a-sid-that-nobody-has", "a-secret"] {
        assert_nowhere(&world, secret);
    }
}

#[test]
fn a_client_that_hangs_up_before_its_response_is_a_line_without_a_status() {
    let Some(world) = world(Setup::new(), "json", "") else { return };
    let (mut poller, _peer) = world.poller();
    poller.park();
    drop(poller.gets);
    let lines = requests(&world, 2);
    assert_eq!(lines.iter().filter(|line| line["status"] == Value::Null).count(), 1, "{lines:#?}");
}

#[test]
fn a_stream_is_one_line_at_its_end() {
    let Some(world) = world(sockjs::setup(""), "json", "") else { return };
    let mut stream = Stream::open(&world, "POST", &target("a-sid-of-its-client", "xhr_streaming"));
    let peer = world.accept();
    assert_eq!(stream.chunk().len(), 2049);
    stream.assert("o\n");
    peer.send("one");
    stream.assert("a[\"one\"]\n");
    assert_eq!(written(&world), [""; 0], "it has not ended");
    peer.close();
    stream.assert("c[1000,\"Normal closure\"]\n");
    let line = &requests(&world, 1)[0];
    assert_eq!((&line["status"], &line["dialect"]), (&200.into(), &"sockjs".into()));
    assert_eq!(line["bytes_to_client"], 2049 + 2 + 9 + 25, "{line}");
    assert_nowhere(&world, "a-sid-of-its-client");
}

#[test]
fn an_id_in_a_path_is_in_no_form_of_a_line() {
    for format in ["text", "json", "combined"] {
        let setup = Setup {
            kind: Kind::WebSocket,
            dialect: "longpoll",
            path: "/feed/",
            script: Script::new(Kind::WebSocket),
            ..Setup::new()
        };
        let Some(world) = world(setup, format, "access_query = true") else { return };
        let mut feed = Feed::begin(world.addr);
        let _peer = world.accept();
        assert_eq!(feed.post("token=a-secret-token", b"text").status, 204);
        let target = feed.target("");
        let sid = target.trim_start_matches("/feed/").split(['?', '/']).next().unwrap().to_owned();
        eventually(|| written(&world).len() == 2, || format!("{:#?}", written(&world)));
        if format == "combined" {
            let lines = written(&world);
            let protocol = if is_wanted() { "2.0" } else { "1.1" };
            let begins =
                |line: &String| line.contains(&format!(" +0000] \"POST /feed/ HTTP/{protocol}\" 201 "));
            assert_eq!(lines.iter().filter(|line| begins(line)).count(), 1, "{lines:#?}");
        }
        assert_nowhere(&world, &sid);
        assert_nowhere(&world, "a-secret");
    }
}

#[test]
fn a_relayed_websocket_is_one_request() {
    let Some(world) = world(Setup::new().relayed(), "json", "") else { return };
    let mut socket = Socket::connect(world.addr, WEBSOCKET);
    let sid = crate::support::poller::open_packet(&socket.text())["sid"].as_str().unwrap().to_owned();
    let _peer = world.accept();
    let line = &requests(&world, 1)[0];
    assert_eq!((&line["status"], &line["bytes_to_client"]), (&101.into(), &0.into()), "{line}");
    socket.send_frame(&Frame::close(Some(1000)));
    // And its end is a session's.
    eventually(|| written(&world).len() == 2, || format!("{:#?}", written(&world)));
    assert_nowhere(&world, &sid);
}

/// A route whose requests are forwarded to a server that answers each with five bytes.
fn forwarding() -> Setup {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let backend: SocketAddr = listener.local_addr().unwrap();
    // The thread ends with the test's process.
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut read = Vec::new();
            while !read.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                read.push(byte[0]);
            }
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
        }
    });
    let sections = format!(
        "[[routes]]\npath = \"/files/\"\ndialect = \"http\"\nupstream = \"f\"\n\
         [upstreams.f]\nkind = \"http\"\nurl = \"http://{backend}/\"\n"
    );
    Setup { sections, ..Setup::new() }
}

#[test]
fn a_forwarded_request_shows_its_target_and_its_query_only_if_that_is_wanted() {
    for (more, target) in [("", "/files/a b"), ("access_query = true", "/files/a b?page=2")] {
        let Some(world) = alone(forwarding(), "json", more) else { return };
        world.get("/files/a%20b?page=2").assert(200, "hello");
        let line = &requests(&world, 1)[0];
        assert_eq!(line["target"], target.replace(' ', "%20"), "{line}");
        assert_eq!((&line["dialect"], &line["upstream"]), (&"http".into(), &"f".into()));
        assert_eq!((&line["status"], &line["bytes_to_client"]), (&200.into(), &5.into()));
    }
}

#[test]
fn a_reload_has_requests_logged_and_not_logged() {
    let Some(world) = alone(forwarding(), "json", "") else { return };
    let config = world.target.folder().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let reload = |text: &str| {
        fs::write(&config, text).unwrap();
        assert_eq!(Client::connect(world.target.admin).post("/api/reload", b"").status, 200);
    };
    reload(&text.replace("access = \"requests\"", "access = \"sessions\""));
    world.get("/files/unseen").assert(200, "hello");
    reload(&text);
    world.get("/files/seen").assert(200, "hello");
    assert_eq!(requests(&world, 1)[0]["target"], "/files/seen");
}

const MARKED: &str = "request_id = true\ntraceparent = true\nsampled_one_in = 0";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn a_backend_and_the_line_have_the_same_request_id_and_trace() {
    let came = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let headers = [("X-Request-Id", "theirs"), ("traceparent", &*came), ("tracestate", "a=b")];
    for is_trusted in [false, true] {
        let setup =
            if is_trusted { Setup::new().server("trusted_proxies = [\"127.0.0.1\"]") } else { Setup::new() };
        let Some(world) = world(setup, "json", MARKED) else { return };
        assert_eq!(world.http().request("GET", POLLING, &headers, b"").status, 200);
        let opening = world.accept().opening;
        let line = &requests(&world, 1)[0];
        let (id, parent) = (opening.headers_named("x-request-id"), opening.headers_named("traceparent"));
        assert_eq!((id.len(), parent.len()), (1, 1), "{opening:?}");
        assert_eq!(line["request_id"], id[0]);
        assert_eq!(id[0] == "theirs", is_trusted, "{}", id[0]);
        // The trace is the client's, the span is not, and a client does not say that it is sampled.
        assert_eq!(line["trace_id"], TRACE);
        assert_eq!(
            (&parent[0][..36], &parent[0][52..]),
            (&came[..36], if is_trusted { "-01" } else { "-00" })
        );
        assert_ne!(&parent[0][36..52], &came[36..52]);
        assert_eq!(opening.header("tracestate"), Some("a=b"));
    }
}

#[test]
fn without_the_keys_a_request_is_not_marked() {
    let Some(world) = world(Setup::new(), "json", "") else { return };
    assert_eq!(world.http().request("GET", POLLING, &[("X-Request-Id", "theirs")], b"").status, 200);
    let opening = world.accept().opening;
    assert_eq!((opening.header("x-request-id"), opening.header("traceparent")), (Some("theirs"), None));
    assert_eq!(requests(&world, 1)[0]["request_id"], Value::Null);
}

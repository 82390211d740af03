//! Spans for a collector: handshakes and forwarded requests, as OTLP over HTTP, in the traces of their clients. Only a binary with
//! the cargo feature `otlp` sends them: `tests/long` builds one.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use serde_json::{Value, json};

use crate::support::metrics;
use crate::support::poller::open_packet;
use crate::support::target::{Target, free_port};
use crate::support::world::{Excluded, POLLING, proxy_is_asked};
use crate::support::{SOON, Setup, World, eventually};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A collector that takes every span.
struct Collector {
    addr: SocketAddr,
    /// The first line of each request, with one of its spans.
    spans: Receiver<(String, Value)>,
}

impl Collector {
    fn listen() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let (taken, spans) = channel();
        // The threads end with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let taken = taken.clone();
                thread::spawn(move || take(stream, &taken));
            }
        });
        Self { addr, spans }
    }

    /// Returns the next span. Those of a second come together.
    #[track_caller]
    fn next(&self) -> Value {
        let (line, span) = self.spans.recv_timeout(SOON).expect("a span arrives in time");
        assert_eq!(line, "POST /v1/traces HTTP/1.1");
        span
    }
}

/// Takes requests until their connection ends.
fn take(stream: TcpStream, taken: &Sender<(String, Value)>) {
    let mut lines = BufReader::new(stream);
    while let Some(head) = head(&mut lines) {
        let line = head.lines().next().unwrap_or_default().to_owned();
        let mut body = vec![0; value(&head, "content-length").parse().unwrap()];
        lines.read_exact(&mut body).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
        for span in spans {
            let _ended = taken.send((line.clone(), span.clone()));
        }
        lines.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
    }
}

/// Reads the head of a request, if there is one.
fn head(lines: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if lines.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

/// Returns a header's value, or nothing.
fn value<'h>(head: &'h str, name: &str) -> &'h str {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next().unwrap_or_default()
}

/// Starts a proxy whose spans go to a collector, with a route to a server that answers with the `traceparent` that it sees.
fn traced(collector: SocketAddr) -> Option<World> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let backend = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream);
            while let Some(head) = head(&mut lines) {
                let seen = value(&head, "traceparent");
                let length = seen.len();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{seen}");
                let _gone = lines.get_mut().write_all(answer.as_bytes());
            }
        }
    });
    let mut setup = Setup::new();
    write!(setup.access, "\notlp = \"http://{collector}/v1/traces\"").unwrap();
    setup.sections = format!(
        "[[routes]]\npath = \"/files/\"\ndialect = \"http\"\nupstream = \"f\"\n\
         [upstreams.f]\nkind = \"http\"\nurl = \"http://{backend}/\"\n"
    );
    proxy_is_asked(Excluded::OnlyAProxyHasThis).then(|| World::start_with(&setup, Target::proxy))
}

/// Returns an attribute of a span.
fn attribute<'s>(span: &'s Value, name: &str) -> &'s Value {
    let all = span["attributes"].as_array().unwrap();
    all.iter().find(|one| one["key"] == name).map_or(&Value::Null, |one| &one["value"])
}

#[test]
#[cfg_attr(not(feature = "otlp"), ignore = "a binary without the feature `otlp` sends no spans")]
fn handshakes_and_forwarded_requests_are_spans_of_their_clients_traces_and_nothing_else_is() {
    let collector = Collector::listen();
    let Some(world) = traced(collector.addr) else { return };
    let came = format!("00-{TRACE}-{PARENT}-01");
    let headers = [("traceparent", came.as_str())];
    let opened = world.http().request("GET", POLLING, &headers, b"");
    let sid = open_packet(opened.text())["sid"].as_str().unwrap().to_owned();
    let polling = world.accept();
    // What belongs to a session is no span.
    assert_eq!(world.http().post(&format!("{POLLING}&sid={sid}"), "4one").status, 200);
    let (_socket, socket) = world.websocket_with("", &headers);
    let forwarded = world.http().request("GET", "/files/a?token=a-secret", &headers, b"");
    let spans = [collector.next(), collector.next(), collector.next()];
    let seen = |opening: Option<&str>| opening.unwrap_or_default().to_owned();
    let handshakes = [&polling, &socket].map(|peer| seen(peer.opening.header("traceparent")));
    for ((span, sent), (name, status)) in spans
        .iter()
        .zip([&handshakes[0], &handshakes[1], &forwarded.text().to_owned()])
        .zip([("handshake /engine.io/", "200"), ("handshake /engine.io/", "101"), ("forward /files/", "200")])
    {
        assert_eq!(span["name"], name, "{span:#}");
        assert_eq!((&span["traceId"], &span["parentSpanId"]), (&TRACE.into(), &PARENT.into()), "{span:#}");
        // The backend continues the trace from this very span.
        assert_eq!(*sent, format!("00-{TRACE}-{}-01", span["spanId"].as_str().unwrap()));
        assert_eq!(attribute(span, "http.response.status_code"), &json!({ "intValue": status }), "{span:#}");
        assert_eq!(attribute(span, "client.address"), &json!({ "stringValue": "127.0.0.1" }), "{span:#}");
        let nanos = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
        assert!(nanos("startTimeUnixNano") <= nanos("endTimeUnixNano"), "{span:#}");
    }
    assert_eq!(attribute(&spans[0], "polliwog.upstream"), &json!({ "stringValue": "b" }));
    assert!(attribute(&spans[0], "polliwog.session")["stringValue"].is_string(), "{:#}", spans[0]);
    assert_eq!(attribute(&spans[2], "url.path"), &json!({ "stringValue": "/files/a" }));
    let all = json!(spans).to_string();
    assert!(!all.contains(&sid) && !all.contains("a-secret"), "{all}");
}

#[test]
#[cfg_attr(not(feature = "otlp"), ignore = "a binary without the feature `otlp` sends no spans")]
fn a_trace_begins_at_a_request_without_one() {
    let collector = Collector::listen();
    let Some(world) = traced(collector.addr) else { return };
    let sent = world.get("/files/a").text().to_owned();
    let span = collector.next();
    assert_eq!(span["parentSpanId"], Value::Null, "{span:#}");
    let ids = ["traceId", "spanId"].map(|key| span[key].as_str().unwrap());
    assert_eq!(sent, format!("00-{}-{}-01", ids[0], ids[1]));
}

#[test]
#[cfg_attr(not(feature = "otlp"), ignore = "a binary without the feature `otlp` sends no spans")]
fn a_collector_that_is_down_costs_no_request_and_is_counted() {
    let Some(world) = traced(free_port()) else { return };
    assert_eq!(world.get("/files/a").status, 200);
    let dropped = || metrics::sum(world.target.admin, "polliwog_spans_dropped_total");
    eventually(|| dropped() == 1, || format!("{} spans were dropped", dropped()));
    assert_eq!(world.get("/files/b").status, 200);
}

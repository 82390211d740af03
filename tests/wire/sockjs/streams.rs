//! Streams: `xhr_streaming`, `eventsource` and `htmlfile`, one chunk of HTTP for each frame.

use std::thread;
use std::time::Instant;

use crate::support::metrics::assert_shown;
use crate::support::sockjs::{Stream, begin, poll, send, setup, target, world, world_of};
use crate::support::{Event, SOON, World, ms};

/// A streaming transport, and how it frames.
struct Transport {
    name: &'static str,
    method: &'static str,
    query: &'static str,
    content_type: &'static str,
    frame: fn(&str) -> String,
}

const TRANSPORTS: [Transport; 3] = [
    Transport {
        name: "xhr_streaming",
        method: "POST",
        query: "",
        content_type: "application/javascript; charset=UTF-8",
        frame: |frame| format!("{frame}\n"),
    },
    Transport {
        name: "eventsource",
        method: "GET",
        query: "",
        content_type: "text/event-stream",
        frame: |frame| format!("data: {}\r\n\r\n", frame.replace('%', "%25")),
    },
    Transport {
        name: "htmlfile",
        method: "GET",
        query: "?c=%63allback",
        content_type: "text/html; charset=UTF-8",
        frame: |frame| {
            let quoted = frame.replace('\\', "\\\\").replace('"', "\\\"").replace('<', "\\u003c");
            format!("<script>\np(\"{quoted}\");\n</script>\r\n")
        },
    },
];

impl Transport {
    /// Opens a stream and checks its prelude.
    #[track_caller]
    fn open(&self, world: &World, sid: &str) -> Stream {
        let target = target(sid, &format!("{}{}", self.name, self.query));
        let mut stream = Stream::open(world, self.method, &target);
        assert_eq!(stream.head.status, 200, "{}", self.name);
        assert_eq!(stream.head.header("content-type"), Some(self.content_type));
        assert_eq!(stream.head.header("content-length"), None);
        assert_eq!(
            stream.head.header("cache-control"),
            Some("no-store, no-cache, no-transform, must-revalidate, max-age=0")
        );
        let prelude = stream.chunk();
        match self.name {
            "xhr_streaming" => assert_eq!(prelude, format!("{}\n", "h".repeat(2048))),
            "eventsource" => assert_eq!(prelude, "\r\n"),
            _ => {
                assert_eq!(prelude.len(), 1027 + "callback".len());
                assert!(prelude.starts_with("<!doctype html>\n<html><head>\n"), "{prelude}");
                assert!(prelude.contains("    var c = parent.callback;\n"), "{prelude}");
                assert!(prelude.ends_with(" \r\n\r\n"), "{prelude}");
            }
        }
        stream
    }

    fn frame(&self, frame: &str) -> String {
        (self.frame)(frame)
    }
}

#[test]
fn each_frame_is_a_chunk_after_the_prelude_and_o() {
    let Some(world) = world("") else { return };
    for transport in &TRANSPORTS {
        let mut stream = transport.open(&world, transport.name);
        stream.assert(&transport.frame("o"));
        let peer = world.accept();
        for text in ["a", "100% </script> \\ \"", "é"] {
            peer.send(text);
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            stream.assert(&transport.frame(&format!("a[\"{quoted}\"]")));
        }
        send(&world, transport.name, "[\"up\"]");
        peer.assert_text("up");
        stream.assert_quiet();
    }
}

#[test]
fn a_stream_ends_after_the_frame_that_reaches_the_limit_and_the_next_goes_on() {
    let Some(world) = world("response_limit = 4096") else { return };
    // With its line end and `o`: 30 frames of 134 don't reach the limit, 31 do.
    let transport = &TRANSPORTS[0];
    let mut stream = transport.open(&world, "a");
    stream.assert("o\n");
    let peer = world.accept();
    let message = "x".repeat(128);
    for at in 0..31 {
        peer.send(&message);
        stream.assert(&format!("a[\"{message}\"]\n"));
        if at == 29 {
            stream.assert_quiet();
        }
    }
    stream.assert_over();
    peer.send("between");
    let mut next = transport.open(&world, "a");
    next.assert("a[\"between\"]\n");
    // Characters count as UTF-16 units, not as bytes.
    let wide = "é".repeat(4000);
    peer.send(&wide);
    next.assert(&format!("a[\"{wide}\"]\n"));
    next.assert_quiet();
    peer.send(&"é".repeat(200));
    next.chunk();
    next.assert_over();
}

#[test]
fn a_frame_over_the_limit_ends_its_stream_at_once() {
    let Some(world) = world("response_limit = 4096") else { return };
    for transport in &TRANSPORTS {
        let mut stream = transport.open(&world, transport.name);
        stream.assert(&transport.frame("o"));
        let peer = world.accept();
        let message = "x".repeat(5000);
        peer.send(&message);
        stream.assert(&transport.frame(&format!("a[\"{message}\"]")));
        stream.assert_over();
    }
}

#[test]
fn a_second_receiver_gets_its_prelude_and_a_refusal() {
    let Some(world) = world("") else { return };
    for transport in &TRANSPORTS {
        let mut first = transport.open(&world, transport.name);
        first.assert(&transport.frame("o"));
        let peer = world.accept();
        for other in &TRANSPORTS {
            let mut second = other.open(&world, transport.name);
            second.assert(&other.frame("c[2010,\"Another connection still open\"]"));
            second.assert_over();
        }
        peer.send("on");
        first.assert(&transport.frame("a[\"on\"]"));
    }
}

#[test]
fn a_close_comes_on_the_stream_and_to_every_later_receiver() {
    let Some(world) = world("") else { return };
    for transport in &TRANSPORTS {
        let mut stream = transport.open(&world, transport.name);
        stream.assert(&transport.frame("o"));
        let peer = world.accept();
        peer.send("last");
        peer.line().close(Some(3000));
        stream.assert(&transport.frame("a[\"last\"]"));
        stream.assert(&transport.frame("c[3000,\"\"]"));
        stream.assert_over();
        for other in &TRANSPORTS {
            let mut later = other.open(&world, transport.name);
            later.assert(&other.frame("c[3000,\"\"]"));
            later.assert_over();
        }
        poll(&world, transport.name).assert(200, "c[3000,\"\"]\n");
    }
}

#[test]
fn a_client_that_hangs_up_a_stream_is_gone_at_once() {
    let Some(world) = world("") else { return };
    for transport in &TRANSPORTS {
        for half in [false, true] {
            let sid = format!("{}{half}", transport.name);
            let mut stream = transport.open(&world, &sid);
            stream.assert(&transport.frame("o"));
            let peer = world.accept();
            let start = Instant::now();
            if half {
                stream.client.wire.half_close();
            } else {
                drop(stream);
            }
            assert_eq!(peer.event(), Event::Closed(1001), "{sid}");
            assert!(start.elapsed() < ms(2000));
            poll(&world, &sid).assert(200, "c[1002,\"Connection interrupted\"]\n");
        }
    }
}

#[test]
fn a_receiver_that_comes_before_the_firsts_end_is_read_is_no_second_one() {
    let Some(world) = world("") else { return };
    // As in the reference's suite, many times: close, and request at once on another connection.
    for at in 0..30 {
        let sid = format!("s{at}");
        let mut stream = TRANSPORTS[0].open(&world, &sid);
        stream.assert("o\n");
        drop(stream);
        let answer = poll(&world, &sid);
        let told = answer.text();
        assert!(told == "o\n" || told == "c[1002,\"Connection interrupted\"]\n", "{told:?}");
    }
}

#[test]
fn a_stream_gets_heartbeats_whatever_is_sent() {
    let Some(world) = world("heartbeat = \"400ms\"") else { return };
    for transport in &TRANSPORTS {
        let mut stream = transport.open(&world, transport.name);
        stream.assert(&transport.frame("o"));
        let peer = world.accept();
        // A message in between must not delay the heartbeat.
        thread::sleep(ms(200));
        peer.send("x");
        stream.assert(&transport.frame("a[\"x\"]"));
        stream.assert(&transport.frame("h"));
        stream.assert(&transport.frame("h"));
    }
}

#[test]
fn a_client_may_change_its_receiver_between_requests() {
    let Some(world) = world("response_limit = 1") else { return };
    let peer = begin(&world, "a");
    peer.send("1");
    for (at, transport) in TRANSPORTS.iter().enumerate() {
        let mut stream = transport.open(&world, "a");
        stream.assert(&transport.frame(&format!("a[\"{}\"]", at + 1)));
        stream.assert_over();
        peer.send(&(at + 2).to_string());
    }
    poll(&world, "a").assert(200, "a[\"4\"]\n");
}

#[test]
fn a_stream_over_http_1_0_has_no_chunks_and_ends_with_its_connection() {
    let Some(world) = world("response_limit = 1") else { return };
    let mut client = world.http();
    client.wire.send(
        b"POST /echo/0/a/xhr_streaming HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
    );
    let answer = client.answer_within(SOON).expect("a response arrives in time");
    assert_eq!(answer.header("transfer-encoding"), None);
    assert_eq!(answer.text(), format!("{}\no\n", "h".repeat(2048)));
}

#[test]
fn messages_in_volume_arrive_whole_and_in_order() {
    let Some(world) = world("response_limit = 8000") else { return };
    for transport in &TRANSPORTS {
        let mut stream = transport.open(&world, transport.name);
        stream.assert(&transport.frame("o"));
        let peer = world.accept();
        let texts: Vec<String> = (0..2000).map(|at| format!("{at}-{}", "y".repeat(at % 50))).collect();
        for text in &texts {
            peer.send(text);
        }
        let mut received = String::new();
        let whole = |received: &str| {
            // A frame may be cut into chunks anywhere, so what stands behind the last quote may be a part.
            let parts = received.rsplit_once('"').map_or("", |(parts, _)| parts).split('"');
            parts.filter(|part| part.contains('-')).map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        while whole(&received).len() < texts.len() {
            let chunk = stream.chunk();
            if chunk.is_empty() {
                stream = transport.open(&world, transport.name);
            }
            received.push_str(&chunk.replace('\\', ""));
        }
        assert!(whole(&received) == texts, "{}: messages are lost or out of order", transport.name);
    }
}

#[test]
fn a_client_that_reads_nothing_of_its_stream_is_disconnected() {
    let setup = setup("stall_timeout = \"700ms\"").route("outbox_max = 20000");
    let Some(world) = world_of(setup) else { return };
    let mut stream = TRANSPORTS[0].open(&world, "a");
    stream.assert("o\n");
    let peer = world.accept();
    let message = "x".repeat(100_000);
    let start = Instant::now();
    for _ in 0..200 {
        peer.send(&message);
    }
    while !matches!(peer.event_within(SOON), Some(Event::Closed(_)) | None) {}
    assert!(start.elapsed() < SOON * 2);
    world.assert_sessions(0);
}

#[test]
fn a_stream_is_counted_as_one_and_not_as_a_poll() {
    let Some(world) = world("") else { return };
    let mut stream = TRANSPORTS[0].open(&world, "a");
    stream.assert("o\n");
    let peer = world.accept();
    peer.send("one");
    stream.assert("a[\"one\"]\n");
    let streams = |of: &'static str| [of, "\"streaming"];
    let shown = [
        ("polliwog_sessions", &streams("transport")[..], 1),
        ("polliwog_messages_total", &streams("to_client")[..], 1),
        ("polliwog_message_bytes_total", &streams("to_client")[..], 3),
        ("polliwog_requests_total", &streams("\"handshake")[..], 1),
    ];
    assert_shown(world.target.admin, &shown);
}

//! The traffic as an operator sees it: requests, messages, payload and overhead, for each transport and to the byte.

use crate::support::frames::{Frame, Masked, Op, Socket};
use crate::support::http::{self, Client, Response};
use crate::support::metrics::{self, assert_shown};
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{Setup, World, eventually, ms};

const MESSAGES: &str = "polliwog_messages_total";
const PAYLOAD: &str = "polliwog_message_bytes_total";
const OVERHEAD: &str = "polliwog_overhead_bytes_total";
const HEADS: &str = "polliwog_head_bytes_total";
const REQUESTS: &str = "polliwog_requests_total";
const POLLED_UP: &[&str] = &["from_client", "\"polling"];
const POLLED_DOWN: &[&str] = &["to_client", "\"polling"];
const SOCKET_UP: &[&str] = &["from_client", "\"websocket"];
const SOCKET_DOWN: &[&str] = &["to_client", "\"websocket"];
const POST: &[(&str, &str)] = &[("Content-Type", "text/plain;charset=UTF-8"), ("Content-Length", "12")];
const LONG: &[(&str, &str)] = &[("Accept-Encoding", "gzip")];

#[test]
fn polling_is_counted_to_the_byte() {
    let setup = Setup::new().route("linger = \"0ms\"");
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let admin = world.target.admin;
    let (mut poller, peer) = world.poller();
    let target = poller.target();
    let posted = poller.post("4hello\u{1e}bAQID");
    posted.assert(200, "ok");
    peer.assert_text("hello");
    peer.assert_binary(&[1, 2, 3]);

    poller.park();
    assert_shown(admin, &[("polliwog_polls_parked", &[], 1)]);
    peer.send("one");
    let short = poller.parked();
    short.assert(200, "4one");
    peer.send(&"x".repeat(2000));
    let long = Client::connect(world.addr).request("GET", &target, LONG, b"");
    assert_eq!(long.header("content-encoding"), Some("gzip"));

    let open = poller.handshake.body.len();
    let asked = [
        http::head("GET", POLLING, &[]),
        http::head("POST", &target, POST),
        http::head("GET", &target, &[]),
        http::head("GET", &target, LONG),
    ];
    let answered = [&poller.handshake, &posted, &short, &long].map(head_len);
    assert_shown(
        admin,
        &[
            (REQUESTS, &["handshake", "\"polling", "200"], 1),
            (REQUESTS, &["push", "\"polling", "200"], 1),
            (REQUESTS, &["\"poll\"", "\"polling", "200"], 2),
            (MESSAGES, POLLED_UP, 2),
            (PAYLOAD, POLLED_UP, "hello".len() + 3),
            (OVERHEAD, POLLED_UP, "4\u{1e}bAQID".len() - 3),
            (HEADS, POLLED_UP, asked.iter().map(String::len).sum()),
            (MESSAGES, POLLED_DOWN, 2),
            (PAYLOAD, POLLED_DOWN, "one".len() + 2000),
            (OVERHEAD, POLLED_DOWN, open + "ok".len() + "4".len() + "4".len()),
            (HEADS, POLLED_DOWN, answered.iter().sum()),
            ("polliwog_compression_saved_bytes_total", &[], 2001 - long.body.len()),
            ("polliwog_polls_parked", &[], 0),
            ("polliwog_batch_packets_count", &[], 3),
            ("polliwog_delivery_wait_seconds_count", &["\"polling"], 2),
            (MESSAGES, SOCKET_UP, 0),
            (OVERHEAD, SOCKET_DOWN, 0),
        ],
    );
}

#[test]
fn an_upgrade_is_counted_as_tried_and_as_done_or_failed_and_its_frames_to_the_byte() {
    let Some(world) = World::proxy_only(Setup::new(), Excluded::OnlyAProxyHasThis) else { return };
    let (poller, peer) = world.poller();
    let mut socket = poller.upgraded();
    socket.send("4up");
    peer.assert_text("up");
    let down = "y".repeat(126);
    peer.send(&down);
    socket.assert_text(&format!("4{down}"));
    let (other, _peer) = world.poller();
    let mut refused = other.probe();
    refused.send("nonsense");

    let upgrades = "polliwog_upgrades_total";
    let up = ["2probe", "5", "4up", "2probe", "nonsense"].map(|text| frame_len(text, Masked::Yes));
    let down = ["3probe", &format!("4{down}"), "3probe"].map(|text| frame_len(text, Masked::No));
    assert_shown(
        world.target.admin,
        &[
            (upgrades, &["tried"], 2),
            (upgrades, &["done"], 1),
            (upgrades, &["failed"], 1),
            (REQUESTS, &["upgrade", "\"websocket", "101"], 2),
            (MESSAGES, SOCKET_UP, 1),
            (PAYLOAD, SOCKET_UP, "up".len()),
            // What can't be read as a packet counts as no payload.
            (OVERHEAD, SOCKET_UP, up.iter().sum::<usize>() - "up".len() - frame_len("nonsense", Masked::Yes)),
            (MESSAGES, SOCKET_DOWN, 1),
            (PAYLOAD, SOCKET_DOWN, 126),
            (OVERHEAD, SOCKET_DOWN, down.iter().sum::<usize>() - 126),
            ("polliwog_delivery_wait_seconds_count", &["\"websocket"], 1),
            ("polliwog_sessions", &["\"websocket"], 1),
        ],
    );
}

#[test]
fn a_relayed_websocket_is_counted_by_its_frames() {
    let Some(world) = World::proxy_only(Setup::new().relayed(), Excluded::OnlyAProxyHasThis) else { return };
    let mut socket = Socket::connect(world.addr, WEBSOCKET);
    let open = socket.text();
    let peer = world.accept();
    socket.send("4up");
    peer.assert_text("up");
    socket.send_frame(&Frame::new(Op::PING, "hm"));
    assert_eq!(socket.frame(), Frame::new(Op::PONG, "hm"));
    peer.send("down");
    socket.assert_text("4down");

    let down = [open.as_str(), "4down"];
    let framed: usize = down.map(|text| frame_len(text, Masked::No)).iter().sum();
    let payload = open.len() + "4down".len();
    assert_shown(
        world.target.admin,
        &[
            (REQUESTS, &["handshake", "\"websocket", "101"], 1),
            (MESSAGES, SOCKET_UP, 1),
            (PAYLOAD, SOCKET_UP, "4up".len()),
            (OVERHEAD, SOCKET_UP, 6 + frame_len("hm", Masked::Yes)),
            (MESSAGES, SOCKET_DOWN, 2),
            (PAYLOAD, SOCKET_DOWN, payload),
            (OVERHEAD, SOCKET_DOWN, framed - payload + frame_len("hm", Masked::No)),
        ],
    );
}

#[test]
fn a_message_that_waits_for_a_poll_is_timed() {
    let Some(world) = World::proxy_only(Setup::new(), Excluded::OnlyAProxyHasThis) else { return };
    let (mut poller, peer) = world.poller();
    peer.send("first");
    // The first message waits so much longer than the second.
    std::thread::sleep(ms(300));
    peer.send("second");
    // Both messages wait so long.
    std::thread::sleep(ms(100));
    assert_eq!(poller.poll(), "4first\u{1e}4second");
    let shown = |name| {
        let answer = Client::connect(world.target.admin).get("/metrics");
        metrics::value(answer.text(), name, &["\"polling"]).to_owned()
    };
    // Another node tells when its client has it, which may be a moment later.
    let count = || shown("polliwog_delivery_wait_seconds_count");
    eventually(|| count() == "1", || format!("1 delivery, but {}", count()));
    let wait: f64 = shown("polliwog_delivery_wait_seconds_sum").parse().unwrap();
    assert!((0.35..5.0).contains(&wait), "{wait} s");
}

/// Returns a response's headers as they were on the wire.
fn head_len(response: &Response) -> usize {
    let headers = response.headers.iter().map(|(name, value)| name.len() + value.len() + ": \r\n".len());
    response.line.len() + "\r\n\r\n".len() + headers.sum::<usize>()
}

fn frame_len(text: &str, masked: Masked) -> usize {
    Frame::new(Op::TEXT, text).encode(masked).len()
}

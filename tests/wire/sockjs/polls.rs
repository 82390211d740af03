//! Polls: `xhr` and `jsonp`.

use crate::support::http::{Client, head};
use crate::support::sockjs::{begin, park, poll, send, setup, target, world, world_of};
use crate::support::{World, ms};

const FRESH: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";

#[track_caller]
fn jsonp(world: &World, sid: &str) -> String {
    let answer = world.get(&target(sid, "jsonp?c=x.y"));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/javascript; charset=UTF-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cache-control"), Some(FRESH));
    answer.text().to_owned()
}

#[test]
fn a_first_poll_begins_a_session_and_gets_o_alone() {
    let setup = setup("").script(|script| script.first = vec!["early".to_owned()]);
    let Some(world) = world_of(setup) else { return };
    let target = target("abc", "xhr?token=1&t=123&x=%20");
    let answer = world.http().request("POST", &target, &[("Cookie", "a=b"), ("Origin", "http://a")], b"");
    answer.assert(200, "o\n");
    assert_eq!(answer.header("content-type"), Some("application/javascript; charset=UTF-8"));
    assert_eq!(answer.header("cache-control"), Some(FRESH));
    assert_eq!(answer.header("content-length"), Some("2"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://a"));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    let peer = world.accept();
    assert_eq!(peer.opening.target, "/echo/?token=1&x=%20", "nothing of the client's path, and no t");
    assert_eq!(peer.opening.header("cookie"), Some("a=b"));
    assert_eq!(peer.opening.header("origin"), Some("http://a"));
    poll(&world, "abc").assert(200, "a[\"early\"]\n");
}

#[test]
fn a_poll_returns_all_waiting_messages_in_one_frame_with_the_references_escapes() {
    let Some(world) = world("") else { return };
    let peer = begin(&world, "a");
    peer.send_all(&["a\"\\\n/", "", "\u{200b}\u{200c}\u{feff}\u{2028}é😀\u{ffff}"]);
    let parts = ["a[\"a\\\"\\\\\\n/\",\"\",\"\u{200b}\\u200c\u{feff}\\u2028é\\ud83d\\ude00\\uffff\"]\n"];
    peer.settle();
    poll(&world, "a").assert(200, parts[0]);
    let mut parked = park(&world, "a");
    peer.send("late");
    parked.answer().assert(200, "a[\"late\"]\n");
}

#[test]
fn a_script_is_called_with_a_frame_that_is_escaped_twice() {
    let Some(world) = world("") else { return };
    assert_eq!(jsonp(&world, "a"), "/**/x.y(\"o\");\r\n");
    let peer = world.accept();
    peer.send("\"\n😀</script>");
    assert_eq!(jsonp(&world, "a"), "/**/x.y(\"a[\\\"\\\\\\\"\\\\n\\\\ud83d\\\\ude00</script>\\\"]\");\r\n");
    peer.line().close(Some(3000));
    // The close must have come before the client asks.
    std::thread::sleep(ms(50));
    assert_eq!(jsonp(&world, "a"), "/**/x.y(\"c[3000,\\\"\\\"]\");\r\n");
}

#[test]
fn a_bad_callback_leaves_the_session_alone() {
    let Some(world) = world("") else { return };
    for (query, text) in [
        ("", "\"callback\" parameter required"),
        ("?c=abc%28", "invalid \"callback\" parameter"),
        ("?callback=", "invalid \"callback\" parameter"),
    ] {
        let answer = world.get(&target("a", &format!("jsonp{query}")));
        answer.assert(500, text);
        assert_eq!(answer.header("cache-control"), Some(FRESH));
    }
    assert!(world.accept_within(ms(60)).is_none(), "no backend was asked");
}

#[test]
fn a_second_receiver_is_refused_and_the_first_is_not_disturbed() {
    let Some(world) = world("") else { return };
    let peer = begin(&world, "a");
    let mut first = park(&world, "a");
    poll(&world, "a").assert(200, "c[2010,\"Another connection still open\"]\n");
    assert_eq!(jsonp(&world, "a"), "/**/x.y(\"c[2010,\\\"Another connection still open\\\"]\");\r\n");
    first.assert_parked();
    peer.send("on");
    first.answer().assert(200, "a[\"on\"]\n");
}

#[test]
fn a_receiver_that_comes_while_the_first_still_asks_the_backend_is_a_second_one() {
    let Some(world) = world("") else { return };
    world.backend().script(|script| script.delay = ms(400));
    let mut first = world.http();
    first.send("POST", &target("a", "xhr"), &[], b"");
    // Nothing shows when the first poll has arrived.
    std::thread::sleep(ms(100));
    poll(&world, "a").assert(200, "c[2010,\"Another connection still open\"]\n");
    first.answer().assert(200, "o\n");
    world.accept();
    assert!(world.accept_within(ms(100)).is_none(), "one backend was asked");
}

#[test]
fn a_receiver_whose_first_still_asks_the_backend_is_a_second_one_in_a_full_proxy_too() {
    let setup = setup("").server("max_sessions = 1").script(|script| script.delay = ms(400));
    let Some(world) = world_of(setup) else { return };
    let mut first = world.http();
    first.send("POST", &target("a", "xhr"), &[], b"");
    // Nothing shows when the first poll has arrived.
    std::thread::sleep(ms(100));
    poll(&world, "a").assert(200, "c[2010,\"Another connection still open\"]\n");
    poll(&world, "b").assert(503, "the proxy is full\n");
    first.answer().assert(200, "o\n");
}

#[test]
fn a_receiver_whose_empty_body_ends_in_a_later_packet_keeps_its_connection() {
    let Some(world) = world("response_limit = 1") else { return };
    let peer = begin(&world, "a");
    for (what, answer) in [("xhr", "a[\"x\"]\n"), ("xhr_streaming", "a[\"x\"]\n"), ("xhr", "a[\"x\"]\n")] {
        let mut client = world.http();
        let chunked = head("POST", &target("a", what), &[("Transfer-Encoding", "chunked")]);
        client.wire.send(chunked.as_bytes());
        // The rest must come after the head was read.
        std::thread::sleep(ms(60));
        client.wire.send(b"0\r\n\r\n");
        peer.send("x");
        let response = client.answer();
        assert!(response.text().ends_with(answer), "{what}: {}", response.text());
        assert_eq!(response.header("connection"), None, "{what}");
        client.request("POST", &target("a", "xhr_send"), &[], b"[\"y\"]").assert(204, "");
        peer.assert_text("y");
    }
}

#[test]
fn one_poll_after_many_posts_returns_all_their_echoes() {
    let Some(world) = world("") else { return };
    let peer = begin(&world, "a");
    peer.echo();
    let mut sender: Client = world.http();
    for at in 0..8 {
        sender
            .request("POST", &target("a", "xhr_send"), &[], format!("[\"{at}\"]").as_bytes())
            .assert(204, "");
    }
    poll(&world, "a").assert(200, "a[\"0\",\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\"]\n");
}

#[test]
fn a_receiver_gets_heartbeats_at_its_own_pace() {
    let Some(world) = world("heartbeat = \"300ms\"") else { return };
    let _peer = begin(&world, "a");
    // The heartbeat is due by the age of the receiver, which only connects now.
    std::thread::sleep(ms(200));
    let start = std::time::Instant::now();
    let mut parked = park(&world, "a");
    parked.answer().assert(200, "h\n");
    assert!(start.elapsed() >= ms(290), "the receiver's age counts, not the session's");
    poll(&world, "a").assert(200, "h\n");
}

#[test]
fn a_cookie_for_balancers_is_on_every_response_where_the_route_wants_it() {
    let Some(world) = world("cookie_needed = true") else { return };
    let ask = |method: &str, what: &str, body: &[u8]| {
        let cookie = [("Cookie", "x=1; JSESSIONID=abc")];
        let answer = world.http().request(method, &target("a", what), &cookie, body);
        (answer.status, answer.headers_named("set-cookie").join("|"))
    };
    let own = "JSESSIONID=abc; path=/".to_owned();
    assert_eq!(ask("POST", "xhr_send", b"[\"x\"]"), (404, own.clone()));
    assert_eq!(ask("POST", "xhr", b""), (200, own.clone()));
    let _peer = world.accept();
    assert_eq!(ask("POST", "xhr_send", b"[\"x\"]"), (204, own.clone()));
    assert_eq!(ask("POST", "xhr_send", b"x"), (500, own.clone()));
    assert_eq!(ask("OPTIONS", "xhr", b""), (204, own));
    assert_eq!(world.get("/echo/info").header("set-cookie"), None);
    assert_eq!(
        world.http().request("POST", &target("b", "xhr"), &[], b"").header("set-cookie"),
        Some("JSESSIONID=dummy; path=/")
    );
}

#[test]
fn polls_with_connection_close_and_of_http_1_0_have_a_length_and_keep_the_session() {
    let Some(world) = world("") else { return };
    let mut client = world.http();
    client.wire.send(b"POST /echo/0/a/xhr HTTP/1.0\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    let answer = client.answer();
    answer.assert(200, "o\n");
    assert_eq!(answer.header("content-length"), Some("2"));
    assert!(client.ends_within(ms(2000)));
    let peer = world.accept();
    peer.send("x");
    let mut client = world.http();
    client.send("POST", &target("a", "xhr"), &[("Connection", "close")], b"");
    client.answer().assert(200, "a[\"x\"]\n");
    assert!(client.ends_within(ms(2000)));
    send(&world, "a", "[\"still\"]");
    peer.assert_text("still");
}

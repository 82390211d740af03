//! Headers of the polling transport's responses (ENGINEIO.md, 2.4).

use crate::support::http::Response;
use crate::support::world::POLLING;
use crate::support::{Setup, World};

#[track_caller]
fn assert_headers(answer: &Response, kind: &str) {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some(kind));
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("set-cookie"), None);
    assert_eq!(
        answer.header("access-control-allow-origin"),
        None,
        "there is none without a list or a backend that has one"
    );
    assert_eq!(answer.header("x-xss-protection"), None);
}

#[test]
fn a_poll_is_plain_text_counted_and_never_stored() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    assert_headers(&poller.handshake, "text/plain; charset=UTF-8");
    peer.send("héllo");
    let answer = poller.get();
    assert_eq!(answer.text(), "4héllo");
    assert_headers(&answer, "text/plain; charset=UTF-8");
    peer.send_binary(&[1, 2, 3]);
    assert_headers(&poller.get(), "text/plain; charset=UTF-8");
}

#[test]
fn a_post_is_answered_ok_as_html_and_never_stored() {
    let world = World::new(Setup::new());
    let (mut poller, _peer) = world.poller();
    let answer = poller.post("4x");
    answer.assert(200, "ok");
    assert_headers(&answer, "text/html");
}

#[test]
fn old_explorers_get_no_cross_site_filter() {
    let world = World::new(Setup::new());
    for agent in
        ["Mozilla/4.0 (compatible;MSIE 8.0; Windows NT 6.1)", "Mozilla/5.0 (Windows; Trident/7.0; rv:11.0)"]
    {
        let headers = [("User-Agent", agent)];
        let handshake = world.http().request("GET", POLLING, &headers, b"");
        assert_eq!(handshake.header("x-xss-protection"), Some("0"), "handshake");
        let (poller, peer) = (crate::support::Poller::handshake(world.addr), world.accept());
        drop(peer);
        let peer = world.accept();
        let post = poller.request("POST", &headers, b"4x");
        assert_eq!(post.header("x-xss-protection"), Some("0"), "POST");
        peer.send("x");
        let get = poller.request("GET", &headers, b"");
        assert_eq!(get.header("x-xss-protection"), Some("0"), "GET");
    }
    let spaced = [("User-Agent", "Mozilla/4.0 (compatible; MSIE 8.0)")];
    let handshake = world.http().request("GET", POLLING, &spaced, b"");
    assert_eq!(handshake.header("x-xss-protection"), None, "the reference looks for \";MSIE\" alone");
}

#[test]
fn there_is_no_cors_unless_the_backend_or_the_route_asks_for_it() {
    let world = World::new(Setup::new());
    let origin = [("Origin", "https://elsewhere.test")];
    let answer = world.http().request("GET", POLLING, &origin, b"");
    assert_headers(&answer, "text/plain; charset=UTF-8");
    let preflight = [origin[0], ("Access-Control-Request-Method", "POST")];
    let answer = world.http().request("OPTIONS", POLLING, &preflight, b"");
    answer.assert_error(400, 2, "Bad handshake method");
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn one_connection_carries_many_requests() {
    let world = World::new(Setup::new());
    let mut client = world.http();
    let handshake = client.get(POLLING);
    let sid = crate::support::poller::open_packet(handshake.text())["sid"].as_str().unwrap().to_owned();
    let (target, peer) = (format!("{POLLING}&sid={sid}"), world.accept());
    for turn in 0..20 {
        client.post(&target, format!("4up {turn}")).assert(200, "ok");
        peer.assert_text(&format!("up {turn}"));
        peer.send(&format!("down {turn}"));
        client.get(&target).assert(200, &format!("4down {turn}"));
    }
}

#[test]
fn a_client_that_asks_for_close_gets_it() {
    let world = World::new(Setup::new());
    let mut client = world.http();
    let answer = client.request("GET", POLLING, &[("Connection", "close")], b"");
    assert_eq!(answer.status, 200);
    assert!(client.ends_within(crate::support::SOON));
}

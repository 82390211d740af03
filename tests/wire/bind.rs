//! Sessions that only the client that began them may use, in every dialect with ids.

use crate::support::http::{Client, Response};
use crate::support::sockjs::{setup, target};
use crate::support::world::{Excluded, POLLING};
use crate::support::{QUIET, Setup, World};

#[track_caller]
fn xhr(client: &mut Client, headers: &[(&str, &str)]) -> Response {
    client.request("POST", &target("a", "xhr"), headers, b"")
}

#[test]
fn a_session_is_bound_to_the_cookies_that_began_it_and_not_to_those_that_came_later() {
    let setup = setup("bind = \"cookie\"");
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let mut client = world.http();
    xhr(&mut client, &[("Cookie", "user=1; theme=dark")]).assert(200, "o\n");
    let peer = world.accept();
    for cookies in ["", "user=2; theme=dark", "user=1"] {
        let sent = [("Cookie", cookies)];
        xhr(&mut client, &sent).assert(200, "c[2010,\"Another connection still open\"]\n");
        let answer = client.request("POST", &target("a", "xhr_send"), &sent, b"[\"x\"]");
        answer.assert(404, "404 Error: Page not found\n");
    }
    peer.send("mine");
    xhr(&mut client, &[("Cookie", "theme=dark; new=1; user=1")]).assert(200, "a[\"mine\"]\n");
    peer.assert_quiet();
    assert!(world.accept_within(QUIET).is_none(), "no other session began under its id");
}

#[test]
fn a_session_is_bound_to_its_clients_address_as_trusted_proxies_report_it() {
    let setup = Setup::new().route("bind = \"address\"").server("trusted_proxies = [\"127.0.0.0/8\"]");
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let ask =
        |target: &str, told: &str| world.http().request("GET", target, &[("X-Forwarded-For", told)], b"");
    let open = ask(POLLING, "203.0.113.9");
    let sid = open.text().split('"').nth(3).unwrap().to_owned();
    let peer = world.accept();
    let poll = format!("{POLLING}&sid={sid}");
    peer.send("mine");
    ask(&poll, "203.0.113.10").assert_unknown_sid();
    ask(&poll, "203.0.113.9, 203.0.113.10").assert_unknown_sid();
    // What a client claims itself does not count, and neither does its port.
    ask(&poll, "198.51.100.1, 203.0.113.9").assert(200, "4mine");
    let Some(untrusting) =
        World::proxy_only(Setup::new().route("bind = \"address\""), Excluded::OnlyAProxyHasThis)
    else {
        return;
    };
    let (mut poller, peer) = untrusting.poller();
    peer.send("mine");
    assert_eq!(poller.poll(), "4mine");
}

//! Promise 6: sids, cookies, bodies and tokens never reach the log, not even at its most talkative.

use crate::support::frames::Socket;
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{Setup, World};

/// Each session and each request has a line on the standard error, too.
const ACCESS: &str = "\naccess = \"requests\"\naccess_to = \"stderr\"";

#[test]
fn the_log_and_the_metrics_hold_no_secrets() {
    let mut setup =
        Setup::new().script(|script| script.headers = "Set-Cookie: given=cookie-of-the-backend\r\n".into());
    setup.log = "trace";
    setup.access = ACCESS.into();
    let Some(mut world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let headers = [("Cookie", "own=cookie-of-the-client"), ("Authorization", "Bearer token-in-a-header")];
    let target = format!("{POLLING}&token=token-in-the-query");
    let answer = world.http().request("GET", &target, &headers, b"");
    let first = crate::support::poller::open_packet(answer.text())["sid"].as_str().unwrap().to_owned();
    world.accept().send("text-from-the-backend");

    let (mut poller, peer) = world.poller();
    poller.post_ok("4text-in-a-post\u{1e}bdGV4dC1pbi1iYXNlNjQ=");
    peer.send("text-from-the-backend");
    assert_eq!(poller.poll(), "4text-from-the-backend");
    let mut socket = poller.upgraded();
    socket.send("4text-in-a-frame");
    peer.send_binary(b"text-from-the-backend");
    socket.assert_binary(b"text-from-the-backend");
    socket.send("nonsense-in-a-frame");
    socket.assert_closed(None);

    let (mut poller2, _peer) = world.poller();
    poller2.post_ok("nonsense-in-a-post");
    let (mut socket2, peer2) = world.websocket_with("&token=token-in-the-query", &headers);
    peer2.send("text-from-the-backend");
    socket2.assert_text("4text-from-the-backend");
    world.get(&format!("{POLLING}&sid=sid-that-nobody-has")).assert_unknown_sid();
    assert!(Socket::try_connect(world.addr, &format!("{WEBSOCKET}&sid=sid-that-nobody-has"), &[]).is_err());
    let metrics = crate::support::http::Client::connect(world.target.admin).get("/metrics");
    world.target.signal("TERM");
    world.target.signal("TERM");
    world.target.exit_within(crate::support::SOON);

    let log = world.target.log();
    assert!(log.lines().count() > 8, "at this level much is logged:\n{log}");
    let secrets = [
        first.as_str(),
        &poller.sid,
        &poller2.sid,
        "cookie-of",
        "token-in",
        "text-in",
        "text-from",
        "nonsense-in",
    ];
    for secret in
        secrets.into_iter().chain(["dGV4dC1pbi1iYXNlNjQ", "sid-that-nobody-has", "backendbackendback01"])
    {
        for (place, text) in [("log", log.as_str()), ("metrics", metrics.text())] {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "the {place} holds {secret}");
        }
    }
}

#[test]
fn nor_does_the_log_of_a_plain_backend() {
    let mut setup = Setup::plain();
    setup.log = "trace";
    setup.access = ACCESS.into();
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let (mut poller, peer) = world.poller();
    poller.post_ok("4text-in-a-post");
    peer.assert_text("text-in-a-post");
    peer.send("text-from-the-backend");
    assert_eq!(poller.poll(), "4text-from-the-backend");
    let log = world.target.log();
    for secret in [poller.sid.as_str(), "text-in", "text-from"] {
        assert_eq!(log.lines().find(|line| line.contains(secret)), None);
    }
}

//! What the log says of clients that are refused: something, and not too much.

use crate::support::frames::Socket;
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{Setup, World, eventually, metrics, ms};

const OLD: &str = "/engine.io/?EIO=3&transport=polling";
const OTHER: &str = "/other/?EIO=4&transport=polling";
const TIMES: usize = 5;

fn world(setup: Setup) -> Option<World> {
    World::proxy_only(Setup { log: "info", ..setup }, Excluded::OnlyAProxyHasThis)
}

/// Repeats a request, and fails unless each response has this status.
#[track_caller]
fn refused(world: &World, target: &str, headers: &[(&str, &str)], status: u16) {
    for _ in 0..TIMES {
        assert_eq!(world.http().request("GET", target, headers, b"").status, status, "{target}");
    }
}

/// Fails unless the warnings begin with these texts, each of which occurs once.
#[track_caller]
fn assert_warnings(world: &World, expected: &[&str]) {
    let log = world.target.log();
    let warnings = warnings(&log);
    assert_eq!(warnings.len(), expected.len(), "{warnings:#?}");
    for (warning, expected) in warnings.iter().zip(expected) {
        assert!(warning.ends_with(expected), "{warning}, expected {expected}");
    }
}

/// Returns all warnings but the one for a low limit of open files.
fn warnings(log: &str) -> Vec<&str> {
    let lines = log.lines().filter(|line| !line.contains("max_sessions="));
    lines.filter_map(|line| Some(line.split_once(" WARN ")?.1)).collect()
}

#[test]
fn refusals_are_logged_once_a_minute_for_each_route_and_reason() {
    let setup = Setup::new().server("max_sessions = 1").server("drain_timeout = \"2s\"");
    let setup = setup.route("versions = [4]").route("allowed_origins = [\"https://chat.example.org\"]");
    let other = "[[routes]]\npath = \"/other/\"\ndialect = \"engine.io\"\nupstream = \"b\"";
    let Some(world) = world(setup.upstream(other)) else { return };
    refused(&world, POLLING, &[("Origin", "https://evil.example.org")], 403);
    refused(&world, OLD, &[], 400);
    assert_eq!(Socket::try_connect(world.addr, &WEBSOCKET.replace('4', "3"), &[]).unwrap_err().status, 400);
    refused(&world, "/nowhere/token-in-the-path", &[], 404);
    let (_poller, peer) = world.poller();
    refused(&world, POLLING, &[], 503);
    refused(&world, OTHER, &[], 503);
    peer.send("so that the drain waits");
    peer.settle();
    world.target.signal("TERM");
    // It is not ready before it refuses.
    eventually(|| metrics::has_counted(world.target.admin, "polliwog_draining", &[]), || world.log());
    refused(&world, POLLING, &[], 503);
    assert_warnings(
        &world,
        &[
            "refused route=\"/engine.io/\" reason=\"foreign origin\" detail=https://evil.example.org count=1",
            "refused route=\"/engine.io/\" reason=\"unsupported version\" detail=EIO=3 count=1",
            "refused reason=\"no route\" count=1",
            "refused route=\"/engine.io/\" reason=\"full\" count=1",
            "refused route=\"/other/\" reason=\"full\" count=1",
            "refused route=\"/engine.io/\" reason=\"draining\" count=1",
        ],
    );
}

#[test]
fn a_backend_that_speaks_nonsense_or_nothing_is_logged_once_a_minute() {
    let setup = Setup::new().upstream("handshake_timeout = \"200ms\"\nresponse_timeout = \"200ms\"");
    let forwards = "[[routes]]\npath = \"/\"\ndialect = \"http\"\nupstream = \"b\"";
    for (nonsense, status, line) in [
        (true, 502, "reason=\"the upstream violated its protocol\""),
        (false, 504, "reason=\"the upstream timed out\""),
    ] {
        let setup = setup.clone().script(|script| {
            script.refusal = nonsense.then(|| b"nonsense\r\n\r\n".to_vec());
            script.delay = if nonsense { ms(0) } else { ms(1000) };
        });
        let Some(world) = world(setup.upstream(forwards)) else { return };
        refused(&world, POLLING, &[], status);
        refused(&world, "/page", &[], status);
        let log = world.target.log();
        for route in ["/engine.io/", "/"] {
            let start = format!("refused route={route:?} {line}");
            assert_eq!(log.matches(&start).count(), 1, "{route}: {log}");
        }
        assert_eq!(warnings(&log).len(), 2, "{log}");
    }
}

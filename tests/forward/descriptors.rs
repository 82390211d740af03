//! A proxy without free descriptors says that the fault is its own, and its admin listener still serves.

use std::net::SocketAddr;

use crate::gone::backend;
use crate::support::http::{Client, head};
use crate::support::target::Target;
use crate::support::{SOON, eventually, metrics, ms};

fn target(limit: &str, dialect: &str, kind: &str, backend: SocketAddr) -> Target {
    let scheme = if kind == "http" { "http" } else { "ws" };
    Target::proxy_in(
        |_| {},
        limit,
        |public, admin| {
            format!(
                "[server]\nlisten = [\"{public}\"]\n[admin]\nlisten = \"{admin}\"\n\
             [[routes]]\npath = \"/\"\ndialect = \"{dialect}\"\nupstream = \"b\"\n\
             [upstreams.b]\nkind = \"{kind}\"\nurl = \"{scheme}://{backend}/\"\n"
            )
        },
    )
}

/// Returns the process's limit on descriptors.
fn allowed(target: &Target) -> usize {
    let metrics = Client::connect(target.admin).get("/metrics");
    let line = metrics.text().lines().find_map(|line| line.strip_prefix("process_max_fds "));
    line.expect("the metrics have process_max_fds").parse().unwrap()
}

#[test]
fn the_soft_limit_of_descriptors_is_raised_and_one_that_is_too_low_is_reported() {
    let raised = target("ulimit -Sn 90; ulimit -Hn 250;", "http", "http", backend());
    assert_eq!(allowed(&raised), 250);
    assert!(raised.log().contains("WARN") && raised.log().contains("max_sessions=10000"), "{}", raised.log());
}

#[test]
fn without_descriptors_clients_get_a_503_and_the_admin_listener_still_serves() {
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ];
    for (dialect, kind, path, headers) in [
        ("http", "http", "/slow", &[][..]),
        ("engine.io", "engine.io", "/?EIO=4&transport=polling", &[]),
        ("engine.io", "engine.io", "/?EIO=4&transport=websocket", &upgrade),
        ("engine.io", "websocket", "/?EIO=4&transport=polling", &[]),
        ("websocket", "websocket", "/", &upgrade),
    ] {
        let mut refused = 0;
        // Each request takes two descriptors: an even number is left, or an odd one.
        for idle in 0..2 {
            if refused > 0 {
                break;
            }
            let target = target("ulimit -n 100;", dialect, kind, backend());
            let before = target.descriptors();
            let _idle = (0..idle).map(|_| Client::connect(target.public)).collect::<Vec<_>>();
            let mut clients: Vec<_> = (0..60).map(|_| Client::connect(target.public)).collect();
            for client in &mut clients {
                client.wire.send(head("GET", path, headers).as_bytes());
            }
            eventually(
                || target.descriptors() >= 86,
                || format!("{dialect}: {} descriptors", target.descriptors()),
            );
            // Each waits for a moment, since a descriptor may get free.
            std::thread::sleep(ms(700));
            for client in &mut clients {
                if let Ok(answer) = client.answer_within(ms(3)) {
                    answer.assert(503, "the proxy has no file descriptors left\n");
                    assert!(answer.header("retry-after").is_some());
                    assert_eq!(answer.header("connection"), Some("close"));
                    refused += 1;
                }
            }
            // What has just been refused may still be closing.
            eventually(
                || target.descriptors() <= 90,
                || format!("{dialect}: {} descriptors: the reserve is not theirs", target.descriptors()),
            );
            for _ in 0..3 {
                assert_eq!(metrics::livez(target.admin).status, 200, "{dialect}");
                let ready = metrics::readyz(target.admin);
                assert_eq!(ready.status, 200, "{dialect}: {}", ready.text());
                let text = Client::connect(target.admin).get("/metrics");
                assert!(text.text().contains("process_open_fds"), "it could read its own files");
            }
            assert!(!target.log().contains("cannot be reached"), "{}", target.log());
            for client in clients {
                client.wire.reset();
            }
            eventually(
                || target.descriptors() <= before + idle + 1,
                || format!("{dialect}: {} descriptors", target.descriptors()),
            );
            if dialect == "http" {
                assert_eq!(Client::connect(target.public).get("/fast").status, 204);
            }
        }
        assert!(refused > 0, "{dialect} before {kind}: expected some clients to get a 503, none did");
    }
}

#[test]
fn a_client_without_a_descriptor_gets_a_503() {
    let target = target("ulimit -n 100;", "http", "http", backend());
    let mut idle: Vec<_> = (0..84).map(|_| Client::connect(target.public)).collect();
    eventually(|| target.descriptors() >= 88, || format!("{} descriptors", target.descriptors()));
    // The new client is accepted only after the silent ones, each of which gets a second to send.
    let mut client = Client::connect(target.public);
    client.wire.send(head("GET", "/fast", &[]).as_bytes());
    let answer = client.answer_within(SOON * 6).expect("a response arrives in time");
    answer.assert(503, "the proxy has no file descriptors left\n");
    assert_eq!((answer.header("retry-after"), answer.header("connection")), (Some("1"), Some("close")));
    assert!(client.wire.ends_within(SOON));
    assert_eq!(metrics::livez(target.admin).status, 200, "the rest of the reserve is the operator's");
    let log = target.log();
    assert_eq!(log.matches("no file descriptors left").count(), 1, "{log}");
    idle.drain(..).for_each(|client| client.wire.reset());
    let serves = || Client::connect(target.public).get("/fast").status == 204;
    eventually(serves, || "it serves again".to_owned());
}

//! Backends that may have only so many sessions: who waits for a place, and for how long.

use std::time::Instant;

use crate::honesty::world;
use crate::support::backend::Backend;
use crate::support::frames::{Frame, Socket};
use crate::support::http::Client;
use crate::support::script::{Kind, Script};
use crate::support::world::{POLLING, WEBSOCKET};
use crate::support::{Setup, World, eventually, metrics, ms};

/// Returns a proxy before as many backends, each of which may have one session.
fn before(backends: &[Backend], more: &str) -> Option<World> {
    let urls = backends.iter().map(|one| format!("ws://{}/engine.io/", one.addr)).collect::<Vec<_>>();
    let urls = urls.iter().map(String::as_str).collect::<Vec<_>>();
    world(Setup::new().urls(&urls).upstream(&format!("max_sessions = 1\n{more}")))
}

fn backends(count: usize) -> Vec<Backend> {
    (0..count).map(|_| Backend::listen(Kind::EngineIo, Script::new(Kind::EngineIo))).collect()
}

fn waiting(world: &World) -> usize {
    let text = Client::connect(world.target.admin).get("/metrics").text().to_owned();
    metrics::value(&text, "polliwog_upstream_queue", &["upstream=\"b\""]).parse().unwrap()
}

/// Sends the request of a new session without waiting for the response.
fn ask(world: &World) -> Client {
    let mut client = Client::connect(world.addr);
    client.send_get(POLLING);
    client
}

#[test]
fn a_handshake_waits_for_a_place_and_beyond_the_queue_it_is_refused() {
    let backends = backends(2);
    let Some(world) = before(&backends, "queue = 2\nqueue_timeout = \"1m\"") else { return };
    let mut sockets = [0; 2].map(|_| Socket::try_connect(world.addr, WEBSOCKET, &[]).unwrap());
    let mut first = ask(&world);
    eventually(|| waiting(&world) == 1, || "the first waits".to_owned());
    let gone = ask(&world);
    eventually(|| waiting(&world) == 2, || "the second waits".to_owned());
    for refused in [world.get(POLLING), Socket::try_connect(world.addr, WEBSOCKET, &[]).unwrap_err()] {
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")), "{refused:?}");
        assert!(refused.text().contains("the upstream is full"), "{refused:?}");
    }
    // A client that does not wait any longer makes room in the queue.
    drop(gone);
    eventually(|| waiting(&world) == 1, || "it leaves".to_owned());
    let mut last = ask(&world);
    eventually(|| waiting(&world) == 2, || "the last waits".to_owned());
    first.assert_parked();
    sockets[1].send_frame(&Frame::close(Some(1000)));
    assert_eq!(first.answer().status, 200);
    last.assert_parked();
    // An end without a word gives the place back as well.
    let [socket, _] = sockets;
    drop(socket);
    assert_eq!(last.answer().status, 200);
    let queued = |outcome: &str| {
        let labels = ["upstream=\"b\"", &format!("outcome=\"{outcome}\"")];
        metrics::value(
            Client::connect(world.target.admin).get("/metrics").text(),
            "polliwog_upstream_queued_total",
            &labels,
        )
        .to_owned()
    };
    assert_eq!(["served", "refused", "left", "timed_out"].map(queued), ["2", "2", "1", "0"]);
}

#[test]
fn a_wait_for_a_place_ends() {
    let backends = backends(1);
    let Some(world) = before(&backends, "queue_timeout = \"300ms\"") else { return };
    let _socket = Socket::try_connect(world.addr, WEBSOCKET, &[]).unwrap();
    let start = Instant::now();
    assert_eq!(world.get(POLLING).status, 503);
    assert!(start.elapsed() >= ms(300), "{:?}", start.elapsed());
    // Other requests need no place.
    let api = Client::connect(world.target.admin).get("/api/upstreams");
    let seen: serde_json::Value = serde_json::from_slice(&api.body).unwrap();
    let upstream = &seen["upstreams"][0];
    assert_eq!(upstream["max_sessions"], 1, "{seen}");
    assert_eq!(upstream["addresses"][0]["sessions"], 1, "{seen}");
    assert_eq!(upstream["addresses"][0]["state"], "up", "{seen}");
}

#[test]
fn a_handshake_that_failed_and_a_session_that_the_backend_ended_free_their_places() {
    let backends = backends(1);
    let Some(world) = before(&backends, "queue = 0") else { return };
    backends[0].script(|script| script.refusal = Some(Vec::new()));
    for _ in 0..3 {
        assert_eq!(world.get(POLLING).status, 502);
    }
    backends[0].script(|script| script.refusal = None);
    for _ in 0..3 {
        let answered = || world.get(POLLING).status == 200;
        eventually(answered, || "a free place".to_owned());
        let peer = backends[0].peers.recv_timeout(crate::support::SOON).unwrap();
        assert_eq!(world.get(POLLING).status, 503);
        peer.close();
    }
}

#[test]
fn a_reload_changes_how_many_sessions_there_may_be() {
    let backends = backends(1);
    let Some(world) = before(&backends, "queue_timeout = \"1m\"") else { return };
    let _socket = Socket::try_connect(world.addr, WEBSOCKET, &[]).unwrap();
    let mut waits = ask(&world);
    eventually(|| waiting(&world) == 1, || "it waits".to_owned());
    let config = world.target.folder().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("max_sessions = 1\n", "max_sessions = 2\n")).unwrap();
    assert_eq!(Client::connect(world.target.admin).post("/api/reload", "").status, 200);
    assert_eq!(waits.answer().status, 200);
    // The session from before is among the two.
    let mut third = ask(&world);
    eventually(|| waiting(&world) == 1, || "it waits".to_owned());
    third.assert_parked();
}

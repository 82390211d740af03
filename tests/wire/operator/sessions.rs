//! The list of sessions, and the end of one by its operator, told to each client in its dialect.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{ask, json as get, world};
use crate::support::feed::Feed;
use crate::support::frames::Socket;
use crate::support::script::Kind;
use crate::support::{Script, Setup, metrics, sockjs};

/// Returns the sessions that a query finds.
#[track_caller]
fn sessions(admin: SocketAddr, query: &str) -> Vec<Value> {
    let listed = get(admin, &format!("/api/sessions{query}"));
    listed["sessions"].as_array().unwrap().clone()
}

/// Ends the only session, and returns its id.
#[track_caller]
fn end_the_only(admin: SocketAddr) -> String {
    let id = sessions(admin, "")[0]["id"].as_str().unwrap().to_owned();
    let answer = ask(admin, "DELETE", &format!("/api/sessions/{id}"), &[]);
    assert_eq!((answer.status, answer.text().contains(&id)), (200, true));
    id
}

#[test]
fn each_session_is_listed_with_its_client_and_what_it_has_carried() {
    let Some(world) = world(Setup::new()) else { return };
    let admin = world.target.admin;
    assert_eq!(get(admin, "/api/sessions"), json!({ "total": 0, "matching": 0, "sessions": [] }));
    let (mut poller, peer) = world.poller();
    poller.post_ok("4abc");
    peer.assert_text("abc");
    peer.send("12345");
    assert_eq!(poller.poll(), "412345");
    let (mut socket, other) = world.websocket();
    socket.send("4to the backend");
    other.assert_text("to the backend");

    let all = sessions(admin, "?sort=oldest");
    let [first, second] = &all[..] else { panic!("two sessions were begun: {all:?}") };
    for (shown, expected) in [
        (&first["client"], json!("127.0.0.1")),
        (&first["route"], json!("/engine.io/")),
        (&first["upstream"], json!("b")),
        (&first["dialect"], json!("engine.io")),
        (&first["version"], json!(4)),
        (&first["transport"], json!("polling")),
        (&first["upgrading"], json!(false)),
        (&first["relayed"], json!(false)),
        (&first["from_client"], json!({ "messages": 1, "bytes": 3 })),
        (&first["to_client"], json!({ "messages": 1, "bytes": 5 })),
        (&first["waiting"], json!({ "messages": 0, "bytes": 0 })),
        (&second["transport"], json!("websocket")),
        (&second["from_client"], json!({ "messages": 1, "bytes": 14 })),
    ] {
        assert_eq!(*shown, expected, "{all:#?}");
    }
    let age = |session: &Value| session["age_seconds"].as_f64().unwrap();
    assert!(age(first) > age(second) && age(first) < 600.0);
    let text = ask(admin, "GET", "/api/sessions", &[]);
    assert!(!text.text().contains(&poller.sid), "an id is only shown hashed");

    let count = |query: &str| sessions(admin, query).len();
    assert_eq!(count("?transport=websocket"), 1);
    assert_eq!(count("?transport=websocket&client=127.0.0.2"), 0);
    assert_eq!(count("?route=%2Fengine.io%2F&upstream=b&dialect=engine.io"), 2);
    assert_eq!(count("?text=127.0+POLL"), 1);
    assert_eq!(count(&format!("?id={}", first["id"].as_str().unwrap())), 1);
    let cut = get(admin, "/api/sessions?limit=1");
    assert_eq!((&cut["total"], &cut["matching"]), (&json!(2), &json!(2)));
    let left: Vec<_> = cut["sessions"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(left, [&second["id"]], "the newest comes first");
    for bad in ["?limit=x", "?limit=10001", "?sort=shoe"] {
        assert_eq!(ask(admin, "GET", &format!("/api/sessions{bad}"), &[]).status, 400, "{bad}");
    }
}

#[test]
fn what_waits_for_a_client_is_listed() {
    let Some(world) = world(Setup::new()) else { return };
    let (mut poller, peer) = world.poller();
    peer.send_all(&["abc", "de"]);
    peer.settle();
    let waiting = &sessions(world.target.admin, "?sort=waiting")[0]["waiting"];
    assert_eq!(*waiting, json!({ "messages": 2, "bytes": 5 }));
    assert_eq!(poller.poll(), "4abc\u{1e}4de");
}

#[test]
fn a_session_that_its_operator_ends_is_over_for_both_sides() {
    let Some(world) = world(Setup::new()) else { return };
    let admin = world.target.admin;
    let (mut poller, peer) = world.poller();
    poller.park();
    let id = end_the_only(admin);
    poller.assert_parked_gets("1");
    peer.assert_closed();
    poller.assert_gone();
    world.assert_sessions(0);
    assert!(metrics::has_counted(admin, "polliwog_sessions_closed_total", &["reason=\"operator\""]));
    for unknown in [id.as_str(), "000000000000", "x"] {
        assert_eq!(ask(admin, "DELETE", &format!("/api/sessions/{unknown}"), &[]).status, 404);
    }

    let (mut socket, peer) = world.websocket();
    end_the_only(admin);
    socket.assert_closed(None);
    peer.assert_closed();
}

#[test]
fn a_relayed_session_is_counted_and_ended_like_any_other() {
    for setup in [Setup::sockets(), Setup { relay: false, ..Setup::sockets() }] {
        let Some(world) = world(setup.clone()) else { return };
        let mut socket = Socket::connect(world.addr, "/engine.io/");
        let peer = world.accept();
        socket.send("abc");
        peer.assert_text("abc");
        peer.send("12345");
        socket.assert_text("12345");
        let session = &sessions(world.target.admin, "")[0];
        assert_eq!(session["relayed"], setup.relay);
        assert_eq!(session["from_client"], json!({ "messages": 1, "bytes": 3 }));
        assert_eq!(session["to_client"], json!({ "messages": 1, "bytes": 5 }));
        end_the_only(world.target.admin);
        socket.assert_closed(Some(1008));
        peer.assert_closed();
    }
}

#[test]
fn a_client_of_sockjs_is_told_by_a_close_frame() {
    let Some(world) = sockjs::world("") else { return };
    let peer = sockjs::begin(&world, "operator");
    let mut parked = sockjs::park(&world, "operator");
    end_the_only(world.target.admin);
    parked.answer().assert(200, "c[1008,\"Ended by an operator\"]\n");
    peer.assert_closed();
}

#[test]
fn a_client_of_longpoll_is_told_in_its_answer() {
    let setup = Setup {
        kind: Kind::WebSocket,
        dialect: "longpoll",
        path: "/feed/",
        script: Script::new(Kind::WebSocket),
        ..Setup::new()
    };
    let Some(world) = world(setup) else { return };
    let mut feed = Feed::begin(world.addr);
    let peer = world.accept();
    feed.park("");
    end_the_only(world.target.admin);
    let answer = feed.gets.answer();
    assert!(
        answer.text().contains(r#""closed":{"code":1008,"reason":"ended by an operator"}"#),
        "{answer:?}"
    );
    peer.assert_closed();
}

#[test]
fn a_page_of_another_site_ends_nothing() {
    let Some(world) = world(Setup::new()) else { return };
    let admin = world.target.admin;
    let (_poller, _peer) = world.poller();
    let id = sessions(admin, "")[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/sessions/{id}");
    for header in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        // Without a token, any name may be that of another site.
        ("Origin", "http://wire.test"),
    ] {
        assert_eq!(ask(admin, "DELETE", &path, &[header]).status, 403, "{header:?}");
    }
    assert_eq!(world.sessions(), 1);
    let (host, own) = (admin.to_string(), format!("http://{admin}"));
    let headers = [("Host", &*host), ("Origin", &*own), ("Sec-Fetch-Site", "same-origin")];
    assert_eq!(ask(admin, "DELETE", &path, &headers).status, 200);
    world.assert_sessions(0);
}

//! What happens, as it happens: snapshots, and the begins and ends of sessions.

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Value, json};

use super::{ask, world};
use crate::support::http::Client;
use crate::support::{SOON, Setup};

/// Somebody who watches.
struct Watcher {
    client: Client,
    text: String,
}

impl Watcher {
    fn of(admin: SocketAddr) -> Self {
        let mut client = Client::connect(admin);
        client.send_get("/api/events");
        let head = client.wire.take_until(b"\r\n\r\n", Instant::now() + SOON).expect("a response");
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200") && head.contains("text/event-stream"), "{head}");
        Self { client, text: String::new() }
    }

    /// Returns the data of the next event that is wanted; others are left out.
    #[track_caller]
    fn until(&mut self, is_wanted: impl Fn(&str, &Value) -> bool) -> Value {
        let deadline = Instant::now() + SOON;
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let (name, data) = event.split_once('\n').expect("a name and data");
                let name = name.strip_prefix("event: ").expect("a name");
                let data = serde_json::from_str(data.strip_prefix("data: ").expect("data")).unwrap();
                if is_wanted(name, &data) {
                    return data;
                }
            }
            let line = self.client.wire.take_until(b"\r\n", deadline).expect("the events go on");
            let length = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
            let chunk = self.client.wire.take_exact(length + 2, deadline).unwrap();
            self.text.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
        }
    }

    #[track_caller]
    fn snapshot(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        self.until(|name, data| name == "snapshot" && fits(data))
    }

    #[track_caller]
    fn session(&mut self, what: &str) -> Value {
        self.until(|name, data| name == "session" && data["what"] == what)
    }
}

#[test]
fn all_who_watch_are_told_of_begins_and_ends_and_of_what_there_is() {
    let Some(world) = world(Setup::new()) else { return };
    let admin = world.target.admin;
    let mut watchers = [Watcher::of(admin), Watcher::of(admin)];
    for watcher in &mut watchers {
        // From the first one on, begins are told.
        let first = watcher.snapshot(|_| true);
        assert_eq!((&first["sessions"], &first["draining"]), (&json!(0), &json!(false)));
    }
    let (poller, peer) = world.poller();
    let mut socket = poller.upgraded();
    socket.send("4abc");
    peer.assert_text("abc");
    for watcher in &mut watchers {
        let began = watcher.session("began");
        assert_eq!((&began["transport"], &began["route"]), (&json!("polling"), &json!("/engine.io/")));
        watcher.session("upgraded");
        let snapshot = watcher.snapshot(|one| one["routes"][0]["transports"]["websocket"]["payload"] == 3);
        assert_eq!(snapshot["sessions"], 1);
        let route = &snapshot["routes"][0];
        assert_eq!((&route["route"], &route["upstream"]), (&json!("/engine.io/"), &json!("b")));
        assert_eq!((&route["dialect"], &route["upgrades"]["done"]), (&json!("engine.io"), &json!(1)));
        assert_eq!(route["transports"]["websocket"]["sessions"], 1);
        assert_eq!(snapshot["upstreams"][0]["name"], "b");
    }
    let text = ask(admin, "GET", "/api/sessions", &[]);
    let listed: Value = serde_json::from_str(text.text()).unwrap();
    let id = listed["sessions"][0]["id"].as_str().unwrap();
    assert_eq!(ask(admin, "DELETE", &format!("/api/sessions/{id}"), &[]).status, 200);
    for watcher in &mut watchers {
        let ended = watcher.session("ended");
        assert_eq!((&ended["reason"], &ended["transport"]), (&json!("operator"), &json!("websocket")));
        assert!(ended["age_seconds"].as_f64().is_some_and(|age| age < 600.0), "{ended}");
        assert!(!ended.to_string().contains(&poller.sid));
    }
}

#[test]
fn what_is_told_ends_properly_with_the_process() {
    let Some(mut world) = world(Setup::new()) else { return };
    let mut watcher = Watcher::of(world.target.admin);
    watcher.snapshot(|_| true);
    assert_eq!(ask(world.target.admin, "POST", "/api/drain", &[]).status, 202);
    let status = world.target.exit_within(SOON).expect("it ends");
    assert!(status.success(), "{status}");
    let mut lines = Vec::new();
    while let Ok(line) = watcher.client.wire.take_until(b"\n", Instant::now() + SOON) {
        lines.push(line);
    }
    assert!(lines.ends_with(&[b"0\r\n".to_vec(), b"\r\n".to_vec()]), "an empty chunk ends the stream");
}

//! What an operator sees and does by the admin listener: the sessions, and their ends.

mod access;
mod certified;
mod events;
mod sessions;

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::http::{Client, Response};
use crate::support::world::Excluded;
use crate::support::{Setup, World};

fn world(setup: Setup) -> Option<World> {
    World::proxy_only(setup, Excluded::OnlyAProxyHasThis)
}

/// Returns what a path of the admin listener answers, as JSON.
#[track_caller]
fn json(admin: SocketAddr, path: &str) -> Value {
    let answer = Client::connect(admin).get(path);
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_str(answer.text()).unwrap()
}

fn ask(admin: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    Client::connect(admin).request(method, path, headers, b"")
}

//! Clients that come while their backend is down, and wait until it is back (`hold`).

use std::net::SocketAddr;

use crate::support::frames::HANDSHAKE;
use crate::support::http::Client;
use crate::support::poller::POLLING;
use crate::support::target::{Target, free_port};
use crate::support::{SOON, eventually, metrics};

/// Starts a proxy with upstreams of several kinds, all of them at one address.
fn edge(backend: SocketAddr, hold: &str) -> Target {
    Target::proxy_with(|public, admin| {
        let upstream = |name: &str, kind: &str, url: &str| {
            format!("[upstreams.{name}]\nkind = \"{kind}\"\nurl = \"{url}\"\n{hold}\n")
        };
        let route = |path: &str, dialect: &str, upstream: &str| {
            format!("[[routes]]\npath = \"{path}\"\ndialect = \"{dialect}\"\nupstream = \"{upstream}\"\n")
        };
        [
            format!("[server]\nlisten = \"{public}\"\n[admin]\nlisten = \"{admin}\"\n"),
            route("/engine.io/", "engine.io", "hub"),
            route("/sessions/", "engine.io", "sessions"),
            route("/sockets/", "websocket", "sockets"),
            route("/relayed/", "websocket", "sockets") + "relay = true\n",
            route("/pages/", "http", "pages"),
            upstream("hub", "mux", &format!("ws://{backend}/mux")),
            upstream("sessions", "engine.io", &format!("ws://{backend}/socket.io/")),
            upstream("sockets", "websocket", &format!("ws://{backend}/socket/")),
            upstream("pages", "http", &format!("http://{backend}/")),
        ]
        .concat()
    })
}

/// Starts what they lead to, at an address that was free.
fn backend(address: SocketAddr) -> Target {
    Target::proxy_with(|public, admin| {
        format!(
            "[server]\nlisten = [\"{public}\", \"{address}\"]\n[admin]\nlisten = \"{admin}\"\n\
             [[routes]]\npath = \"/mux\"\ndialect = \"mux\"\nupstream = \"messages\"\n\
             [[routes]]\npath = \"/socket.io/\"\ndialect = \"engine.io\"\nupstream = \"events\"\n\
             [[routes]]\npath = \"/socket/\"\ndialect = \"websocket\"\nupstream = \"messages\"\n\
             [upstreams.messages]\nkind = \"demo\"\nprotocol = \"websocket\"\n\
             [upstreams.events]\nkind = \"demo\"\n"
        )
    })
}

/// The requests of clients, with the status of a backend that is there.
fn asked(edge: &Target) -> Vec<(&'static str, Client, u16)> {
    let sessions = POLLING.replace("/engine.io/", "/sessions/");
    let ask = |what, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8], status| {
        let mut client = Client::connect(edge.public);
        client.send(method, target, headers, body);
        (what, client, status)
    };
    vec![
        ask("mux", "GET", POLLING, &[], b"", 200),
        ask("engine.io", "GET", &sessions, &[], b"", 200),
        ask("websocket", "GET", "/sockets/", &HANDSHAKE, b"", 101),
        ask("relayed", "GET", "/relayed/", &HANDSHAKE, b"", 101),
        // The backend has no such page, and says so itself.
        ask("http", "GET", "/pages/none", &[], b"", 404),
        ask("http with a body", "POST", "/pages/none", &[], b"body", 404),
    ]
}

#[test]
fn a_client_of_each_kind_waits_for_a_backend_that_comes_back() {
    let address = free_port();
    let edge = edge(address, "hold = \"1m\"");
    let mut asked = asked(&edge);
    for upstream in ["sessions", "sockets", "pages"] {
        let label = format!("upstream=\"{upstream}\"");
        let has_failed =
            || metrics::has_counted(edge.admin, "polliwog_upstream_dial_failures_total", &[&label]);
        eventually(has_failed, || format!("{upstream} was dialled:\n{}", edge.log()));
    }
    for (_, client, _) in &mut asked {
        client.assert_parked();
    }
    let _backend = backend(address);
    for (what, client, status) in &mut asked {
        let answer = client.answer_within(4 * SOON).expect("it is answered once the backend is back");
        assert_eq!(answer.status, *status, "{what}: {answer:?}\n{}", edge.log());
    }
}

#[test]
fn a_client_of_each_kind_waits_no_longer_than_it_should() {
    for hold in ["hold = \"300ms\"", ""] {
        let edge = edge(free_port(), hold);
        for (what, mut client, _) in asked(&edge) {
            let answer = client.answer_within(4 * SOON).expect("it is answered in time");
            assert_eq!(answer.status, 502, "{what}, {hold:?}: {answer:?}");
        }
    }
}

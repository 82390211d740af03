//! Promise 3, for balancers: what `/readyz` reports of the backends.

use std::net::TcpListener;
use std::time::Instant;

use crate::honesty::{black_hole, world};
use crate::support::frames::Socket;
use crate::support::http::Client;
use crate::support::world::POLLING;
use crate::support::{Setup, metrics, ms};

#[test]
fn the_proxy_is_not_ready_while_its_backend_is_known_down_and_ready_again_when_it_is_back() {
    let addr = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let setup = Setup::new().url(&format!("ws://{addr}/")).upstream("handshake_timeout = \"200ms\"");
    let Some(world) = world(setup) else { return };
    assert_eq!(
        metrics::readyz(world.target.admin).status,
        503,
        "the first request to /readyz dials the backend"
    );
    assert_eq!(world.get(POLLING).status, 502);
    assert_eq!(metrics::readyz(world.target.admin).status, 503);
    assert_eq!(metrics::livez(world.target.admin).status, 200);
    // The backend accepts no session, but it can be reached again.
    let _backend = TcpListener::bind(addr).unwrap();
    assert_eq!(world.get(POLLING).status, 504);
    assert_eq!(metrics::readyz(world.target.admin).status, 200);
}

#[test]
fn a_backend_that_does_not_respond_is_unknown_and_not_ready() {
    let (_listener, addr, _queue) = black_hole();
    let setup = Setup::new().url(&format!("ws://{addr}/"));
    let Some(world) = world(setup) else { return };
    let start = Instant::now();
    let answer = metrics::readyz(world.target.admin);
    assert_eq!((answer.status, &*answer.text_without_nodes()), (503, "upstream b is unknown\n"));
    assert!(
        start.elapsed() < ms(5000),
        "expected the probe to give up within 5 s, it took {:?}",
        start.elapsed()
    );
}

#[test]
fn one_upstream_of_several_that_is_down_does_not_make_the_proxy_unready() {
    let down = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let other = format!(
        "[[routes]]\npath = \"/other/\"\ndialect = \"websocket\"\nupstream = \"c\"\n\
         [upstreams.c]\nkind = \"websocket\"\nurl = \"ws://{down}/\"\n"
    );
    let list = |c: &str| format!("upstream b is up\nupstream c is {c}\n");
    for (required, status, text) in [
        ("", 200, format!("ready\n{}", list("down"))),
        ("required = true\n", 503, list("down").replace("b is up", "b is up, not required")),
    ] {
        let Some(world) = world(Setup::new().upstream(&format!("{other}{required}"))) else { return };
        assert_eq!(Socket::try_connect(world.addr, "/other/", &[]).unwrap_err().status, 502);
        let ask = |query: &str| Client::connect(world.target.admin).get(&format!("/readyz{query}"));
        let answer = ask("");
        assert_eq!((answer.status, answer.text_without_nodes()), (status, text));
        assert_eq!(
            [ask("?upstream=b").status, ask("?upstream=c").status, ask("?upstream=d").status],
            [200, 503, 404]
        );
    }
}

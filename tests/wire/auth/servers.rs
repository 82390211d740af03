//! Where the auth server is, and who asks it: a Unix socket, TLS, another one since a reload, the nodes of a cluster.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use rustls::{ServerConnection, StreamOwned};

use super::{HEADERS, Plain, WAYS, application, ask, asking, begin, converse, gate, header, start};
use crate::support::frames::Socket;
use crate::support::http::Client;
use crate::support::poller::{POLLING, WEBSOCKET};
use crate::support::target::Target;
use crate::support::{SOON, Setup, World, metrics};
use crate::tls::authority::Authority;

#[test]
fn the_auth_server_may_listen_at_a_unix_socket() {
    let folder = std::env::temp_dir().join(format!("polliwog-auth-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("gate.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (tell, asked) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            converse(stream, gate, &tell);
        }
    });
    let app = Plain::serve(application);
    let world =
        start(&format!("{{ url = \"http://sso.test/verify\", socket = {path:?}, {HEADERS} }}"), app.addr);
    begin(&world, "http", "user=ada").assert(200, "fine");
    let asked = asked.recv_timeout(SOON).unwrap();
    assert_eq!((&*asked[0], header(&asked, "host")), ("GET /verify HTTP/1.1", Some("sso.test")));
    assert_eq!(header(&app.next(), "x-user"), Some("ada"));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_auth_server_is_asked_by_tls_only_if_it_is_the_right_one() {
    let authority = Authority::new();
    let app = Plain::serve(application);
    let secured = |config: Arc<rustls::ServerConfig>| {
        Plain::serve_over(gate, move |stream| {
            StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream)
        })
    };
    let proxy = |gate: &Plain| {
        let url = format!("https://localhost:{}/verify", gate.addr.port());
        start(&format!("{{ url = {url:?}, tls = {{ ca = {:?} }}, {HEADERS} }}", authority.file), app.addr)
    };
    let good = secured(authority.server("localhost"));
    let world = proxy(&good);
    for way in WAYS {
        let begun = begin(&world, way, "user=ada");
        assert!([200, 201, 101].contains(&begun.status), "{way}: {begun:?}");
        assert_eq!(begin(&world, way, "user=eve").status, 401, "{way}");
        assert_eq!(good.next()[0], "GET /verify HTTP/1.1");
        good.next();
        good.assert_no_more();
        if ["http", "tunnel"].contains(&way) {
            assert_eq!(header(&app.next(), "x-user"), Some("ada"), "{way}");
        } else {
            assert_eq!(world.accept().opening.headers_named("x-user"), ["ada"], "{way}");
        }
    }
    for (config, reason) in [
        (authority.server("other.test"), "its certificate has another name"),
        (Authority::new().server("localhost"), "its certificate was not issued by a trusted authority"),
    ] {
        let bad = secured(config);
        let world = proxy(&bad);
        for way in ["polling", "http"] {
            begin(&world, way, "user=ada").assert(503, "authorization is not available\n");
        }
        assert!(world.log().contains(reason), "{reason}: {}", world.log());
        bad.assert_no_more();
    }
    app.assert_no_more();
}

#[test]
fn a_reload_asks_the_new_server_and_lets_the_old_one_finish() {
    let old = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/old", old.local_addr().unwrap());
    let (new, app) = (Plain::serve(gate), Plain::serve(application));
    let auth = format!("{{ url = {url:?}, {HEADERS} }}");
    let world = start(&auth, app.addr);
    let mut waiting = world.http();
    waiting.send("GET", "/http/", &[("Cookie", "user=ada")], b"");
    let (mut question, _) = old.accept().unwrap();
    let renewed = format!("http://{}/new", new.addr);
    world.change(&url, &renewed);
    assert_eq!(begin(&world, "polling", "user=eve").status, 401);
    begin(&world, "http", "user=ada").assert(200, "fine");
    for _ in 0..2 {
        assert_eq!(new.next()[0], "GET /new HTTP/1.1");
    }
    assert_eq!(header(&app.next(), "x-user"), Some("ada"));
    question.write_all(b"HTTP/1.1 200 OK\r\nX-User: old\r\nContent-Length: 0\r\n\r\n").unwrap();
    waiting.answer().assert(200, "fine");
    assert_eq!(header(&app.next(), "x-user"), Some("old"));
    // Other headers, of the same server.
    world.change(HEADERS, "headers = [\"X-Groups\"]");
    begin(&world, "http", "user=ada").assert(200, "fine");
    new.next();
    assert_eq!(header(&app.next(), "x-groups"), Some("a"));
    // Nobody is asked any more.
    world.change(&format!("auth = {{ url = {renewed:?}, headers = [\"X-Groups\"] }}"), "");
    for way in ["polling", "http"] {
        assert_eq!(begin(&world, way, "user=eve").status, 200, "{way}");
    }
    new.assert_no_more();
}

#[test]
fn a_session_is_asked_about_by_the_node_where_it_begins_and_by_no_other() {
    let gate = Plain::serve(gate);
    let world = World::foreign(&Setup::new().route(&format!("auth = {}", asking(&gate))));
    let other = world.other.as_ref().unwrap();
    let begun = ask(&world, "GET", POLLING, "user=ada");
    assert_eq!(begun.status, 200, "{begun:?}");
    gate.next();
    let peer = world.accept();
    assert_eq!(peer.opening.headers_named("x-user"), ["ada"]);
    let sid = begun.text().split('"').nth(3).unwrap().to_owned();
    let target = format!("{POLLING}&sid={sid}");
    let mut there = Client::connect(other.public);
    there.post(&target, "4up").assert(200, "ok");
    peer.assert_text("up");
    peer.send("down");
    there.get(&target).assert(200, "4down");
    let upgraded = Socket::connect(other.public, &format!("{WEBSOCKET}&sid={sid}"));
    assert_eq!(upgraded.response.status, 101);
    assert!(metrics::has_counted(other.admin, "polliwog_cluster_asks_total", &["outcome=\"answered\""]));
    gate.assert_no_more();
    // What begins at the other node is asked about there.
    assert_eq!(there.request("GET", POLLING, &[("Cookie", "user=eve")], b"").status, 401);
    gate.next();
    assert_eq!(there.request("GET", POLLING, &[("Cookie", "user=ada")], b"").status, 200);
    gate.next();
    assert_eq!(world.accept().opening.headers_named("x-user"), ["ada"]);
    gate.assert_no_more();
}

#[test]
fn an_options_request_is_asked_about_no_faster_than_a_handshake() {
    let gate = Plain::serve(gate);
    let limits = "[limits]\nhandshakes_per_second = 1\n".to_owned();
    let setup = Setup { sections: limits, ..Setup::plain() }.route(&format!("auth = {}", asking(&gate)));
    let world = World::start_with(&setup, Target::proxy);
    let headers = [("Origin", "https://a.test"), ("Cookie", "user=ada")];
    let options = |_| world.http().request("OPTIONS", POLLING, &headers, b"").status;
    let refused = (0..40).map(options).filter(|status| *status == 429).count();
    // What comes in ten seconds may come at once.
    assert!((20..=30).contains(&refused), "{refused}");
    (refused..40).for_each(|_| drop(gate.next()));
    gate.assert_no_more();
}

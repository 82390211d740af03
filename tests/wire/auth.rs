//! A server of the operator's says who may come in: at the handshake of every dialect, and for each forwarded request.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use serde_json::json;

use crate::support::frames::Socket;
use crate::support::http::Response;
use crate::support::http2::is_wanted;
use crate::support::poller::{POLLING, WEBSOCKET};
use crate::support::target::Target;
use crate::support::{SOON, Setup, World, metrics};

mod around;
mod servers;

/// A plain HTTP server, with what it was asked: the lines of each request's header.
pub(super) struct Plain {
    pub(super) addr: SocketAddr,
    asked: Receiver<Vec<String>>,
}

/// What a server says to a request with these lines; an empty text is silence, for ever.
pub(super) type Say = fn(&[String]) -> Vec<u8>;

impl Plain {
    pub(super) fn serve(say: Say) -> Self {
        Self::serve_over(say, |stream| stream)
    }

    /// Serves over what `wrap` makes of each connection.
    fn serve_over<S: Read + Write>(say: Say, wrap: impl Fn(TcpStream) -> S + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (tell, asked) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tell, wrap) = (tell.clone(), wrap.clone());
                thread::spawn(move || converse(wrap(stream), say, &tell));
            }
        });
        Self { addr, asked }
    }

    /// Returns the lines of the next request.
    #[track_caller]
    pub(super) fn next(&self) -> Vec<String> {
        self.asked.recv_timeout(SOON).expect("it is asked")
    }

    /// Fails if it was asked something else. All that came before has been answered.
    #[track_caller]
    pub(super) fn assert_no_more(&self) {
        if let Ok(more) = self.asked.try_recv() {
            panic!("asked without need: {more:?}");
        }
    }
}

/// Answers the requests of one connection, which have no bodies.
fn converse(stream: impl Read + Write, say: Say, tell: &Sender<Vec<String>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let lines = stream.by_ref().lines();
        let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        if head.is_empty() {
            return;
        }
        let said = say(&head);
        let _ = tell.send(head);
        if said.is_empty() {
            loop {
                thread::park();
            }
        }
        let _ = stream.get_mut().write_all(&said);
    }
}

/// Returns the value of a header.
fn header<'l>(lines: &'l [String], name: &str) -> Option<&'l str> {
    let mut values = lines.iter().filter_map(|line| line.split_once(": "));
    values.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Knows a client by its cookie, or sends it away.
fn gate(lines: &[String]) -> Vec<u8> {
    match header(lines, "cookie").unwrap_or_default() {
        "user=ada" => b"HTTP/1.1 200 OK\r\nX-User: ada\r\nX-Groups: a\r\nX-Groups: b\r\nX-Other: 1\r\n\
                        Set-Cookie: seen=1\r\nContent-Length: 2\r\n\r\nok"
            .to_vec(),
        "user=bare" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        "user=lost" => {
            b"HTTP/1.1 302 Found\r\nLocation: https://sso.test/?a=b\r\nContent-Length: 0\r\n\r\n".to_vec()
        }
        "user=slow" => Vec::new(),
        "user=long" => {
            [&b"HTTP/1.1 403 Forbidden\r\nContent-Length: 300000\r\n\r\n"[..], &vec![b'x'; 300_000]].concat()
        }
        _ => [DENIED_HEAD, DENIED].concat(),
    }
}

/// Chunked, with bytes that are no text, and headers that are only about this hop.
const DENIED_HEAD: &[u8] =
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"a\"\r\nSet-Cookie: a=1; Path=/\r\n\
    Set-Cookie: b=2\r\nContent-Type: text/html\r\nKeep-Alive: timeout=9\r\nContent-Length: 14\r\n\r\n";
const DENIED: &[u8] = b"<p>log in\r\n\xff\x00\n";

/// Shows what it receives; a request for another protocol gets that.
pub(super) fn application(lines: &[String]) -> Vec<u8> {
    let said: &[u8] = if header(lines, "upgrade").is_some() {
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n"
    } else {
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"
    };
    said.to_vec()
}

const HEADERS: &str = "headers = [\"X-User\", \"X-Groups\"]";

/// Starts a proxy with a route of every dialect, all of which ask.
fn start(auth: &str, app: SocketAddr) -> World {
    let more = ["sockjs", "longpoll", "websocket", "mux", "http"].map(|dialect| {
        let upstream = if dialect == "http" { "app" } else { "b" };
        format!("[[routes]]\npath = \"/{dialect}/\"\ndialect = \"{dialect}\"\nupstream = \"{upstream}\"\nauth = {auth}\n")
    });
    let app = format!("[upstreams.app]\nkind = \"http\"\nurl = \"http://{app}/\"\n");
    let setup = Setup { sections: more.concat() + &app, ..Setup::plain() }.route(&format!("auth = {auth}"));
    World::start_with(&setup, Target::proxy)
}

fn asking(gate: &Plain) -> String {
    format!("{{ url = \"http://{}/verify?app=1\", {HEADERS} }}", gate.addr)
}

/// What a client may say of itself, in vain.
const LIES: [(&str, &str); 4] =
    [("X-User", "root"), ("X_User", "root"), ("X-Groups", "all"), ("Connection", "close, X-User, X-Groups")];

fn ask(world: &World, method: &str, target: &str, cookie: &str) -> Response {
    let headers: Vec<_> = LIES.into_iter().chain([("Cookie", cookie)]).collect();
    world.http().request(method, target, &headers, b"")
}

fn socket(world: &World, target: &str, cookie: &str) -> Result<Socket, Response> {
    let lies = LIES.into_iter().filter(|(name, _)| *name != "Connection");
    let headers: Vec<_> = lies.chain([("Cookie", cookie)]).collect();
    Socket::over(world.http().wire, target, &headers)
}

/// Begins by each way there is; a WebSocket's response is its 101.
fn begin(world: &World, way: &str, cookie: &str) -> Response {
    match way {
        "polling" => ask(world, "GET", POLLING, cookie),
        "xhr" => ask(world, "POST", &format!("/sockjs/000/{}/xhr", cookie.replace('=', "")), cookie),
        "longpoll" => ask(world, "POST", "/longpoll/", cookie),
        "http" => ask(world, "POST", "/http/a?b=c", cookie),
        "tunnel" => {
            let headers = [
                ("Cookie", cookie),
                ("X-User", "root"),
                ("Upgrade", "echo"),
                ("Connection", "upgrade, x-user"),
            ];
            world.http().request("GET", "/http/tunnel", &headers, b"")
        }
        way => {
            let target = match way {
                "websocket" => WEBSOCKET,
                "raw" => "/sockjs/websocket",
                "framed" => "/sockjs/000/f/websocket",
                _ => "/websocket/",
            };
            socket(world, target, cookie).map_or_else(|refused| refused, |socket| socket.response)
        }
    }
}

const WAYS: [&str; 9] =
    ["polling", "websocket", "xhr", "raw", "framed", "longpoll", "relayed", "http", "tunnel"];

#[test]
fn who_may_not_come_in_gets_the_auth_servers_own_response_and_the_backend_learns_nothing() {
    let (gate, app) = (Plain::serve(gate), Plain::serve(application));
    let world = start(&asking(&gate), app.addr);
    for way in WAYS {
        let refused = begin(&world, way, "user=eve");
        assert_eq!((refused.status, &*refused.body), (401, DENIED), "{way}: {refused:?}");
        assert_eq!(refused.headers_named("set-cookie"), ["a=1; Path=/", "b=2"], "{way}");
        assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"a\""), "{way}");
        assert_eq!(refused.header("content-type"), Some("text/html"), "{way}");
        assert_eq!(refused.header("keep-alive"), None, "{way}");
        let lost = begin(&world, way, "user=lost");
        assert_eq!((lost.status, lost.header("location")), (302, Some("https://sso.test/?a=b")), "{way}");
        gate.next();
        gate.next();
        gate.assert_no_more();
    }
    app.assert_no_more();
    assert!(world.backend().openings.try_recv().is_err());
    let refused = ["route=\"/http/\"", "outcome=\"refused\""];
    assert!(metrics::has_counted(world.target.admin, "polliwog_auth_total", &refused));
    let unauthorized = ["route=\"/engine.io/\"", "outcome=\"unauthorized\""];
    assert!(metrics::has_counted(world.target.admin, "polliwog_handshakes_total", &unauthorized));
}

#[test]
fn who_may_not_come_in_takes_nobodys_place() {
    let gate = Plain::serve(gate);
    let setup = Setup::new().route(&format!("auth = {}", asking(&gate))).server("max_sessions = 1");
    let world = World::start_with(&setup, Target::proxy);
    // The only place stays free while the auth server thinks.
    let mut waiting = world.http();
    waiting.send("GET", POLLING, &[("Cookie", "user=slow")], b"");
    gate.next();
    assert_eq!(begin(&world, "polling", "user=ada").status, 200);
    // While it is taken, those who may not come in learn that, and others that it is.
    assert_eq!(begin(&world, "polling", "user=eve").status, 401);
    let full = begin(&world, "polling", "user=ada");
    assert_eq!((full.status, full.header("retry-after")), (503, Some("5")));
}

#[test]
fn who_comes_in_is_known_to_the_backend_by_the_auth_server_alone() {
    let (gate, app) = (Plain::serve(gate), Plain::serve(application));
    let world = start(&asking(&gate), app.addr);
    for (cookie, user, groups) in [("user=ada", &["ada"][..], &["a", "b"][..]), ("user=bare", &[], &[])] {
        for way in WAYS {
            let begun = begin(&world, way, cookie);
            assert!([200, 201, 101].contains(&begun.status), "{way}: {begun:?}");
            assert_eq!(begun.header("set-cookie"), None, "{way}");
            gate.next();
            gate.assert_no_more();
            let seen = if ["http", "tunnel"].contains(&way) {
                let lines = app.next();
                lines
                    .iter()
                    .filter_map(|line| line.split_once(": "))
                    .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                    .collect()
            } else {
                world.accept().opening.headers
            };
            let named = |name: &str| {
                let found = seen.iter().filter(|(found, _)| found.replace('_', "-").to_lowercase() == name);
                found.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
            };
            assert_eq!(named("x-user"), user, "{way}: {seen:?}");
            assert_eq!(named("x-groups"), groups, "{way}: {seen:?}");
            assert!(named("x-other").is_empty(), "{way}: {seen:?}");
        }
    }
}

#[test]
fn the_question_is_about_the_clients_request_and_has_nothing_of_its_hop_or_body() {
    let (gate, app) = (Plain::serve(gate), Plain::serve(application));
    let world = start(&asking(&gate), app.addr);
    let headers = [
        ("Cookie", "user=ada"),
        ("Authorization", "Bearer a.b.c"),
        ("X-Forwarded-Uri", "/public"),
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-For", "10.9.9.9"),
        ("Content-Type", "text/plain"),
        ("If-None-Match", "\"a\""),
        ("Range", "bytes=0-1"),
        ("Connection", "X-Hop"),
        ("X-Hop", "1"),
    ];
    world.http().request("PUT", "/http/a?b=c%20d", &headers, b"a body").assert(200, "fine");
    let asked = gate.next();
    assert_eq!(asked[0], "GET /verify?app=1 HTTP/1.1");
    let host = gate.addr.to_string();
    let client_host = world.addr.to_string();
    for (name, value) in [
        ("host", Some(&*host)),
        ("cookie", Some("user=ada")),
        ("authorization", Some("Bearer a.b.c")),
        ("x-forwarded-method", Some("PUT")),
        ("x-forwarded-uri", Some("/http/a?b=c%20d")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("content-type", None),
        ("content-length", None),
        ("transfer-encoding", None),
        ("if-none-match", None),
        ("range", None),
        // HTTP/2 has no `Connection`, so this is a header like any other.
        ("x-hop", is_wanted().then_some("1")),
        ("connection", None),
    ] {
        assert_eq!(header(&asked, name), value, "{name}: {asked:?}");
    }
    assert!(
        header(&asked, "x-forwarded-host")
            .is_some_and(|host| client_host.starts_with(host) || !host.is_empty())
    );
}

#[test]
fn a_living_session_is_not_asked_about_again() {
    let (gate, app) = (Plain::serve(gate), Plain::serve(application));
    let world = start(&asking(&gate), app.addr);
    let begun = begin(&world, "polling", "user=ada");
    gate.next();
    let peer = world.accept();
    let sid = begun.text().split('"').nth(3).unwrap().to_owned();
    let target = format!("{POLLING}&sid={sid}");
    let mut client = world.http();
    client.post(&target, "4up").assert(200, "ok");
    peer.assert_text("up");
    peer.send("down");
    client.get(&target).assert(200, "4down");
    let upgraded = Socket::connect(world.addr, &format!("{WEBSOCKET}&sid={sid}"));
    assert_eq!(upgraded.response.status, 101);
    // Nothing is asked of what needs no backend either.
    assert_eq!(client.get("/sockjs/info").status, 200);
    assert_eq!(client.get(&format!("{POLLING}&sid=nobody")).status, 400);
    gate.assert_no_more();
}

#[test]
fn a_preflight_is_not_asked_about_and_says_nothing_of_its_client() {
    let (gate, app) = (Plain::serve(gate), Plain::serve(application));
    let world = start(&asking(&gate), app.addr);
    let headers =
        [("Origin", "https://a.test"), ("Access-Control-Request-Method", "PUT"), ("X-User", "root")];
    assert_eq!(world.http().request("OPTIONS", "/http/", &headers, b"").status, 200);
    assert_eq!(header(&app.next(), "x-user"), None);
    world.http().request("OPTIONS", POLLING, &headers, b"");
    gate.assert_no_more();
    // Any other OPTIONS is a request.
    for target in ["/http/", POLLING] {
        let other = world.http().request("OPTIONS", target, &[("Origin", "https://a.test")], b"");
        assert_eq!(other.status, 401, "{target}");
    }
}

#[test]
fn nobody_comes_in_while_the_auth_server_is_down_slow_or_says_too_much() {
    let (gate, app) = (Plain::serve(gate), Plain::serve(application));
    let auth = asking(&gate).replace(" }", ", timeout = \"200ms\" }");
    let world = start(&auth, app.addr);
    // The port is closed: nothing listens at the address of a listener that is gone.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let down = start(&format!("{{ url = \"http://{gone}/\" }}"), app.addr);
    for way in WAYS {
        let refused =
            [begin(&world, way, "user=slow"), begin(&world, way, "user=long"), begin(&down, way, "user=ada")];
        for refused in refused {
            refused.assert(503, "authorization is not available\n");
            assert_eq!(refused.header("retry-after"), Some("5"), "{way}");
        }
    }
    app.assert_no_more();
    let lines = |world: &World| {
        let log = world.log();
        log.lines().filter(|line| line.contains("the auth server has not answered")).count()
    };
    // One for each route and minute.
    assert_eq!((lines(&world), lines(&down)), (5, 5), "{}", world.log());
    assert!(metrics::has_counted(
        down.target.admin,
        "polliwog_auth_total",
        &["route=\"/engine.io/\"", "outcome=\"failed\""]
    ));
    begin(&world, "http", "user=ada").assert(200, "fine");
}

#[test]
fn the_clients_of_another_proxy_are_asked_about_each() {
    let (gate, app) = (Plain::serve(gate), Plain::serve(application));
    let world = start(&asking(&gate), app.addr);
    let offer = [("Sec-WebSocket-Protocol", "polliwog.mux.v1.json")];
    let mut edge = Socket::over(world.http().wire, "/mux/", &offer).expect("accepted");
    let hello = json!(["hello", {"v": 1, "epoch": "e", "credit": 1000, "max_message": 1000, "resume_ms": 0}]);
    edge.send(&hello.to_string());
    assert!(edge.text().starts_with("[\"hello\""));
    gate.assert_no_more();
    let open = |edge: &mut Socket, id: &str, cookie: &str| {
        let open = json!(["open", id, {"path": "/a?b=c", "dialect": "websocket", "transport": "websocket", "client": "203.0.113.9:5",
            "headers": [["cookie", cookie], ["x-user", "root"], ["x-forwarded-for", "203.0.113.9"]], "protocols": []}]);
        edge.send(&open.to_string());
        edge.text()
    };
    let denied = open(&mut edge, "s1", "user=eve");
    assert!(denied.contains("401") && denied.contains("log in"), "{denied}");
    let asked = gate.next();
    assert_eq!(header(&asked, "x-forwarded-uri"), Some("/a?b=c"));
    assert_eq!(header(&asked, "x-forwarded-for"), Some("203.0.113.9"));
    let accepted = open(&mut edge, "s2", "user=ada");
    assert!(accepted.starts_with("[\"ok\""), "{accepted}");
    assert_eq!(world.accept().opening.headers_named("x-user"), ["ada"]);
}

//! Backends by a Unix socket, by TLS, or both: every kind of upstream, its checks, and nginx at either side.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Folder, Running, listener, sections};
use crate::support::frames::Socket;
use crate::support::http::Client;
use crate::support::poller::{POLLING, Poller};
use crate::support::target::{Target, free_port};
use crate::support::{Setup, World, eventually, metrics};

/// Starts a server of Socket.IO, plain WebSocket, mux and HTTP, on two sockets and a port.
fn server(folder: &Folder, port: SocketAddr) -> Target {
    let tls = folder.tls();
    let clear = listener(&folder.path("clear.sock"), "").replace("local", "clear");
    let secure = listener(&folder.path("secure.sock"), &tls).replace("local", "secure");
    let secure = secure.replace("listen = ", &format!("listen = [\"{port}\", ")).replace("sock\"", "sock\"]");
    Target::proxy_with(|public, admin| {
        let routes = [("/socket.io/", "engine.io", "s"), ("/mux/", "mux", "w"), ("/", "http", "s")];
        let routes = routes.map(|(path, dialect, upstream)| {
            format!("[[routes]]\npath = \"{path}\"\ndialect = \"{dialect}\"\nupstream = \"{upstream}\"\n")
        });
        format!(
            "[server]\nlisten = \"{public}\"\n[admin]\nlisten = \"{admin}\"\n{clear}{secure}{}\
             [upstreams.s]\nkind = \"demo\"\n[upstreams.w]\nkind = \"demo\"\nprotocol = \"websocket\"\n",
            routes.concat()
        )
    })
}

/// Starts a proxy with an upstream of each kind that leads to that server, checked.
fn front(host: &str, secure: &str, more: &str) -> Target {
    let check = "check = { path = \"/\", interval = \"200ms\", timeout = \"5s\", rise = 1, fall = 2 }";
    Target::proxy_with(|public, admin| {
        let upstreams = [
            ("/socket.io/", "engine.io", "engine.io", "ws", "/socket.io/"),
            ("/mux/", "websocket", "mux", "ws", "/mux/"),
            ("/http/", "http", "http", "http", "/"),
        ];
        let upstreams = upstreams.map(|(path, dialect, kind, scheme, at)| {
            format!(
                "[[routes]]\npath = \"{path}\"\ndialect = \"{dialect}\"\nupstream = \"{dialect}\"\n\
                 [upstreams.\"{dialect}\"]\nkind = \"{kind}\"\nurl = \"{scheme}{secure}://{host}{at}\"\n{check}\n{more}\n"
            )
        });
        format!(
            "[server]\nlisten = \"{public}\"\n[admin]\nlisten = \"{admin}\"\n[log]\nlevel = \"debug\"\n{}",
            upstreams.concat()
        )
    })
}

/// Returns the state of each address of a proxy.
fn states(proxy: &Target) -> Vec<String> {
    let seen = Client::connect(proxy.admin).get("/api/upstreams");
    let seen: Value = serde_json::from_slice(&seen.body).unwrap();
    let upstreams = seen["upstreams"].as_array().unwrap().iter();
    let addresses = upstreams.flat_map(|upstream| upstream["addresses"].as_array().unwrap());
    addresses.map(|address| address["state"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_kind_of_backend_is_served_and_checked_by_a_socket_by_tls_and_by_both() {
    let (folder, port) = (Folder::new(), free_port());
    let mut server = server(&folder, port);
    let at = |name: &str| format!("socket = {:?}", folder.path(name));
    let tls = format!("tls = {{ ca = {:?}, server_name = \"localhost\" }}", folder.path("cert.pem"));
    let fronts = [
        front("localhost", "", &at("clear.sock")),
        front("localhost", "s", &format!("{}\n{tls}", at("secure.sock"))),
        front(&port.to_string(), "s", &tls),
    ];
    for front in &fronts {
        eventually(|| states(front) == ["up"; 3], || format!("{:?}\n{}", states(front), front.log()));
        for upstream in ["engine.io", "websocket", "http"] {
            let labels = [&*format!("upstream=\"{upstream}\""), "outcome=\"passed\""];
            let passed = || metrics::has_counted(front.admin, "polliwog_upstream_checks_total", &labels);
            eventually(passed, || front.log());
        }
        metrics::assert_readiness(front.admin, 200);

        let mut client = Client::connect(front.public);
        let polling = POLLING.replace("engine.io", "socket.io");
        let open = client.get(&polling);
        let target = format!("{polling}&sid={}", open.text().split('"').nth(3).unwrap());
        client.post(&target, "40").assert(200, "ok");
        let connected = client.get(&target);
        assert!(connected.text().starts_with("40{"), "{connected:?}");

        let mut socket = Socket::try_connect(front.public, "/mux/", &[]).unwrap();
        socket.send("hi");
        socket.assert_text("hi");

        for _ in 0..3 {
            let page = client.get("/http/");
            assert!(page.status == 200 && page.text().contains("<html"), "{page:?}");
        }
    }
    server.kill();
    for front in &fronts {
        eventually(|| states(front) == ["out"; 3], || format!("{:?}\n{}", states(front), front.log()));
        metrics::assert_readiness(front.admin, 503);
        let labels = ["upstream=\"websocket\"", "outcome=\"failed\""];
        assert!(metrics::has_counted(front.admin, "polliwog_upstream_checks_total", &labels));
    }
}

/// Starts nginx with the content of `http { }`. `None` where it is not installed.
fn nginx(folder: &Folder, http: &str) -> Option<Running> {
    if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("CI").is_none(), "nginx is installed in CI");
        eprintln!("not tested: nginx is not installed (apt-get install nginx-light)");
        return None;
    }
    let at = folder.0.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {at}/{name};\n"))
        .concat();
    // One process, which ends when it is killed.
    let text = format!(
        "daemon off;\nmaster_process off;\npid {at}/nginx.pid;\nerror_log {at}/nginx.log;\n\
         events {{ worker_connections 256; }}\n\
         http {{\naccess_log off;\n{temporary}\
         map $http_upgrade $wish {{ default \"upgrade\"; '' \"\"; }}\n{http}\n}}\n"
    );
    let config = folder.path("nginx.conf");
    fs::write(&config, text).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-p").arg(&folder.0).arg("-e").arg(folder.path("nginx.log")).arg("-c").arg(&config);
    Some(Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()))
}

fn nginx_log(folder: &Folder) -> String {
    fs::read_to_string(folder.path("nginx.log")).unwrap_or_default()
}

/// Passes on what comes as it came, on connections that are kept.
const PASSED: &str = "proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_buffering off;\n\
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $wish;";

fn talk(world: &World, addr: SocketAddr) -> Option<String> {
    let mut poller = Poller::handshake(addr);
    let peer = world.accept();
    for _ in 0..5 {
        poller.post_ok("4up");
        peer.assert_text("up");
        peer.send("down");
        assert_eq!(poller.poll(), "4down");
    }
    let client = peer.opening.header("x-forwarded-for").map(str::to_owned);
    let mut socket = poller.upgraded();
    socket.send("4socket");
    peer.assert_text("socket");
    peer.send("down");
    socket.assert_text("4down");
    client
}

#[test]
fn nginx_in_front_connects_by_a_socket() {
    let folder = Folder::new();
    let (socket, front) = (folder.path("front.sock"), free_port());
    let setup = sections(&listener(&socket, "")).server("trusted_proxies = [\"unix\"]");
    let world = World::start_with(&setup, Target::proxy);
    let http = format!(
        "upstream local {{ server unix:{}; keepalive 8; }}\n\
         server {{ listen {front}; location / {{ proxy_pass http://local; {PASSED}\n\
         proxy_set_header X-Forwarded-For $remote_addr; }} }}",
        socket.display()
    );
    let Some(_running) = nginx(&folder, &http) else { return };
    eventually(|| TcpStream::connect(front).is_ok(), || nginx_log(&folder));
    for _ in 0..3 {
        // What the client says of itself, nginx has replaced.
        assert_eq!(talk(&world, front).as_deref(), Some("127.0.0.1"), "{}", nginx_log(&folder));
    }
}

#[test]
fn nginx_as_a_backend_is_reached_by_its_socket() {
    let folder = Folder::new();
    let socket = folder.path("backend.sock");
    let mut running = None;
    let world = World::start_with(&Setup::new(), |setup, backend| {
        let page = "[[routes]]\npath = \"/page/\"\ndialect = \"http\"\nupstream = \"page\"\n";
        let upstream = format!(
            "[upstreams.page]\nkind = \"http\"\nurl = \"http://localhost/page/\"\nsocket = {socket:?}\n"
        );
        let setup = Setup { sections: format!("{page}{upstream}"), ..setup.clone() };
        let setup = setup.url("ws://localhost/engine.io/").upstream(&format!("socket = {socket:?}"));
        // It hangs up now and then, as servers do.
        let http = format!(
            "server {{ listen unix:{}; keepalive_requests 3;\n\
             location /page/ {{ return 200 \"$request_method $http_host $uri\"; }}\n\
             location / {{ proxy_pass http://{backend}; {PASSED} }} }}",
            socket.display()
        );
        running = nginx(&folder, &http);
        if running.is_some() {
            eventually(|| UnixStream::connect(&socket).is_ok(), || nginx_log(&folder));
        }
        Target::proxy(&setup, backend)
    });
    if running.is_none() {
        return;
    }
    for _ in 0..3 {
        assert_eq!(talk(&world, world.addr).as_deref(), Some("127.0.0.1"), "{}", nginx_log(&folder));
    }
    let mut client = world.http();
    for count in 0..10 {
        client.get(&format!("/page/{count}")).assert(200, &format!("GET wire.test /page/{count}"));
    }
}

//! Proxies of layer 4 in front, which say by the PROXY protocol who their client is: `HAProxy` and curl. And one behind,
//! which is told.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::support::http::Client;
use crate::support::poller::POLLING;
use crate::support::target::{Target, free_port};
use crate::support::{Setup, World, eventually};

/// A process that is killed when the test is over.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

fn start() -> World {
    let setup = Setup::new().server("proxy_protocol = true").server("trusted_proxies = \"127.0.0.1\"");
    World::start_with(&setup, Target::proxy)
}

/// Begins a session from this address of the host. Returns what curl says of it.
fn curl(from: &str, to: SocketAddr, more: &[&str]) -> String {
    let run = Command::new("curl")
        .args([
            "-s",
            "-m",
            "20",
            "--interface",
            from,
            "-H",
            "X-Forwarded-For: 6.6.6.6",
            "-w",
            " %{http_code}",
        ])
        .args(more)
        .arg(format!("http://{to}{POLLING}"))
        .output()
        .expect("curl is installed");
    String::from_utf8(run.stdout).unwrap()
}

#[test]
fn haproxy_says_who_the_client_is_and_checks_whether_the_proxy_is_there() {
    if Command::new("haproxy").arg("-v").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "haproxy is installed in CI");
        eprintln!("not tested: haproxy is not installed (apt-get install haproxy)");
        return;
    }
    let world = start();
    for version in ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn"] {
        let front = free_port();
        let config = world.target.folder().join(format!("{version}.cfg"));
        let text = format!(
            "defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n\
             listen front\n bind {front}\n server one {} {version} check inter 50ms rise 1 fall 1\n",
            world.addr
        );
        fs::write(&config, text).unwrap();
        let mut balancer = Command::new("haproxy");
        let balancer = balancer.arg("-db").arg("-f").arg(&config);
        let balancer = balancer.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let _running = Running(balancer);
        let mut told = String::new();
        let is_served = || {
            told = curl("127.0.0.9", front, &[]);
            told.ends_with(" 200")
        };
        eventually(is_served, || format!("{version}: {}", world.log()));
        let opening = world.accept().opening;
        assert_eq!(opening.header("x-forwarded-for"), Some("127.0.0.9"), "{version}");
        // Its checks, some of them meanwhile, are connections like any other: the server stays in use.
        for _ in 0..3 {
            assert!(curl("127.0.0.9", front, &[]).ends_with(" 200"), "{version}");
            world.accept();
        }
    }
}

#[test]
fn curl_speaks_the_protocol_and_nobody_else_may() {
    let world = start();
    let told = curl("127.0.0.1", world.addr, &["--haproxy-protocol"]);
    assert!(told.ends_with(" 200"), "{told}");
    assert_eq!(
        world.accept().opening.header("x-forwarded-for"),
        Some("6.6.6.6, 127.0.0.1"),
        "it is trusted itself"
    );
    assert_eq!(curl("127.0.0.1", world.addr, &[]), " 000", "without a header");
    assert_eq!(curl("127.0.0.9", world.addr, &["--haproxy-protocol"]), " 000", "from elsewhere");
    assert!(
        world.log().contains("it must begin with a PROXY header, and comes from none of trusted_proxies")
    );
}

#[test]
fn haproxy_behind_learns_who_the_client_is() {
    if Command::new("haproxy").arg("-v").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "haproxy is installed in CI");
        eprintln!("not tested: haproxy is not installed (apt-get install haproxy)");
        return;
    }
    for version in ["v1", "v2"] {
        let (behind, mut running) = (free_port(), None);
        let setup = Setup::new().server("proxy_protocol = true").server("trusted_proxies = \"127.0.0.1\"");
        let setup = setup.upstream(&format!("proxy_protocol = \"{version}\"")).upstream("hold = \"10s\"");
        let setup = setup.url(&format!("ws://{behind}/engine.io/"));
        let world = World::start_with(&setup, |setup, backend| {
            let target = Target::proxy(setup, backend);
            let config = target.folder().join("behind.cfg");
            let text = format!(
                "defaults\n mode http\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n\
                 listen behind\n bind {behind} accept-proxy\n http-request set-header x-told [%[src]]:%[src_port]\n\
                 server one {backend}\n"
            );
            fs::write(&config, text).unwrap();
            let mut balancer = Command::new("haproxy");
            let balancer = balancer.arg("-db").arg("-f").arg(&config);
            let balancer = balancer.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            running = Some(Running(balancer));
            target
        });
        for (header, told) in [
            ("PROXY TCP4 198.51.100.7 127.0.0.1 4711 80\r\n", "[198.51.100.7]:4711"),
            ("PROXY TCP6 2001:db8::7 ::1 4711 80\r\n", "[2001:db8::7]:4711"),
            ("PROXY UNKNOWN\r\n", "[127.0.0.1]:"),
        ] {
            let mut client = Client::connect(world.addr);
            client.wire.send(header.as_bytes());
            assert_eq!(client.get(POLLING).status, 200, "{version} {header} {}", world.log());
            let opening = world.accept().opening;
            let shown = opening.header("x-told").unwrap();
            assert!(shown.starts_with(told), "{version} {header} {shown}");
        }
        drop(running);
    }
}

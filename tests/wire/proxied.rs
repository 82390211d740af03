//! Proxies of layer 4 in front, which say by the PROXY protocol who their client is: `HAProxy` and curl.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

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

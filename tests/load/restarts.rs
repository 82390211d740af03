//! Restarts under load: a proxy that is succeeded again and again loses nothing and refuses nobody.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::dialects::Loads;
use crate::http2::Http2Load;
use crate::sockets::{Entrance, PROXY_1, PROXY_2, SocketLoad, To};
use crate::support::{Proxy, free_port, self_signed};

#[test]
fn restarts_in_a_row_fail_no_request_and_lose_no_message() {
    // Fifty in tests/long.
    let restarts = std::env::var("POLLIWOG_RESTARTS").map_or(8, |count| count.parse().unwrap());
    let mut processes = Processes::start();
    let loads = Loads::start(&processes.proxy, 16, restarts * 3 / 2 + 3);
    let secure = Loads::start_secure(processes.secure, &processes.certificate, 4, restarts * 3 / 2 + 3);
    let http2 = Http2Load::start(processes.proxy.address, 3, 6);
    let sockets = SocketLoad::start(processes.entrances(), 2);
    processes.proxy.wait_for("polliwog_sessions{", "", 8.0);
    for count in 1..=restarts {
        processes.succeed(count);
        // Some sessions begin in each of the processes.
        thread::sleep(Duration::from_millis(500));
    }
    let (http2, sockets) = (http2.finish(), sockets.finish());
    loads.finish(&processes.proxy, restarts * 20);
    secure.finish(&processes.proxy, restarts * 5);
    // Each page was told by each process that it should come back.
    assert!(http2.messages > restarts * 18 && http2.moves >= restarts * 3, "{http2:?}");
    // Six sessions and three WebSockets that stay, each with as many messages, and a connection for each request of half of the sessions.
    assert!(sockets.messages > restarts * 9 && sockets.sockets > restarts * 2, "{sockets:?}");
    assert!(sockets.connections > restarts * 9, "{sockets:?}");
    processes.end();
    for socket in ["local", "both"] {
        assert!(!processes.folder.join(format!("in/{socket}.sock")).exists(), "the last one removes it");
    }
    assert_eq!(processes.lines("stopped clean=true"), restarts + 1, "{}", processes.proxy.log());
}

/// A proxy and its successors, which are killed when the test is over.
struct Processes {
    proxy: Proxy,
    /// Its listener with TLS.
    secure: SocketAddr,
    certificate: PathBuf,
    /// Its listener behind the PROXY protocol.
    proxied: SocketAddr,
    folder: PathBuf,
}

impl Processes {
    fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("polliwog-load-{}", std::process::id()));
        let _absent = fs::remove_dir_all(&folder);
        fs::DirBuilder::new().mode(0o700).recursive(true).create(folder.join("in")).unwrap();
        let (secure, proxied, (tls, certificate)) = (free_port(), free_port(), self_signed());
        let at = folder.display();
        let section = format!(
            "h2c = true\ntrusted_proxies = ['unix', '127.0.0.0/8']\n\
             [[listeners]]\nname = 'secure'\nlisten = ['{secure}']\n{tls}\n\
             [[listeners]]\nname = 'proxied'\nlisten = ['{proxied}']\nproxy_protocol = true\n\
             [[listeners]]\nname = 'local'\nlisten = ['unix:{at}/in/local.sock']\n\
             [[listeners]]\nname = 'both'\nlisten = ['unix:{at}/in/both.sock']\nproxy_protocol = true\n{tls}\n\
             [succession]\ndirectory = '{at}'\nlinger = '10m'\n"
        );
        Self { proxy: Proxy::of_all_dialects(&section), secure, certificate, proxied, folder }
    }

    /// Returns its listeners behind other proxies.
    fn entrances(&self) -> Vec<Entrance> {
        let file = |name: &str| To::File(self.folder.join("in").join(name));
        vec![
            Entrance { to: To::Port(self.proxied), header: PROXY_1, ca: None },
            Entrance { to: file("local.sock"), header: b"", ca: None },
            Entrance { to: file("both.sock"), header: PROXY_2, ca: Some(self.certificate.clone()) },
        ]
    }

    /// Has the youngest process start its successor, and waits until that one serves.
    fn succeed(&self, count: u64) {
        signal("USR2", self.youngest());
        self.wait_until(|| self.lines("took over from the process before") >= count);
    }

    /// Ends all of them as an operator would.
    fn end(&mut self) {
        signal("TERM", self.youngest());
        self.proxy.wait();
        self.wait_until(|| self.started().iter().all(|&process| !self.is_ours(process)));
    }

    fn wait_until(&self, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while !is_so() {
            assert!(Instant::now() < deadline, "too late:\n{}", self.proxy.log());
            // The interval between two checks.
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn lines(&self, text: &str) -> u64 {
        self.proxy.log().lines().filter(|line| line.contains(text)).map(|_| 1).sum()
    }

    fn started(&self) -> Vec<u32> {
        let number = |line: &str| line.split_once("a successor was started pid=")?.1.parse().ok();
        self.proxy.log().lines().filter_map(number).collect()
    }

    fn youngest(&self) -> u32 {
        self.started().last().copied().unwrap_or_else(|| self.proxy.id())
    }

    /// Returns whether it is one of these processes, and runs.
    fn is_ours(&self, process: u32) -> bool {
        let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&format!("proxy-{}.toml", self.proxy.address.port()))
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for process in self.started() {
            if self.is_ours(process) {
                signal("KILL", process);
            }
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn signal(name: &str, process: u32) {
    let _gone = Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap();
}

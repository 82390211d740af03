//! Listeners on Unix sockets, for curl and `HAProxy` on the same host: who their clients are, and what becomes of the file.

mod backends;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use serde_json::Value;

use crate::support::backend::Backend;
use crate::support::http::Client;
use crate::support::poller::POLLING;
use crate::support::processes::{Processes, kill};
use crate::support::target::{Target, free_port};
use crate::support::{SOON, Setup, World, eventually, ms};

/// A folder for sockets: the target's own may have too long a path.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("polliwog-unix-{}-{}", std::process::id(), free_port().port());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes a certificate, and returns the key of a listener that shows it.
    fn tls(&self) -> String {
        let (certificate, key) = (self.path("cert.pem"), self.path("key.pem"));
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(&certificate, pair.cert.pem()).unwrap();
        fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
        format!("tls = {{ certificate = '{}', key = '{}' }}", certificate.display(), key.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// A process that is killed when the test is over.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

/// A listener on a socket, with more keys.
fn listener(path: &Path, more: &str) -> String {
    format!("[[listeners]]\nname = \"local\"\nlisten = \"unix:{}\"\n{more}\n", path.display())
}

fn sections(text: &str) -> Setup {
    Setup { sections: format!("# sections\n{text}# end\n"), ..Setup::new() }
}

/// Begins a session over a socket. Returns what curl says of it.
fn curl(socket: &Path, more: &[&str], scheme: &str) -> String {
    let run = Command::new("curl")
        .args([
            "-sk",
            "-m",
            "20",
            "-H",
            "X-Forwarded-For: 203.0.113.9",
            "-w",
            " %{http_code} %{http_version}",
        ])
        .arg("--unix-socket")
        .arg(socket)
        .args(more)
        .arg(format!("{scheme}://localhost{POLLING}"))
        .output()
        .expect("curl is installed");
    String::from_utf8(run.stdout).unwrap()
}

fn is_served(socket: &Path) -> bool {
    curl(socket, &[], "http").contains(" 200 ")
}

#[test]
fn only_a_trusted_process_of_this_host_says_who_the_client_is() {
    let folder = Folder::new();
    let socket = folder.path("a b.sock");
    for (trusted, address) in [("\"0.0.0.0/0\"", None), ("[\"unix\"]", Some("203.0.113.9"))] {
        let setup = sections(&listener(&socket, "h2c = true\nsocket_mode = \"0600\""))
            .server(&format!("trusted_proxies = {trusted}\ndrain_timeout = \"0s\""));
        let mut world = World::start_with(&setup, Target::proxy);
        assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        for (more, version) in [(&[][..], "1.1"), (&["--http2-prior-knowledge"], "2")] {
            let told = curl(&socket, more, "http");
            assert!(told.ends_with(&format!(" 200 {version}")), "{told}");
            let opening = world.accept().opening;
            assert_eq!(opening.header("x-forwarded-for"), address, "{trusted}");
            assert_eq!(opening.header("x-real-ip"), None);
            let forwarded = opening.header("forwarded").unwrap();
            assert!(forwarded.starts_with("for=unknown;"), "{forwarded}");
        }
        let log = world.log();
        assert!(
            log.contains(&format!("listening address=unix:{} listener=\"local\"", socket.display())),
            "{log}"
        );
        world.target.signal("TERM");
        assert!(world.target.exit_within(SOON).is_some());
        assert!(!socket.exists(), "it goes with its process");
    }
}

#[test]
fn tls_is_spoken_over_a_socket_too() {
    let folder = Folder::new();
    let (socket, certificate, key) =
        (folder.path("tls.sock"), folder.path("cert.pem"), folder.path("key.pem"));
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&certificate, pair.cert.pem()).unwrap();
    fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let tls = format!("tls = {{ certificate = '{}', key = '{}' }}", certificate.display(), key.display());
    let world = World::start_with(&sections(&listener(&socket, &tls)), Target::proxy);
    for (more, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let told = curl(&socket, &[more], "https");
        assert!(told.ends_with(&format!(" 200 {version}")), "{told}");
        world.accept();
    }
}

#[test]
fn haproxy_in_front_connects_by_a_socket() {
    if Command::new("haproxy").arg("-v").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "haproxy is installed in CI");
        eprintln!("not tested: haproxy is not installed (apt-get install haproxy)");
        return;
    }
    let folder = Folder::new();
    for (mode, keys, server) in [
        ("mode http\n option forwardfor", "", ""),
        ("mode tcp", "proxy_protocol = true", "send-proxy-v2"),
        ("mode tcp", "proxy_protocol = true", "send-proxy check inter 50ms"),
    ] {
        let socket = folder.path("front.sock");
        let setup = sections(&listener(&socket, keys)).server("trusted_proxies = [\"unix\"]");
        let world = World::start_with(&setup, Target::proxy);
        let (front, config) = (free_port(), folder.path("haproxy.cfg"));
        let text = format!(
            "defaults\n {mode}\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n\
             listen front\n bind {front}\n server one unix@{} {server}\n",
            socket.display()
        );
        fs::write(&config, text).unwrap();
        let mut balancer = Command::new("haproxy");
        let balancer = balancer.arg("-db").arg("-f").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let _running = Running(balancer.spawn().unwrap());
        eventually(|| std::net::TcpStream::connect(front).is_ok(), || fs::read_to_string(&config).unwrap());
        assert_eq!(Client::connect(front).get(POLLING).status, 200, "{server}");
        let opening = world.accept().opening;
        let told = opening.header("x-forwarded-for");
        assert_eq!(told, Some("127.0.0.1"), "{mode} {server}");
    }
}

#[test]
fn a_successor_takes_the_socket_over_and_its_file_stays() {
    let folder = Folder::new();
    let socket = folder.path("kept.sock");
    let processes = Processes::start_with(&sections(&listener(&socket, "")), "30s", |_| {});
    let made = fs::metadata(&socket).unwrap().ino();
    assert!(is_served(&socket));
    let (_poller, _peer) = processes.world.poller();
    let mut youngest = 0;
    for _ in 0..2 {
        youngest = processes.succeed();
        assert!(is_served(&socket));
        assert_eq!(fs::metadata(&socket).unwrap().ino(), made);
    }
    // A successor that can't start takes nothing with it.
    let config = processes.world.target.folder().join("config.toml");
    let good = fs::read_to_string(&config).unwrap();
    fs::write(&config, good.replace("[admin]", "[admin]\nnonsense = 1")).unwrap();
    kill("USR2", youngest);
    processes.await_log("the successor failed to start; this process serves on", 1);
    assert!(is_served(&socket));
    fs::write(&config, &good).unwrap();
    kill("TERM", youngest);
    eventually(|| !socket.exists(), || processes.world.target.log());
}

#[test]
fn a_socket_comes_and_goes_and_moves_with_a_reload() {
    let folder = Folder::new();
    let (one, two) = (folder.path("one.sock"), folder.path("two.sock"));
    let world = World::start_with(&sections(""), Target::proxy);
    let reload = |sections: &str| -> Vec<String> {
        let path = world.target.folder().join("config.toml");
        let text = fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once("# sections\n").unwrap();
        let (_, after) = rest.split_once("# end\n").unwrap();
        fs::write(&path, format!("{before}# sections\n{sections}# end\n{after}")).unwrap();
        let answer = Client::connect(world.target.admin).post("/api/reload", "");
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        told["faults"].as_array().unwrap().iter().map(|fault| fault["problem"].to_string()).collect()
    };
    assert_eq!(reload(&listener(&one, "")), [""; 0]);
    assert!(is_served(&one));
    // It gets another name: the file stays.
    let made = fs::metadata(&one).unwrap().ino();
    assert_eq!(reload(&listener(&one, "").replace("local", "other")), [""; 0]);
    assert!(is_served(&one) && fs::metadata(&one).unwrap().ino() == made);
    let faults = reload(&listener(&one, "socket_mode = \"0666\"").replace("local", "other"));
    assert!(faults[0].contains("changes only at a restart"), "{faults:?}");
    // One can't be bound: nothing changes.
    fs::write(&two, "a file").unwrap();
    let faults = reload(&listener(&two, ""));
    assert!(faults[0].contains("there is a file that is no socket"), "{faults:?}");
    let faults = reload(&listener(&folder.path("no/such.sock"), ""));
    assert!(faults[0].contains("its folder is missing"), "{faults:?}");
    assert!(is_served(&one));
    fs::remove_file(&two).unwrap();
    assert_eq!(reload(&listener(&two, "")), [""; 0]);
    assert!(is_served(&two));
    eventually(|| !one.exists(), || world.log());
}

#[test]
fn a_socket_of_systemd_is_served_and_its_file_left_to_systemd() {
    if Command::new("systemd-socket-activate").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("not tried: there is no systemd-socket-activate");
        return;
    }
    let (folder, setup) = (Folder::new(), Setup::new());
    let (socket, admin, log) = (folder.path("systemd.sock"), folder.path("admin.sock"), folder.path("log"));
    let backend = Backend::listen(setup.kind, setup.script.clone());
    let (any, other) = (free_port(), free_port());
    let text = setup.toml(any, other, backend.addr);
    let text = text.replace(&any.to_string(), &format!("unix:{}", socket.display()));
    let text = text.replace(&other.to_string(), &format!("unix:{}", admin.display()));
    let config = folder.path("config.toml");
    fs::write(&config, text).unwrap();
    let mut systemd = Command::new("systemd-socket-activate");
    systemd.arg("-l").arg(&socket).arg("--fdname=server.listen").arg(env!("CARGO_BIN_EXE_polliwog"));
    let systemd = systemd.arg("run").arg("--config").arg(&config).stderr(fs::File::create(&log).unwrap());
    let mut systemd = Running(systemd.spawn().unwrap());
    let deadline = Instant::now() + SOON;
    while !socket.exists() {
        assert!(Instant::now() < deadline, "{}", fs::read_to_string(&log).unwrap());
        // The interval between two checks.
        thread::sleep(ms(10));
    }
    let told = curl(&socket, &[], "http");
    assert!(told.ends_with(" 200 1.1"), "{told} {}", fs::read_to_string(&log).unwrap());
    let mut alive = Command::new("curl");
    alive.args(["-sf", "-m", "20", "--unix-socket"]).arg(&admin).arg("http://localhost/livez");
    assert!(alive.stdout(Stdio::null()).status().unwrap().success());
    let against = |admin: &Path| {
        let mut check = Command::new(env!("CARGO_BIN_EXE_polliwog"));
        let check = check.args(["check", "--against", &format!("unix:{}", admin.display())]);
        let output = check.arg("--config").arg(&config).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    assert!(against(&admin).ends_with("it can be reloaded\n"), "{}", against(&admin));
    let gone = against(&folder.path("gone.sock"));
    assert!(gone.contains("gone.sock: No such file"), "{gone}");
    kill("TERM", systemd.0.id());
    systemd.0.wait().unwrap();
    assert!(socket.exists() && !admin.exists());
}

#[test]
fn a_backend_is_reached_by_its_socket_for_sessions_and_for_all_else() {
    let folder = Folder::new();
    let (good, gone) = (folder.path("good.sock"), folder.path("gone.sock"));
    // The scripted backend listens on a port, and this leads to it.
    let world = World::start_with(&Setup::new(), |setup, backend| {
        let listener = UnixListener::bind(&good).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let to = std::net::TcpStream::connect(backend).unwrap();
                let (mut from, mut back) = (stream.try_clone().unwrap(), stream);
                let (mut there, mut here) = (to.try_clone().unwrap(), to);
                thread::spawn(move || {
                    let _ended = std::io::copy(&mut from, &mut there);
                    let _closed = there.shutdown(std::net::Shutdown::Write);
                });
                thread::spawn(move || {
                    let _ended = std::io::copy(&mut here, &mut back);
                    let _closed = back.shutdown(std::net::Shutdown::Write);
                });
            }
        });
        let url = "ws://localhost/engine.io/";
        let setup = setup.clone().url(url).upstream(&format!("socket = [{gone:?}, {good:?}]"));
        let setup = setup.upstream("host = \"upstream\"");
        Target::proxy(&setup, backend)
    });
    for _ in 0..3 {
        let (mut poller, peer) = world.poller();
        poller.post_ok("4up");
        peer.assert_text("up");
        peer.send("down");
        assert_eq!(poller.poll(), "4down");
        assert_eq!(peer.opening.header("host"), Some("localhost"));
    }
    let log = world.log();
    assert!(log.contains(&format!("address=unix:{}", gone.display())), "{log}");
}

#[test]
fn a_successor_serves_tls_and_the_proxy_protocol_on_what_it_took_over() {
    let folder = Folder::new();
    let (tls, proxied) = (folder.tls(), "proxy_protocol = true");
    let sockets = ["clear", "tls", "proxied", "both"].map(|name| folder.path(&format!("{name}.sock")));
    let keys = [String::new(), tls.clone(), proxied.to_owned(), format!("{tls}\n{proxied}")];
    let text = sockets.iter().zip(&keys).map(|(socket, keys)| {
        let name = socket.file_stem().unwrap().to_str().unwrap();
        listener(socket, keys).replace("local", name)
    });
    let setup = sections(&text.collect::<String>()).server("trusted_proxies = [\"unix\"]");
    let processes = Processes::start_with(&setup, "30s", |_| {});
    let (_poller, _peer) = processes.world.poller();
    for _ in 0..3 {
        for ((socket, keys), scheme) in sockets.iter().zip(&keys).zip(["http", "https", "http", "https"]) {
            let more = if keys.ends_with(proxied) { &["--haproxy-protocol"][..] } else { &[] };
            let told = curl(socket, more, scheme);
            assert!(told.contains(" 200 "), "{} {told}", socket.display());
            processes.world.accept();
        }
        processes.succeed();
    }
}

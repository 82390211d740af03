//! Listeners that a supervisor hands over, as systemd does for the sockets of a unit.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use crate::support::backend::Backend;
use crate::support::http::Client;
use crate::support::poller::POLLING;
use crate::support::processes::Processes;
use crate::support::setup::Setup;
use crate::support::target::{Target, free_port};
use crate::support::{SOON, World, ms};

/// Listens at the addresses of a configuration, and becomes the program that gets the listeners.
const SUPERVISOR: &str = r#"
import os, re, socket, sys
names, more, program = sys.argv[1], sys.argv[2], sys.argv[3:]
found = re.findall(r'listen = \[?"([\d.]+):(\d+)"', open(program[-1]).read())
sockets = [socket.create_server((host, int(port))) for host, port in found]
if more == 'another':
    sockets.append(socket.create_server(('127.0.0.1', 0)))
if more == 'udp':
    sockets.append(socket.socket(type=socket.SOCK_DGRAM))
if more == 'bound':
    sockets.append(socket.socket())
    sockets[-1].bind(('127.0.0.1', 0))
high = [os.dup2(one.fileno(), 100 + at) for at, one in enumerate(sockets)]
for at, one in enumerate(high):
    os.dup2(one, 3 + at, inheritable=True)
    os.set_inheritable(one, False)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)), LISTEN_FDNAMES=names)
os.execv(program[0], program)
"#;

const HANDED: &str = "a listener was handed over";

fn toml(public: std::net::SocketAddr, admin: std::net::SocketAddr) -> String {
    Setup::new().toml(public, admin, free_port())
}

#[test]
fn listeners_that_are_handed_over_are_used() {
    // With the names of the keys, with those that systemd makes up, and with none.
    for names in ["server.listen:admin.listen", "polliwog.socket:polliwog.socket", ""] {
        let before = format!("exec python3 -c \"$SUPERVISOR\" '{names}' '' \"$0\" \"$@\";");
        let surround = |command: &mut Command| {
            command.env("SUPERVISOR", SUPERVISOR);
        };
        let world = World::start_with(&Setup::new(), |setup, backend| {
            Target::proxy_in(surround, &before, |public, admin| setup.toml(public, admin, backend))
        });
        let (mut poller, peer) = world.poller();
        poller.post_ok("4up");
        peer.assert_text("up");
        assert_eq!(Client::connect(world.target.admin).get("/metrics").status, 200);
        let log = world.log();
        assert_eq!(log.matches(HANDED).count(), 2, "{log}");
    }
}

#[test]
fn a_successor_takes_over_what_was_handed_to_the_process_before() {
    let before = "exec python3 -c \"$SUPERVISOR\" 'server.listen:admin.listen' '' ./binary \"$@\";";
    let processes = Processes::start_by(before, "30s", |command| {
        command.env("SUPERVISOR", SUPERVISOR);
    });
    let (mut poller, peer) = processes.world.poller();
    processes.succeed();
    // They are the successor's by the process before, and not by an environment that is not its own.
    processes.await_log("a listener was taken over", 2);
    assert_eq!(processes.count(HANDED), 2);
    (poller.gets, poller.posts) = (processes.world.http(), processes.world.http());
    poller.post_ok("4up");
    peer.assert_text("up");
    processes.world.poller();
}

/// Runs the proxy with what is handed to it, which it refuses.
fn refused(folder: &Path, names: &str, more: &str) -> String {
    let config = folder.join("config.toml");
    for _ in 0..5 {
        fs::write(&config, toml(free_port(), free_port())).unwrap();
        let run = Command::new("python3")
            .args(["-c", SUPERVISOR, names, more, env!("CARGO_BIN_EXE_polliwog"), "run", "--config"])
            .arg(&config)
            .output()
            .unwrap();
        let Output { status, stderr, .. } = run;
        let text = String::from_utf8(stderr).unwrap();
        if !text.contains("Address already in use") {
            assert_eq!(status.code(), Some(78), "{text}");
            return text;
        }
    }
    panic!("no free ports");
}

#[test]
fn a_descriptor_that_fits_no_listener_is_a_fault_with_its_number_and_name() {
    let folder = std::env::temp_dir().join(format!("polliwog-activation-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    for (names, more, fault) in [
        (
            "admin.listen:server.listen",
            "",
            "descriptor 3 (\"admin.listen\") from LISTEN_FDS listens at 127.0.0.1:",
        ),
        (
            "server.listen:admin.listen:web",
            "another",
            "descriptor 5 (\"web\") from LISTEN_FDS listens at 127.0.0.1:",
        ),
        (
            "server.listen:admin.listen",
            "udp",
            "descriptor 5 (\"\") from LISTEN_FDS is no listening TCP or Unix socket",
        ),
        (
            "a:b:c",
            "bound",
            "descriptor 5 (\"c\") from LISTEN_FDS is no listening TCP or Unix socket: it does not listen",
        ),
    ] {
        let text = refused(&folder, names, more);
        assert!(text.contains(fault), "{text}");
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_socket_of_a_unit_is_served_by_the_process_that_systemd_starts_for_it() {
    if Command::new("systemd-socket-activate").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("not tried: there is no systemd-socket-activate");
        return;
    }
    let setup = Setup::new();
    let backend = Backend::listen(setup.kind, setup.script.clone());
    let folder = std::env::temp_dir().join(format!("polliwog-socket-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (config, log) = (folder.join("config.toml"), folder.join("log"));
    let (public, admin) = (free_port(), free_port());
    fs::write(&config, setup.toml(public, admin, backend.addr)).unwrap();
    let mut systemd = Command::new("systemd-socket-activate")
        .args([
            "-l",
            &public.to_string(),
            "--fdname=server.listen",
            env!("CARGO_BIN_EXE_polliwog"),
            "run",
            "--config",
        ])
        .arg(&config)
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + SOON;
    while std::net::TcpStream::connect(public).is_err() {
        assert!(Instant::now() < deadline, "{}", fs::read_to_string(&log).unwrap());
        // The interval between two checks.
        thread::sleep(ms(10));
    }
    // The proxy begins with the first connection, and serves the second one.
    let answer = Client::connect(public).get(POLLING);
    let text = fs::read_to_string(&log).unwrap();
    let _ended = systemd.kill().and_then(|()| systemd.wait());
    assert_eq!(answer.status, 200, "{text}");
    assert_eq!(text.matches(HANDED).count(), 1, "{text}");
    fs::remove_dir_all(&folder).unwrap();
}

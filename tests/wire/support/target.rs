//! The server under test, a process of its own: the proxy, or the reference server where it serves as the oracle.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::setup::Setup;
use super::{SOON, http2, is_so_within, ms};

/// A running server, killed when the test is over.
#[derive(Debug)]
pub(crate) struct Target {
    child: Child,
    pub(crate) public: SocketAddr,
    /// The proxy's admin listener, or the reference server's control port.
    pub(crate) admin: SocketAddr,
    folder: PathBuf,
}

impl Target {
    /// Starts the proxy in front of `backend`.
    pub(crate) fn proxy(setup: &Setup, backend: SocketAddr) -> Self {
        Self::proxy_with(|public, admin| setup.toml(public, admin, backend))
    }

    /// Starts the proxy with the configuration that `toml` writes for a public and an admin address.
    pub(crate) fn proxy_with(toml: impl Fn(SocketAddr, SocketAddr) -> String) -> Self {
        Self::proxy_in(|_| {}, "", toml)
    }

    /// Starts the proxy in a special environment: `surround` changes the command, and a shell runs `before` first.
    pub(crate) fn proxy_in(
        surround: impl Fn(&mut Command),
        before: &str,
        toml: impl Fn(SocketAddr, SocketAddr) -> String,
    ) -> Self {
        for _ in 0..5 {
            let (public, admin) = (free_port(), free_port());
            let folder = folder(public.port());
            let config = folder.join("config.toml");
            fs::write(&config, toml(public, admin)).unwrap();
            let mut command = Command::new("sh");
            command
                .args(["-c", &format!("{before} exec \"$0\" \"$@\"")])
                .args([env!("CARGO_BIN_EXE_polliwog"), "run", "--config"])
                .arg(&config)
                .current_dir(&folder)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(folder.join("log")).unwrap());
            if http2::is_wanted() {
                command.env("POLLIWOG_SERVER__H2C", "true");
            }
            surround(&mut command);
            let child = command.spawn().unwrap();
            let mut target = Self { child, public, admin, folder };
            if target.answers() {
                return target;
            }
            // Another process took a port between the search and the listener: the next pair is another one.
            let log = target.log();
            assert!(log.contains("in use") || log.contains("os error 98"), "the proxy ended at once:\n{log}");
        }
        panic!("no free ports");
    }

    /// Starts the reference server.
    pub(crate) fn reference(setup: &Setup) -> Self {
        let folder = folder(free_port().port());
        let mut child = Command::new("node")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/reference.mjs"))
            .arg(setup.reference.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.join("log")).unwrap())
            .spawn()
            .expect("node is installed");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ports: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{}", read(&folder)));
        let addr = |name: &str| {
            SocketAddr::from(([127, 0, 0, 1], u16::try_from(ports[name].as_u64().unwrap()).unwrap()))
        };
        Self { child, public: addr("port"), admin: addr("control"), folder }
    }

    fn answers(&mut self) -> bool {
        let deadline = Instant::now() + SOON;
        let mut left = vec![self.admin, self.public];
        while let Some(addr) = left.last() {
            if TcpStream::connect(addr).is_ok() {
                left.pop();
            } else if self.child.try_wait().unwrap().is_some() {
                return false;
            } else {
                assert!(Instant::now() < deadline, "the proxy does not listen:\n{}", self.log());
                // The interval between two checks.
                thread::sleep(ms(3));
            }
        }
        true
    }

    /// Returns its standard error.
    pub(crate) fn log(&self) -> String {
        read(&self.folder)
    }

    /// Returns its working directory, where its config.toml is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a crash does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Returns how it exited, if it does so in time.
    pub(crate) fn exit_within(&mut self, wait: Duration) -> Option<ExitStatus> {
        let mut status = None;
        is_so_within(wait, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status
    }

    /// Returns how many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs on Linux").count()
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> usize {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs on Linux");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it is alive");
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let died = self.child.try_wait().ok().flatten();
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = self.log();
        if thread::panicking() {
            let tail: Vec<_> = log.lines().rev().take(40).collect();
            eprintln!(
                "--- the target's last words{}",
                died.map(|status| format!(" ({status})")).unwrap_or_default()
            );
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        let _ = fs::remove_dir_all(&self.folder);
        if !thread::panicking() {
            assert!(!log.contains("panicked at"), "the target panicked:\n{log}");
        }
    }
}

fn read(folder: &Path) -> String {
    String::from_utf8_lossy(&fs::read(folder.join("log")).unwrap_or_default()).into_owned()
}

fn folder(port: u16) -> PathBuf {
    let folder =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("wire-{}-{port}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Returns a port below the range of ephemeral ports, so that no outgoing connection takes it by accident.
pub(crate) fn free_port() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 12_000 + (std::process::id().wrapping_mul(61).wrapping_add(step)) % 18_000;
        let addr = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()));
        if TcpListener::bind(addr).is_ok() {
            return addr;
        }
    }
}

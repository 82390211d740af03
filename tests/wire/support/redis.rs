//! A real Redis on loopback, which tests empty, pause, kill and start again.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::target::free_port;
use super::{SOON, is_so_within};

/// A running server.
#[derive(Debug)]
pub(crate) struct Redis {
    pub(crate) addr: SocketAddr,
    lines: String,
    folder: PathBuf,
    child: Child,
}

impl Redis {
    /// Starts a server with more lines of configuration; `None`, with a note, where none is installed.
    pub(crate) fn start(lines: &str) -> Option<Self> {
        let addr = free_port();
        let port = format!("port {}\n", addr.port());
        Self::start_at(addr, &(port + lines))
    }

    /// Starts a server with these lines, which listen at this address.
    pub(crate) fn start_at(addr: SocketAddr, lines: &str) -> Option<Self> {
        if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            assert!(std::env::var_os("CI").is_none(), "redis-server is installed in CI");
            eprintln!("not tested: redis-server is not installed (apt-get install redis-server)");
            return None;
        }
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!(
            "redis-{}-{}",
            std::process::id(),
            addr.port()
        ));
        fs::create_dir_all(&folder).unwrap();
        let child = spawn(&folder, lines);
        let redis = Self { addr, lines: lines.to_owned(), folder, child };
        redis.assert_up();
        Some(redis)
    }

    fn assert_up(&self) {
        assert!(is_so_within(SOON, || TcpStream::connect(self.addr).is_ok()), "redis-server listens");
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, without what it knew.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(&self.folder, &self.lines);
        self.assert_up();
    }

    /// Sends a signal, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Removes everything that it knows.
    pub(crate) fn empty(&self) {
        use std::io::{Read as _, Write as _};
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.write_all(b"FLUSHALL\r\n").unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"+OK\r\n");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn spawn(folder: &std::path::Path, lines: &str) -> Child {
    let config = folder.join("redis.conf");
    fs::write(
        &config,
        format!("bind 127.0.0.1\nsave \"\"\nappendonly no\ndir {}\n{lines}\n", folder.display()),
    )
    .unwrap();
    let mut command = Command::new("redis-server");
    command.arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server starts")
}

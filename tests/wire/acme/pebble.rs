//! Let's Encrypt's test server, pebble: its configuration, and a DNS in which every name leads to this host.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;

use crate::support::target::free_port;
use crate::support::{eventually, is_so_within};

/// A pebble, or where one will be.
#[derive(Debug)]
pub(super) struct Pebble {
    addr: SocketAddr,
    management: SocketAddr,
    dns: SocketAddr,
    folder: PathBuf,
    child: Option<Child>,
}

impl Pebble {
    /// Prepares one that looks at this port for domains, and issues certificates of so many seconds.
    pub(super) fn prepare(port: u16, life: u64) -> Self {
        let (addr, management) = (free_port(), free_port());
        let folder = format!("pebble-{}-{}", std::process::id(), addr.port());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(folder);
        fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the authority of this test");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        write("ca.pem", &authority.pem());
        write("cert.pem", &certificate.pem());
        write("key.pem", &key.serialize_pem());
        let config = json!({ "pebble": {
            "listenAddress": addr.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": folder.join("cert.pem"),
            "privateKey": folder.join("key.pem"),
            "httpPort": 1,
            "tlsPort": port,
            "certificateValidityPeriod": life,
        }});
        write("config.json", &config.to_string());
        Self { addr, management, dns: dns(), folder, child: None }
    }

    /// Starts one.
    pub(super) fn start(port: u16, life: u64) -> Self {
        let mut pebble = Self::prepare(port, life);
        pebble.run();
        pebble
    }

    /// Starts it, also again: then it has forgotten everything, its own authority included.
    pub(super) fn run(&mut self) {
        self.child = Some(self.spawn());
        // It makes keys of RSA first, which takes seconds on a busy machine.
        let is_there = is_so_within(PATIENCE, || {
            // A connection of another test may have got its port meanwhile, for a moment.
            if self.log().contains("address already in use") {
                self.kill();
                self.child = Some(self.spawn());
            }
            TcpStream::connect(self.addr).is_ok() && TcpStream::connect(self.management).is_ok()
        });
        let is_there =
            is_there && self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none());
        assert!(is_there, "{}", self.log());
    }

    fn spawn(&self) -> Child {
        let log = File::create(self.folder.join("log")).unwrap();
        Command::new("pebble")
            .args(["-strict", "-dnsserver", &self.dns.to_string(), "-config"])
            .arg(self.folder.join("config.json"))
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0")
            // It refuses one nonce in twenty by chance, so three in a row now and then, and the order with them.
            .env("PEBBLE_WFE_NONCEREJECT", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("Debian's package pebble is installed")
    }

    /// Kills it.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Returns the lines of `acme` for these domains, whose certificates are kept in this folder.
    pub(super) fn acme(&self, domains: &[&str], storage: &Path) -> String {
        let Self { addr, folder, .. } = self;
        let (storage, ca) = (storage.display().to_string(), folder.join("ca.pem").display().to_string());
        format!(
            "acme = {{ domains = {domains:?}, directory = \"https://{addr}/dir\", storage = {storage:?}, ca = {ca:?} }}"
        )
    }

    /// Returns the folder of what it issues, in that one.
    pub(super) fn folder(&self, storage: &Path) -> PathBuf {
        storage.join(format!("127.0.0.1-{}-dir", self.addr.port()))
    }

    /// Returns a file with the authority of what it issues.
    pub(super) fn root(&self) -> PathBuf {
        let (root, ca) = (self.folder.join("root.pem"), self.folder.join("ca.pem"));
        let url = format!("https://{}/roots/0", self.management);
        let curl = || {
            let mut curl = Command::new("curl");
            curl.args(["-sSf", "--max-time", "20", &url, "--cacert"]).arg(&ca).arg("-o").arg(&root);
            curl.status().unwrap().success()
        };
        eventually(curl, || self.log());
        root
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

/// Returns whether there is none to test with, and says so.
pub(super) fn is_missing() -> bool {
    let is_missing = Command::new("pebble").arg("-version").output().is_err();
    if is_missing {
        assert!(std::env::var_os("CI").is_none(), "pebble is installed in CI");
        eprintln!("not tested: pebble is not installed (apt-get install pebble)");
    }
    is_missing
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(25).collect();
            eprintln!("--- pebble's last words");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        let _removed = fs::remove_dir_all(&self.folder);
    }
}

/// Serves names until the test's process ends: each has the address of this host, and nothing else.
fn dns() -> SocketAddr {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let addr = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((len, from)) = socket.recv_from(&mut query) {
            if let Some(answer) = answer(&query[..len]) {
                let _sent = socket.send_to(&answer, from);
            }
        }
    });
    addr
}

/// Returns the response to a query (RFC 1035, section 4.1).
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let name = query.get(12..)?.iter().position(|byte| *byte == 0)?;
    let question = query.get(12..12 + name + 5)?;
    let is_a = question[name + 1..name + 3] == [0, 1];
    let mut answer = query.get(..2)?.to_vec();
    // A response without a fault: one question, one answer for an address of IPv4, none for all else.
    answer.extend([0x85, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    answer.extend(question);
    if is_a {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}

/// An order takes a second, but one that the machine was too busy for is followed by a pause of a minute.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

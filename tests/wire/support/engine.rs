//! A real Redis or NATS on loopback, which tests empty, pause, kill and start again.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::target::free_port;
use super::{SOON, is_so_within};

/// A kind of server, and who may connect to it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Kind {
    is_nats: bool,
    has_tls: bool,
    asks_certificate: bool,
    user: User,
}

/// Who may connect.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum User {
    #[default]
    Anyone,
    /// One with a password, who may do no more than a node needs.
    Named,
    /// NATS: one with a token.
    Token,
    /// NATS: one that a certificate names.
    Certified,
}

pub(crate) const REDIS: Kind =
    Kind { is_nats: false, has_tls: false, asks_certificate: false, user: User::Anyone };
pub(crate) const NATS: Kind = Kind { is_nats: true, ..REDIS };

/// A running server.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) addr: SocketAddr,
    kind: Kind,
    folder: PathBuf,
    child: Child,
}

impl Kind {
    /// It takes connections by TLS alone.
    pub(crate) const fn with_tls(self) -> Self {
        Self { has_tls: true, ..self }
    }

    /// It takes a user who may do no more than a node needs.
    pub(crate) const fn with_user(self) -> Self {
        Self { user: User::Named, ..self }
    }

    /// It takes those with a token alone.
    pub(crate) const fn with_token(self) -> Self {
        Self { user: User::Token, ..self }
    }

    /// It asks for a certificate, which tells NATS the user.
    pub(crate) const fn with_certificates(self) -> Self {
        let user = if self.is_nats { User::Certified } else { self.user };
        Self { asks_certificate: true, user, ..self.with_tls() }
    }

    fn program(self) -> PathBuf {
        if self.is_nats {
            // Debian's is in /usr/sbin, which users do not search.
            let named = std::env::var_os("POLLIWOG_NATS_SERVER").map(PathBuf::from);
            let debian = || Some(PathBuf::from("/usr/sbin/nats-server")).filter(|path| path.exists());
            named.or_else(debian).unwrap_or_else(|| "nats-server".into())
        } else {
            std::env::var_os("POLLIWOG_REDIS_SERVER").map_or_else(|| "redis-server".into(), PathBuf::from)
        }
    }

    fn config(self, port: u16, folder: &Path) -> String {
        let Self { is_nats, has_tls, asks_certificate, user } = self;
        let folder = folder.display();
        let mut lines = Vec::new();
        if is_nats {
            lines.push(format!("listen: \"127.0.0.1:{port}\""));
            if has_tls {
                let asks = if asks_certificate { ", verify_and_map: true" } else { "" };
                lines.push(format!(
                    "tls {{ cert_file: \"{folder}/cert.pem\", key_file: \"{folder}/key.pem\", \
                     ca_file: \"{folder}/cert.pem\"{asks} }}"
                ));
            }
            match user {
                User::Anyone => {}
                User::Named => lines.push(user_of_the_page("nats").replace("PASSWORD", "\"secret!\"")),
                User::Token => lines.push("authorization { token: \"secret!\" }".to_owned()),
                User::Certified => {
                    lines.push("authorization { users: [ { user: \"CN=polliwog\" } ] }".to_owned());
                }
            }
        } else {
            lines.push(format!("bind 127.0.0.1\nsave \"\"\nappendonly no\ndir {folder}"));
            lines.push(if has_tls {
                format!(
                    "port 0\ntls-port {port}\ntls-cert-file {folder}/cert.pem\ntls-key-file {folder}/key.pem\n\
                     tls-ca-cert-file {folder}/cert.pem\ntls-auth-clients {}",
                    if asks_certificate { "yes" } else { "no" }
                )
            } else {
                format!("port {port}")
            });
            if user == User::Named {
                lines.push(format!(
                    "user default off\n{}",
                    user_of_the_page("redis").replace("PASSWORD", "secret!")
                ));
            }
        }
        lines.join("\n") + "\n"
    }
}

impl Engine {
    /// Starts a server; `None`, with a note, where none is installed.
    pub(crate) fn start(kind: Kind) -> Option<Self> {
        let program = kind.program();
        if Command::new(&program).arg("--version").stdout(Stdio::null()).status().is_err() {
            let program = program.display();
            assert!(std::env::var_os("CI").is_none(), "{program} is installed in CI");
            eprintln!("not tested: {program} is not installed (apt-get install redis-server nats-server)");
            return None;
        }
        let addr = free_port();
        let name = format!("engine-{}-{}", std::process::id(), addr.port());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        write_certificate(&folder);
        fs::write(folder.join("config"), kind.config(addr.port(), &folder)).unwrap();
        let child = spawn(kind, &folder);
        let engine = Self { addr, kind, folder, child };
        engine.assert_up();
        Some(engine)
    }

    /// Returns its URL, with a user if it has one.
    pub(crate) fn url(&self) -> String {
        self.url_with("secret%21")
    }

    /// Returns its URL with another password.
    pub(crate) fn url_with(&self, password: &str) -> String {
        let scheme = match (self.kind.is_nats, self.kind.has_tls) {
            (false, false) => "redis",
            (false, true) => "rediss",
            (true, false) => "nats",
            (true, true) => "tls",
        };
        let user = match self.kind.user {
            User::Named => format!("polliwog:{password}@"),
            User::Token => format!("{password}@"),
            User::Anyone | User::Certified => String::new(),
        };
        format!("{scheme}://{user}{}", self.addr)
    }

    /// Returns the lines of `[cluster]` for it, with another way to it.
    pub(crate) fn lines_by(&self, way: SocketAddr) -> String {
        self.lines_with(&self.url().replace(&self.addr.to_string(), &way.to_string()))
    }

    /// Returns the lines of `[cluster]` for it, but for the nodes.
    pub(crate) fn lines(&self) -> String {
        self.lines_with(&self.url())
    }

    /// Returns these lines with another URL.
    pub(crate) fn lines_with(&self, url: &str) -> String {
        let ca = if self.kind.has_tls {
            format!("directory_ca = \"{}/cert.pem\"\n", self.folder.display())
        } else {
            String::new()
        };
        let folder = self.folder.display();
        let shown = if self.kind.asks_certificate {
            format!("directory_certificate = \"{folder}/cert.pem\"\ndirectory_key = \"{folder}/key.pem\"\n")
        } else {
            String::new()
        };
        format!("directory = \"{url}\"\n{ca}{shown}")
    }

    fn assert_up(&self) {
        assert!(is_so_within(SOON, || TcpStream::connect(self.addr).is_ok()), "the server listens");
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, without what it knew.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(self.kind, &self.folder);
        self.assert_up();
    }

    /// Gives it another certificate, which it shows once it starts again.
    pub(crate) fn renew(&self) {
        write_certificate(&self.folder);
    }

    /// Sends a signal, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Lets all entries of sessions expire; at NATS, they do with their nodes' connections.
    pub(crate) fn expire(&self) {
        if !self.kind.is_nats {
            let each =
                "for _, key in ipairs(redis.call('KEYS', 'polliwog:*:s:*')) do redis.call('DEL', key) end";
            self.say(&format!("EVAL \"{each} return redis.status_reply('OK')\" 0"));
        }
    }

    /// Removes everything that it knows.
    pub(crate) fn empty(&mut self) {
        if self.kind.is_nats {
            // It knows nothing beyond its connections.
            self.kill();
            return self.start_again();
        }
        self.say("FLUSHALL");
    }

    /// Has Redis do something.
    fn say(&self, command: &str) {
        use std::io::{Read as _, Write as _};
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"+OK\r\n");
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Writes a certificate of both sides, which is its own authority.
fn write_certificate(folder: &Path) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "polliwog");
    let certificate = params.self_signed(&key).unwrap();
    fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

fn spawn(kind: Kind, folder: &Path) -> Child {
    let mut command = Command::new(kind.program());
    if kind.is_nats {
        command.arg("--config");
    }
    command.arg(folder.join("config")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the server starts")
}

/// Returns the user of docs/cluster.md, in the language of a directory's configuration.
fn user_of_the_page(language: &str) -> &'static str {
    const PAGE: &str = include_str!("../../../docs/cluster.md");
    let (_, rest) = PAGE.split_once(&format!("```{language}\n")).unwrap();
    rest.split("\n```").next().unwrap()
}

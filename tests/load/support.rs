//! The proxy as a process, an echo that may misbehave, and runs of the load generator.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_tungstenite::tungstenite::{self, Message};

/// A running proxy, which is killed when the test is over.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
}

impl Proxy {
    /// Starts a proxy in front of the embedded Socket.IO server.
    pub(crate) fn demo() -> Self {
        Self::start("/socket.io/", "kind = 'demo'", "")
    }

    /// Starts a proxy in front of a plain WebSocket server, for clients of Engine.IO.
    pub(crate) fn before(backend: SocketAddr) -> Self {
        Self::start("/engine.io/", &format!("kind = 'websocket'\nurl = 'ws://{backend}/'"), "")
    }

    /// Starts the demo's proxy with more lines for the configuration's `[server]`.
    pub(crate) fn demo_with(server: &str) -> Self {
        Self::start("/socket.io/", "kind = 'demo'", server)
    }

    /// Starts a proxy in front of the embedded WebSocket server, with a route for each of the two dialects.
    pub(crate) fn feed() -> Self {
        let upstream = "kind = 'demo'\nprotocol = 'websocket'";
        let routes = ["sockjs", "longpoll"].map(|dialect| {
            format!("[[routes]]\npath = '/{dialect}/'\ndialect = '{dialect}'\nupstream = 'b'\n")
        });
        Self::start_with(&routes.concat(), upstream, "")
    }

    /// Starts the proxy with a route for each dialect that the load generator speaks, and more lines for the configuration.
    pub(crate) fn of_all_dialects(server: &str) -> Self {
        let routes = ["sockjs", "longpoll"].map(|dialect| {
            format!("[[routes]]\npath = '/{dialect}/'\ndialect = '{dialect}'\nupstream = 'w'\n")
        });
        // A client of SockJS is gone after 5 s otherwise, and may have to wait that long on a busy machine.
        let routes =
            routes.join("").replace("dialect = 'sockjs'\n", "dialect = 'sockjs'\ndisconnect_delay = '1m'\n");
        let routes = format!(
            "[[routes]]\npath = '/socket.io/'\ndialect = 'engine.io'\nupstream = 'b'\n{routes}\
             [upstreams.w]\nkind = 'demo'\nprotocol = 'websocket'\n"
        );
        Self::start_with(&routes, "kind = 'demo'", server)
    }

    /// Starts a proxy in front of the embedded WebSocket server, for proxies that lead to it: by shared connections, and by
    /// relayed `WebSocket`s.
    pub(crate) fn hub() -> Self {
        let routes = ["mux", "websocket"].map(|dialect| {
            format!("[[routes]]\npath = '/{dialect}/'\ndialect = '{dialect}'\nupstream = 'b'\n")
        });
        Self::start_with(&routes.concat(), "kind = 'demo'\nprotocol = 'websocket'", "")
    }

    fn start(path: &str, upstream: &str, server: &str) -> Self {
        let route = format!("[[routes]]\npath = '{path}'\ndialect = 'engine.io'\nupstream = 'b'\n");
        Self::start_with(&route, upstream, server)
    }

    fn start_with(routes: &str, upstream: &str, server: &str) -> Self {
        Self::start_in(&[], routes, upstream, server)
    }

    /// Starts a proxy whose allocator returns memory at once: its resident memory is what is in use.
    pub(crate) fn start_tidy(routes: &str, upstream: &str, server: &str) -> Self {
        let at_once = ("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0");
        Self::start_in(&[at_once], routes, upstream, server)
    }

    fn start_in(variables: &[(&str, &str)], routes: &str, upstream: &str, server: &str) -> Self {
        for _ in 0..5 {
            let (address, admin) = (free_port(), free_port());
            let config = place(&format!("proxy-{}.toml", address.port()));
            let toml = format!(
                "[server]\nlisten = ['{address}']\n{server}\n[admin]\nlisten = '{admin}'\n\
                 {routes}[upstreams.b]\n{upstream}\n"
            );
            fs::write(&config, toml).unwrap();
            let child = Command::new(env!("CARGO_BIN_EXE_polliwog"))
                .arg("--config")
                .arg(&config)
                .envs(variables.iter().copied())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(place(&format!("proxy-{}.log", address.port()))).unwrap())
                .spawn()
                .unwrap();
            let mut proxy = Self { child, address, admin };
            if proxy.answers() {
                return proxy;
            }
        }
        panic!("expected the proxy to find free ports, but it ended in five attempts");
    }

    fn answers(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(10);
        // Its listeners are bound one after the other.
        let mut left = vec![self.admin, self.address];
        while let Some(address) = left.last() {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(address).is_ok() {
                left.pop();
                continue;
            }
            assert!(Instant::now() < deadline, "expected the proxy to listen or to end within 10 s");
            // The interval between two checks.
            thread::sleep(Duration::from_millis(10));
        }
        true
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until the series of a metric with this label count at least `least` together.
    #[track_caller]
    pub(crate) fn wait_for(&self, metric: &str, label: &str, least: f64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let shown = self.metric(metric, label);
            if shown >= least {
                return;
            }
            assert!(Instant::now() < deadline, "expected {metric} to reach {least} for {label}, got {shown}");
            // The interval between two checks.
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns the sum of the series of a metric with this label.
    pub(crate) fn metric(&self, metric: &str, label: &str) -> f64 {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let lines = text.lines().filter(|line| line.starts_with(metric) && line.contains(label));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Ends the proxy as an operator would. Returns its exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }

    /// Ends the proxy as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Returns what the proxy has logged, and its successors.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(place(&format!("proxy-{}.log", self.address.port()))).unwrap()
    }

    /// Returns where its configuration is.
    pub(crate) fn config(&self) -> PathBuf {
        place(&format!("proxy-{}.toml", self.address.port()))
    }

    /// Returns its resident memory in kB.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Waits for the end of its process.
    pub(crate) fn wait(&mut self) {
        self.child.wait().unwrap();
    }

    /// Returns the number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends the proxy a signal, for example `-TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        let kill = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The process may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How an echo responds: the messages that it sends, given the one it received and the one before.
pub(crate) type Manner = fn(&str, Option<&str>) -> Vec<String>;

/// Sends everything back once.
pub(crate) fn faithful(message: &str, _: Option<&str>) -> Vec<String> {
    vec![message.to_owned()]
}

/// Returns a plain WebSocket server that echoes in this manner.
pub(crate) fn echo(manner: Manner) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The thread ends with the test's process.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || converse(stream, manner));
        }
    });
    address
}

fn converse(stream: TcpStream, manner: Manner) {
    stream.set_nodelay(true).unwrap();
    let Ok(mut socket) = tungstenite::accept(stream) else { return };
    let mut before = None;
    while let Ok(message) = socket.read() {
        let Message::Text(text) = message else { continue };
        for answer in manner(&text, before.as_deref()) {
            if socket.send(Message::text(answer)).is_err() {
                return;
            }
        }
        before = Some(text.to_string());
    }
}

/// Returns the number of this message.
pub(crate) fn number(message: &str) -> u64 {
    message.split(':').next().unwrap().parse().unwrap()
}

/// The exit code and the output of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// Returns the figures, where JSON went to the standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// Runs the load generator to its end.
pub(crate) fn load(args: &[&str]) -> Run {
    let output = command(args).output().unwrap();
    read(&output)
}

/// Returns the load generator, not yet running.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_polliwog"));
    command.arg("load").args(args).stdin(Stdio::null());
    command
}

pub(crate) fn read(output: &Output) -> Run {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let code = output.status.code().expect("ended by a signal");
    Run { code, out: text(&output.stdout), err: text(&output.stderr) }
}

/// Returns the path of a file that belongs to this process.
pub(crate) fn place(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("load-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

/// Returns a port that was free a moment ago.
pub(crate) fn free_port() -> SocketAddr {
    // Below the system's range for outgoing connections, and apart from the ports of other processes of these tests.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let first = u16::try_from(std::process::id() % 400).unwrap() * 25;
        let address = SocketAddr::from(([127, 0, 0, 1], 12_000 + first + step));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Returns a listener's line for TLS with a certificate of its own, and the file of that.
pub(crate) fn self_signed() -> (String, PathBuf) {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (place("cert.pem"), place("key.pem"));
    fs::write(&certificate, pair.cert.pem()).unwrap();
    fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    (format!("tls = {{ certificate = '{}', key = '{}' }}", certificate.display(), key.display()), certificate)
}

//! Two nodes of a cluster, the proxy behind their shared connections, and all sessions.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;

use crate::plan::Kind;
use crate::relay::lead_to;
use crate::schedule::{Hop, Odds, Schedule};
use crate::session::Session;
use crate::wire::Wire;

/// What all clients and the backend know.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) schedule: Arc<Schedule>,
    pub(crate) nodes: [SocketAddr; 2],
    sessions: Mutex<HashMap<u64, Arc<Session>>>,
}

impl World {
    pub(crate) fn session(&self, id: u64) -> Option<Arc<Session>> {
        self.sessions.lock().expect("nobody panics with it").get(&id).cloned()
    }

    pub(crate) fn add(&self, session: &Arc<Session>) {
        self.sessions.lock().expect("nobody panics with it").insert(session.id, Arc::clone(session));
    }

    pub(crate) fn remove(&self, id: u64) {
        self.sessions.lock().expect("nobody panics with it").remove(&id);
    }

    /// Returns how likely a connection of a session is cut. Most sessions end by their first cut, so that there is about one for each.
    pub(crate) fn odds(hop: Hop, kind: Kind) -> Odds {
        match (hop, kind) {
            (Hop::Backend, _) => Odds { percent: 15, bits: 14 },
            (_, _) if kind.acknowledges() => Odds { percent: 80, bits: 13 },
            (_, Kind::EngineWebSocket(_) | Kind::SockJsWebSocket | Kind::WebSocket) => {
                Odds { percent: 60, bits: 14 }
            }
            (_, _) => Odds { percent: 45, bits: 15 },
        }
    }
}

/// The processes, which end with it.
#[derive(Debug)]
pub(crate) struct Proxies {
    children: Vec<Child>,
    admins: Vec<SocketAddr>,
    folder: PathBuf,
}

impl Drop for Proxies {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = (child.kill(), child.wait());
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Proxies {
    /// Starts them in front of a backend.
    pub(crate) async fn start(backend: SocketAddr, schedule: &Arc<Schedule>, patience: u64) -> (Self, World) {
        let folder = std::env::temp_dir().join(format!("polliwog-cuts-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let [a, b, demux] = [free(), free(), free()];
        let [peer_a, peer_b] = [free(), free()];
        let admins = vec![free(), free(), free()];
        // Of a connection that many share, each cut concerns many.
        let odds = Odds { percent: 100, bits: 18 };
        let to = |target, hop, number| lead_to(target, hop, number, odds, Arc::clone(schedule));
        let (shared_a, shared_b) = (to(demux, Hop::Shared, 0).await, to(demux, Hop::Shared, 1).await);
        let (a_to_b, b_to_a) = (to(peer_b, Hop::Nodes, 0).await, to(peer_a, Hop::Nodes, 1).await);
        let node = |public, listen, peers: [SocketAddr; 2], shared| {
            let [a, b] = peers;
            let cluster = format!(
                "[cluster]\nlisten = \"{listen}\"\npeers = {{ a = \"{a}\", b = \"{b}\" }}\ntoken = \"{TOKEN}\"\n"
            );
            format!("[server]\nlisten = [\"{public}\"]\n{cluster}{}", routes(backend, shared, patience))
        };
        let configurations = [
            node(a, peer_a, [peer_a, a_to_b], shared_a),
            node(b, peer_b, [b_to_a, peer_b], shared_b),
            format!(
                "[server]\nlisten = [\"{demux}\"]\n[[routes]]\npath = \"/mux\"\ndialect = \"mux\"\nupstream = \"own\"\n\
                 [upstreams.own]\nkind = \"websocket\"\nurl = \"ws://{backend}/\"\n"
            ),
        ];
        let mut proxies = Self { children: Vec::new(), admins, folder };
        for (index, configuration) in configurations.into_iter().enumerate() {
            let admin = proxies.admins[index];
            let configuration = format!(
                "{configuration}\n[admin]\nlisten = \"{admin}\"\n[log]\nlevel = \"warn\"\n[limits]\nhandshakes_per_second = 0\n"
            );
            proxies.launch(index, &configuration);
        }
        for address in [a, b, demux].into_iter().chain(proxies.admins.clone()) {
            let mut tries = 0;
            while tokio::net::TcpStream::connect(address).await.is_err() {
                tries += 1;
                assert!(tries < 1200, "a proxy does not start: {}", proxies.logs());
                // It starts.
                sleep(Duration::from_millis(50)).await;
            }
        }
        (proxies, World { schedule: Arc::clone(schedule), nodes: [a, b], sessions: Mutex::default() })
    }

    fn launch(&mut self, index: usize, configuration: &str) {
        let file = self.folder.join(format!("{index}.toml"));
        std::fs::write(&file, configuration).expect("a file in the folder");
        let log = std::fs::File::create(self.log(index)).expect("a file in the folder");
        let binary =
            std::env::var_os("POLLIWOG_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_polliwog").into());
        let mut command = Command::new(binary);
        command.args(["run".as_ref(), "--config".as_ref(), file.as_os_str()]).current_dir(&self.folder);
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("the binary");
        self.children.push(child);
    }

    fn log(&self, index: usize) -> PathBuf {
        Path::new(&self.folder).join(format!("{index}.log"))
    }

    pub(crate) fn logs(&self) -> String {
        (0..self.children.len())
            .map(|index| std::fs::read_to_string(self.log(index)).unwrap_or_default())
            .collect()
    }

    /// Returns how many sessions each proxy still has.
    pub(crate) async fn sessions(&self, schedule: &Arc<Schedule>) -> Vec<u64> {
        let mut counts = Vec::new();
        for admin in &self.admins {
            let mut page = Vec::new();
            if let Ok(mut wire) = Wire::connect(*admin, schedule).await {
                let _ = wire.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
                while wire.fill().await.is_ok() {}
                page = wire.buffer.to_vec();
            }
            let page = String::from_utf8_lossy(&page);
            let lines = page.lines().filter(|line| {
                line.starts_with("polliwog_sessions{") || line.starts_with("polliwog_sessions ")
            });
            counts.push(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum());
        }
        counts
    }
}

/// Returns the routes of a node: every dialect, before every kind of upstream.
fn routes(backend: SocketAddr, shared: SocketAddr, patience: u64) -> String {
    let handshake = seconds(&[("handshake_timeout", 10 * patience)]);
    let resume = 30 * patience;
    let mut text = format!(
        "[upstreams.own]\nkind = \"websocket\"\nurl = \"ws://{backend}/\"\n{handshake}\
         [upstreams.engine]\nkind = \"engine.io\"\nurl = \"ws://{backend}/engine.io/\"\nversions = [3, 4]\n{handshake}\
         [upstreams.shared]\nkind = \"mux\"\nurl = \"ws://{shared}/mux\"\nversions = [3, 4]\n{handshake}\
         mux = {{ resume_timeout = \"{resume}s\" }}\n"
    );
    for (word, dialect, keys) in [
        (
            "engine",
            "engine.io",
            seconds(&[
                ("ping_interval", 4),
                ("ping_timeout", 15 * patience),
                ("upgrade_timeout", 10 * patience),
            ]),
        ),
        ("sockjs", "sockjs", seconds(&[("heartbeat", 10), ("disconnect_delay", 5 * patience)])),
        ("feed", "longpoll", seconds(&[("grace", 20 * patience)])),
        ("socket", "websocket", String::new()),
    ] {
        for upstream in ["own", "shared", "engine"] {
            if upstream != "engine" || word == "engine" {
                let _ = write!(
                    text,
                    "[[routes]]\npath = \"/{word}-{upstream}/\"\ndialect = \"{dialect}\"\nupstream = \"{upstream}\"\n{keys}"
                );
            }
        }
    }
    text
}

/// Returns lines of TOML: keys and their seconds.
fn seconds(keys: &[(&str, u64)]) -> String {
    keys.iter().fold(String::new(), |lines, (key, seconds)| lines + &format!("{key} = \"{seconds}s\"\n"))
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

const TOKEN: &str = "a-long-secret-of-all-nodes";

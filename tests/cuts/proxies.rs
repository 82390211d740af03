//! The proxies: two nodes of a cluster, and the one behind their shared connections.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::sleep;

use crate::configuration::routes;
use crate::relay::{Cut, lead_to};
use crate::schedule::{Hop, Odds, Schedule};
use crate::world::World;

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
        let [a, b, demux, peer_a, peer_b, admin_a, admin_b, admin_demux] = free();
        let (publics, admins) = ([a, b, demux], vec![admin_a, admin_b, admin_demux]);
        // Of a connection that many share, each cut concerns many.
        let odds = Odds { percent: 100, bits: 18 };
        let to = |target, hop, number| {
            let (cuts, counts) = (Arc::clone(schedule), Arc::clone(schedule));
            // One in four lives long enough to resume: ten that die before it may take as long as sessions wait for one.
            let least = |connection| if connection % 4 == 3 { 64 << 10 } else { 0 };
            let cut = move |connection| {
                let cut = cuts.cut(hop, number, connection, odds)?;
                Some(Cut { after: cut.after.max(least(connection)), ..cut })
            };
            lead_to(target, cut, move || counts.note(hop))
        };
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
            std::fs::write(proxies.file(index), configuration).expect("a file in the folder");
            let child = proxies.launch(index);
            proxies.children.push(child);
        }
        for address in publics.into_iter().chain(proxies.admins.clone()) {
            proxies.wait_for(address).await;
        }
        (proxies, World::new(schedule, [a, b]))
    }

    async fn wait_for(&self, address: SocketAddr) {
        for _ in 0..1200 {
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                return;
            }
            // It starts.
            sleep(Duration::from_millis(50)).await;
        }
        unreachable!("a proxy does not start: {}", self.logs());
    }

    fn launch(&self, index: usize) -> Child {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log(index));
        let binary =
            std::env::var_os("POLLIWOG_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_polliwog").into());
        let mut command = Command::new(binary);
        command.args(["run".as_ref(), "--config".as_ref(), self.file(index).as_os_str()]);
        command.current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(log.expect("a file in the folder")).spawn().expect("the binary")
    }

    /// Kills a proxy, and starts it again.
    pub(crate) async fn restart(&mut self, index: usize) {
        let _ = (self.children[index].kill(), self.children[index].wait());
        self.children[index] = self.launch(index);
        self.wait_for(self.admins[index]).await;
    }

    /// Changes a key that matters to nobody, and has a proxy read it.
    pub(crate) async fn reload(&self, index: usize, number: u64) -> Result<(), String> {
        let file = self.file(index);
        let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
        let text = text.split("[defaults]").next().unwrap_or_default().to_owned();
        let text = format!("{text}[defaults]\nlinger = \"{}ms\"\n", 3 + number % 5);
        std::fs::write(file, text).map_err(|error| error.to_string())?;
        let page = self.ask(index, "POST /api/reload").await;
        if page.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(page) }
    }

    async fn ask(&self, index: usize, request: &str) -> String {
        let mut page = Vec::new();
        if let Ok(mut stream) = tokio::net::TcpStream::connect(self.admins[index]).await {
            let request =
                format!("{request} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(request.as_bytes()).await;
            let _ = stream.read_to_end(&mut page).await;
        }
        String::from_utf8_lossy(&page).into_owned()
    }

    fn file(&self, index: usize) -> PathBuf {
        self.folder.join(format!("{index}.toml"))
    }

    fn log(&self, index: usize) -> PathBuf {
        Path::new(&self.folder).join(format!("{index}.log"))
    }

    pub(crate) fn logs(&self) -> String {
        (0..self.children.len())
            .map(|index| std::fs::read_to_string(self.log(index)).unwrap_or_default())
            .collect()
    }

    /// Returns what each proxy has now.
    pub(crate) async fn samples(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        for index in 0..self.children.len() {
            let page = self.ask(index, "GET /metrics").await;
            let sum = |name: &str| {
                let values = page.lines().filter_map(|line| {
                    line.strip_prefix(name)?.strip_prefix(['{', ' '])?.rsplit(' ').next()?.parse::<u64>().ok()
                });
                values.sum()
            };
            samples.push(Sample {
                sessions: sum("polliwog_sessions"),
                memory: sum("process_resident_memory_bytes"),
                descriptors: sum("process_open_fds"),
                tasks: sum("polliwog_tasks"),
            });
        }
        samples
    }
}

/// What a proxy has at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) sessions: u64,
    /// In bytes.
    pub(crate) memory: u64,
    pub(crate) descriptors: u64,
    pub(crate) tasks: u64,
}

/// Returns addresses that are free. All are taken before any is given back, or one might come twice.
fn free<const COUNT: usize>() -> [SocketAddr; COUNT] {
    let listeners = [(); COUNT].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.each_ref().map(|listener| listener.local_addr().expect("it listens"))
}

const TOKEN: &str = "a-long-secret-of-all-nodes";

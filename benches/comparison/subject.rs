//! A peer at work: its processes on free ports, its backend, and how it is made to send.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

use crate::backend::Backend;
use crate::peer::Peer;
use crate::process::{Core, Folder, Ports, Process};
use crate::secured;
use crate::settings::{self, BackSide};
use crate::stream::send;
use crate::words::Answering;

/// What is measured.
pub(crate) struct Subject {
    pub(crate) address: SocketAddr,
    /// More nodes of the same service: any may be asked for anything.
    pub(crate) others: Vec<SocketAddr>,
    pub(crate) speaker: Speaker,
    /// Its processes; none if the subject is the backend alone.
    pub(crate) processes: Vec<Process>,
    /// The backend behind it, which is not measured.
    _behind: Option<Process>,
    /// The folder of its settings and of what it writes.
    pub(crate) folder: Folder,
    _ports: Ports,
}

/// The tool under which a program runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Under {
    Nothing,
    /// callgrind, which counts instructions.
    Callgrind,
}

/// The side that sends messages to sessions on command.
pub(crate) enum Speaker {
    /// The benchmark's own backend, behind a proxy.
    Backend(Backend),
    /// A server that listens to commands, each the number of the group that is to get a message.
    Control(OwnedWriteHalf),
}

impl Speaker {
    /// Sends a message to each session of a group.
    pub(crate) async fn push(&self, group: u16) -> anyhow::Result<()> {
        match self {
            Self::Backend(backend) => backend.push(group),
            Self::Control(stream) => send(stream, &group.to_be_bytes()).await,
        }
    }
}

impl Subject {
    pub(crate) async fn start(peer: Peer, answering: Answering, under: Under) -> anyhow::Result<Self> {
        let ports = Ports::default();
        let started = Starting { folder: Folder::new()?, address: ports.reserve()?, ports, answering, under };
        let subject = match peer {
            Peer::Own => started.polliwog(BackSide::Own).await,
            Peer::Mux => started.polliwog(BackSide::Mux).await,
            Peer::Framed => started.polliwog(BackSide::Framed).await,
            Peer::Tls => started.secured().await,
            Peer::Three => started.nodes(BackSide::Own).await,
            Peer::ThreeMux => started.nodes(BackSide::Mux).await,
            Peer::Hyper => started.own_server("hyper").await,
            Peer::EngineIoxide => started.own_server("engineioxide").await,
            Peer::Node => started.node("engine.io").await,
            Peer::SockJsNode => started.node("sockjs").await,
            Peer::NginxBeforeNode => started.nginx_before_node().await,
            Peer::Nginx => started.nginx().await,
            Peer::Haproxy => started.haproxy().await,
            Peer::Pushpin => started.pushpin().await,
            Peer::Backend => started.backend(),
        };
        subject.with_context(|| format!("cannot start {}", peer.name()))
    }
}

/// What every peer needs to start.
struct Starting {
    folder: Folder,
    ports: Ports,
    address: SocketAddr,
    answering: Answering,
    under: Under,
}

impl Starting {
    async fn polliwog(self, back_side: BackSide) -> anyhow::Result<Subject> {
        let backend = Backend::start(self.answering)?;
        let settings =
            settings::polliwog(self.address, self.ports.reserve()?, backend.address(), back_side, "");
        let process = self.run_polliwog("config.toml", &settings).await?;
        Ok(self.before(backend, vec![process]))
    }

    /// Returns one whose clients speak TLS.
    async fn secured(self) -> anyhow::Result<Subject> {
        let backend = Backend::start(self.answering)?;
        let (admin, tls) = (self.ports.reserve()?, secured::certify(&self.folder)?);
        let settings = settings::polliwog(self.address, admin, backend.address(), BackSide::Own, &tls);
        let process = self.run_polliwog("config.toml", &settings).await?;
        Ok(self.before(backend, vec![process]))
    }

    /// Returns three nodes, each of which knows the others.
    async fn nodes(mut self, back_side: BackSide) -> anyhow::Result<Subject> {
        let backend = Backend::start(self.answering)?;
        let mut peers = Vec::new();
        for _ in 0..NODES {
            peers.push(self.ports.reserve()?);
        }
        let (mut processes, mut addresses) = (Vec::new(), Vec::new());
        for node in 0..NODES {
            if node > 0 {
                self.address = self.ports.reserve()?;
            }
            addresses.push(self.address);
            let admin = self.ports.reserve()?;
            let settings = settings::polliwog(self.address, admin, backend.address(), back_side, "");
            let settings = format!("{}{settings}", settings::cluster(&peers, node));
            processes.push(self.run_polliwog(&format!("node{node}.toml"), &settings).await?);
        }
        self.address = addresses.remove(0);
        Ok(Subject { others: addresses, ..self.before(backend, processes) })
    }

    async fn run_polliwog(&self, file: &str, settings: &str) -> anyhow::Result<Process> {
        let file = self.folder.write(file, settings)?;
        let binary =
            std::env::var_os("POLLIWOG_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_polliwog").into());
        self.run(Core::Subject, &binary, &["run".into(), "--config".into(), file.into()]).await
    }

    /// Returns a server that is part of this program.
    async fn own_server(self, name: &str) -> anyhow::Result<Subject> {
        let (binary, control) = (std::env::current_exe()?, self.ports.reserve()?);
        let mut arguments: Vec<OsString> = vec!["--bench".into(), "serve".into(), name.into()];
        arguments.extend(self.about_direct(control));
        let process = self.run(Core::Subject, binary.as_os_str(), &arguments).await?;
        self.direct(vec![process], None, control).await
    }

    async fn node(self, name: &str) -> anyhow::Result<Subject> {
        let control = self.ports.reserve()?;
        let node = self.run(Core::Subject, "node".as_ref(), &self.node_arguments(name, control)).await?;
        self.direct(vec![node], None, control).await
    }

    async fn nginx_before_node(mut self) -> anyhow::Result<Subject> {
        let control = self.ports.reserve()?;
        let node = self.run(Core::Load, "node".as_ref(), &self.node_arguments("engine.io", control)).await?;
        let server = std::mem::replace(&mut self.address, self.ports.reserve()?);
        let nginx = self.run_nginx(server).await?;
        self.direct(vec![nginx], Some(node), control).await
    }

    async fn nginx(self) -> anyhow::Result<Subject> {
        let backend = Backend::start(self.answering)?;
        let nginx = self.run_nginx(backend.address()).await?;
        Ok(self.before(backend, vec![nginx]))
    }

    async fn haproxy(self) -> anyhow::Result<Subject> {
        let backend = Backend::start(self.answering)?;
        let file = self.folder.write("haproxy.cfg", &settings::haproxy(self.address, backend.address()))?;
        let arguments = ["-db".into(), "-f".into(), file.into()];
        let haproxy = self.run(Core::Subject, "haproxy".as_ref(), &arguments).await?;
        Ok(self.before(backend, vec![haproxy]))
    }

    async fn pushpin(self) -> anyhow::Result<Subject> {
        let backend = Backend::start(self.answering)?;
        let zurl = self.folder.write("zurl.conf", &settings::zurl(self.folder.path()))?;
        let zurl = [format!("--config={}", zurl.display()).into(), "--loglevel=0".into()];
        let zurl = Process::spawn(Core::Subject, "zurl".as_ref(), &zurl)?;
        let free =
            [self.ports.reserve()?, self.ports.reserve()?, self.ports.reserve()?, self.ports.reserve()?];
        self.folder.write("routes", &settings::pushpin_routes(backend.address()))?;
        let settings = settings::pushpin(self.address, free, self.folder.path());
        let file = self.folder.write("pushpin.conf", &settings)?;
        let arguments = [format!("--config={}", file.display()).into(), "--loglevel=0".into()];
        let pushpin = self.run(Core::Subject, "pushpin".as_ref(), &arguments).await?;
        Ok(self.before(backend, vec![pushpin, zurl]))
    }

    fn backend(mut self) -> anyhow::Result<Subject> {
        let backend = Backend::start(self.answering)?;
        self.address = backend.address();
        Ok(self.before(backend, Vec::new()))
    }

    async fn run_nginx(&self, backend: SocketAddr) -> anyhow::Result<Process> {
        let settings = settings::nginx(self.address, backend, self.folder.path());
        let file = self.folder.write("nginx.conf", &settings)?;
        let arguments = ["-p".into(), self.folder.path().into(), "-c".into(), file.into()];
        self.run(Core::Subject, "nginx".as_ref(), &arguments).await
    }

    fn node_arguments(&self, name: &str, control: SocketAddr) -> Vec<OsString> {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/comparison/node.mjs");
        let mut arguments = vec![program.into(), name.into()];
        arguments.extend(self.about_direct(control));
        arguments
    }

    fn about_direct(&self, control: SocketAddr) -> [OsString; 3] {
        let answering = match self.answering {
            Answering::Echo => "echo",
            Answering::Silent => "silent",
        };
        [self.address.to_string().into(), control.to_string().into(), answering.into()]
    }

    /// Starts a program and waits until it listens.
    async fn run(&self, core: Core, program: &OsStr, arguments: &[OsString]) -> anyhow::Result<Process> {
        let mut process = match self.under {
            Under::Nothing => Process::spawn(core, program, arguments)?,
            Under::Callgrind => {
                let counts = format!("--callgrind-out-file={}", self.folder.file(COUNTS).display());
                let mut under = vec![
                    STORES.into(),
                    "valgrind".into(),
                    "-q".into(),
                    "--tool=callgrind".into(),
                    "--instr-atstart=no".into(),
                    counts.into(),
                    program.to_owned(),
                ];
                under.extend_from_slice(arguments);
                Process::spawn(core, "env".as_ref(), &under)?
            }
        };
        process.listening(self.address).await?;
        Ok(process)
    }

    fn before(self, backend: Backend, processes: Vec<Process>) -> Subject {
        let Self { folder, ports, address, .. } = self;
        let speaker = Speaker::Backend(backend);
        Subject { address, others: Vec::new(), speaker, processes, _behind: None, folder, _ports: ports }
    }

    async fn direct(
        self,
        processes: Vec<Process>,
        behind: Option<Process>,
        control: SocketAddr,
    ) -> anyhow::Result<Subject> {
        let control = TcpStream::connect(control).await.context("it takes no commands")?;
        control.set_nodelay(true)?;
        let (_, control) = control.into_split();
        let Self { folder, ports, address, .. } = self;
        let speaker = Speaker::Control(control);
        Ok(Subject {
            address,
            others: Vec::new(),
            speaker,
            processes,
            _behind: behind,
            folder,
            _ports: ports,
        })
    }
}

const NODES: usize = 3;

/// What callgrind writes.
pub(crate) const COUNTS: &str = "callgrind.out";

/// Keeps the C library from string instructions, of which callgrind counts one for each byte.
const STORES: &str = "GLIBC_TUNABLES=glibc.cpu.hwcaps=-ERMS";

//! A program under measurement with all its children, on a core of its own: its memory and its time on the core.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::net::TcpSocket;
use tokio::time::sleep;

/// A running program; it and its children are killed when it is dropped.
pub(crate) struct Process {
    child: Child,
}

/// Where a program runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Core {
    /// With clients and backends.
    Load,
    /// Alone.
    Subject,
    /// Wherever there is room.
    Any,
}

impl Core {
    const fn number(self) -> &'static str {
        match self {
            Self::Load => "0",
            Self::Subject => "1",
            Self::Any => "0,1",
        }
    }
}

impl Process {
    /// Starts a program.
    pub(crate) fn spawn(core: Core, program: &OsStr, arguments: &[OsString]) -> anyhow::Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", core.number()]).arg(program).args(arguments);
        // Its output does not matter; its errors do.
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child = child.with_context(|| format!("cannot run {command:?}"))?;
        Ok(Self { child })
    }

    /// Waits until it listens.
    pub(crate) async fn listening(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        for _ in 0..1200 {
            // Before the look: what listens may be somebody else.
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended at once: {status}");
            }
            if TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("it does not listen")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<i64> {
        self.family()?.into_iter().map(memory).sum()
    }

    /// Its own resident bytes, and its part of what it shares with others.
    pub(crate) fn share_of_memory(&self) -> anyhow::Result<u64> {
        let rollup = std::fs::read_to_string(proc(self.child.id()).join("smaps_rollup"))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }

    /// Returns how long the scheduler has run it, without its children.
    pub(crate) fn own_cpu(&self) -> anyhow::Result<Duration> {
        cpu(self.child.id())
    }

    /// Returns how long the scheduler has run it.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        self.family()?.into_iter().map(cpu).sum()
    }

    fn family(&self) -> anyhow::Result<Vec<u32>> {
        family(self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Some may have ended by themselves.
        let family = self.family().unwrap_or_else(|_| vec![self.child.id()]);
        let ids = family.iter().map(ToString::to_string);
        let _ = Command::new("kill").arg("-KILL").args(ids).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

fn memory(id: u32) -> anyhow::Result<i64> {
    let status = std::fs::read_to_string(proc(id).join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<i64>()? * 1024)
}

fn cpu(id: u32) -> anyhow::Result<Duration> {
    let mut nanos = 0;
    for task in std::fs::read_dir(proc(id).join("task"))? {
        // A thread may end between the two reads.
        let Ok(line) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
        nanos += line.split(' ').next().context("no time in schedstat")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Returns a process and all that it has started.
fn family(id: u32) -> anyhow::Result<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(proc(id).join("stat")) else { continue };
        // The name before the last bracket may contain anything.
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        children.entry(parent.context("no parent in stat")?).or_default().push(id);
    }
    let mut family = vec![id];
    let mut at = 0;
    while let Some(id) = family.get(at) {
        family.extend(children.remove(id).unwrap_or_default());
        at += 1;
    }
    Ok(family)
}

fn proc(id: u32) -> PathBuf {
    Path::new("/proc").join(id.to_string())
}

/// Keeps this process off the core of what it measures.
pub(crate) fn step_aside() -> anyhow::Result<()> {
    let mut command = Command::new("taskset");
    command.args(["-a", "-c", "-p", Core::Load.number(), &std::process::id().to_string()]);
    let status = command.stdout(Stdio::null()).status().context("cannot run taskset")?;
    anyhow::ensure!(status.success(), "taskset failed");
    Ok(())
}

/// A folder that is removed when it is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("polliwog-bench-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let file = self.file(name);
        std::fs::write(&file, text)?;
        Ok(file)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Addresses for what is started, which nobody else on the machine gets meanwhile: a program under callgrind takes ten
/// seconds until it listens.
#[derive(Default)]
pub(crate) struct Ports(RefCell<Vec<TcpSocket>>);

impl Ports {
    /// Reserves another address. Its port is bound here without listening, so the system gives it to nobody who asks for
    /// any port; a server that names it may listen there, since servers allow that (`SO_REUSEADDR`).
    pub(crate) fn reserve(&self) -> anyhow::Result<SocketAddr> {
        self.reserve_at(Ipv4Addr::LOCALHOST)
    }

    /// Reserves another port of this address of the machine.
    pub(crate) fn reserve_at(&self, ip: Ipv4Addr) -> anyhow::Result<SocketAddr> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((ip, 0).into())?;
        let address = socket.local_addr()?;
        self.0.borrow_mut().push(socket);
        Ok(address)
    }
}

//! The proxy under measurement: a process of its own, on free ports, in front of the backend.

use std::ffi::{OsStr, OsString};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::time::sleep;

/// A running proxy; it is killed when dropped.
pub(crate) struct Subject {
    child: Child,
    address: SocketAddr,
    folder: PathBuf,
}

/// What the proxy runs under.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Under {
    /// The operating system alone, free to use all cores.
    Nothing,
    /// The operating system alone, on a core of its own where there are two.
    OneCore,
    /// callgrind, which counts instructions.
    Callgrind,
}

impl Subject {
    /// Starts the proxy.
    pub(crate) async fn start(backend: SocketAddr, under: Under) -> anyhow::Result<Self> {
        let binary =
            std::env::var_os("POLLIWOG_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_polliwog").into());
        let (folder, address) = (make_folder()?, free_address()?);
        let config = folder.join("config.toml");
        std::fs::write(&config, settings(address, free_address()?, backend))?;
        let arguments = ["run".into(), "--config".into(), config.into()];
        Self::spawn(&binary, &arguments, under, address, folder).await
    }

    /// Starts the yardstick.
    pub(crate) async fn start_bare(under: Under) -> anyhow::Result<Self> {
        let (binary, address) = (std::env::current_exe()?.into_os_string(), free_address()?);
        let arguments = ["--bench".into(), "bare".into(), address.to_string().into()];
        Self::spawn(&binary, &arguments, under, address, make_folder()?).await
    }

    async fn spawn(
        binary: &OsStr,
        arguments: &[OsString],
        under: Under,
        address: SocketAddr,
        folder: PathBuf,
    ) -> anyhow::Result<Self> {
        let counts = folder.join(COUNTS);
        let mut command = match under {
            Under::Nothing => Command::new(binary),
            Under::OneCore => {
                let mut command = Command::new("taskset");
                command.args(["-c", "1"]).arg(binary);
                command
            }
            Under::Callgrind => {
                let mut command = Command::new("valgrind");
                command.args(["-q", "--tool=callgrind"]);
                // Workers that look for work would be counted, and look for longer on a busy machine.
                command.env("TOKIO_WORKER_THREADS", "1");
                command.arg(format!("--callgrind-out-file={}", counts.display())).arg(binary);
                command
            }
        };
        command.args(arguments).stdin(Stdio::null());
        let child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        let mut subject = Self { child, address, folder };
        for _ in 0..600 {
            if TcpStream::connect(address).is_ok() {
                return Ok(subject);
            }
            if let Some(status) = subject.child.try_wait()? {
                bail!("it ended at once: {status}");
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("it does not listen")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resident bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<i64> {
        let status = std::fs::read_to_string(self.proc().join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: i64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes * 1024)
    }

    /// For how long the scheduler has had it on a core.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut nanos = 0;
        for task in std::fs::read_dir(self.proc().join("task"))? {
            // A thread may end between the two looks.
            let Ok(line) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
            nanos += line.split(' ').next().context("no time in schedstat")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Ends a proxy that ran under callgrind; how many instructions it has executed.
    pub(crate) async fn instructions(mut self) -> anyhow::Result<i64> {
        let interrupt = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status()?;
        ensure!(interrupt.success(), "cannot interrupt the proxy");
        for _ in 0..1200 {
            if self.child.try_wait()?.is_some() {
                let counts = std::fs::read_to_string(self.folder.join(COUNTS))?;
                let line =
                    counts.lines().find_map(|line| line.strip_prefix("totals: ")).context("no totals")?;
                return Ok(line.trim().parse()?);
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("the proxy does not end")
    }

    fn proc(&self) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Keeps this process off the proxy's core.
pub(crate) fn step_aside() {
    let id = std::process::id().to_string();
    // Where it fails the figures are noisier, and still figures.
    let _ = Command::new("taskset").args(["-a", "-c", "-p", "0", &id]).stdout(Stdio::null()).status();
}

fn make_folder() -> anyhow::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("polliwog-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A port that was free a moment ago.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

fn settings(address: SocketAddr, admin: SocketAddr, backend: SocketAddr) -> String {
    format!(
        "[server]\nlisten = [\"{address}\"]\nmax_sessions = 100_000\ndrain_timeout = \"1s\"\n\
         [admin]\nlisten = \"{admin}\"\n\
         [log]\nlevel = \"error\"\n\
         [defaults]\nping_interval = \"10m\"\n\
         [[routes]]\npath = \"/socket.io/\"\ndialect = \"engine.io\"\nupstream = \"echo\"\n\
         [upstreams.echo]\nkind = \"websocket\"\nurl = \"ws://{backend}/\"\n"
    )
}

const COUNTS: &str = "callgrind.out";

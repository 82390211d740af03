//! How many sessions one machine holds, both ends on it: polls that are parked at as many processes as descriptors demand, over one
//! connection to the backend for each process.

use std::cell::RefCell;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::backend::Backend;
use crate::process::{Core, Folder, Ports, Process};
use crate::settings::{self, BackSide};
use crate::words::Answering;

/// Opens so many sessions, or as many as the machine has memory for, and prints what they take: at rest, and while one in a
/// hundred gets a message each second.
pub(crate) fn run(count: &str) -> anyhow::Result<()> {
    let count: usize = count.parse().context("expected how many sessions")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, hold(count))
}

async fn hold(count: usize) -> anyhow::Result<()> {
    let site = Site {
        backend: Backend::start(Answering::Silent)?,
        reports: TcpListener::bind(("127.0.0.1", 0)).await?,
        folder: Folder::new()?,
        ports: Ports::default(),
        used_before: used()?,
    };
    let (mut shards, mut held, begin): (Vec<Shard>, _, _) = (Vec::new(), 0, Instant::now());
    while held < count {
        if available()? < SPARE {
            println!("the machine has {} MB left: this is what it holds", SPARE >> 20);
            break;
        }
        let more = SHARD.min(count - held);
        shards.push(Shard::open(&site, held, more).await?);
        held += more;
        println!("{held:>9} sessions after {:>4} s: {}", begin.elapsed().as_secs(), site.memory(&shards)?);
    }
    // Connections that have just answered a handshake leave hyper after a second, and the allocator returns pages ten seconds later.
    sleep(REST).await;
    println!("{held:>9} sessions at rest: {}", site.memory(&shards)?);
    println!("{held:>9} sessions at rest: {}", load(&shards, TIME, async || Ok(())).await?);
    let (mut next, came) = (0, total(&shards));
    let each = held / 100;
    let pushes = async || {
        site.backend.push_to((next..next + each / TICKS).map(|number| number * 7919 % held))?;
        next += each / TICKS;
        Ok(())
    };
    println!("{held:>9} sessions, {each} messages a second: {}", load(&shards, TIME, pushes).await?);
    sleep(Duration::from_secs(2)).await;
    let came = total(&shards) - came;
    println!("{held:>9} sessions: {came} of {next} messages came; {}", site.memory(&shards)?);
    if came != u64::try_from(next)? {
        bail!("messages are missing");
    }
    Ok(())
}

/// Runs for some time and returns the scheduler's time of proxies and clients beside it. `act` is called `TICKS` times a second.
async fn load(
    shards: &[Shard],
    time: Duration,
    mut act: impl AsyncFnMut() -> anyhow::Result<()>,
) -> anyhow::Result<String> {
    let spent = |which: fn(&Shard) -> &Process| -> anyhow::Result<Duration> {
        shards.iter().map(|shard| which(shard).own_cpu()).sum()
    };
    let (fronts, clients, begin) =
        (spent(|shard| &shard.front)?, spent(|shard| &shard.client)?, Instant::now());
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(TICKS)?);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while begin.elapsed() < time {
        ticks.tick().await;
        act().await?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let share = |spent: Duration| 100.0 * spent.as_secs_f64() / seconds;
    let (fronts, clients) = (
        spent(|shard| &shard.front)?.saturating_sub(fronts),
        spent(|shard| &shard.client)?.saturating_sub(clients),
    );
    Ok(format!("proxies {:.1} % of a core, clients {:.1} %", share(fronts), share(clients)))
}

fn total(shards: &[Shard]) -> u64 {
    shards.iter().map(|shard| shard.report.borrow().1).sum()
}

/// What all shards share.
struct Site {
    backend: Backend,
    reports: TcpListener,
    folder: Folder,
    ports: Ports,
    used_before: u64,
}

impl Site {
    /// Returns what the processes have, and the kernel beyond that.
    fn memory(&self, shards: &[Shard]) -> anyhow::Result<String> {
        let sum = |which: fn(&Shard) -> &Process| -> anyhow::Result<u64> {
            shards.iter().map(|shard| which(shard).share_of_memory()).sum()
        };
        let (fronts, clients) = (sum(|shard| &shard.front)?, sum(|shard| &shard.client)?);
        let kernel = used()?.saturating_sub(self.used_before + fronts + clients);
        let [fronts, clients, kernel] = [fronts, clients, kernel].map(|bytes| bytes / 1_000_000);
        Ok(format!("proxies {fronts} MB, clients {clients} MB, kernel and backend {kernel} MB"))
    }
}

/// A proxy and its clients.
struct Shard {
    /// Ends before its proxy does.
    client: Process,
    front: Process,
    /// How many sessions are open, and how many messages came.
    report: Rc<RefCell<(u64, u64)>>,
    reading: JoinHandle<()>,
}

impl Shard {
    async fn open(site: &Site, first: usize, count: usize) -> anyhow::Result<Self> {
        // An address of its own: the clients of all shards together use each port of the usual one.
        let ip = Ipv4Addr::from_bits(SHARDS.to_bits() + u32::try_from(first / SHARD)?);
        let (address, admin) = (site.ports.reserve_at(ip)?, site.ports.reserve_at(ip)?);
        let settings = settings::polliwog(address, admin, site.backend.address(), BackSide::Mux, "");
        let file = site.folder.write(&format!("{first}.toml"), &settings)?;
        let binary = std::env::var_os("POLLIWOG_BIN").context("POLLIWOG_BIN names no proxy")?;
        let mut front = Process::spawn(Core::Any, &binary, &["run".into(), "--config".into(), file.into()])?;
        front.listening(address).await?;
        let report: SocketAddr = site.reports.local_addr()?;
        let words = ["--bench", "hold"].map(OsString::from).into_iter();
        let words = words.chain(
            [address.to_string(), report.to_string(), first.to_string(), count.to_string()].map(Into::into),
        );
        let client =
            Process::spawn(Core::Any, std::env::current_exe()?.as_os_str(), &words.collect::<Vec<_>>())?;
        let (stream, _) = site.reports.accept().await?;
        let report = Rc::new(RefCell::new((0, 0)));
        let reading = spawn_local(read(stream, Rc::clone(&report)));
        let shard = Self { client, front, report, reading };
        while shard.report.borrow().0 < u64::try_from(count)? {
            // The interval between two looks.
            sleep(Duration::from_millis(20)).await;
            if shard.reading.is_finished() {
                bail!("clients have ended at {} sessions", first + usize::try_from(shard.report.borrow().0)?);
            }
        }
        Ok(shard)
    }
}

/// Reads what clients report.
async fn read(mut stream: TcpStream, report: Rc<RefCell<(u64, u64)>>) {
    while let (Ok(opened), Ok(came)) = (stream.read_u64().await, stream.read_u64().await) {
        *report.borrow_mut() = (opened, came);
    }
}

fn used() -> anyhow::Result<u64> {
    Ok(meminfo("MemTotal:")? - available()?)
}

fn available() -> anyhow::Result<u64> {
    meminfo("MemAvailable:")
}

fn meminfo(name: &str) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)).context("no such line in meminfo")?;
    Ok(value.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// How many sessions a process has descriptors for: 20,000 here.
const SHARD: usize = 19_600;
/// The first shard's address.
const SHARDS: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);
/// What is left to the machine.
const SPARE: u64 = 1 << 30;
const TICKS: usize = 20;
const TIME: Duration = Duration::from_secs(20);
const REST: Duration = Duration::from_secs(15);

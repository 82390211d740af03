//! One figure: an operation of one peer, which is started and ended for it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::{Instant, sleep, timeout};

use crate::client::open_web_socket;
use crate::figures::Figure;
use crate::frame;
use crate::idle;
use crate::line::Line;
use crate::load::{Load, Work};
use crate::memory;
use crate::operation::Operation;
use crate::peer::Peer;
use crate::process::Process;
use crate::subject::{COUNTS, Subject, Under};
use crate::words::{Answering, MESSAGE};

/// How much work a figure takes.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
    /// How many sessions are opened for their memory.
    pub(crate) waiting: usize,
    /// How many connections without sessions are opened for theirs.
    pub(crate) connections: usize,
    pub(crate) counted: u64,
}

/// # Errors
/// The peer can't do it.
pub(crate) async fn measure(operation: Operation, peer: Peer, effort: Effort) -> anyhow::Result<Figure> {
    let figure = async {
        match operation {
            Operation::Push(_) | Operation::Post(_) => cpu(operation, peer, SESSIONS, effort).await,
            // A node's load for each of them: with less, they would share fewer writes than one does.
            Operation::Spread if matches!(peer, Peer::Three | Peer::ThreeMux) => {
                cpu(operation, peer, SESSIONS / 2 * 3, effort).await
            }
            Operation::Echo | Operation::Spread | Operation::WebSocket(_) => {
                cpu(operation, peer, SESSIONS / 2, effort).await
            }
            Operation::Grown(sessions) => cpu(operation, peer, sessions, effort).await,
            Operation::Latency => latency(peer, effort).await.map(alone),
            Operation::Parked(receiver) => {
                memory::measure(memory::Kind::Parked(receiver), peer, effort.waiting).await.map(alone)
            }
            Operation::Held => memory::measure(memory::Kind::Held, peer, effort.waiting).await.map(alone),
            Operation::Connection => idle::measure(peer, effort.connections).await.map(alone),
            Operation::Idle => memory::measure(memory::Kind::Idle, peer, effort.waiting).await.map(alone),
            Operation::PushInstructions(_) | Operation::PostInstructions(_) => {
                instructions(operation, peer, effort).await.map(alone)
            }
        }
    };
    timeout(PATIENCE, figure).await.context("it came to a standstill")?
}

const fn alone(value: f64) -> Figure {
    Figure { value, busy: None }
}

/// Microseconds on the core for each operation.
async fn cpu(operation: Operation, peer: Peer, sessions: usize, effort: Effort) -> anyhow::Result<Figure> {
    let work = operation.work();
    let subject = Rc::new(Subject::start(peer, answering(work), Under::Nothing).await?);
    let mut load = Load::begin(work, peer, &subject, sessions).await?;
    load.run_for(effort.warm_up).await?;
    let (count, before, begin) = (load.count(), spent(&subject)?, Instant::now());
    load.run_for(effort.time).await?;
    let (count, spent) = (load.count() - count, spent(&subject)?.saturating_sub(before));
    let busy = spent.as_secs_f64() / begin.elapsed().as_secs_f64();
    load.end().await;
    ensure!(count > 0, "nothing was done");
    Ok(Figure { value: spent.as_secs_f64() * 1e6 / as_float(count), busy: Some(busy) })
}

fn spent(subject: &Subject) -> anyhow::Result<Duration> {
    subject.processes.iter().map(Process::cpu).sum()
}

const fn answering(work: Work) -> Answering {
    match work {
        Work::Push(_) | Work::Post(_) => Answering::Silent,
        Work::Echo | Work::WebSocket(_) => Answering::Echo,
    }
}

/// Returns the median of one client's round trips, in microseconds.
async fn latency(peer: Peer, effort: Effort) -> anyhow::Result<f64> {
    let subject = Subject::start(peer, Answering::Echo, Under::Nothing).await?;
    let mut line = open_web_socket(subject.address, 0).await?;
    let message = frame::from_client(frame::TEXT, format!("4{MESSAGE}").as_bytes());
    go_round(&mut line, &message, effort.warm_up).await?;
    let mut trips = go_round(&mut line, &message, effort.time).await?;
    let middle = trips.len() / 2;
    let (_, median, _) = trips.select_nth_unstable(middle);
    Ok(median.as_secs_f64() * 1e6)
}

async fn go_round(line: &mut Line, message: &[u8], time: Duration) -> anyhow::Result<Vec<Duration>> {
    let (mut trips, begin) = (Vec::new(), Instant::now());
    while trips.is_empty() || begin.elapsed() < time {
        let start = Instant::now();
        line.send(message).await?;
        line.messages().await?;
        trips.push(start.elapsed());
    }
    Ok(trips)
}

/// Instructions outside the kernel for each operation: counted from one moment of rest to another, with a known number
/// of operations between them, so that neither the start nor anything else is in it.
async fn instructions(operation: Operation, peer: Peer, effort: Effort) -> anyhow::Result<f64> {
    let work = operation.work();
    let subject = Rc::new(Subject::start(peer, answering(work), Under::Callgrind).await?);
    let id = subject.processes.first().context("nothing runs")?.id();
    let mut load = Load::begin(work, peer, &subject, SESSIONS).await?;
    load.run_exactly(effort.counted).await?;
    sleep(REST).await;
    callgrind(&["--instr=on"], id)?;
    load.run_exactly(effort.counted).await?;
    sleep(REST).await;
    callgrind(&["--dump"], id)?;
    let total = total(&subject.folder.file(&format!("{COUNTS}.1")))?;
    load.end().await;
    ensure!(total > 0, "callgrind has counted nothing");
    Ok(as_float(total) / as_float(effort.counted))
}

fn callgrind(arguments: &[&str], id: u32) -> anyhow::Result<()> {
    let mut command = Command::new("callgrind_control");
    command.args(arguments).arg(id.to_string()).stdin(Stdio::null());
    let output = command.output().context("cannot run callgrind_control")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success() && text.contains("OK."), "callgrind_control: {text}");
    Ok(())
}

fn total(counts: &Path) -> anyhow::Result<u64> {
    let counts = std::fs::read_to_string(counts).context("callgrind has written nothing")?;
    let total = counts.lines().find_map(|line| line.strip_prefix("totals: ")).context("no totals")?;
    Ok(total.trim().parse()?)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2⁵²")]
const fn as_float(count: u64) -> f64 {
    count as f64
}

const SESSIONS: usize = 128;
const REST: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_mins(3);

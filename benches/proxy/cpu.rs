//! What a message costs the proxy: a saturated closed loop over 64 sessions, and the proxy's own scheduler time.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::bail;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::backend::Backend;
use crate::client::{Line, MESSAGE, Poller, get, open_web_socket};
use crate::frame;
use crate::subject::{Subject, Under, step_aside};

pub(crate) async fn run(seconds: u32) -> anyhow::Result<()> {
    step_aside();
    println!("the proxy's CPU for each operation, {SESSIONS} sessions, one core, {seconds} s each");
    for kind in Kind::ALL {
        let (_backend, proxy, mut load) = begin(kind, Under::OneCore).await?;
        load.run_for(Duration::from_secs(1)).await?;
        let (count, cpu, start) = (load.count.get(), proxy.cpu()?, Instant::now());
        load.run_for(Duration::from_secs(seconds.into())).await?;
        let (count, cpu, took) =
            (load.count.get() - count, proxy.cpu()?.saturating_sub(cpu), start.elapsed());
        let each = cpu.as_secs_f64() * 1e6 / f64::from(count);
        let rate = f64::from(count) / took.as_secs_f64();
        let busy = cpu.as_secs_f64() / took.as_secs_f64() * 100.0;
        println!("  {:<44} {each:>6.2} us {rate:>9.0} a second, {busy:>3.0} % of the core", kind.name());
    }
    Ok(())
}

/// The same in instructions, which no neighbour on the machine changes.
pub(crate) async fn run_instructions() -> anyhow::Result<()> {
    println!("the proxy's instructions for each operation, outside the kernel, {SESSIONS} sessions");
    for kind in Kind::ALL {
        let (few, few_total) = count_instructions(kind, FEW).await?;
        let (many, many_total) = count_instructions(kind, MANY).await?;
        let each = (many_total - few_total) / i64::from(many - few);
        println!("  {:<44} {each:>8}", kind.name());
    }
    Ok(())
}

/// Instructions of a whole run, and how many operations it had.
async fn count_instructions(kind: Kind, at_least: u32) -> anyhow::Result<(u32, i64)> {
    let (_backend, proxy, mut load) = begin(kind, Under::Callgrind).await?;
    load.run_until(at_least).await?;
    let count = load.count.get();
    drop(load);
    Ok((count, proxy.instructions().await?))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Push,
    Post,
    PollingEcho,
    WebSocketEcho,
    /// What the yardstick does.
    Bare,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Push, Self::Post, Self::PollingEcho, Self::WebSocketEcho, Self::Bare];

    const fn name(self) -> &'static str {
        match self {
            Self::Push => "push: a message answers a poll, the next parks",
            Self::Post => "POST of one message",
            Self::PollingEcho => "POST, echo, GET",
            Self::WebSocketEcho => "WebSocket echo",
            Self::Bare => "GET of 5 bytes, hyper alone",
        }
    }
}

/// Clients at work, each in a loop that ends when the proxy does.
struct Load {
    count: Rc<Cell<u32>>,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Load {
    async fn run_for(&mut self, time: Duration) -> anyhow::Result<()> {
        tokio::select! {
            () = sleep(time) => Ok(()),
            Some(ended) = self.tasks.join_next() => ended?,
        }
    }

    async fn run_until(&mut self, count: u32) -> anyhow::Result<()> {
        while self.count.get() < count {
            self.run_for(Duration::from_millis(5)).await?;
        }
        Ok(())
    }
}

async fn begin(kind: Kind, under: Under) -> anyhow::Result<(Backend, Subject, Load)> {
    let backend = Backend::start().await?;
    backend.echo(matches!(kind, Kind::PollingEcho | Kind::WebSocketEcho));
    let proxy = match kind {
        Kind::Push | Kind::Post | Kind::PollingEcho | Kind::WebSocketEcho => {
            Subject::start(backend.address(), under).await?
        }
        Kind::Bare => Subject::start_bare(under).await?,
    };
    let load = match kind {
        Kind::Push => push(&backend, proxy.address()).await?,
        Kind::Post => post(proxy.address()).await?,
        Kind::PollingEcho => polling_echo(proxy.address()).await?,
        Kind::WebSocketEcho => web_socket_echo(proxy.address()).await?,
        Kind::Bare => bare(proxy.address()).await?,
    };
    Ok((backend, proxy, load))
}

/// Half of the sessions wait with a parked poll while the others are being answered: so each poll has been parked
/// for a while when its message comes.
async fn push(backend: &Backend, proxy: SocketAddr) -> anyhow::Result<Load> {
    let (count, mut tasks) = (Rc::new(Cell::new(0)), JoinSet::new());
    let waiting = Rc::new(RefCell::new(VecDeque::new()));
    for number in 0..SESSIONS {
        let mut poller = Poller::open(proxy, number).await?;
        poller.ask().await?;
        waiting.borrow_mut().push_back(number);
        let (count, waiting, backend) = (Rc::clone(&count), Rc::clone(&waiting), backend.clone());
        tasks.spawn_local(async move {
            loop {
                poller.line.body().await?;
                poller.ask().await?;
                count.set(count.get() + 1);
                waiting.borrow_mut().push_back(poller.number);
                push_next(&backend, &waiting)?;
            }
        });
    }
    for _ in 0..SESSIONS / 2 {
        push_next(backend, &waiting)?;
    }
    Ok(Load { count, tasks })
}

fn push_next(backend: &Backend, waiting: &RefCell<VecDeque<usize>>) -> anyhow::Result<()> {
    let Some(next) = waiting.borrow_mut().pop_front() else { bail!("nobody waits") };
    backend.push(next, MESSAGE)
}

async fn post(proxy: SocketAddr) -> anyhow::Result<Load> {
    let (count, mut tasks) = (Rc::new(Cell::new(0)), JoinSet::new());
    for number in 0..SESSIONS {
        let poller = Poller::open(proxy, number).await?;
        poller.ask().await?;
        let (count, mut line) = (Rc::clone(&count), Line::connect(proxy).await?);
        tasks.spawn_local(async move {
            loop {
                poller.post(&mut line).await?;
                count.set(count.get() + 1);
            }
        });
    }
    Ok(Load { count, tasks })
}

async fn polling_echo(proxy: SocketAddr) -> anyhow::Result<Load> {
    let (count, mut tasks) = (Rc::new(Cell::new(0)), JoinSet::new());
    for number in 0..SESSIONS {
        let mut poller = Poller::open(proxy, number).await?;
        let (count, mut line) = (Rc::clone(&count), Line::connect(proxy).await?);
        tasks.spawn_local(async move {
            loop {
                poller.ask().await?;
                poller.post(&mut line).await?;
                poller.line.body().await?;
                count.set(count.get() + 1);
            }
        });
    }
    Ok(Load { count, tasks })
}

async fn web_socket_echo(proxy: SocketAddr) -> anyhow::Result<Load> {
    let (count, mut tasks) = (Rc::new(Cell::new(0)), JoinSet::new());
    for number in 0..SESSIONS {
        let (count, mut line) = (Rc::clone(&count), open_web_socket(proxy, number).await?);
        let message = frame::from_client(frame::TEXT, format!("4{MESSAGE}").as_bytes());
        tasks.spawn_local(async move {
            loop {
                line.send(&message).await?;
                line.message().await?;
                count.set(count.get() + 1);
            }
        });
    }
    Ok(Load { count, tasks })
}

async fn bare(server: SocketAddr) -> anyhow::Result<Load> {
    let (count, mut tasks) = (Rc::new(Cell::new(0)), JoinSet::new());
    for _ in 0..SESSIONS {
        let (count, mut line) = (Rc::clone(&count), Line::connect(server).await?);
        let request = get(server, "/hello");
        tasks.spawn_local(async move {
            loop {
                line.send(&request).await?;
                line.body().await?;
                count.set(count.get() + 1);
            }
        });
    }
    Ok(Load { count, tasks })
}

const SESSIONS: usize = 64;
/// Where the two counts of instructions are taken; what differs between them is the cost of operations alone.
const FEW: u32 = 1_000;
const MANY: u32 = 6_000;

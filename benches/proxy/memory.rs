//! How much memory a session takes that waits: a poll that is parked, or a WebSocket on which nothing happens.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::backend::Backend;
use crate::client::{Line, Poller, get, open_web_socket};
use crate::subject::{Subject, Under};

pub(crate) async fn run(sessions: u32) -> anyhow::Result<()> {
    println!("memory for each of {sessions} sessions that wait, each with its own upstream WebSocket");
    for kind in [Kind::Parked, Kind::Idle, Kind::Bare] {
        measure(kind, sessions as usize).await?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Kind {
    Parked,
    Idle,
    /// A request that the yardstick lets wait.
    Bare,
}

async fn measure(kind: Kind, sessions: usize) -> anyhow::Result<()> {
    let backend = Backend::start().await?;
    let proxy = match kind {
        Kind::Parked | Kind::Idle => Subject::start(backend.address(), Under::Nothing).await?,
        Kind::Bare => Subject::start_bare(Under::Nothing).await?,
    };
    // What the first few touch is the program's, not a session's.
    let _first = open_all(kind, proxy.address(), 0..FIRST).await?;
    sleep(SETTLE).await;
    let before = proxy.memory()?;
    let _rest = open_all(kind, proxy.address(), FIRST..FIRST + sessions).await?;
    sleep(SETTLE).await;
    let bytes = proxy.memory()? - before;
    let each = bytes / i64::try_from(sessions)?;
    let name = match kind {
        Kind::Parked => "parked polling session",
        Kind::Idle => "idle WebSocket session",
        Kind::Bare => "hyper alone, parked",
    };
    println!("  {name:<24} {:>6}.{} kB", each / 1000, each % 1000 / 100);
    Ok(())
}

/// Opens sessions, some at a time; they live for as long as what is returned.
async fn open_all(
    kind: Kind,
    proxy: SocketAddr,
    numbers: std::ops::Range<usize>,
) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::with_capacity(numbers.len());
    let mut opening = JoinSet::new();
    for number in numbers {
        if opening.len() == AT_ONCE
            && let Some(opened) = opening.join_next().await
        {
            lines.push(opened??);
        }
        opening.spawn_local(open(kind, proxy, number));
    }
    while let Some(opened) = opening.join_next().await {
        lines.push(opened??);
    }
    Ok(lines)
}

async fn open(kind: Kind, proxy: SocketAddr, number: usize) -> anyhow::Result<Line> {
    match kind {
        Kind::Parked => {
            let poller = Poller::open(proxy, number).await?;
            poller.ask().await?;
            Ok(poller.line)
        }
        Kind::Idle => open_web_socket(proxy, number).await,
        Kind::Bare => {
            let mut line = Line::connect(proxy).await?;
            line.send(&get(proxy, "/hello")).await?;
            line.body().await?;
            line.send(&get(proxy, "/park")).await?;
            Ok(line)
        }
    }
}

const FIRST: usize = 200;
const AT_ONCE: usize = 32;
const SETTLE: Duration = Duration::from_secs(3);

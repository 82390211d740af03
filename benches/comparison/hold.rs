//! A process that holds polling sessions and does as little as it can besides: each is a socket and an id.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;

use crate::receiver::Receiver;
use crate::stream::read_some;

/// Opens sessions and holds them until it is killed: the server's address, where it reports to, the first session's number, how many.
///
/// A report is two numbers: how many sessions are open, and how many messages came.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<()> {
    let &[server, report, first, count] = words else {
        bail!("expected two addresses, a number and a count")
    };
    let (server, report): (SocketAddr, SocketAddr) = (server.parse()?, report.parse()?);
    let (first, count): (usize, usize) = (first.parse()?, count.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, hold(server, report, first..first + count))
}

async fn hold(server: SocketAddr, report: SocketAddr, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
    let mut report = TcpStream::connect(report).await.context("nobody to report to")?;
    let (opened, came) = (Rc::new(Cell::new(0_u64)), Rc::new(Cell::new(0_u64)));
    let (mut numbers, mut sessions) = (numbers.peekable(), JoinSet::new());
    loop {
        let until = opened.get() + AT_ONCE;
        while (sessions.len() as u64) < until
            && let Some(number) = numbers.next()
        {
            sessions.spawn_local(session(server, number, Rc::clone(&opened), Rc::clone(&came)));
        }
        let pause = if numbers.peek().is_some() { OPENING } else { REPORTING };
        tokio::select! {
            () = sleep(pause) => {}
            Some(ended) = sessions.join_next() => ended??,
        }
        report.write_all(&[opened.get().to_be_bytes(), came.get().to_be_bytes()].concat()).await?;
    }
}

/// A session, which polls for ever.
async fn session(
    server: SocketAddr,
    number: usize,
    opened: Rc<Cell<u64>>,
    came: Rc<Cell<u64>>,
) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(server).await.context("cannot connect")?;
    let (_, path) = Receiver::EngineIo.begin(number);
    let begun = ask(&mut stream, &path).await?;
    let [path, _] = Receiver::EngineIo.follow(number, &begun)?;
    // Only the id is kept: there are many.
    let path = path.into_boxed_str();
    drop(begun);
    opened.set(opened.get() + 1);
    loop {
        let body = ask(&mut stream, &path).await?;
        ensure!(body == Receiver::EngineIo.message(), "not one message: {}", String::from_utf8_lossy(&body));
        came.set(came.get() + 1);
    }
}

/// Asks for a body. Nothing is held while it does not come.
async fn ask(stream: &mut TcpStream, path: &str) -> anyhow::Result<Vec<u8>> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n").as_bytes()).await?;
    let mut bytes = Vec::new();
    loop {
        read_some(stream, &mut bytes).await?;
        let Some(head_len) = memchr::memmem::find(&bytes, b"\r\n\r\n").map(|at| at + 4) else { continue };
        let head = str::from_utf8(&bytes[..head_len])?.to_ascii_lowercase();
        ensure!(head.starts_with("http/1.1 200"), "not 200: {head}");
        let len = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let len: usize = len.context("no length")?.parse()?;
        if bytes.len() >= head_len + len {
            return Ok(bytes.split_off(head_len));
        }
    }
}

/// How many handshakes are under way at once.
const AT_ONCE: u64 = 64;
const OPENING: Duration = Duration::from_millis(10);
const REPORTING: Duration = Duration::from_millis(500);

//! How much memory a connection takes whose client asks nothing more, and has no session: sharded, as one process has
//! descriptors for 20,000 here.

use std::ffi::OsString;
use std::net::SocketAddr;

use anyhow::{bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::memory::{FIRST, REST, SETTLE, per_session, resident};
use crate::peer::Peer;
use crate::process::{Core, Process};
use crate::subject::{Subject, Under};
use crate::words::Answering;

/// Kilobytes of resident memory for each connection.
pub(crate) async fn measure(peer: Peer, connections: usize) -> anyhow::Result<f64> {
    let (mut shards, mut bytes) = (Vec::new(), 0);
    for first in (0..connections).step_by(SHARD) {
        let subject = Subject::start(peer, Answering::Silent, Under::Nothing).await?;
        let some = hold(subject.address, FIRST).await?;
        sleep(SETTLE).await;
        bytes -= resident(&subject)?;
        let rest = hold(subject.address, SHARD.min(connections - first)).await?;
        shards.push((subject, some, rest));
    }
    sleep(REST).await;
    for (subject, ..) in &shards {
        bytes += resident(subject)?;
    }
    per_session(bytes, connections)
}

/// Starts a process that holds connections. Returns once they are open.
async fn hold(server: SocketAddr, count: usize) -> anyhow::Result<Process> {
    let opened = TcpListener::bind(("127.0.0.1", 0)).await?;
    let words = ["--bench".into(), "idle".into(), server.to_string(), opened.local_addr()?.to_string()];
    let words: Vec<OsString> = words.into_iter().chain([count.to_string()]).map(Into::into).collect();
    let process = Process::spawn(Core::Load, std::env::current_exe()?.as_os_str(), &words)?;
    let (mut opened, _) = opened.accept().await?;
    ensure!(opened.read_u8().await.is_ok(), "the clients have ended");
    Ok(process)
}

/// Opens connections, each of which has carried a request, and holds them until it is killed: the server's address, where it
/// reports to once they are open, how many.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<()> {
    let &[server, report, count] = words else { bail!("expected two addresses and a count") };
    let (server, report): (SocketAddr, SocketAddr) = (server.parse()?, report.parse()?);
    let count: usize = count.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut report = TcpStream::connect(report).await?;
        let mut held = Vec::with_capacity(count);
        for _ in 0..count {
            held.push(connection(server).await?);
        }
        report.write_all(b".").await?;
        std::future::pending::<anyhow::Result<()>>().await
    })
}

async fn connection(server: SocketAddr) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(format!("GET /none HTTP/1.1\r\nHost: {server}\r\n\r\n").as_bytes()).await?;
    let mut response = [0; 1024];
    let len = stream.read(&mut response).await?;
    ensure!(response[..len].starts_with(b"HTTP/1.1 "), "no response");
    Ok(stream)
}

/// With what a proxy needs for itself, below 20,000.
const SHARD: usize = 16_700;

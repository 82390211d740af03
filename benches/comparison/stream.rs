//! Reads and writes the benchmark's own connections.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Poll, ready};

use anyhow::Context as _;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::OwnedWriteHalf;

/// Waits for more bytes. Their buffer exists only while they are read, since thousands of connections wait.
pub(crate) async fn read_some(
    reader: &mut (impl AsyncRead + Unpin),
    bytes: &mut Vec<u8>,
) -> anyhow::Result<()> {
    read_up_to::<4096>(reader, bytes).await
}

/// Waits for more bytes, `LEN` at most.
pub(crate) async fn read_up_to<const LEN: usize>(
    reader: &mut (impl AsyncRead + Unpin),
    bytes: &mut Vec<u8>,
) -> anyhow::Result<()> {
    let len = poll_fn(|context| {
        let mut room = [MaybeUninit::uninit(); LEN];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut *reader).poll_read(context, &mut read))?;
        bytes.extend_from_slice(read.filled());
        Poll::Ready(std::io::Result::Ok(read.filled().len()))
    });
    anyhow::ensure!(len.await.context("cannot read")? > 0, "the connection has ended");
    Ok(())
}

/// Writes all of it.
pub(crate) async fn send(writer: &OwnedWriteHalf, mut bytes: &[u8]) -> anyhow::Result<()> {
    while !bytes.is_empty() {
        match writer.try_write(bytes) {
            Ok(len) => bytes = &bytes[len..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => writer.writable().await?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

//! One connection of a client: it sends requests and reads responses and messages.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::frame;
use crate::stream::{read_some, send};
use crate::words::MESSAGE;

/// One connection.
pub(crate) struct Line {
    server: SocketAddr,
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    bytes: Vec<u8>,
    /// Whether the server has announced that it closes the connection.
    is_closing: bool,
}

impl Line {
    pub(crate) async fn connect(server: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        Ok(Self { server, reader, writer, bytes: Vec::new(), is_closing: false })
    }

    pub(crate) async fn send(&self, bytes: &[u8]) -> anyhow::Result<()> {
        send(&self.writer, bytes).await.context("cannot send to the subject")
    }

    /// Sends a request, on a new connection if the server closes this one.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<()> {
        if self.is_closing {
            *self = Self::connect(self.server).await?;
        }
        self.send(request).await
    }

    /// Returns the body of the next response, which must be a success.
    pub(crate) async fn body(&mut self) -> anyhow::Result<Vec<u8>> {
        let head = self.head("2").await?;
        if header(&head, "transfer-encoding").is_none() {
            // A 204 has no length, since it has no body.
            return self.take(header(&head, "content-length").map_or(Ok(0), str::parse)?).await;
        }
        let mut body = Vec::new();
        loop {
            let chunk = self.chunk().await?;
            if chunk.is_empty() {
                return Ok(body);
            }
            body.extend(chunk);
        }
    }

    /// Returns the head of the next response, whose status must begin with `status`.
    pub(crate) async fn head(&mut self, status: &str) -> anyhow::Result<String> {
        let head = self.take_until(b"\r\n\r\n").await?;
        let head = String::from_utf8(head).context("a head is not text")?;
        let line = head.lines().next().unwrap_or_default();
        let found = line.strip_prefix("HTTP/1.1 ").unwrap_or_default();
        ensure!(found.starts_with(status), "not {status}..: {line}");
        self.is_closing =
            header(&head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        Ok(head)
    }

    /// Returns the next chunk of a body; an empty one is its end.
    pub(crate) async fn chunk(&mut self) -> anyhow::Result<Vec<u8>> {
        let len = self.take_until(b"\r\n").await?;
        let len = usize::from_str_radix(str::from_utf8(&len)?.trim_end(), 16).context("no chunk")?;
        let mut chunk = self.take(len + 2).await?;
        chunk.truncate(len);
        Ok(chunk)
    }

    async fn take_until(&mut self, end: &[u8]) -> anyhow::Result<Vec<u8>> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.bytes, end) {
                return self.take(at + end.len()).await;
            }
            read_some(&mut self.reader, &mut self.bytes).await?;
        }
    }

    async fn take(&mut self, len: usize) -> anyhow::Result<Vec<u8>> {
        while self.bytes.len() < len {
            read_some(&mut self.reader, &mut self.bytes).await?;
        }
        let rest = self.bytes.split_off(len);
        Ok(std::mem::replace(&mut self.bytes, rest))
    }

    /// Returns the next message of a connection that has become a WebSocket.
    pub(crate) async fn message(&mut self) -> anyhow::Result<Vec<u8>> {
        loop {
            if let Some(frame) = frame::take(&mut self.bytes) {
                return Ok(frame.payload);
            }
            read_some(&mut self.reader, &mut self.bytes).await?;
        }
    }

    /// Waits for messages. Returns how many there are.
    pub(crate) async fn messages(&mut self) -> anyhow::Result<u32> {
        loop {
            let mut count = 0;
            while let Some(frame) = frame::take(&mut self.bytes) {
                if frame.payload == PING {
                    continue;
                }
                ensure!(
                    frame.opcode == frame::TEXT && frame.payload.len() == MESSAGE.len() + 1,
                    "not the echo"
                );
                count += 1;
            }
            if count > 0 {
                return Ok(count);
            }
            read_some(&mut self.reader, &mut self.bytes).await?;
        }
    }
}

/// Returns the value of a header: some write its name in small letters, some don't.
fn header<'head>(head: &'head str, name: &str) -> Option<&'head str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Engine.IO's ping.
pub(crate) const PING: &[u8] = b"2";

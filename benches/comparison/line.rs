//! One connection of a client: what is sent on it, and the responses and messages that come.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::frame;
use crate::stream::{read_some, send};
use crate::words::MESSAGE;

/// One connection.
pub(crate) struct Line {
    pub(crate) reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    pub(crate) bytes: Vec<u8>,
}

impl Line {
    pub(crate) async fn connect(server: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        Ok(Self { reader, writer, bytes: Vec::new() })
    }

    pub(crate) async fn send(&self, bytes: &[u8]) -> anyhow::Result<()> {
        send(&self.writer, bytes).await
    }

    /// Returns the body of the next response, which must be a 200.
    pub(crate) async fn body(&mut self) -> anyhow::Result<Vec<u8>> {
        loop {
            read_some(&mut self.reader, &mut self.bytes).await?;
            let Some(head_len) = memchr::memmem::find(&self.bytes, b"\r\n\r\n").map(|at| at + 4) else {
                continue;
            };
            let head = &self.bytes[..head_len];
            ensure!(head.starts_with(b"HTTP/1.1 200"), "not a 200: {}", first_line(&self.bytes));
            // Some write it in small letters, some don't.
            let at = memchr::memmem::find(head, b"ontent-").context("no length")?;
            let at = at + memchr::memmem::find(&head[at..], b"ength: ").context("no length")? + 7;
            let digits = head[at..].iter().take_while(|byte| byte.is_ascii_digit());
            let len = digits.fold(0, |len, digit| len * 10 + usize::from(digit - b'0'));
            if self.bytes.len() >= head_len + len {
                let body = self.bytes[head_len..head_len + len].to_vec();
                self.bytes = Vec::new();
                return Ok(body);
            }
        }
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

    /// Waits for a message; how many are there.
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

pub(crate) fn first_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned()
}

/// Engine.IO's ping.
pub(crate) const PING: &[u8] = b"2";

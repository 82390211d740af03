//! Clients that know only bytes, so that they cost little next to what is measured.

use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};

use crate::line::{Line, PING, first_line};
use crate::peer::Peer;
use crate::stream::read_some;
use crate::words::MESSAGE;

/// A session over polling.
pub(crate) struct Poller {
    /// Carries its GETs.
    pub(crate) line: Line,
    get: Vec<u8>,
    post: Vec<u8>,
}

impl Poller {
    /// Begins a session. The yardstick knows of none: there a number must do.
    pub(crate) async fn open_at(peer: Peer, server: SocketAddr, number: usize) -> anyhow::Result<Self> {
        let mut line = Line::connect(server).await?;
        if peer == Peer::Hyper {
            let path = format!("/socket.io/?EIO=4&transport=polling&t=PabcDEF&n={number}");
            let mut poller = Self::on(line, server, &path);
            // Its connection too has served a request before it waits.
            poller.line.send(&poller.post).await?;
            poller.line.body().await?;
            return Ok(poller);
        }
        line.send(&get(server, &format!("/socket.io/?EIO=4&transport=polling&n={number}"))).await?;
        let body = line.body().await?;
        let body = String::from_utf8_lossy(&body);
        let sid = body.split_once("\"sid\":\"").and_then(|(_, rest)| rest.split_once('"'));
        let (sid, _) = sid.with_context(|| format!("no sid in {body}"))?;
        let path = format!("/socket.io/?EIO=4&transport=polling&t=PabcDEF&sid={sid}");
        let mut poller = Self::on(line, server, &path);
        if peer == Peer::EngineIoxide {
            // It sends a ping at once, and waits for the pong for longer than a measurement takes.
            poller.ask().await?;
            ensure!(poller.line.body().await? == PING, "no ping");
        }
        Ok(poller)
    }

    fn on(line: Line, server: SocketAddr, path: &str) -> Self {
        Self { line, get: get(server, path), post: request(server, "POST", path, &format!("4{MESSAGE}")) }
    }

    /// Sends a GET.
    pub(crate) async fn ask(&self) -> anyhow::Result<()> {
        self.line.send(&self.get).await
    }

    /// Waits for the answer to a GET, which must be one message and nothing else.
    pub(crate) async fn message(&mut self) -> anyhow::Result<()> {
        let body = self.line.body().await?;
        // hyper alone knows of no packets.
        ensure!(
            body.strip_prefix(b"4").unwrap_or(&body) == MESSAGE.as_bytes(),
            "a poll was not answered with one message"
        );
        Ok(())
    }

    /// Sends a POST of one message on a connection of its own, and waits until it is answered.
    pub(crate) async fn post(&self, line: &mut Line) -> anyhow::Result<()> {
        line.send(&self.post).await?;
        ensure!(line.body().await? == b"ok", "a POST was not answered ok");
        Ok(())
    }
}

/// Begins a session over WebSocket; its open packet has been read.
pub(crate) async fn open_web_socket(server: SocketAddr, number: usize) -> anyhow::Result<Line> {
    let mut line = Line::connect(server).await?;
    let head = format!(
        "GET /socket.io/?EIO=4&transport=websocket&n={number} HTTP/1.1\r\nHost: {server}\r\n{WEB_SOCKET_HEADERS}\r\n"
    );
    line.send(head.as_bytes()).await?;
    let head_len = loop {
        read_some(&mut line.reader, &mut line.bytes).await?;
        if let Some(at) = memchr::memmem::find(&line.bytes, b"\r\n\r\n") {
            break at + 4;
        }
    };
    ensure!(line.bytes.starts_with(b"HTTP/1.1 101"), "not a 101: {}", first_line(&line.bytes));
    line.bytes = line.bytes.split_off(head_len);
    if line.message().await?.first() != Some(&b'0') {
        bail!("no open packet");
    }
    line.bytes = Vec::new();
    Ok(line)
}

/// Returns a browser's GET.
fn get(server: SocketAddr, path: &str) -> Vec<u8> {
    request(server, "GET", path, "")
}

fn request(server: SocketAddr, method: &str, path: &str, body: &str) -> Vec<u8> {
    let about_body = if method == "POST" {
        format!("Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {}\r\n", body.len())
    } else {
        String::new()
    };
    format!("{method} {path} HTTP/1.1\r\nHost: {server}\r\n{HEADERS}{about_body}\r\n{body}").into()
}

/// What a browser sends with each request.
const HEADERS: &str = "Connection: keep-alive\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\", \"Google Chrome\";v=\"140\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    Accept: */*\r\n\
    Origin: http://app.example.org\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: cors\r\n\
    Sec-Fetch-Dest: empty\r\n\
    Referer: http://app.example.org/rooms/42\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cookie: session=eyJ1c2VyIjoiYWxpY2UiLCJ2IjoxfQ; theme=dark\r\n";

const WEB_SOCKET_HEADERS: &str = "Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Upgrade: websocket\r\n\
    Origin: http://app.example.org\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cookie: session=eyJ1c2VyIjoiYWxpY2UiLCJ2IjoxfQ; theme=dark\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";

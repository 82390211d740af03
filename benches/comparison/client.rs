//! Clients that work on bytes alone, so that they cost little beside the subject.

use std::net::SocketAddr;

use anyhow::{bail, ensure};

use crate::line::{Line, PING};
use crate::peer::Peer;
use crate::receiver::Receiver;

/// A session over HTTP.
pub(crate) struct Client {
    /// Carries its polls, or its stream.
    pub(crate) line: Line,
    receiver: Receiver,
    poll: Vec<u8>,
    post: Vec<u8>,
}

impl Client {
    /// Begins a session.
    pub(crate) async fn open_at(
        peer: Peer,
        receiver: Receiver,
        server: SocketAddr,
        number: usize,
    ) -> anyhow::Result<Self> {
        let mut line = Line::connect(server).await?;
        let (method, path) = receiver.begin(number);
        if peer == Peer::Hyper {
            // It knows of no sessions: a number must do.
            let mut client = Self::on(line, server, receiver, &[path.clone(), path]);
            // As for the others, its connection has served a request before it waits.
            client.line.send(&client.post).await?;
            client.line.body().await?;
            return Ok(client);
        }
        line.send(&request(server, method, &path, "")).await?;
        let begun = if receiver.is_stream() {
            line.head("200").await?;
            // What comes before the frames.
            line.chunk().await?;
            line.chunk().await?
        } else {
            line.body().await?
        };
        let mut client = Self::on(line, server, receiver, &receiver.follow(number, &begun)?);
        if peer == Peer::EngineIoxide {
            // It sends a ping at once, and waits for the pong for longer than a measurement takes.
            client.ask().await?;
            ensure!(client.line.body().await? == PING, "no ping");
        }
        Ok(client)
    }

    /// Returns a session whose polls and POSTs have these targets.
    fn on(line: Line, server: SocketAddr, receiver: Receiver, [poll, post]: &[String; 2]) -> Self {
        let (method, _) = receiver.begin(0);
        let poll = request(server, method, poll, "");
        Self { line, receiver, poll, post: request(server, "POST", post, receiver.post()) }
    }

    /// Sends a poll; a stream needs none.
    pub(crate) async fn ask(&mut self) -> anyhow::Result<()> {
        if self.receiver.is_stream() { Ok(()) } else { self.line.ask(&self.poll).await }
    }

    /// Waits for the response to a poll, or a stream's chunk, which must be one message and nothing else.
    pub(crate) async fn message(&mut self) -> anyhow::Result<()> {
        let line = &mut self.line;
        let bytes = if self.receiver.is_stream() { line.chunk().await? } else { line.body().await? };
        ensure!(bytes == self.receiver.message(), "not one message: {}", String::from_utf8_lossy(&bytes));
        Ok(())
    }

    /// Sends a POST of one message on a connection of its own, and waits until it is answered.
    pub(crate) async fn post(&self, line: &mut Line) -> anyhow::Result<()> {
        line.ask(&self.post).await?;
        ensure!(self.receiver.is_taken(&line.body().await?), "a POST was not taken");
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
    line.head("101").await?;
    if line.message().await?.first() != Some(&b'0') {
        bail!("no open packet");
    }
    Ok(line)
}

/// Returns a browser's request.
pub(crate) fn request(server: SocketAddr, method: &str, path: &str, body: &str) -> Vec<u8> {
    let about_body = match (method, body.len()) {
        ("POST", 0) => "Content-Length: 0\r\n".into(),
        ("POST", len) => {
            format!("Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {len}\r\n")
        }
        _ => String::new(),
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

//! A client's connection to a node in memory, by hyper, as the server makes it.

use std::sync::Arc;

use bytes::BufMut as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::Duration;
use tower::Service as _;

use super::site::Site;
use crate::client_body::ClientBody;
use crate::duplex::{Duplex, Patience, RawHeaders, Tracked, Unflushed, give_to_hyper};
use crate::service::{Client, Connection, Stack};

/// A client's connection.
pub(super) struct Browser {
    /// The client's end. What the pipe holds is what the kernel of the node's host has taken.
    stream: Option<DuplexStream>,
    read: Vec<u8>,
    /// The lengths of the response's header and body, once the header has come.
    lengths: Option<(usize, usize)>,
}

/// A response.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Browser {
    /// Connects to a node, whose kernel takes `room` bytes.
    pub(super) fn connect(site: &Arc<Site>, room: usize) -> Self {
        let (client, server) = duplex(room);
        let owner = Client {
            peer: std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into(),
            secure: false,
            subject: None,
        };
        let (patience, raw_headers) = (Patience::new(Duration::from_mins(1)), RawHeaders::default());
        let connection = Connection::of_client(owner, None, patience.clone(), raw_headers.clone());
        let stack = Stack::new(site.current.clone(), connection);
        let unflushed = Unflushed::default();
        let stream = Duplex::from(server).with_patience(Some(patience));
        let io = TokioIo::new(Tracked::new(stream, unflushed.clone(), raw_headers));
        let service = service_fn(move |request: http::Request<Incoming>| {
            let (mut stack, unflushed) = (stack.clone(), unflushed.clone());
            async move {
                let mut response = stack.call(request.map(ClientBody::from)).await?;
                give_to_hyper(&mut response, &unflushed);
                Ok::<_, crate::transport::Abort>(response)
            }
        });
        let mut http = http1::Builder::new();
        http.half_close(true);
        let serving = http.serve_connection(io, service);
        site.gateway.route.tracker.spawn(async move {
            let _ended = serving.await;
        });
        Self { stream: Some(client), read: Vec::new(), lengths: None }
    }

    /// Sends as much of these bytes as is taken.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        let Some(stream) = &mut self.stream else { return };
        let _is_gone = stream.write_all(bytes).await;
    }

    /// Reads so many bytes, or as many as come before the end.
    pub(super) async fn read(&mut self, len: usize) {
        let mut left = len;
        while left > 0 {
            let count = self.read_some(left).await;
            if count == 0 {
                break;
            }
            left -= count;
        }
    }

    /// Reads what there is; nothing is the end.
    async fn read_some(&mut self, most: usize) -> usize {
        let Some(stream) = &mut self.stream else { return 0 };
        let most = most.min(READ_LEN);
        self.read.reserve(most);
        stream.read_buf(&mut (&mut self.read).limit(most)).await.unwrap_or(0)
    }

    /// Reads a whole response; `None` if the connection ends before.
    pub(super) async fn answer(&mut self) -> Option<Answer> {
        loop {
            if let Some(answer) = self.take() {
                return Some(answer);
            }
            if self.read_some(usize::MAX).await == 0 {
                return None;
            }
        }
    }

    pub(super) fn hang_up(&mut self) {
        self.stream = None;
    }

    fn take(&mut self) -> Option<Answer> {
        if self.lengths.is_none() {
            self.lengths = self.find_lengths();
        }
        let (head, body) = self.lengths?;
        if self.read.len() < head + body {
            return None;
        }
        self.lengths = None;
        let status = String::from_utf8_lossy(&self.read[9..12]).parse().unwrap();
        let rest = self.read.split_off(head + body);
        let body = String::from_utf8(self.read.split_off(head)).unwrap();
        self.read = rest;
        Some(Answer { status, body })
    }

    fn find_lengths(&self) -> Option<(usize, usize)> {
        let head = self.read.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&self.read[..head]).to_lowercase();
        let len = text.split("content-length: ").nth(1)?.split("\r\n").next()?.parse().unwrap();
        Some((head, len))
    }
}

const READ_LEN: usize = 16 << 10;

//! A client of HTTP/2, whose requests share one connection.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{SOON, is_so_within};

/// One connection.
#[derive(Debug)]
pub(crate) struct Multiplexed {
    runtime: Runtime,
    addr: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

/// A request that waits for its response: the status and the body, or why there is none.
pub(crate) type Waiting = JoinHandle<Result<(u16, String), hyper::Error>>;

impl Multiplexed {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(addr).await.unwrap();
            let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            sender
        });
        Self { runtime, addr, sender }
    }

    /// Sends a request and waits for nothing.
    pub(crate) fn send(&self, method: &str, target: &str, body: &str) -> Waiting {
        self.send_with(method, target, &[], body)
    }

    /// The same with these headers.
    pub(crate) fn send_with(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Waiting {
        let request = Request::builder().method(method).uri(format!("http://{}{target}", self.addr));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Full::from(body.to_owned())).unwrap();
        let mut sender = self.sender.clone();
        self.runtime.spawn(async move {
            let answer = sender.send_request(request).await?;
            assert_eq!(answer.headers().get("connection"), None, "HTTP/2 has no such header");
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await?.to_bytes();
            Ok((status, String::from_utf8(body.to_vec()).unwrap()))
        })
    }

    /// Returns the response to a request that was sent.
    #[track_caller]
    pub(crate) fn answer(&self, waiting: Waiting) -> Result<(u16, String), hyper::Error> {
        let ended = self.runtime.block_on(async { timeout(SOON, waiting).await });
        ended.expect("a response in time").unwrap()
    }

    /// Returns the body of a response that succeeds.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, target: &str, body: &str) -> String {
        let (status, body) = self.answer(self.send(method, target, body)).unwrap();
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Opens a session. Returns the target of its requests.
    #[track_caller]
    pub(crate) fn handshake(&self) -> String {
        let open = self.ask("GET", super::world::POLLING, "");
        format!("{}&sid={}", super::world::POLLING, open.split('"').nth(3).expect("an open packet"))
    }

    /// Returns whether the client is soon told to make no more requests here (GOAWAY).
    pub(crate) fn is_told(&self) -> bool {
        is_so_within(SOON, || {
            // Nothing that a server could serve.
            self.answer(self.send("GET", "/is/anything/served?", "")).is_err()
        })
    }
}

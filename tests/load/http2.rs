//! Sessions whose requests share connections of HTTP/2, as those of a browser's page do.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::polling::{Ask, Session};

/// A load that runs until it is told to finish.
pub(crate) struct Http2Load {
    stop: Arc<AtomicBool>,
    running: JoinHandle<Counted>,
}

/// What a load has seen.
#[derive(Default, Debug)]
pub(crate) struct Counted {
    pub(crate) messages: u64,
    /// How often a connection was followed by another.
    pub(crate) moves: u64,
}

impl Http2Load {
    /// Starts pages with a few sessions each, all in front of the embedded Socket.IO server.
    pub(crate) fn start(address: SocketAddr, pages: u64, sessions: u64) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let told = Arc::clone(&stop);
        let running = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let mut counted = Counted::default();
                let pages: Vec<_> = (0..pages).map(|_| Arc::new(Page::at(address))).collect();
                let begin =
                    |page: &Arc<Page>| tokio::spawn(Session::at(Arc::clone(page)).run(Arc::clone(&told)));
                let running: Vec<_> =
                    pages.iter().flat_map(|page| (0..sessions).map(move |_| page)).map(begin).collect();
                for session in running {
                    counted.messages += session.await.expect("a session loses nothing");
                }
                for page in pages {
                    counted.moves += page.shared.lock().await.generation - 1;
                }
                counted
            })
        });
        Self { stop, running }
    }

    /// Has the sessions end, each once it has an answer to all that it has sent. Fails if a request failed, or if a message
    /// was lost, duplicated or reordered.
    #[track_caller]
    pub(crate) fn finish(self) -> Counted {
        self.stop.store(true, Ordering::Relaxed);
        self.running.join().expect("the load succeeds")
    }
}

/// What has one connection at a time.
struct Page {
    address: SocketAddr,
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    sender: Option<SendRequest<Full<Bytes>>>,
    generation: u64,
}

impl Page {
    fn at(address: SocketAddr) -> Self {
        Self { address, shared: Mutex::default() }
    }

    /// Returns the connection, and which one it is. One that is not used any more is followed by another.
    async fn sender(&self, used_up: Option<u64>) -> (SendRequest<Full<Bytes>>, u64) {
        let mut shared = self.shared.lock().await;
        if used_up == Some(shared.generation) {
            shared.sender = None;
        }
        if shared.sender.is_none() {
            let stream = TcpStream::connect(self.address).await.expect("connections are accepted");
            stream.set_nodelay(true).unwrap();
            let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            (shared.sender, shared.generation) = (Some(sender), shared.generation + 1);
        }
        (shared.sender.clone().unwrap(), shared.generation)
    }
}

impl Ask for Page {
    async fn ask(&self, method: Method, target: &str, body: String) -> String {
        let mut used_up = None;
        loop {
            let (mut sender, generation) = self.sender(used_up).await;
            let request = Request::builder()
                .method(method.clone())
                .uri(format!("http://{}{target}", self.address))
                .body(Full::from(body.clone()))
                .unwrap();
            match sender.send_request(request).await {
                Ok(answer) => {
                    let status = answer.status();
                    let body = answer.into_body().collect().await.expect("a whole response").to_bytes();
                    let body = String::from_utf8(body.to_vec()).unwrap();
                    assert_eq!(status, 200, "{method} {body}");
                    return body;
                }
                // Such a request was never served (RFC 9113, section 6.8): browsers repeat it on another connection.
                Err(error) if was_not_served(&error) => used_up = Some(generation),
                Err(error) => panic!("{method}: {error:?}"),
            }
        }
    }
}

fn was_not_served(error: &hyper::Error) -> bool {
    // The connection was over before the request, or told the client that it goes away.
    let mut said = String::new();
    let _ = write!(said, "{error:?}");
    error.is_canceled() || error.is_closed() || said.contains("GoAway(b\"\", NO_ERROR, Remote)")
}

//! Addresses that are checked: which are used, and what becomes of the upstream if all fail.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{Instant, sleep};

use super::*;
use crate::upstream::{Check, CheckBy, Health};

/// A backend that answers plain requests with a status that can be changed, and keeps what it was asked.
#[derive(Clone)]
struct Checked {
    address: SocketAddr,
    status: Arc<Mutex<&'static str>>,
    asked: Arc<Mutex<Vec<String>>>,
    sessions: Arc<AtomicUsize>,
}

impl Checked {
    async fn listen(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self {
            address: listener.local_addr().unwrap(),
            status: Arc::new(Mutex::new(status)),
            asked: Arc::default(),
            sessions: Arc::default(),
        };
        let backend = this.clone();
        let tracker = TaskTracker::new();
        tracker.clone().spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tracker.spawn(backend.clone().serve(stream));
            }
        });
        this
    }

    async fn serve(self, mut stream: TcpStream) {
        if is_check(&stream).await {
            let head = read_head(&mut stream).await;
            self.asked.lock().unwrap().push(head);
            let status = *self.status.lock().unwrap();
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        } else if let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await {
            self.sessions.fetch_add(1, Ordering::Relaxed);
            while let Some(Ok(_)) = socket.next().await {}
        }
    }

    fn url(&self) -> http::Uri {
        format!("ws://{}/app", self.address).parse().unwrap()
    }

    fn answers(&self, status: &'static str) {
        *self.status.lock().unwrap() = status;
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }
}

/// Returns whether what arrives is a check.
async fn is_check(stream: &TcpStream) -> bool {
    let mut start = [0; 12];
    loop {
        match stream.peek(&mut start).await {
            Ok(12) => return &start == b"GET /healthz",
            Ok(0) | Err(_) => return false,
            Ok(_) => tokio::task::yield_now().await,
        }
    }
}

fn settings(urls: Vec<http::Uri>) -> Settings {
    let by = CheckBy::Path(http::uri::PathAndQuery::from_static("/healthz?x"));
    let check = Check { interval: Duration::from_millis(100), ..Check::new(by) };
    Settings { kind: Kind::WebSocket, urls, check: Some(check), ..Settings::default() }
}

async fn wait_until(so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "it never happens");
        // The pace of the looks.
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_address_that_fails_its_checks_gets_no_session_until_it_passes_them() {
    let (sick, well) = (Checked::listen("503").await, Checked::listen("204").await);
    let front = Front::new(&settings(vec![sick.url(), well.url()]));
    wait_until(|| sick.asked() > 1 && well.asked() > 1).await;
    let mut links = Vec::new();
    for _ in 0..4 {
        links.push(front.open(request()).await.unwrap());
    }
    wait_until(|| well.sessions() == 4).await;
    assert_eq!(sick.sessions(), 0);
    sick.answers("200");
    // Twice in a row.
    let asked = sick.asked();
    wait_until(|| sick.asked() > asked + 2).await;
    links.push(front.open(request()).await.unwrap());
    wait_until(|| sick.sessions() == 1).await;
    let head = sick.asked.lock().unwrap()[0].to_ascii_lowercase();
    assert!(head.starts_with("get /healthz?x http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nhost: {}\r\n", sick.address)), "{head}");
    assert!(head.contains("\r\nuser-agent: polliwog/"), "{head}");
}

#[tokio::test]
async fn an_upstream_without_a_healthy_address_is_down_and_still_asked() {
    let only = Checked::listen("500").await;
    let front = Front::new(&settings(vec![only.url()]));
    within(front.upstream.check_health()).await;
    assert_eq!(front.upstream.health(), Health::Down);
    // Nothing else is left.
    let link = front.open(request()).await.unwrap();
    assert_eq!(front.upstream.health(), Health::Down, "a connection proves less than a check");
    only.answers("200");
    wait_until(|| front.upstream.health() == Health::Up).await;
    drop(link);
}

#[tokio::test]
async fn a_handshake_is_held_until_a_check_is_passed() {
    let only = Checked::listen("500").await;
    let front = Front::new(&Settings { hold: Duration::from_secs(20), ..settings(vec![only.url()]) });
    within(front.upstream.check_health()).await;
    let opening = front.open(request());
    let back = async {
        // The time until the backend is ready.
        sleep(Duration::from_millis(200)).await;
        assert_eq!(only.sessions(), 0, "it was not asked before");
        only.answers("200");
    };
    let (opened, ()) = tokio::join!(opening, back);
    drop(opened.unwrap());
    assert_eq!(only.sessions(), 1);
}

#[tokio::test]
async fn a_check_may_open_a_websocket_as_clients_do() {
    for kind in [Kind::WebSocket, Kind::EngineIo] {
        let (listener, settings) = listen(kind).await;
        let check = Check { interval: Duration::from_millis(100), ..Check::new(CheckBy::WebSocket) };
        let check = Check { timeout: Duration::from_secs(1), ..check };
        let front = Front::new(&Settings { check: Some(check), ..settings });
        let serve = async {
            loop {
                let is_engine_io = kind == Kind::EngineIo;
                let mut socket =
                    if is_engine_io { accept_engine(&listener).await } else { accept(&listener).await };
                // It says goodbye.
                assert!(matches!(within(socket.next()).await, Some(Ok(Frame::Close(_)))));
                within(socket.close(None)).await.ok();
            }
        };
        tokio::select! {
            () = serve => {}
            () = wait_until(|| front.upstream.health() == Health::Up) => {}
        }
        // What accepts connections and says nothing fails.
        wait_until(|| front.upstream.health() == Health::Down).await;
    }
}

#[tokio::test]
async fn the_checks_end_when_no_configuration_names_the_upstream() {
    let only = Checked::listen("200").await;
    let front = Front::new(&settings(vec![only.url()]));
    wait_until(|| only.asked() > 0).await;
    front.upstream.abandon();
    front.tracker.close();
    within(front.tracker.wait()).await;
    // Nobody waits for them any more.
    within(front.upstream.check_health()).await;
}

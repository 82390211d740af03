//! Plain requests that are forwarded, with bodies there and back, on connections that are kept and on new ones.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A load that runs until it is told to finish.
pub(crate) struct ForwardLoad {
    stop: Arc<AtomicBool>,
    running: Vec<JoinHandle<u64>>,
}

impl ForwardLoad {
    /// Starts as many clients that keep their connections as clients that don't, below this path.
    pub(crate) fn start(address: SocketAddr, path: &str, clients: usize) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let start = |keeps| {
            let (path, stop) = (path.to_owned(), Arc::clone(&stop));
            thread::spawn(move || run(address, &path, keeps, &stop))
        };
        let running = [true, false].into_iter().cycle().take(2 * clients).map(start).collect();
        Self { stop, running }
    }

    /// Has the clients end. Returns how many requests they made. Fails if one of them failed.
    #[track_caller]
    pub(crate) fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.running.into_iter().map(|one| one.join().expect("each request succeeds")).sum()
    }
}

fn run(address: SocketAddr, path: &str, keeps: bool, stop: &AtomicBool) -> u64 {
    let (mut requests, mut kept) = (0, None);
    while !stop.load(Ordering::Relaxed) {
        let mut stream = kept.take().unwrap_or_else(|| {
            let stream = TcpStream::connect(address).expect("connections are accepted");
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            BufReader::new(stream)
        });
        let body = format!("{requests} ").repeat(BODY);
        let connection = if keeps { "" } else { "Connection: close\r\n" };
        let head = format!(
            "POST {path}{requests} HTTP/1.1\r\nHost: load\r\nContent-Length: {}\r\n{connection}\r\n",
            body.len()
        );
        stream.get_mut().write_all(format!("{head}{body}").as_bytes()).expect("it is sent");
        let (head, answer) = message(&mut stream).expect("a whole response");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(answer, format!("echo {body}").as_bytes());
        if !head.to_ascii_lowercase().contains("\r\nconnection: close\r\n") {
            kept = Some(stream);
        }
        requests += 1;
        // The pace of the load.
        thread::sleep(Duration::from_millis(50));
    }
    requests
}

/// Returns the head and the body of the next request or response on a connection, if there is one.
fn message(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let len = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    let mut body = vec![0; len.expect("a length")];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// Starts a server that sends each body back, behind a word of its own.
pub(crate) fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The thread ends with the test's process.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                stream.set_nodelay(true).unwrap();
                let mut stream = BufReader::new(stream);
                while let Some((_, body)) = message(&mut stream) {
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\necho ", body.len() + 5);
                    let answer = [head.as_bytes(), &body].concat();
                    if stream.get_mut().write_all(&answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// More than one segment has.
const BODY: usize = 1000;

//! A TCP connection that is read under a deadline, so that a test fails rather than hangs.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use socket2::SockRef;

/// One TCP connection and what was read from it ahead of time.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    is_narrow: bool,
}

/// The node at which sessions begin, the name in their ids, and the node at which everything else is asked.
static DIVERTED: Mutex<Vec<(SocketAddr, String, SocketAddr)>> = Mutex::new(Vec::new());
/// The ids of `SockJS`, which name no node, that some receiver has begun a session with.
static BEGUN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on, a request to the target at `home` for one of its sessions goes to `other` instead. `mark` is how the ids
/// of these sessions begin.
pub(crate) fn divert(home: SocketAddr, mark: &str, other: SocketAddr) {
    DIVERTED.lock().unwrap().push((home, mark.to_owned(), other));
}

/// Returns whether a request is for a session of `SockJS` that an earlier one has begun.
fn is_of_begun(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    let path = line.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default();
    let [.., _server, sid, what] = path.split('/').collect::<Vec<_>>()[..] else { return false };
    let mut begun = BEGUN.lock().unwrap();
    let is_begun = begun.iter().any(|one| one == sid);
    match what {
        "xhr" | "xhr_streaming" | "eventsource" | "htmlfile" | "jsonp" => {
            if !is_begun && !line.starts_with("OPTIONS") {
                begun.push(sid.to_owned());
            }
            is_begun
        }
        "xhr_send" | "jsonp_send" => is_begun,
        _ => false,
    }
}

/// The result of waiting for bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fill {
    /// More bytes than before.
    Data,
    /// The peer closed, in an orderly way or by a reset.
    Eof,
    /// Neither within the deadline.
    Quiet,
}

impl Wire {
    /// Connects, with Nagle's delay off.
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        Self::new(TcpStream::connect(addr).expect("the target listens"))
    }

    /// Connects to the other node if a request begins with these bytes that is asked there.
    fn go_where_it_is_asked(&mut self, bytes: &[u8]) {
        let diverted = DIVERTED.lock().unwrap();
        let Some(here) = self.stream.peer_addr().ok().filter(|_| !diverted.is_empty()) else { return };
        let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let is_asked_there = |(home, mark, _): &&(SocketAddr, String, SocketAddr)| {
            *home == here && (find(line, mark.as_bytes()).is_some() || is_of_begun(line))
        };
        if let Some((.., other)) = diverted.iter().find(is_asked_there) {
            let other = *other;
            *self = if self.is_narrow { Self::connect_narrow(other) } else { Self::connect(other) };
        }
    }

    /// Connects with a receive buffer that a flood fills quickly.
    pub(crate) fn connect_narrow(addr: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(8 << 10).unwrap();
        socket.connect(&addr.into()).expect("the target listens");
        Self { is_narrow: true, ..Self::new(socket.into()) }
    }

    /// Connects from this address of the host.
    pub(crate) fn connect_from(addr: SocketAddr, from: &str) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let from: IpAddr = from.parse().unwrap();
        socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
        socket.connect(&addr.into()).expect("the target listens");
        Self::new(socket.into())
    }

    /// Takes over an accepted connection.
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new(), is_narrow: false }
    }

    /// Returns a second handle of the same connection, for a thread that only writes.
    pub(crate) fn writer(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }

    /// Sends all of `bytes`. An error only means that the peer has disconnected, which the next read reports.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.try_send(bytes);
    }

    /// Sends all of `bytes`.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.go_where_it_is_asked(bytes);
        self.stream.write_all(bytes)
    }

    /// Waits for more bytes until `deadline`.
    pub(crate) fn fill(&mut self, deadline: Instant) -> Fill {
        let mut chunk = [0; 16 << 10];
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(left)).unwrap();
            match self.stream.read(&mut chunk) {
                Ok(0) => return Fill::Eof,
                Ok(count) => {
                    self.buffer.extend_from_slice(&chunk[..count]);
                    return Fill::Data;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if Instant::now() >= deadline {
                        return Fill::Quiet;
                    }
                }
                Err(_) => return Fill::Eof,
            }
        }
    }

    /// Returns what was read and not yet taken.
    pub(crate) fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes the first `count` buffered bytes.
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        self.buffer.drain(..count).collect()
    }

    /// Takes up to and including `mark`, if it comes before the deadline.
    pub(crate) fn take_until(&mut self, mark: &[u8], deadline: Instant) -> Result<Vec<u8>, Fill> {
        let mut searched = 0;
        loop {
            if let Some(at) = find(&self.buffer[searched..], mark) {
                return Ok(self.take(searched + at + mark.len()));
            }
            searched = self.buffer.len().saturating_sub(mark.len());
            match self.fill(deadline) {
                Fill::Data => {}
                end @ (Fill::Eof | Fill::Quiet) => return Err(end),
            }
        }
    }

    /// Takes exactly `count` bytes, if they come before the deadline.
    pub(crate) fn take_exact(&mut self, count: usize, deadline: Instant) -> Result<Vec<u8>, Fill> {
        while self.buffer.len() < count {
            match self.fill(deadline) {
                Fill::Data => {}
                end @ (Fill::Eof | Fill::Quiet) => return Err(end),
            }
        }
        Ok(self.take(count))
    }

    /// Returns whether the peer ends the connection within `wait`; bytes that come before are dropped.
    pub(crate) fn ends_within(&mut self, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        loop {
            self.buffer.clear();
            match self.fill(deadline) {
                Fill::Data => {}
                Fill::Eof => return true,
                Fill::Quiet => return false,
            }
        }
    }

    /// Closes the sending direction and continues to read.
    pub(crate) fn half_close(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection in order, as a process that exits does.
    pub(crate) fn close(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Ends the connection with a TCP reset.
    pub(crate) fn reset(self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

/// Returns where `needle` begins in `haystack`.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

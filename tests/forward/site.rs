//! The binary in front of a backend that the test plays itself: it accepts each connection and each request by hand.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::http::{Client, Response};
use crate::support::target::Target;
use crate::support::wire::Wire;
use crate::support::{QUIET, SOON, eventually, metrics};

/// The proxy and the backend behind it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) target: Target,
    connections: Receiver<Wire>,
}

/// The settings of a site: lines for the sections of config.toml.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) server: String,
    pub(crate) route: String,
    pub(crate) upstream: String,
    pub(crate) path: &'static str,
    pub(crate) dialect: &'static str,
    pub(crate) kind: &'static str,
    /// The path of the upstream's URL.
    pub(crate) base: &'static str,
}

impl Plan {
    /// Creates a plan that forwards everything.
    pub(crate) fn new() -> Self {
        Self {
            server: String::new(),
            route: String::new(),
            upstream: String::new(),
            path: "/",
            dialect: "http",
            kind: "http",
            base: "/",
        }
    }

    /// Adds a line to `[server]`.
    pub(crate) fn server(mut self, line: &str) -> Self {
        writeln!(self.server, "{line}").unwrap();
        self
    }

    /// Adds a line to the route.
    pub(crate) fn route(mut self, line: &str) -> Self {
        writeln!(self.route, "{line}").unwrap();
        self
    }

    /// Adds a line to the upstream.
    pub(crate) fn upstream(mut self, line: &str) -> Self {
        writeln!(self.upstream, "{line}").unwrap();
        self
    }

    fn toml(&self, public: SocketAddr, admin: SocketAddr, backend: SocketAddr) -> String {
        let Self { server, route, upstream, path, dialect, kind, base } = self;
        let scheme = if *kind == "http" { "http" } else { "ws" };
        format!(
            "[server]\nlisten = [\"{public}\"]\n{server}[admin]\nlisten = \"{admin}\"\n[log]\nlevel = \"debug\"\n\
             [[routes]]\npath = \"{path}\"\ndialect = \"{dialect}\"\nupstream = \"b\"\n{route}\
             [upstreams.b]\nkind = \"{kind}\"\nurl = \"{scheme}://{backend}{base}\"\n{upstream}"
        )
    }
}

impl Site {
    /// Creates a plan that forwards everything.
    pub(crate) fn new() -> Self {
        Self::with(&Plan::new())
    }

    /// Starts the proxy in front of a listening backend.
    pub(crate) fn with(plan: &Plan) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let backend = listener.local_addr().unwrap();
        let (sender, connections) = channel();
        // The thread ends with the test's process; a test has only a few.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if sender.send(Wire::new(stream)).is_err() {
                    return;
                }
            }
        });
        Self { target: Target::proxy_with(|public, admin| plan.toml(public, admin, backend)), connections }
    }

    /// Returns a fresh connection of a client.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.target.public)
    }

    /// Returns the next connection to the backend.
    #[track_caller]
    pub(crate) fn accept(&self) -> Line {
        self.accept_within(SOON).expect("a connection reaches the backend")
    }

    /// Returns the next connection to the backend, if one comes in time.
    pub(crate) fn accept_within(&self, wait: Duration) -> Option<Line> {
        self.connections.recv_timeout(wait).ok().map(|wire| Line { wire })
    }

    /// Fails if a connection to the backend comes now.
    #[track_caller]
    pub(crate) fn assert_quiet(&self) {
        assert!(self.accept_within(QUIET).is_none(), "nothing more reaches the backend");
    }

    /// Returns whether the route has counted this status.
    pub(crate) fn counted(&self, status: u16) -> bool {
        let text = Client::connect(self.target.admin).get("/metrics");
        text.text().lines().any(|line| {
            line.starts_with("polliwog_requests_total")
                && line.contains("op=\"forward\"")
                && line.contains(&format!("status=\"{status}\""))
        })
    }

    /// Fails unless a response or a tunnel is soon counted as aborted for this reason.
    #[track_caller]
    pub(crate) fn assert_broke(&self, reason: &str) {
        let label = format!("reason=\"{reason}\"");
        let is_counted =
            || metrics::has_counted(self.target.admin, "polliwog_forwards_broken_total", &[label.as_str()]);
        eventually(is_counted, || format!("something broke off as {reason}"));
    }

    /// Fails unless a client is served as if nothing had happened.
    #[track_caller]
    pub(crate) fn assert_healthy(&self) {
        assert_eq!(metrics::livez(self.target.admin).status, 200);
        let mut client = self.client();
        client.send_get("/healthy");
        // Connections of the test itself may still be in the queue.
        let mut line = self.accept();
        let deadline = Instant::now() + SOON;
        loop {
            match line.try_request() {
                Some(request) if request.target() == "/healthy" => break,
                _ => line = self.accept(),
            }
            assert!(Instant::now() < deadline);
        }
        line.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        client.answer().assert(200, "ok");
    }
}

/// The backend's end of a connection.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) wire: Wire,
}

/// A request as the backend got it.
#[derive(Clone, Debug)]
pub(crate) struct Request(Response);

impl Line {
    /// Returns the next request's head.
    #[track_caller]
    pub(crate) fn request(&mut self) -> Request {
        self.try_request().expect("a request reaches the backend")
    }

    /// Returns the next request's head, if one comes.
    pub(crate) fn try_request(&mut self) -> Option<Request> {
        let head = self.wire.take_until(b"\r\n\r\n", Instant::now() + SOON).ok()?;
        // The first line is parsed as a status line, which needs a number in the second place.
        let mut request = Response::parse(&[b"HTTP/1.1 0 ".as_slice(), &head].concat());
        request.line = request.line["HTTP/1.1 0 ".len()..].to_owned();
        Some(Request(request))
    }

    /// Returns this many bytes of a body.
    #[track_caller]
    pub(crate) fn body(&mut self, length: usize) -> Vec<u8> {
        self.wire.take_exact(length, Instant::now() + SOON).expect("the body reaches the backend")
    }

    /// Returns everything up to and including `end`.
    #[track_caller]
    pub(crate) fn until(&mut self, end: &str) -> String {
        let bytes = self.wire.take_until(end.as_bytes(), Instant::now() + SOON);
        String::from_utf8(bytes.expect("it reaches the backend")).unwrap()
    }

    /// Sends a response.
    pub(crate) fn reply(&mut self, bytes: &str) {
        self.wire.send(bytes.as_bytes());
    }

    /// Fails if the proxy sends anything or closes now.
    #[track_caller]
    pub(crate) fn assert_quiet(&mut self) {
        let came = self.wire.fill(Instant::now() + QUIET);
        assert_eq!(came, crate::support::wire::Fill::Quiet, "{:?}", self.wire.buffered());
    }

    /// Fails unless the proxy ends the connection soon.
    #[track_caller]
    pub(crate) fn assert_ends(&mut self) {
        assert!(self.wire.ends_within(SOON), "the proxy ends its connection to the backend");
    }
}

impl Request {
    /// Returns the request line.
    pub(crate) fn line(&self) -> &str {
        &self.0.line
    }

    /// Returns the target.
    pub(crate) fn target(&self) -> &str {
        self.0.line.split(' ').nth(1).unwrap()
    }

    /// Returns the first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.0.header(name)
    }

    /// Returns all headers of that name.
    pub(crate) fn headers_named(&self, name: &str) -> Vec<&str> {
        self.0.headers_named(name)
    }
}

/// Returns a complete response with this body.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

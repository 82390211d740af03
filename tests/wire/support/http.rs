//! A raw HTTP/1.1 client: it sends the given bytes and reads responses without interpreting them.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::wire::{Fill, Wire};
use super::{QUIET, SOON};

/// One connection to the target, kept alive between requests.
#[derive(Debug)]
pub(crate) struct Client {
    /// The connection itself, for tests that misuse it.
    pub(crate) wire: Wire,
}

/// One response.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    /// The status line, without its end.
    pub(crate) line: String,
    /// The status line's code.
    pub(crate) status: u16,
    /// Names as received, and values.
    pub(crate) headers: Vec<(String, String)>,
    /// The body, chunks already joined.
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        Self { wire: Wire::connect(addr) }
    }

    /// Sends a GET without waiting for its response.
    pub(crate) fn send_get(&mut self, target: &str) {
        self.send("GET", target, &[], b"");
    }

    /// Sends a POST, as a browser would, without waiting for its response.
    pub(crate) fn send_post(&mut self, target: &str, body: &[u8]) {
        self.send("POST", target, &[("Content-Type", "text/plain;charset=UTF-8")], body);
    }

    /// Sends any request with a body of known length.
    pub(crate) fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut bytes = head(method, target, headers);
        if !body.is_empty() || method == "POST" {
            bytes.truncate(bytes.len() - 2);
            write!(bytes, "Content-Length: {}\r\n\r\n", body.len()).unwrap();
        }
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(body);
        self.wire.send(&bytes);
    }

    /// Sends a GET and returns its response.
    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.send_get(target);
        self.answer()
    }

    /// Sends a POST and returns its response.
    #[track_caller]
    pub(crate) fn post(&mut self, target: &str, body: impl AsRef<[u8]>) -> Response {
        self.send_post(target, body.as_ref());
        self.answer()
    }

    /// Sends any request and returns its response.
    #[track_caller]
    pub(crate) fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.send(method, target, headers, body);
        if method == "HEAD" { self.read(SOON, Body::None) } else { self.read(SOON, Body::Framed) }
            .expect("a response arrives in time")
    }

    /// Returns the next response.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Response {
        self.read(SOON, Body::Framed).expect("a response arrives in time")
    }

    /// Returns the next response, if it arrives in time; `Err` tells whether the connection ended instead.
    pub(crate) fn answer_within(&mut self, wait: Duration) -> Result<Response, Fill> {
        self.read(wait, Body::Framed)
    }

    /// Fails if a response arrives or the connection ends now: the request must be parked.
    #[track_caller]
    pub(crate) fn assert_parked(&mut self) {
        let came = self.answer_within(QUIET);
        assert!(matches!(came, Err(Fill::Quiet)), "expected a parked request, got {came:?}");
    }

    /// Returns whether the target closes the connection without another response.
    pub(crate) fn ends_within(&mut self, wait: Duration) -> bool {
        self.wire.ends_within(wait)
    }

    fn read(&mut self, wait: Duration, body: Body) -> Result<Response, Fill> {
        let deadline = Instant::now() + wait;
        let head = self.wire.take_until(b"\r\n\r\n", deadline)?;
        let mut response = Response::parse(&head);
        if response.status == 100 {
            return self.read(wait, body);
        }
        response.body = match body {
            Body::None => Vec::new(),
            Body::Framed => self.body(&response, deadline)?,
        };
        Ok(response)
    }

    fn body(&mut self, response: &Response, deadline: Instant) -> Result<Vec<u8>, Fill> {
        if response.status == 101 || response.status == 204 || response.status == 304 {
            return Ok(Vec::new());
        }
        if response.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return self.chunks(deadline);
        }
        if let Some(length) = response.header("content-length") {
            return self.wire.take_exact(length.parse().expect("a length is a number"), deadline);
        }
        loop {
            match self.wire.fill(deadline) {
                Fill::Data => {}
                Fill::Eof => return Ok(self.wire.take(self.wire.buffered().len())),
                Fill::Quiet => return Err(Fill::Quiet),
            }
        }
    }

    fn chunks(&mut self, deadline: Instant) -> Result<Vec<u8>, Fill> {
        let mut body = Vec::new();
        loop {
            let line = self.wire.take_until(b"\r\n", deadline)?;
            let digits = std::str::from_utf8(&line).unwrap().trim();
            let length = usize::from_str_radix(digits, 16).expect("a chunk's length is hexadecimal");
            body.extend(self.wire.take_exact(length, deadline)?);
            self.wire.take_exact(2, deadline)?;
            if length == 0 {
                return Ok(body);
            }
        }
    }
}

/// Whether a response has a body: a response to HEAD has none, whatever its headers say.
#[derive(Clone, Copy)]
enum Body {
    None,
    Framed,
}

impl Response {
    /// Reads a status line and headers.
    pub(crate) fn parse(head: &[u8]) -> Self {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.trim_end().split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("no status: {line}"));
        let headers = lines
            .map(|line| line.split_once(':').unwrap_or_else(|| panic!("no header: {line}")))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        Self { line, status, headers, body: Vec::new() }
    }

    /// Returns the first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns all headers of that name.
    pub(crate) fn headers_named(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Returns the body as text.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body is UTF-8")
    }

    /// Returns the body without lines on other nodes, which it has where the suite runs by way of one.
    pub(crate) fn text_without_nodes(&self) -> String {
        self.text().split_inclusive('\n').filter(|line| !line.starts_with("node ")).collect()
    }

    /// Fails unless status and body are these.
    #[track_caller]
    pub(crate) fn assert(&self, status: u16, body: &str) {
        let shown = String::from_utf8_lossy(&self.body);
        assert!(
            self.status == status && shown == body,
            "expected {status} {body:?}, got {} {shown:?}",
            self.status
        );
    }

    /// Fails unless this is the polling transport's JSON error (ENGINEIO.md, 2.3).
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, code: u8, message: &str) {
        self.assert(status, &format!(r#"{{"code":{code},"message":"{message}"}}"#));
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("cache-control"), None, "errors carry no cache-control");
    }

    /// Fails unless this says that the session does not exist.
    #[track_caller]
    pub(crate) fn assert_unknown_sid(&self) {
        self.assert_error(400, 1, "Session ID unknown");
    }
}

/// Returns a request's head, its empty line included.
pub(crate) fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> String {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        bytes.push_str("Host: wire.test\r\n");
    }
    for (name, value) in headers {
        write!(bytes, "{name}: {value}\r\n").unwrap();
    }
    bytes.push_str("\r\n");
    bytes
}

//! A longpoll client, like `curl`, with one connection for its GETs and one for its POSTs.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::http::{Client, Response, head};
use super::wire::{Fill, Wire};
use super::{QUIET, SOON};

/// One session.
#[derive(Debug)]
pub(crate) struct Feed {
    addr: SocketAddr,
    /// The path of its requests.
    pub(crate) url: String,
    pub(crate) gets: Client,
    pub(crate) posts: Client,
}

impl Feed {
    /// Begins a session.
    #[track_caller]
    pub(crate) fn begin(addr: SocketAddr) -> Self {
        let begun = Client::connect(addr).request("POST", "/feed/", &[], b"");
        assert_eq!(begun.status, 201, "{begun:?}");
        let said: Value = serde_json::from_str(begun.text()).unwrap();
        let url = said["url"].as_str().unwrap().to_owned();
        assert_eq!(begun.header("location"), Some(url.as_str()));
        let (gets, posts) = (Client::connect(addr), Client::connect(addr));
        Self { addr, url, gets, posts }
    }

    /// Returns the proxy's address.
    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the target of a request with this query.
    pub(crate) fn target(&self, query: &str) -> String {
        if query.is_empty() { self.url.clone() } else { format!("{}?{query}", self.url) }
    }

    /// Sends a GET and returns its response.
    #[track_caller]
    pub(crate) fn get(&mut self, query: &str) -> Response {
        let target = self.target(query);
        self.gets.get(&target)
    }

    /// Sends a GET that finds no message and is parked.
    #[track_caller]
    pub(crate) fn park(&mut self, query: &str) {
        let target = self.target(query);
        self.gets.send_get(&target);
        self.gets.assert_parked();
    }

    /// Sends a POST and returns its response.
    #[track_caller]
    pub(crate) fn post(&mut self, query: &str, body: &[u8]) -> Response {
        let target = self.target(query);
        self.posts.request("POST", &target, &[("Content-Type", "text/plain")], body)
    }

    /// Sends any request on a new connection and returns its response.
    #[track_caller]
    pub(crate) fn request(
        &self,
        method: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        Client::connect(self.addr).request(method, &self.target(query), headers, body)
    }

    /// Sends a GET and returns its streaming response.
    #[track_caller]
    pub(crate) fn stream(&self, query: &str, accept: &str, last: Option<u64>) -> Stream {
        let last = last.map(|last| last.to_string());
        let mut headers = vec![("Accept", accept)];
        headers.extend(last.as_deref().map(|last| ("Last-Event-ID", last)));
        let mut wire = Wire::connect(self.addr);
        wire.send(head("GET", &self.target(query), &headers).as_bytes());
        let read = wire.take_until(b"\r\n\r\n", Instant::now() + SOON).expect("a response begins");
        Stream { head: Response::parse(&read), wire, text: String::new() }
    }

    /// Returns the events of an `EventSource` of this session.
    #[track_caller]
    pub(crate) fn events(&self, last: Option<u64>) -> Stream {
        self.stream("", "text/event-stream", last)
    }
}

/// A streaming response.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Its head.
    pub(crate) head: Response,
    pub(crate) wire: Wire,
    /// Received text that was not taken yet.
    text: String,
}

impl Stream {
    /// Returns the next chunk, if one comes in time; an empty one is the end. `Err` is a closed connection or a timeout.
    pub(crate) fn chunk_within(&mut self, wait: Duration) -> Result<Vec<u8>, Fill> {
        let deadline = Instant::now() + wait;
        let line = self.wire.take_until(b"\r\n", deadline)?;
        let digits = std::str::from_utf8(&line).unwrap().trim();
        let length = usize::from_str_radix(digits, 16).expect("a chunk's length is hexadecimal");
        let chunk = self.wire.take_exact(length, deadline)?;
        self.wire.take_exact(2, deadline)?;
        Ok(chunk)
    }

    /// Fails unless these bytes come next, in any number of chunks.
    #[track_caller]
    pub(crate) fn assert(&mut self, expected: &str) {
        while self.text.len() < expected.len() {
            let chunk = self.chunk_within(SOON).expect("the stream goes on");
            assert!(!chunk.is_empty(), "the stream ends with {:?}, expected {expected:?}", self.text);
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        assert!(self.text.starts_with(expected), "expected {expected:?}, got {:?}", self.text);
        self.text.drain(..expected.len());
    }

    /// Fails unless the stream ends properly now.
    #[track_caller]
    pub(crate) fn assert_end(&mut self) {
        let next = self.chunk_within(SOON);
        assert_eq!((self.text.as_str(), next), ("", Ok(Vec::new())), "the stream ends with its last chunk");
    }

    /// Fails if anything comes.
    #[track_caller]
    pub(crate) fn assert_quiet(&mut self) {
        let next = self.chunk_within(QUIET);
        assert_eq!((self.text.as_str(), next), ("", Err(Fill::Quiet)));
    }

    /// Returns the next line without its end, or `None` if the stream has ended.
    #[track_caller]
    pub(crate) fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find('\n') {
                let line = self.text.drain(..=end).collect::<String>();
                return Some(line.trim_end_matches('\n').to_owned());
            }
            let chunk = self.chunk_within(SOON).expect("the stream goes on");
            if chunk.is_empty() {
                assert_eq!(self.text, "", "the stream ends after a complete line");
                return None;
            }
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

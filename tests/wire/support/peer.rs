//! A session as the application behind the target sees it, whichever target that is.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::event::Event;
use super::line::Line;
use super::{QUIET, SOON};

/// The request with which a session was opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Opening {
    /// The method.
    pub(crate) method: String,
    /// The path and query.
    pub(crate) target: String,
    /// Names in lower case, and values.
    pub(crate) headers: Vec<(String, String)>,
}

impl Opening {
    /// Returns all headers of that name.
    pub(crate) fn headers_named(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Returns the first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers_named(name).first().copied()
    }

    /// Returns the path, without the query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Returns the pairs of the query, as written.
    pub(crate) fn query(&self) -> Vec<&str> {
        self.target.split_once('?').map_or_else(Vec::new, |(_, query)| query.split('&').collect())
    }
}

/// One session of the application.
#[derive(Debug)]
pub(crate) struct Peer {
    /// How it was opened.
    pub(crate) opening: Opening,
    pub(crate) events: Receiver<Event>,
    pub(crate) side: Side,
}

/// Where the application is.
#[derive(Debug)]
pub(crate) enum Side {
    /// It is in this process, behind the proxy.
    Backend(Line),
    /// It is in the reference server, behind its control connection.
    Reference { id: u64, control: Arc<Mutex<TcpStream>> },
}

impl Peer {
    /// Sends a text message to the client.
    pub(crate) fn send(&self, text: &str) {
        match &self.side {
            Side::Backend(line) => line.send_text(text),
            Side::Reference { .. } => self.order(json!({"do": "send", "text": text})),
        }
    }

    /// Sends several text messages in one turn.
    pub(crate) fn send_all(&self, texts: &[&str]) {
        match &self.side {
            Side::Backend(line) => line.send_texts(texts),
            Side::Reference { .. } => self.order(json!({"do": "sendAll", "texts": texts})),
        }
    }

    /// Sends a binary message to the client.
    pub(crate) fn send_binary(&self, bytes: &[u8]) {
        match &self.side {
            Side::Backend(line) => line.send_binary(bytes),
            Side::Reference { .. } => self.order(json!({"do": "send", "base64": STANDARD.encode(bytes)})),
        }
    }

    /// Waits until the target has read all that was sent. The client's side must be silent meanwhile.
    #[track_caller]
    pub(crate) fn settle(&self) {
        match &self.side {
            Side::Backend(line) => {
                line.ping();
                assert_eq!(self.event(), Event::Pong, "expected the pong and nothing before it");
            }
            // The reference server does not report what it has queued, and sends it over no connection.
            Side::Reference { .. } => thread::sleep(QUIET),
        }
    }

    /// Sends every message back from now on.
    pub(crate) fn echo(&self) {
        match &self.side {
            Side::Backend(line) => line.echo(),
            Side::Reference { .. } => {
                self.order(json!({"do": "echo"}));
                assert_eq!(self.event(), Event::Echoing);
            }
        }
    }

    /// Ends the session in order.
    pub(crate) fn close(&self) {
        match &self.side {
            Side::Backend(line) => line.close(None),
            Side::Reference { .. } => self.order(json!({"do": "close"})),
        }
    }

    /// Returns the line itself, for what only a backend behind a proxy can do.
    #[track_caller]
    pub(crate) fn line(&self) -> &Line {
        match &self.side {
            Side::Backend(line) => line,
            Side::Reference { .. } => panic!("the reference server is no proxy"),
        }
    }

    /// Returns the next event, if it comes in time.
    pub(crate) fn event_within(&self, wait: Duration) -> Option<Event> {
        match self.events.recv_timeout(wait) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                panic!("expected an event, but the session has already ended")
            }
        }
    }

    /// Returns the next event.
    #[track_caller]
    pub(crate) fn event(&self) -> Event {
        self.event_within(SOON).expect("an event reaches the application in time")
    }

    /// Fails unless the next event is this text.
    #[track_caller]
    pub(crate) fn assert_text(&self, text: &str) {
        assert_eq!(self.event(), Event::Text(text.to_owned()));
    }

    /// Fails unless the next event is this binary.
    #[track_caller]
    pub(crate) fn assert_binary(&self, bytes: &[u8]) {
        assert_eq!(self.event(), Event::Binary(bytes.to_vec()));
    }

    /// Fails unless the next event is the session's end.
    #[track_caller]
    pub(crate) fn assert_closed(&self) {
        let event = self.event();
        assert!(matches!(event, Event::Closed(_)), "expected the end, got {event:?}");
    }

    /// Returns how long the session's end takes from now, whatever comes before it.
    #[track_caller]
    pub(crate) fn ends_after(&self) -> Duration {
        let start = Instant::now();
        while !matches!(self.event(), Event::Closed(_)) {}
        start.elapsed()
    }

    /// Fails if anything reaches the application now.
    #[track_caller]
    pub(crate) fn assert_quiet(&self) {
        assert_eq!(self.event_within(QUIET), None);
    }

    fn order(&self, mut order: Value) {
        if let Side::Reference { id, control } = &self.side {
            order["id"] = json!(id);
            writeln!(control.lock().unwrap(), "{order}").expect("the reference server listens");
        }
    }
}

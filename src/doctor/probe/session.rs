//! Sessions of Engine.IO by polling: begun, used and closed by requests on connections of their own.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{HeaderValue, Method};

use super::client::{Ask, Client};
use crate::codec::engineio::{OpenPacket, encode_payload, v3};
use crate::doctor::facts::{Answer, Cookies, Exchange, Handshake};
use crate::packet::{Packet, Text, Transport};
use crate::revision::Revision;

/// A client of the server, which closes what it has begun.
#[derive(Debug)]
pub(in crate::doctor) struct Sessions {
    client: Client,
    /// Those that are not closed yet.
    open: Mutex<Vec<Session>>,
}

/// A session, as its client knows it.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) revision: Revision,
    pub(super) open: OpenPacket,
    /// What a browser sends back of the handshake's cookies.
    cookie: Option<HeaderValue>,
}

impl Session {
    /// Returns which cookies its requests bring.
    pub(super) const fn cookies(&self) -> Cookies {
        if self.cookie.is_some() { Cookies::Kept } else { Cookies::None }
    }

    /// Returns the session of a client that keeps no cookies.
    pub(super) fn without_cookie(&self) -> Self {
        Self { cookie: None, ..self.clone() }
    }

    /// Adds the session's cookies to a request.
    pub(super) fn sign(&self, ask: Ask) -> Ask {
        match &self.cookie {
            Some(cookie) => ask.with(COOKIE, cookie.clone()),
            None => ask,
        }
    }

    /// Returns packets as the body of a POST.
    fn payload(&self, packets: &[Packet]) -> Bytes {
        match self.revision {
            Revision::V4 => encode_payload(packets),
            Revision::V3 => v3::encode_text_payload(packets, v3::Strings::Plain),
        }
    }
}

impl Sessions {
    /// Creates a client without sessions.
    pub(in crate::doctor) fn new(client: Client) -> Self {
        Self { client, open: Mutex::default() }
    }

    /// Returns the client.
    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// Begins a session.
    pub(super) async fn begin(&self, revision: Revision) -> (Handshake, Option<Session>) {
        self.begin_with(revision, &stamp(), |ask| ask).await
    }

    /// Begins a session with a certain URL, and a change of the request.
    pub(super) async fn begin_with(
        &self,
        revision: Revision,
        stamp: &str,
        change: impl FnOnce(Ask) -> Ask,
    ) -> (Handshake, Option<Session>) {
        let ask = change(Ask::new(Method::GET, &query(revision, Transport::Polling), Some(("t", stamp))));
        let exchange = self.client.ask(ask).await;
        let open = exchange.whole().and_then(Answer::open);
        let session = open.clone().map(|(revision, open)| {
            let cookie = exchange.answer.as_ref().and_then(|answer| cookies(&answer.all(&SET_COOKIE)));
            Session { revision, open, cookie }
        });
        self.list().extend(session.clone());
        (Handshake { exchange, open }, session)
    }

    /// Polls.
    pub(super) async fn poll(&self, session: &Session, patience: Option<Duration>) -> Exchange {
        let ask = session.sign(asking(Method::GET, session));
        self.client.ask(if let Some(patience) = patience { ask.within(patience) } else { ask }).await
    }

    /// Posts packets.
    pub(super) async fn post(&self, session: &Session, packets: &[Packet]) -> Exchange {
        let text = HeaderValue::from_static("text/plain;charset=UTF-8");
        let ask = asking(Method::POST, session).with(CONTENT_TYPE, text).sending(session.payload(packets));
        self.client.ask(session.sign(ask)).await
    }

    /// Posts a packet that does nothing: it keeps a session alive, and never reaches the application.
    pub(super) async fn post_nothing(&self, session: &Session) -> Exchange {
        self.post_much(session, 0).await
    }

    /// Does the same with a body of a certain size.
    pub(super) async fn post_much(&self, session: &Session, size: usize) -> Exchange {
        let text = |framing: usize| Text::from("x".repeat(size.saturating_sub(framing)));
        let packet = match session.revision {
            Revision::V4 => Packet::Pong(text(1)),
            // The length, a colon and the type.
            Revision::V3 => Packet::Ping(text(size.to_string().len() + 2)),
        };
        self.post(session, &[packet]).await
    }

    /// Closes a session.
    pub(super) async fn close(&self, session: &Session) -> Exchange {
        self.forget(session);
        self.post(session, &[Packet::Close(None)]).await
    }

    /// Takes a session off the list: it is closed by other means.
    pub(super) fn forget(&self, session: &Session) {
        self.list().retain(|other| other.open.sid != session.open.sid);
    }

    /// Closes what is still open.
    pub(in crate::doctor) async fn close_all(&self) {
        let left = std::mem::take(&mut *self.list());
        join_all(left.iter().map(|session| self.post(session, &[Packet::Close(None)]))).await;
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        // No code panics while it holds the lock.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the query of a request without a session.
pub(super) fn query(revision: Revision, transport: Transport) -> String {
    let number = match revision {
        Revision::V3 => 3,
        Revision::V4 => 4,
    };
    format!("EIO={number}&transport={}", transport.word())
}

fn asking(method: Method, session: &Session) -> Ask {
    Ask::new(method, &query(session.revision, Transport::Polling), Some(("sid", &session.open.sid)))
}

/// Returns something that no earlier request had in its URL, so that no cache answers.
pub(super) fn stamp() -> String {
    let mut random = [0; 8];
    // Without randomness, a cache may answer: that is seen.
    let _ = getrandom::fill(&mut random);
    format!("{:x}", u64::from_ne_bytes(random))
}

/// Returns what a browser sends back.
fn cookies(set: &[String]) -> Option<HeaderValue> {
    let pairs = set.iter().take(COOKIES_MAX).filter_map(|cookie| cookie.split(';').next());
    let all: Vec<&str> = pairs.map(str::trim).filter(|pair| pair.contains('=')).collect();
    if all.is_empty() { None } else { HeaderValue::from_str(&all.join("; ")).ok() }
}

/// How often each session is used.
pub(super) const TRIES: usize = 4;
/// How many polls take what has come already.
pub(super) const POLLS: usize = 3;
/// How long a poll is on its way at most, if all is well.
pub(super) const PARKED: Duration = Duration::from_millis(500);
/// How long everything but the silence may take.
pub(super) const QUICK_TIME: Duration = Duration::from_secs(20);
const COOKIES_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_sends_back_names_and_values_alone() {
        let set = ["a=1; Path=/; HttpOnly".to_owned(), "odd".to_owned(), "b=2".to_owned()];
        assert_eq!(cookies(&set).unwrap(), "a=1; b=2");
        assert_eq!(cookies(&set[1..2]), None);
    }
}

//! A client of the longpoll dialect: it repeats each request until it is answered, so only the session's end loses anything.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::http::{Http, STUCK};
use crate::plan::Kind;
use crate::random::Random;
use crate::session::{Session, Way};
use crate::socket::{Side, pace};
use crate::world::World;

type Told = &'static str;

pub(crate) async fn run(world: &World, session: &Session) -> Told {
    let mut http = Http::new(world, session, 0);
    let target = format!("{}?k={}", session.plan.path(), session.id);
    let Ok(response) = http.ask("POST", &target, "", Some("")).await else { return "the handshake broke" };
    let url = serde_json::from_slice::<Value>(&response.body)
        .ok()
        .and_then(|body| Some(body["url"].as_str()?.to_owned()));
    let Some(url) = url.filter(|_| response.status == 201) else { return "the handshake was refused" };
    session.client_begins();
    let feed = Feed { session, url, after: AtomicU64::new(0), begun: Instant::now() };
    let receiving = async {
        loop {
            if let Err(told) = feed.receive(&mut http).await {
                break Err::<(), Told>(told);
            }
        }
    };
    let result: Result<((), ()), Told> = tokio::try_join!(receiving, feed.send(Http::new(world, session, 1)));
    result.err().unwrap_or("nothing")
}

struct Feed<'a> {
    session: &'a Session,
    url: String,
    /// The number of the last message that was received.
    after: AtomicU64,
    begun: Instant,
}

impl Feed<'_> {
    /// Takes a numbered message. A stream may repeat none that came.
    fn take(&self, id: Option<u64>, text: Option<&str>) {
        match (id, text) {
            (Some(id), Some(text)) => {
                self.session.receive(Way::Down, text);
                if id != self.after.load(Ordering::Relaxed) + 1 {
                    self.session.fault(format!("message {id} behind {}", self.after.load(Ordering::Relaxed)));
                }
                self.after.store(id, Ordering::Relaxed);
            }
            other => self.session.fault(format!("a message without number or text: {other:?}")),
        }
    }

    fn take_json(&self, message: &Value) {
        self.take(message["id"].as_u64(), message["text"].as_str());
    }

    /// Asks once, and takes what comes until the response ends or breaks.
    async fn receive(&self, http: &mut Http<'_>) -> Result<(), Told> {
        if self.begun.elapsed() > STUCK * 2 {
            self.session.fault("it is stuck".to_owned());
            return Err("nothing");
        }
        let target = format!("{}?after={}&wait=5", self.url, self.after.load(Ordering::Relaxed));
        let accept = match self.session.plan.kind {
            Kind::LongPollLines => "Accept: application/x-ndjson\r\n",
            Kind::LongPollEvents => "Accept: text/event-stream\r\n",
            Kind::EnginePolling(_)
            | Kind::EngineUpgrade(_)
            | Kind::EngineWebSocket(_)
            | Kind::SockJsPolling
            | Kind::SockJsStreaming
            | Kind::SockJsEventSource
            | Kind::SockJsWebSocket
            | Kind::LongPoll
            | Kind::WebSocket => "",
        };
        if accept.is_empty() {
            let Ok(response) = http.ask("GET", &target, "", None).await else { return again().await };
            if response.status != 200 {
                return self.judge(http, response.status, "a poll").await;
            }
            match serde_json::from_slice::<Value>(&response.body) {
                Ok(body) => body["messages"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .for_each(|message| self.take_json(message)),
                Err(error) => self.session.fault(format!("an unreadable response: {error}")),
            }
            return Ok(());
        }
        let Ok(response) = http.begin("GET", &target, accept, None).await else { return again().await };
        if response.status != 200 {
            return self.judge(http, response.status, "a stream").await;
        }
        let (mut rest, mut event) = (Vec::new(), Event::default());
        loop {
            let piece = match timeout(STUCK, http.piece()).await {
                Ok(Ok(Some(piece))) => piece,
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(_)) | Err(_) => return again().await,
            };
            rest.extend_from_slice(&piece);
            while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=at).collect();
                let line = String::from_utf8_lossy(&line[..at]).into_owned();
                if self.session.plan.kind == Kind::LongPollEvents {
                    self.take_event_line(&mut event, &line)?;
                } else if !line.trim().is_empty() {
                    let value: Value = serde_json::from_str(&line).unwrap_or_default();
                    if value.get("closed").is_some() {
                        return Err("a line says so");
                    }
                    if value.get("id").is_some() {
                        self.take_json(&value);
                    }
                }
            }
        }
    }

    fn take_event_line(&self, event: &mut Event, line: &str) -> Result<(), Told> {
        match line.split_once(": ").or_else(|| line.split_once(':')) {
            Some(("id", id)) => event.id = id.parse().ok(),
            Some(("event", name)) => name.clone_into(&mut event.name),
            Some(("data", data)) => event.data.push(data.to_owned()),
            None if line.is_empty() => {
                let Event { id, name, data } = std::mem::take(event);
                match name.as_str() {
                    "close" => return Err("an event says so"),
                    "" if !data.is_empty() => self.take(id, Some(&data.join("\n"))),
                    "json" => self.take(id, serde_json::from_str::<String>(&data.concat()).ok().as_deref()),
                    _ => {}
                }
            }
            Some(_) | None => {}
        }
        Ok(())
    }

    async fn judge(&self, http: &mut Http<'_>, status: u16, what: &str) -> Result<(), Told> {
        match status {
            410 => Err("410"),
            404 => Err("404"),
            // Another node may reach the session's.
            500..600 => {
                http.leave();
                again().await
            }
            _ => {
                self.session.fault(format!("{what} got {status}"));
                Err("another status")
            }
        }
    }

    async fn send(&self, mut http: Http<'_>) -> Result<(), Told> {
        let session = self.session;
        let mut random = Random::of(&[session.id, 2]);
        loop {
            let (pause, most) = pace(&mut random);
            // The pace of this client.
            sleep(pause).await;
            let first = session.sent(Way::Up) + 1;
            for (number, text) in (first..).zip(session.next(Way::Up, most.min(4))) {
                let target = format!("{}?id={number}", self.url);
                loop {
                    let Ok(response) = http.ask("POST", &target, "", Some(&text)).await else {
                        again().await?;
                        continue;
                    };
                    match response.status {
                        204 => break session.acknowledge(Way::Up, number),
                        status => self.judge(&mut http, status, "a POST").await?,
                    }
                }
            }
            if Side::Client.closes(session) {
                let _ = http.ask("DELETE", &self.url, "", None).await;
                return Err("its own DELETE");
            }
        }
    }
}

#[derive(Default)]
struct Event {
    id: Option<u64>,
    name: String,
    data: Vec<String>,
}

/// Waits a little before a request is repeated.
async fn again() -> Result<(), Told> {
    // The time between two attempts.
    sleep(Duration::from_millis(50)).await;
    Ok(())
}

//! A client of SockJS as the stock one behaves: it is over when one of its requests breaks.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::{Instant, sleep, timeout};

use crate::client::open_socket;
use crate::http::{Http, STUCK};
use crate::plan::Kind;
use crate::random::Random;
use crate::session::{Session, Way};
use crate::socket::{Coding, Side, pace};
use crate::world::World;

type Told = &'static str;

pub(crate) async fn run(world: &World, session: &Session) -> Told {
    let base = format!("{}000/s{:x}x{}", session.plan.path(), world.schedule.seed, session.id);
    let (method, receiver) = match session.plan.kind {
        Kind::SockJsWebSocket => {
            let target = format!("{base}/websocket?k={}", session.id);
            return open_socket(world, session, &target, Coding::SockJs).await;
        }
        Kind::SockJsStreaming => ("POST", "xhr_streaming"),
        Kind::SockJsEventSource => ("GET", "eventsource"),
        Kind::SockJsPolling
        | Kind::EnginePolling(_)
        | Kind::EngineUpgrade(_)
        | Kind::EngineWebSocket(_)
        | Kind::LongPoll
        | Kind::LongPollLines
        | Kind::LongPollEvents
        | Kind::WebSocket => ("POST", "xhr"),
    };
    let receiver = format!("{base}/{receiver}?k={}", session.id);
    let is_open = AtomicBool::new(false);
    let receiving = async {
        let mut http = Http::new(world, session, 0);
        loop {
            if let Err(told) = receive(session, &mut http, method, &receiver, &is_open).await {
                break Err::<(), Told>(told);
            }
        }
    };
    let sending = send(world, session, &base, &is_open);
    let result: Result<((), ()), Told> = tokio::try_join!(receiving, sending);
    result.err().unwrap_or("nothing")
}

/// Receives one response: a poll's, or a stream's.
async fn receive(
    session: &Session,
    http: &mut Http<'_>,
    method: &str,
    target: &str,
    is_open: &AtomicBool,
) -> Result<(), Told> {
    let body = (method == "POST").then_some("");
    let response = http.begin(method, target, "", body).await.map_err(|_| "a receiver broke")?;
    if response.status != 200 {
        return Err("a receiver was refused");
    }
    let mut rest = Vec::new();
    // Heartbeats come every few seconds, so silence is a fault.
    while let Some(piece) =
        timeout(STUCK, http.piece()).await.map_err(|_| "silence")?.map_err(|_| "a receiver broke")?
    {
        rest.extend_from_slice(&piece);
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=at).collect();
            let line = String::from_utf8(line).map_err(|_| "a frame is not UTF-8")?;
            let line = line.trim_end_matches(['\r', '\n']);
            let frame = line.strip_prefix("data: ").unwrap_or(line);
            match frame.as_bytes().first() {
                Some(b'o') => {
                    is_open.store(true, Ordering::Relaxed);
                    session.client_begins();
                }
                Some(b'a') => match serde_json::from_str::<Vec<String>>(&frame[1..]) {
                    Ok(texts) => texts.iter().for_each(|text| session.receive(Way::Down, text)),
                    Err(error) => session.fault(format!("an unreadable frame: {error}")),
                },
                Some(b'c') => return Err("a close frame of SockJS"),
                Some(_) | None => {}
            }
        }
    }
    Ok(())
}

async fn send(world: &World, session: &Session, base: &str, is_open: &AtomicBool) -> Result<(), Told> {
    let mut random = Random::of(&[session.id, 2]);
    let (mut post, begun) = (Http::new(world, session, 1), Instant::now());
    loop {
        let (pause, most) = pace(&mut random);
        // The pace of this client.
        sleep(pause).await;
        if begun.elapsed() > STUCK * 2 {
            session.fault("it is stuck".to_owned());
            return Err("nothing");
        }
        if !is_open.load(Ordering::Relaxed) {
            continue;
        }
        let texts = session.next(Way::Up, most);
        if !texts.is_empty() {
            let until = session.sent(Way::Up);
            let body = serde_json::to_string(&texts).expect("texts are JSON");
            let response = post.ask("POST", &format!("{base}/xhr_send"), "", Some(&body)).await;
            if response.map_err(|_| "a POST broke")?.status != 204 {
                return Err("a POST was refused");
            }
            session.acknowledge(Way::Up, until);
        }
        if Side::Client.closes(session) {
            return Err("it has left");
        }
    }
}

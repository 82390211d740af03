//! A conversation on a WebSocket, as both ends have it: the client's of any dialect, and the backend's.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::frames::{self, CLOSE, PING, PONG, TEXT};
use crate::http::STUCK;
use crate::plan::Closer;
use crate::random::Random;
use crate::session::{Session, Way};
use crate::wire::{Broken, Wire};

/// How messages stand in frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Coding {
    Plain,
    Engine(u8),
    SockJs,
}

/// Which end of the session this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Client,
    Backend,
}

impl Side {
    pub(crate) fn sends(self) -> Way {
        match self {
            Self::Client => Way::Up,
            Self::Backend => Way::Down,
        }
    }

    pub(crate) fn receives(self) -> Way {
        match self {
            Self::Client => Way::Down,
            Self::Backend => Way::Up,
        }
    }

    /// Returns whether this end closes once everything has arrived.
    pub(crate) fn closes(self, session: &Session) -> bool {
        session.is_complete() && (session.plan.closer == Closer::Client) == (self == Self::Client)
    }
}

/// A burst of an end: after which time, and of how many messages.
pub(crate) fn pace(random: &mut Random) -> (Duration, u64) {
    (Duration::from_millis(10 + random.spread(8)), random.spread(5))
}

/// Talks until the session's end, and returns how this end was told of it.
pub(crate) async fn converse(
    session: &Session,
    mut wire: Wire,
    coding: Coding,
    side: Side,
) -> (Wire, &'static str) {
    let told = talk(session, &mut wire, coding, side).await.unwrap_or("the connection broke");
    (wire, told)
}

async fn talk(
    session: &Session,
    wire: &mut Wire,
    coding: Coding,
    side: Side,
) -> Result<&'static str, Broken> {
    let mut random = Random::of(&[session.id, side as u64, 1]);
    let is_masked = side == Side::Client;
    let pings =
        matches!((coding, side), (Coding::Engine(3), Side::Client) | (Coding::Engine(4), Side::Backend));
    let (mut pinged, begun) = (Instant::now(), Instant::now());
    let mut closed = None;
    let (mut pause, mut most) = pace(&mut random);
    loop {
        // Frames that came behind a handshake are in the buffer already.
        while let Some((first, payload)) = frames::decode(&mut wire.buffer) {
            let mut answer = Vec::new();
            let told = take(session, coding, side, first, &payload, &mut answer);
            if first == 0x88 && closed.is_some() {
                answer.clear();
            }
            if !answer.is_empty() {
                wire.write(&answer).await?;
            }
            if let Some(told) = told {
                return Ok(told);
            }
        }
        tokio::select! {
            filled = wire.fill() => {
                filled?;
                continue;
            }
            // The pace of this end, in which nothing else can be awaited.
            () = sleep(pause) => {}
        }
        let mut burst = Vec::new();
        if closed.is_none() {
            encode(session.next(side.sends(), most), coding, is_masked, &mut burst);
            if pings && pinged.elapsed() > PING_EVERY {
                pinged = Instant::now();
                frames::encode(&mut burst, TEXT, b"2", is_masked);
            }
            if side.closes(session) {
                if matches!((coding, side), (Coding::Engine(_), Side::Client)) && random.percent(50) {
                    frames::encode(&mut burst, TEXT, b"1", is_masked);
                }
                if random.percent(50) {
                    frames::encode(&mut burst, PING, b"last", is_masked);
                }
                frames::encode(&mut burst, CLOSE, &1000_u16.to_be_bytes(), is_masked);
                closed = Some(Instant::now());
            }
        }
        if !burst.is_empty() {
            wire.write(&burst).await?;
        }
        if closed.is_some_and(|closed| closed.elapsed() > STUCK) {
            session.fault(format!("{side:?}: a Close frame was never answered"));
            return Ok("nothing");
        }
        if begun.elapsed() > STUCK * 2 {
            session.fault(format!("{side:?}: it is stuck on a WebSocket"));
            session.backend_was_cut.fetch_or(side == Side::Backend, Ordering::Relaxed);
            return Ok("nothing");
        }
        (pause, most) = pace(&mut random);
    }
}

/// Takes a frame. Returns how this end was told of the end by it, if it was; `answer` gets what the other end waits for.
fn take(
    session: &Session,
    coding: Coding,
    side: Side,
    first: u8,
    payload: &[u8],
    answer: &mut Vec<u8>,
) -> Option<&'static str> {
    let is_masked = side == Side::Client;
    match (first, coding) {
        (0x81, Coding::Plain) => session.receive(side.receives(), &String::from_utf8_lossy(payload)),
        (0x81, Coding::Engine(_)) => match payload.split_first() {
            Some((b'4', text)) => session.receive(side.receives(), &String::from_utf8_lossy(text)),
            Some((b'2', _)) => frames::encode(answer, TEXT, b"3", is_masked),
            Some((b'1', _)) => return Some("a close packet"),
            Some(_) => {}
            None => session.fault("an empty packet".to_owned()),
        },
        (0x81, Coding::SockJs) => match payload.split_first() {
            Some((b'a', texts)) => match serde_json::from_slice::<Vec<String>>(texts) {
                Ok(texts) => texts.iter().for_each(|text| session.receive(side.receives(), text)),
                Err(error) => session.fault(format!("an unreadable frame: {error}")),
            },
            Some((b'c', _)) => return Some("a close frame of SockJS"),
            Some(_) | None => {}
        },
        (0x88, _) => {
            let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
            let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
            session.note(format!("{side:?}: Close {code:?} {reason:?}"));
            frames::encode(answer, CLOSE, payload, is_masked);
            return Some(if code.is_some() { "a Close frame" } else { NO_CODE });
        }
        (0x89, _) => frames::encode(answer, PONG, payload, is_masked),
        (0x8A, _) => {}
        (other, _) => session.fault(format!("a frame that begins with {other:#x}")),
    }
    None
}

/// Appends the frames of messages.
fn encode(texts: Vec<String>, coding: Coding, is_masked: bool, into: &mut Vec<u8>) {
    match coding {
        Coding::SockJs if texts.is_empty() => {}
        Coding::SockJs => {
            let payload = serde_json::to_vec(&texts).expect("texts are JSON");
            frames::encode(into, TEXT, &payload, is_masked);
        }
        Coding::Plain => texts.iter().for_each(|text| frames::encode(into, TEXT, text.as_bytes(), is_masked)),
        Coding::Engine(_) => {
            for text in texts {
                frames::encode(into, TEXT, format!("4{text}").as_bytes(), is_masked);
            }
        }
    }
}

/// How a backend is told that a shared connection was lost for good.
pub(crate) const NO_CODE: &str = "a Close frame without a code";
const PING_EVERY: Duration = Duration::from_secs(8);

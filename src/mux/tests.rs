//! Hostile bytes, the rules one by one, what applies after a reconnect, and what survives every break.

mod again;
pub(crate) mod breaks;
mod edges;
pub(crate) mod hostile;
mod large;
mod rules;
mod wire;

use std::time::Instant;

use super::*;
use crate::budget::Budget;
use crate::packet::{Closing, Message};

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn proxy(credit: u64) -> Line {
    let hello = Hello {
        epoch: "epoch".to_owned(),
        credit,
        max_message: Some(10_000),
        resume_ms: 30_000,
        resume: false,
        close_packets: true,
    };
    Line::new(Side::Proxy, hello, Budget::default())
}

fn backend(credit: u64, resume: bool) -> Line {
    Line::new(
        Side::Backend,
        Hello { credit, resume, close_packets: true, ..Hello::default() },
        Budget::default(),
    )
}

fn opening() -> Open {
    Open { path: "/chat".to_owned(), ..Open::default() }
}

/// Moves all frames, each written and read again, until neither side has one.
fn exchange(proxy: &mut Line, backend: &mut Line, profile: Profile) -> Result<(), Violation> {
    loop {
        let mut moved = false;
        for (from, to) in [(0, 1), (1, 0)] {
            let [from, to] =
                if from < to { [&mut *proxy, &mut *backend] } else { [&mut *backend, &mut *proxy] };
            while let Some(frame) = from.poll().or_else(|| from.acks()) {
                let written = profile.encode(&frame);
                to.handle(profile.decode(written).expect("what was written can be read"))?;
                moved = true;
            }
        }
        if !moved {
            return Ok(());
        }
    }
}

/// Returns two sides that have exchanged hellos.
fn pair(credit: u64) -> (Line, Line) {
    let (mut proxy, mut backend) = (proxy(credit), backend(credit, true));
    meet(&mut proxy, &mut backend);
    (proxy, backend)
}

fn meet(proxy: &mut Line, backend: &mut Line) {
    proxy.connect();
    backend.connect();
    exchange(proxy, backend, Profile::Binary).expect("both keep to the protocol");
}

fn events(line: &mut Line) -> Vec<Event> {
    std::iter::from_fn(|| line.event()).collect()
}

fn taken(line: &mut Line, id: Id) -> Vec<Notice> {
    let mut all = Vec::new();
    while let Some(notice) = line.take(id) {
        let end = matches!(notice, Notice::Closed(_));
        all.push(notice);
        if end {
            break;
        }
    }
    all
}

fn text(text: &str) -> Message {
    Message::text(text)
}

/// Returns a session that the backend has accepted.
fn session(proxy: &mut Line, backend: &mut Line) -> Id {
    let id = proxy.open(opening()).expect("a number");
    exchange(proxy, backend, Profile::Json).expect("sound");
    assert!(events(backend).contains(&Event::Asked(id, Box::new(opening()))));
    backend.accept(id, Accepted::default());
    exchange(proxy, backend, Profile::Json).expect("sound");
    assert!(events(proxy).contains(&Event::Answered(id, Ok(Box::default()))));
    id
}

fn denied() -> Denied {
    let (status, headers) = (http::StatusCode::FORBIDDEN, http::HeaderMap::new());
    Denied { status, reason: "no".to_owned(), headers, engine_io: true }
}

fn sync(epoch: Option<&str>, more: bool) -> Frame {
    Frame::Sync { epoch: epoch.map(str::to_owned), sessions: Vec::new(), more }
}

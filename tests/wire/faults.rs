//! The fault matrix: which side disconnects, when and how, and what the other side sees of it.
//!
//! Each row is a moment and the side that disconnects in it; its columns are the ways to disconnect. A cell shows what
//! the other side sees first: `ends` (its connection), `lives` (nothing happens), a status and a body, `close` and its
//! code, or `-` if there is no other side. After a bar it shows what is counted: the outcome of a handshake that was
//! under way, and the reason of the session's end. A session that lives must still pass messages. In every case nothing
//! may be left in the proxy: no session and no descriptor.

#[path = "faults/scene.rs"]
mod scene;

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::frames::{self, Op};
use crate::support::wire::{Fill, Wire};
use crate::support::world::{Excluded, proxy_is_asked};
use crate::support::{QUIET, SOON, metrics};
use Front::{Polling, Relay, Socket};
use Side::{Backend, Client};
use Step::{
    Accepted, AfterClose, Asked, BetweenFrames, Connected, MidAnswer, MidFrameHeader, MidOpenPacket,
    MidPayload, MidPostBody, MidPostHead, MidRequestHead, MidResponseHead, Parked, Probed, Unanswered,
    Unprobed, Upgraded,
};
use scene::{Front, LONG, Scene, Side, Step};

/// How a side disconnects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Disconnect {
    /// By a FIN, as a process that ends does.
    Fin,
    /// By a reset.
    Reset,
    /// It closes its sending direction, and still reads.
    HalfClose,
    /// It stays connected, and does nothing.
    Silence,
}

type Row = (Step, Side, [&'static str; 4]);

const DISCONNECTS: [Disconnect; 4] =
    [Disconnect::Fin, Disconnect::Reset, Disconnect::HalfClose, Disconnect::Silence];

/// A backend that disconnects before there is a session, or sends nothing.
const DOWN: [&str; 4] = gone("502 the upstream is down | down", "504 the upstream timed out | slow");

/// A client that disconnects before there is a session; a silent one gets its response.
const LEFT: [&str; 4] = gone("ends", "ends | slow");

/// Returns a row whose cells are the same for every way to disconnect, but for silence.
const fn gone(then: &'static str, silent: &'static str) -> [&'static str; 4] {
    [then, then, then, silent]
}

#[test]
fn in_the_handshake_of_a_polling_client() {
    assert_rows(
        Polling,
        &[
            (Connected, Client, ["-"; 4]),
            (MidRequestHead, Client, ["-"; 4]),
            (Asked, Client, LEFT),
            (Asked, Backend, DOWN),
            (MidResponseHead, Client, LEFT),
            (MidResponseHead, Backend, DOWN),
            (Accepted, Client, LEFT),
            (Accepted, Backend, DOWN),
            (MidOpenPacket, Client, LEFT),
            (MidOpenPacket, Backend, DOWN),
        ],
    );
}

#[test]
fn in_the_handshake_of_a_websocket_client() {
    assert_rows(
        Socket,
        &[
            (MidRequestHead, Client, ["-"; 4]),
            (Asked, Client, LEFT),
            (Asked, Backend, DOWN),
            (MidResponseHead, Client, LEFT),
            (MidResponseHead, Backend, DOWN),
            (Accepted, Client, LEFT),
            (Accepted, Backend, DOWN),
            (MidOpenPacket, Client, LEFT),
            (MidOpenPacket, Backend, DOWN),
        ],
    );
}

#[test]
fn in_the_handshake_of_a_relayed_client() {
    assert_rows(
        Relay,
        &[
            (MidRequestHead, Client, ["-"; 4]),
            (Asked, Client, LEFT),
            (Asked, Backend, DOWN),
            (MidResponseHead, Client, LEFT),
            (MidResponseHead, Backend, DOWN),
            (Accepted, Client, gone("ends | accepted, client_gone", "lives | accepted")),
            (Accepted, Backend, gone("ends | accepted, upstream_closed", "lives | accepted")),
            (MidOpenPacket, Client, gone("ends | accepted, client_gone", "lives | accepted")),
            (MidOpenPacket, Backend, gone("ends | accepted, upstream_closed", "lives | accepted")),
        ],
    );
}

#[test]
fn in_a_poll() {
    assert_rows(
        Polling,
        &[
            (Parked, Client, gone("close | client_gone", "close | ping_timeout")),
            (Parked, Backend, ["200 1 | upstream_closed"; 4]),
            (MidAnswer, Client, ["close | client_gone"; 4]),
            (MidAnswer, Backend, ["200 9000001 bytes | upstream_closed"; 4]),
        ],
    );
}

#[test]
fn in_a_post() {
    assert_rows(
        Polling,
        &[
            (MidPostHead, Client, ["close | ping_timeout"; 4]),
            (MidPostHead, Backend, ["ends | upstream_closed"; 4]),
            (MidPostBody, Client, gone("close | client_gone", "close | ping_timeout")),
            (MidPostBody, Backend, ["ends | upstream_closed"; 4]),
            (Unanswered, Client, ["close | ping_timeout"; 4]),
            (
                Unanswered,
                Backend,
                gone(
                    "400 {\"code\":1,\"message\":\"Session ID unknown\"} | upstream_closed",
                    "400 {\"code\":1,\"message\":\"Session ID unknown\"} | stalled",
                ),
            ),
        ],
    );
}

#[test]
fn in_an_upgrade() {
    assert_rows(
        Polling,
        &[
            (Unprobed, Client, ["close | ping_timeout"; 4]),
            (Unprobed, Backend, ["close | upstream_closed"; 4]),
            (Probed, Client, ["close | ping_timeout"; 4]),
            (Probed, Backend, ["close | upstream_closed"; 4]),
            (Upgraded, Client, gone("close | client_gone", "close | ping_timeout")),
            (Upgraded, Backend, ["close | upstream_closed"; 4]),
        ],
    );
}

#[test]
fn on_a_websocket() {
    assert_rows(
        Socket,
        &[
            (MidFrameHeader, Client, gone("close | client_gone", "close | ping_timeout")),
            (MidFrameHeader, Backend, ["close | upstream_closed"; 4]),
            (MidPayload, Client, gone("close | client_gone", "close | ping_timeout")),
            (MidPayload, Backend, ["close | upstream_closed"; 4]),
            (BetweenFrames, Client, gone("close | client_gone", "close | ping_timeout")),
            (BetweenFrames, Backend, ["close | upstream_closed"; 4]),
            (AfterClose, Client, ["close | client_closed"; 4]),
            (AfterClose, Backend, ["close | upstream_closed"; 4]),
        ],
    );
}

#[test]
fn in_a_relay() {
    assert_rows(
        Relay,
        &[
            (MidFrameHeader, Client, gone("ends | client_gone", "lives")),
            (MidFrameHeader, Backend, gone("ends | upstream_closed", "lives")),
            (MidPayload, Client, gone("ends | client_gone", "lives")),
            (MidPayload, Backend, gone("ends | upstream_closed", "lives")),
            (BetweenFrames, Client, gone("ends | client_gone", "lives")),
            (BetweenFrames, Backend, gone("ends | upstream_closed", "lives")),
            (AfterClose, Client, ["close 1000 | client_closed"; 4]),
            (AfterClose, Backend, ["close 1000 | upstream_closed"; 4]),
        ],
    );
}

/// Plays every scene of these rows, many at once, since most of the time they wait. Scenes with another outcome are
/// played again, since the machine may have been busy.
#[track_caller]
fn assert_rows(front: Front, rows: &[Row]) {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    let scenes = rows.iter().flat_map(|(step, side, row)| {
        DISCONNECTS
            .into_iter()
            .zip(row)
            .map(move |(disconnect, expected)| (*step, *side, disconnect, *expected))
    });
    let mut left: Vec<_> = scenes.collect();
    let mut faults = String::new();
    for _ in 0..3 {
        faults.clear();
        let mut seen = Vec::new();
        for some in left.chunks(AT_ONCE) {
            thread::scope(|scope| {
                let play = |&(step, side, disconnect, _): &_| {
                    scope.spawn(move || play(front, step, side, disconnect))
                };
                let playing: Vec<_> = some.iter().map(play).collect();
                let panicked = |_| "a panic".to_owned();
                seen.extend(playing.into_iter().map(|scene| scene.join().unwrap_or_else(panicked)));
            });
        }
        let both = left.into_iter().zip(seen);
        left = both
            .filter(|((.., expected), seen)| expected != seen)
            .map(|(scene, seen)| {
                let (step, side, disconnect, expected) = scene;
                writeln!(faults, "{step:?}, {side:?}, {disconnect:?}: expected {expected:?}, got {seen:?}")
                    .unwrap();
                scene
            })
            .collect();
        if left.is_empty() {
            return;
        }
    }
    panic!("{front:?}:\n{faults}");
}

/// Returns what the other side sees, and what is counted.
fn play(front: Front, step: Step, side: Side, disconnect: Disconnect) -> String {
    let mut scene = Scene::new(front, side, step);
    // A side that is silent or still reads keeps its connection until the end.
    let mut kept = Vec::new();
    if disconnect != Disconnect::Silence {
        let wire = match side {
            Client => scene.client.take().expect("there is a client").wire,
            Backend => scene.backend.take().expect("there is a backend"),
        };
        match disconnect {
            Disconnect::Fin => wire.close(),
            Disconnect::Reset => wire.reset(),
            Disconnect::HalfClose | Disconnect::Silence => {
                wire.half_close();
                kept.push(wire);
            }
        }
    }
    if front == Relay
        && side == Backend
        && matches!(step, Accepted | MidOpenPacket)
        && let Some(client) = &mut scene.client
    {
        assert_eq!(client.answer().status, 101);
    }
    if step == Unanswered
        && side == Client
        && let Some(backend) = &mut scene.backend
    {
        // The last POST was complete when its client left: as on the reference server, it counts.
        for _ in 0..scene.posted {
            let message = frames::read(backend, Instant::now() + SOON).expect("a message arrives");
            assert_eq!(message.payload.len(), LONG + 1);
        }
    }
    let mut seen = match (side, &mut scene.client, &mut scene.backend) {
        (Client, _, None) | (Backend, None, _) => "-".to_owned(),
        (Client, _, Some(backend)) => frame_or_end(backend, scene.patience),
        (Backend, Some(client), _) if is_framed(front, step) => {
            frame_or_end(&mut client.wire, scene.patience)
        }
        (Backend, Some(client), _) => match client.answer_within(scene.patience) {
            Ok(answer) if answer.body.len() > 100 => format!("{} {} bytes", answer.status, answer.body.len()),
            Ok(answer) => format!("{} {}", answer.status, answer.text().trim_end()),
            Err(end) => name(end).to_owned(),
        },
    };
    let admin = scene.target.admin;
    let lives = seen == "lives";
    if lives {
        if side == Client && matches!(step, Accepted | MidOpenPacket) {
            assert_eq!(scene.client.as_mut().expect("it lives").answer().status, 101);
        }
        scene.go_on();
        assert_eq!(metrics::sessions(admin), 1, "it lives");
    }
    // The other side disconnects now, unless the proxy must detect a silence by itself.
    let Scene { client, backend, others, target, descriptors, .. } = scene;
    match side {
        Client => drop(backend),
        Backend if disconnect != Disconnect::Silence || lives => drop((client, others)),
        Backend => drop(others),
    }
    let deadline = Instant::now() + SOON * 2;
    loop {
        // The connection that has just asked for metrics is gone by then.
        thread::sleep(QUIET);
        let more = target.descriptors().saturating_sub(descriptors);
        let sessions = metrics::sessions(admin);
        if more == 0 && sessions == 0 {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{step:?}, {side:?}, {disconnect:?} leaks: {sessions} sessions, {more} descriptors"
        );
    }
    drop(kept);
    let mut counted = Vec::new();
    if step <= MidOpenPacket {
        counted.extend(metrics::counted(admin, "polliwog_handshakes_total", "outcome"));
    }
    if !lives {
        counted.extend(metrics::counted(admin, "polliwog_sessions_closed_total", "reason"));
    }
    if !counted.is_empty() {
        write!(seen, " | {}", counted.join(", ")).unwrap();
    }
    seen
}

/// Returns whether the client's connection speaks WebSocket by then.
fn is_framed(front: Front, step: Step) -> bool {
    let begun = !matches!(step, Connected | MidRequestHead | Asked | MidResponseHead);
    match front {
        Polling => matches!(step, Unprobed | Probed | Upgraded),
        Socket => begun && !matches!(step, Accepted | MidOpenPacket),
        Relay => begun,
    }
}

/// Returns the first Close frame, or how the connection ended.
fn frame_or_end(wire: &mut Wire, patience: Duration) -> String {
    let deadline = Instant::now() + patience;
    loop {
        match frames::read(wire, deadline) {
            Ok(frame) if frame.op == Op::CLOSE => {
                return frame.code().map_or_else(|| "close".to_owned(), |code| format!("close {code}"));
            }
            Ok(_) => {}
            Err(end) => return name(end).to_owned(),
        }
    }
}

const fn name(end: Fill) -> &'static str {
    match end {
        Fill::Eof => "ends",
        Fill::Quiet | Fill::Data => "lives",
    }
}

/// How many scenes are played at once: few enough that a small machine keeps their timeouts.
const AT_ONCE: usize = 16;

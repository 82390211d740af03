//! What one turn of the session costs, without the I/O of its driver.

#![expect(clippy::missing_docs_in_private_items, reason = "a benchmark has no reader but its own")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::Criterion;
use polliwog::codec::engineio::{Payload, encoded_len};
use polliwog::packet::{Heartbeat, Message, Packet, Text};
use polliwog::session::{
    Acks, Binary, Event, HangUp, Packets, Pinger, Policy, PushOutcome, Pushes, Second, Session, Settings,
    Transport,
};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    polling(&mut criterion);
    web_socket(&mut criterion);
    timers(&mut criterion);
    criterion.final_summary();
}

fn polling(criterion: &mut Criterion) {
    let now = start();
    let mut group = criterion.benchmark_group("polling");
    for count in [1, 10, 100] {
        let mut session = begun(Transport::Polling, now);
        let message = message();
        group.bench_function(format!("push of {count}"), |bencher| {
            bencher.iter(|| {
                // The messages come one after the other; the poll is parked before the last.
                for _ in 0..count {
                    session.handle_upstream(message.clone(), now);
                }
                poll(&mut session, now).len()
            });
        });
    }
    let body = Bytes::from("4".to_owned() + &"x".repeat(32));
    let mut session = begun(Transport::Polling, now);
    group.bench_function("POST of 1", |bencher| {
        bencher.iter(|| {
            assert_eq!(session.handle_push_begun(now), Ok(()));
            let packets: Packets = Box::new(Payload::new(body.clone()));
            session.handle_push(packets, now);
            let message = session.next_for_link(now);
            assert_eq!(session.poll(now), Some(Event::PushDone(PushOutcome::Accepted)));
            message
        });
    });
    group.finish();
}

fn web_socket(criterion: &mut Criterion) {
    let now = start();
    let mut session = begun(Transport::WebSocket, now);
    let message = message();
    criterion.bench_function("websocket/echo", |bencher| {
        bencher.iter(|| {
            session.handle_packet(Packet::Message(message.clone()), now);
            if let Some(echo) = session.next_for_link(now) {
                session.handle_upstream(echo, now);
            }
            assert_eq!(session.poll(now), None);
            session.next_for_socket(now)
        });
    });
}

fn timers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timers");
    let now = start();
    let mut session = begun(Transport::Polling, now);
    group.bench_function("nothing is due", |bencher| {
        bencher.iter(|| {
            session.handle_timeout(black_box(now));
            session.poll_timeout()
        });
    });
    let mut now = start();
    let mut session = begun(Transport::WebSocket, now);
    group.bench_function("a heartbeat", |bencher| {
        bencher.iter(|| {
            now += PACE.interval;
            session.handle_timeout(now);
            let ping = session.next_for_socket(now);
            session.handle_packet(Packet::Pong(Text::default()), now);
            assert!(session.poll_timeout() > Some(now), "the session lives");
            ping
        });
    });
    group.finish();
}

/// Parks a poll, takes its batch, and reports that it was written.
fn poll(session: &mut Session, now: Instant) -> Vec<Packet> {
    assert_eq!(session.handle_poll(now), Ok(()));
    let Some(Event::Answer(batch)) = session.poll(now) else { return Vec::new() };
    session.handle_delivered();
    assert_eq!(session.poll(now), None);
    batch
}

/// Returns a session whose client has read its open packet.
fn begun(transport: Transport, now: Instant) -> Session {
    let policy = Policy {
        hang_up: HangUp::Ends,
        second: Second::Ends,
        acks: Acks::OnWrite,
        pushes: Pushes::One,
        pinger: Pinger::Server,
        crossing: Duration::from_millis(1),
        echoes: Duration::ZERO,
        piggyback: None,
        goodbye_waiting: &[Packet::Close(None)],
        goodbye_late: &[Packet::Noop, Packet::Close(None)],
        why: None,
        remembered: Duration::ZERO,
        binary: Binary::Crosses,
        replaced: &[],
        encoded_len,
    };
    let open = Packet::Open(Text::from_static("{}"));
    let mut session =
        Session::new(policy, Arc::new(Settings::default()), transport, PACE, PACE.timeout, Some(open), now);
    match transport {
        Transport::Polling | Transport::Streaming => drop(poll(&mut session, now)),
        Transport::WebSocket => drop(session.next_for_socket(now)),
    }
    session
}

fn message() -> Message {
    Message::text("x".repeat(32))
}

fn start() -> Instant {
    tokio::time::Instant::now().into_std()
}

const PACE: Heartbeat = Heartbeat { interval: Duration::from_secs(25), timeout: Duration::from_secs(20) };

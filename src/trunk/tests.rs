//! The shared side of a connection: the order of its frames, and what one side may demand of the other.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{DuplexStream, duplex};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{Ended, Pump, Trunk};
use crate::budget::Budget;
use crate::duplex::{Buffers, Duplex, WebSocket, text_frame};
use crate::mux::{Accepted, Frame, Hello, Id, Notice, Open, Profile, Side};
use crate::packet::{Closing, Message};

/// Returns a backend's side that a proxy has greeted.
fn greeted() -> (Trunk, super::shared::Connection) {
    greeted_with(Budget::default())
}

fn greeted_with(budget: Budget) -> (Trunk, super::shared::Connection) {
    let trunk = Trunk::new(Side::Backend, Hello { credit: 100, resume: true, ..Hello::default() }, budget);
    let theirs = Hello { epoch: "epoch".to_owned(), credit: 1000, resume_ms: 1000, ..Hello::default() };
    let connection = trunk.greet(theirs);
    assert!(matches!(trunk.next_frame(connection, false), Some(Frame::Hello(_))));
    (trunk, connection)
}

fn id(number: u64) -> Id {
    Id::new(number).unwrap()
}

#[test]
fn who_waits_for_credit_does_not_wait_for_messages_that_come_the_other_way() {
    let (trunk, connection) = greeted();
    trunk.handle(connection, Frame::Open(id(1), Box::default())).unwrap();
    trunk.accept(id(1), Accepted::default());
    assert!(matches!(trunk.next_frame(connection, false), Some(Frame::Ok(..))));
    trunk.handle(connection, Frame::Message(id(1), 1, Message::text("x".repeat(60)))).unwrap();
    for _ in 0..3 {
        trunk.send(id(1), Message::text("there is always more to say"));
    }
    let taken = trunk.poll_next(id(1), &Context::from_waker(Waker::noop()));
    assert!(matches!(taken, Poll::Ready(Notice::Message(_))));
    assert!(matches!(trunk.next_frame(connection, false), Some(Frame::Acks(_))));
    assert!(matches!(trunk.next_frame(connection, false), Some(Frame::Message(..))));
}

#[test]
fn who_asks_faster_than_we_look_is_not_read_until_we_have() {
    let (trunk, connection) = greeted();
    let mut number = 0;
    while !trunk.is_choked() {
        number += 1;
        assert!(number < 10_000, "questions pile up");
        trunk.handle(connection, Frame::Open(id(number), Box::default())).unwrap();
    }
    assert!(number > 100, "a burst is nothing");
    assert!(trunk.next_arrival().is_some());
    assert!(!trunk.is_choked());
}

#[test]
fn nobody_is_asked_for_a_session_any_more_where_no_connection_will_come() {
    let trunk = Trunk::new(Side::Proxy, Hello::default(), Budget::default());
    trunk.fail(&Closing::default());
    assert!(trunk.open(Open::default()).is_none());
}

fn web_socket(stream: DuplexStream, role: Role) -> WebSocket {
    Duplex::from(stream).into_web_socket(Bytes::new(), role, 1000, Buffers::Small)
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_other_side_is_silent_is_given_up_after_one_ping() {
    let (trunk, connection) = greeted();
    let (ours, _theirs) = duplex(1000);
    let mut pump = Pump::new(&trunk, connection, web_socket(ours, Role::Server), Profile::Json);
    let start = Instant::now();
    assert_eq!(pump.run().await, Ended::Broken);
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_other_side_answers_pings_and_says_nothing_else_is_kept() {
    let (trunk, connection) = greeted();
    let (ours, theirs) = duplex(1000);
    let mut pump = Pump::new(&trunk, connection, web_socket(ours, Role::Server), Profile::Json);
    let mut theirs = web_socket(theirs, Role::Client);
    let answering = async { while let Some(Ok(_)) = theirs.next().await {} };
    let kept = async {
        tokio::select! { ended = pump.run() => Err(ended), () = answering => Ok(()) }
    };
    assert!(timeout(Duration::from_hours(1), kept).await.is_err(), "it ended");
}

#[test]
fn no_session_is_opened_behind_a_drain() {
    let trunk = Trunk::new(Side::Proxy, Hello::default(), Budget::default());
    let connection = trunk.greet(Hello::default());
    trunk.open(Open::default()).unwrap();
    trunk.handle(connection, Frame::Drain(30)).unwrap();
    assert!(trunk.open(Open::default()).is_none());
    assert_eq!(trunk.stops_within(), Some(Duration::from_secs(30)));
    let trunk = Trunk::new(Side::Proxy, Hello::default(), Budget::default());
    trunk.retire();
    assert!(trunk.open(Open::default()).is_none());
}

#[test]
fn a_drain_waits_until_it_is_written() {
    let (trunk, connection) = greeted();
    trunk.drain(30);
    assert!(trunk.is_idle() && !trunk.is_settled());
    assert!(matches!(trunk.next_frame(connection, false), Some(Frame::Drain(30))));
    assert!(trunk.is_settled());
}

#[tokio::test]
async fn nothing_is_read_while_those_are_looked_for_whose_end_frees_memory() {
    let budget = Budget::new(Some(1000));
    let mut charge = budget.charge();
    charge.set(1000);
    let relief = budget.relieve();
    let (trunk, connection) = greeted_with(budget.clone());
    let (ours, theirs) = duplex(1000);
    let mut theirs = web_socket(theirs, Role::Client);
    let open = Open { path: "/".into(), ..Open::default() };
    let Message::Text(open) = Profile::Json.encode(&Frame::Open(id(1), Box::new(open))) else {
        panic!("JSON is text")
    };
    poll_fn(|cx| theirs.poll_ready(cx)).await.unwrap();
    theirs.start_send(&text_frame(open.into_bytes())).unwrap();
    poll_fn(|cx| theirs.poll_flush(cx)).await.unwrap();

    let mut pump = Pump::new(&trunk, connection, web_socket(ours, Role::Server), Profile::Json);
    let woken = Arc::<Woken>::default();
    let mut polls = 0;
    let mut poll = |pump: &mut Pump<'_>| {
        polls += 1;
        let waker = Waker::from(Arc::clone(&woken));
        let polled = pin!(pump.run()).poll(&mut Context::from_waker(&waker));
        assert_eq!(polled, Poll::Pending);
        // It waits for nobody but that task.
        assert_eq!(woken.0.load(Ordering::Relaxed), polls);
    };
    poll(&mut pump);
    poll(&mut pump);
    assert!(trunk.next_arrival().is_none());
    // Nobody's end would help: it is read on, slowly.
    drop(relief);
    poll(&mut pump);
    assert!(trunk.next_arrival().is_some());
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

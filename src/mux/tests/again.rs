//! What applies after a reconnect: one side may have changed during the break.

use super::*;

/// Returns B's hello on a later connection.
fn hello(credit: u64, resume: bool) -> Frame {
    Frame::Hello(Hello { credit, resume, ..Hello::default() })
}

fn broken(proxy: &mut Line) {
    proxy.disconnect();
    proxy.connect();
    while proxy.poll().is_some() {}
}

#[test]
fn a_backend_that_resumes_no_more_is_not_waited_for() {
    for (credit, resume) in [(100, false), (0, true)] {
        let (mut proxy, _) = pair(100);
        broken(&mut proxy);
        assert_eq!(proxy.handle(hello(credit, resume)), Err(Violation("it resumes no more")));
    }
}

#[test]
fn a_client_that_waited_through_the_break_has_the_credit_of_the_newest_hello() {
    let (mut proxy, _) = pair(100);
    let id = proxy.open(opening()).expect("a number");
    broken(&mut proxy);
    proxy.handle(hello(5, true)).expect("sound");
    proxy.handle(sync(None, false)).expect("sound");
    assert_eq!(proxy.poll(), Some(Frame::Open(id, Box::new(opening()))));
    proxy.handle(Frame::Ok(id, Box::default())).expect("sound");
    assert!(proxy.poll_room(id));
    proxy.send(id, text("five."));
    assert!(!proxy.poll_room(id), "five is all that was granted");
}

#[test]
fn a_session_goes_on_without_credit_where_the_newest_hello_has_none() {
    let (mut proxy, mut backend) = pair(10);
    let id = session(&mut proxy, &mut backend);
    backend.send(id, text("ten bytes."));
    exchange(&mut proxy, &mut backend, Profile::Json).expect("sound");
    assert!(!backend.poll_room(id));
    backend.connect();
    let hello = Hello { epoch: "epoch".to_owned(), resume_ms: 1, ..Hello::default() };
    backend.handle(Frame::Hello(hello)).expect("sound");
    let held = Held { id, seq: Some(1), limit: 0 };
    let sync = Frame::Sync { epoch: Some("epoch".to_owned()), sessions: vec![held], more: false };
    backend.handle(sync).expect("sound");
    assert!(backend.poll_room(id));
}

#[test]
fn a_sync_stands_right_behind_a_hello() {
    let epoch = Some("epoch");
    let greet = |backend: &mut Line| {
        let hello = Hello { epoch: "epoch".to_owned(), credit: 1, resume_ms: 1, ..Hello::default() };
        backend.handle(Frame::Hello(hello)).expect("sound");
    };
    let mut once = backend(100, true);
    greet(&mut once);
    once.handle(sync(epoch, true)).expect("a part");
    once.handle(sync(epoch, false)).expect("the last part");
    assert!(once.handle(sync(epoch, false)).is_err(), "a second one");
    let mut late = backend(100, true);
    greet(&mut late);
    late.handle(Frame::Drain(1)).expect("sound");
    assert!(late.handle(sync(epoch, false)).is_err(), "behind another frame");
    let mut torn = backend(100, true);
    greet(&mut torn);
    let held = Held { id: Id::new(1).expect("in range"), seq: None, limit: 0 };
    let part = Frame::Sync { epoch: epoch.map(str::to_owned), sessions: vec![held], more: true };
    torn.handle(part).expect("a part");
    assert!(torn.handle(Frame::Drain(1)).is_err(), "another frame between two parts");
}

#[test]
fn sessions_that_only_the_backend_has_are_told_to_be_unknown() {
    let (mut proxy, _) = pair(100);
    broken(&mut proxy);
    proxy.handle(hello(100, true)).expect("sound");
    let ids = [3, 4].map(|number| Id::new(number).expect("in range"));
    let sessions = ids.map(|id| Held { id, seq: Some(0), limit: 9 }).to_vec();
    proxy.handle(Frame::Sync { epoch: None, sessions, more: false }).expect("sound");
    let mut told: Vec<_> = std::iter::from_fn(|| proxy.poll()).collect();
    told.sort_by_key(|frame| format!("{frame:?}"));
    assert_eq!(told, ids.map(|id| Frame::Close(id, 0, Closing::new(1001, "unknown session"))));
}

#[test]
fn news_waits_for_the_greeting() {
    let (mut proxy, mut backend) = pair(4);
    let id = session(&mut proxy, &mut backend);
    proxy.send(id, text("four"));
    exchange(&mut proxy, &mut backend, Profile::Json).expect("sound");
    proxy.connect();
    backend.connect();
    while let Some(frame) = proxy.poll() {
        backend.handle(frame).expect("sound");
    }
    backend.take(id);
    assert_eq!(backend.wants_acks(), None, "neither hello nor sync is written yet");
    while backend.poll().is_some() {}
    assert_eq!(backend.wants_acks(), Some(true));
}

/// Returns the other side's list of what it still has.
fn holding(sessions: &[Held]) -> Frame {
    Frame::Sync { epoch: None, sessions: sessions.to_vec(), more: false }
}

#[test]
fn answers_that_were_not_written_before_a_break_are_forgotten() {
    let (mut proxy, mut backend) = pair(100);
    let unknown = Id::new(77).expect("in range");
    let asked = proxy.open(opening()).expect("a number");
    exchange(&mut proxy, &mut backend, Profile::Json).expect("sound");
    backend.deny(asked, denied());
    backend.handle(Frame::Message(unknown, 1, text("?"))).expect("sound");
    backend.drain(3);
    backend.drain(2);
    proxy.connect();
    backend.connect();
    while let Some(frame) = proxy.poll() {
        backend.handle(frame).expect("sound");
    }
    let said: Vec<_> = std::iter::from_fn(|| backend.poll()).skip(2).collect();
    assert_eq!(said, [Frame::Drain(3)], "it is announced once");
}

#[test]
fn what_was_acknowledged_cannot_be_asked_for_again() {
    let (mut proxy, mut backend) = pair(100);
    let id = session(&mut proxy, &mut backend);
    proxy.send(id, text("got"));
    exchange(&mut proxy, &mut backend, Profile::Json).expect("sound");
    broken(&mut proxy);
    proxy.handle(hello(100, true)).expect("sound");
    assert!(proxy.handle(holding(&[Held { id, seq: Some(0), limit: 100 }])).is_err());
}

#[test]
fn a_list_without_an_end_is_a_violation() {
    let (mut proxy, _) = pair(100);
    broken(&mut proxy);
    proxy.handle(hello(100, true)).expect("sound");
    let held = Held { id: Id::new(9).expect("in range"), seq: Some(0), limit: 0 };
    let part = Frame::Sync { epoch: None, sessions: vec![held; 10_000], more: true };
    assert!((0..10).any(|_| proxy.handle(part.clone()).is_err()));
}

#[test]
fn an_ok_is_said_again_only_to_who_has_not_heard_it() {
    let (mut proxy, mut backend) = pair(100);
    let id = session(&mut proxy, &mut backend);
    for (seq, oks) in [(Some(0), 0), (None, 1)] {
        backend.connect();
        let epoch = "epoch".to_owned();
        let hello = Hello { epoch: epoch.clone(), credit: 100, resume_ms: 1, ..Hello::default() };
        backend.handle(Frame::Hello(hello)).expect("sound");
        let sessions = vec![Held { id, seq, limit: 100 }];
        backend.handle(Frame::Sync { epoch: Some(epoch), sessions, more: false }).expect("sound");
        let said = std::iter::from_fn(|| backend.poll()).filter(|frame| matches!(frame, Frame::Ok(..)));
        assert_eq!(said.count(), oks, "{seq:?}");
    }
}

#[test]
fn a_client_that_gave_up_in_a_break_is_not_asked_for_again() {
    let (mut proxy, _) = pair(100);
    let id = proxy.open(opening()).expect("a number");
    while proxy.poll().is_some() {}
    proxy.disconnect();
    proxy.close(id, Closing::default());
    broken(&mut proxy);
    proxy.handle(hello(100, true)).expect("sound");
    proxy.handle(holding(&[])).expect("sound");
    assert_eq!((proxy.poll(), proxy.sessions.len()), (None, 0));
}

#[test]
fn a_proxy_that_forgot_a_session_ends_it_with_1006() {
    let (mut proxy, mut backend) = pair(100);
    let id = session(&mut proxy, &mut backend);
    backend.connect();
    let epoch = "epoch".to_owned();
    let hello = Hello { epoch: epoch.clone(), credit: 100, resume_ms: 1, ..Hello::default() };
    backend.handle(Frame::Hello(hello)).expect("sound");
    backend.handle(sync(Some("epoch"), false)).expect("sound");
    assert_eq!(
        taken(&mut backend, id),
        [Notice::Closed(Closing::new(1006, "the proxy has lost the session"))]
    );
}

#[test]
fn who_waited_for_room_hears_of_the_limit_that_a_sync_brings() {
    let (mut proxy, mut backend) = pair(4);
    let id = session(&mut proxy, &mut backend);
    proxy.send(id, text("four"));
    exchange(&mut proxy, &mut backend, Profile::Json).expect("sound");
    assert!(!proxy.poll_room(id));
    broken(&mut proxy);
    proxy.handle(hello(4, true)).expect("sound");
    events(&mut proxy);
    proxy.handle(holding(&[Held { id, seq: Some(1), limit: 8 }])).expect("sound");
    assert_eq!(events(&mut proxy), [Event::Writable(id)]);
}

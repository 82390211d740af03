//! The rules of `docs/mux.md`, one by one.

use super::*;

#[test]
fn a_client_that_is_turned_away_is_told_why() {
    let (mut proxy, mut backend) = pair(100);
    let id = proxy.open(opening()).expect("a number");
    exchange(&mut proxy, &mut backend, Profile::Binary).expect("sound");
    backend.deny(id, denied());
    exchange(&mut proxy, &mut backend, Profile::Binary).expect("sound");
    assert!(events(&mut proxy).contains(&Event::Answered(id, Err(Box::new(denied())))));
    assert!(proxy.is_empty() && backend.is_empty());
}

#[test]
fn messages_before_a_close_arrive_before_it() {
    let (mut proxy, mut backend) = pair(100);
    let id = session(&mut proxy, &mut backend);
    for word in ["a", "b"] {
        assert!(backend.poll_room(id));
        backend.send(id, text(word));
    }
    backend.close(id, Closing::new(4001, "enough"));
    exchange(&mut proxy, &mut backend, Profile::Json).expect("sound");
    let expected = [
        Notice::Message(text("a")),
        Notice::Message(text("b")),
        Notice::Closed(Closing::new(4001, "enough")),
    ];
    assert_eq!(taken(&mut proxy, id), expected);
    proxy.close(id, Closing::default());
    exchange(&mut proxy, &mut backend, Profile::Json).expect("sound");
    assert_eq!((proxy.sessions.len(), backend.sessions.len()), (0, 0));
}

#[test]
fn a_sender_stops_at_its_limit_and_goes_on_when_the_reader_has_taken_half() {
    let (mut proxy, mut backend) = pair(10);
    let id = session(&mut proxy, &mut backend);
    let other = session(&mut proxy, &mut backend);
    for _ in 0..3 {
        assert!(backend.poll_room(id));
        backend.send(id, text("four"));
    }
    assert!(!backend.poll_room(id), "twelve bytes are above ten");
    exchange(&mut proxy, &mut backend, Profile::Binary).expect("sound");
    assert!(!backend.poll_room(id), "nobody has taken anything");
    assert!(backend.poll_room(other), "a slow client is nobody else's matter");
    events(&mut backend);
    assert_eq!(proxy.take(id), Some(Notice::Message(text("four"))));
    assert_eq!(proxy.take(id), Some(Notice::Message(text("four"))));
    exchange(&mut proxy, &mut backend, Profile::Binary).expect("sound");
    assert_eq!(events(&mut backend), [Event::Writable(id)]);
    assert!(backend.poll_room(id));
}

#[test]
fn a_message_over_its_credit_closes_its_session_alone() {
    let (mut proxy, mut backend) = pair(10);
    let id = session(&mut proxy, &mut backend);
    let other = session(&mut proxy, &mut backend);
    for seq in 1..=3 {
        proxy.handle(Frame::Message(id, seq, text("seven.."))).expect("the connection lives");
    }
    let notices = taken(&mut proxy, id);
    assert_eq!(notices.last(), Some(&Notice::Closed(Closing::new(1008, "over its credit"))));
    assert_eq!(notices.len(), 3, "what was within its credit is not lost");
    assert_eq!(proxy.poll(), Some(Frame::Close(id, 0, Closing::new(1008, "over its credit"))));
    assert!(proxy.poll_room(other));
}

#[test]
fn a_message_too_large_closes_its_session_on_either_side() {
    let (mut proxy, mut backend) = pair(100_000);
    for from_proxy in [true, false] {
        let id = session(&mut proxy, &mut backend);
        let line = if from_proxy { &mut proxy } else { &mut backend };
        line.send(id, Message::text("x".repeat(10_001)));
        exchange(&mut proxy, &mut backend, Profile::Binary).expect("sound");
        for line in [&mut proxy, &mut backend] {
            assert_eq!(taken(line, id), [Notice::Closed(Closing::new(1009, "message too large"))]);
            line.close(id, Closing::default());
        }
        exchange(&mut proxy, &mut backend, Profile::Binary).expect("sound");
        assert_eq!((proxy.sessions.len(), backend.sessions.len()), (0, 0));
    }
}

#[test]
fn a_backend_without_credit_is_bounded_all_the_same() {
    let mut proxy = proxy(10);
    proxy.connect();
    proxy.handle(Frame::Hello(Hello::default())).expect("sound");
    let mut begin = || {
        let id = proxy.open(opening()).expect("a number");
        proxy.handle(Frame::Ok(id, Box::default())).expect("sound");
        id
    };
    let (id, other) = (begin(), begin());
    for seq in 1..=3 {
        proxy.handle(Frame::Message(id, seq, text("seven.."))).expect("the connection lives");
    }
    assert_eq!(taken(&mut proxy, id).last(), Some(&Notice::Closed(Closing::new(1008, "over its credit"))));
    assert_eq!(proxy.acks(), None, "it takes no part");
    for _ in 0..2 {
        assert!(proxy.poll_room(other));
        proxy.send(other, text("seven.."));
    }
    assert!(!proxy.poll_room(other), "what nobody has written is bounded as well");
    while proxy.poll().is_some() {}
    assert!(proxy.poll_room(other), "what was written is not kept");
}

#[test]
fn an_unknown_session_is_closed_once_and_its_close_ignored() {
    let (mut proxy, _) = pair(100);
    let id = Id::new(77).expect("in range");
    for seq in 1..=3 {
        proxy.handle(Frame::Message(id, seq, text("?"))).expect("the connection lives");
    }
    proxy.handle(Frame::Close(id, 9, Closing::default())).expect("the connection lives");
    assert_eq!(proxy.poll(), Some(Frame::Close(id, 0, Closing::new(1001, "unknown session"))));
    assert_eq!(proxy.poll(), None);
}

#[test]
fn what_breaks_the_protocol_is_a_violation() {
    let hello = || Frame::Hello(Hello { epoch: "epoch".to_owned(), ..Hello::default() });
    let mut silent = backend(10, false);
    assert!(silent.handle(Frame::Drain(1)).is_err(), "no hello");
    let (mut proxy, mut backend) = pair(100);
    let id = session(&mut proxy, &mut backend);
    let frames = [
        Frame::Open(id, Box::default()),
        Frame::Transport(id, "polling".to_owned()),
        hello(),
        Frame::Message(id, 2, text("a seq too far")),
        Frame::Acks(vec![Ack { id, seq: 1, limit: 0 }]),
        Frame::Close(id, 1, Closing::default()),
        sync(None, false),
    ];
    for frame in frames {
        assert!(proxy.handle(frame.clone()).is_err(), "{frame:?}");
    }
    for frame in [Frame::Ok(id, Box::default()), hello()] {
        assert!(backend.handle(frame.clone()).is_err(), "{frame:?}");
    }
    let asked = proxy.open(opening()).expect("a number");
    assert!(proxy.handle(Frame::Message(asked, 1, text("before its ok"))).is_err());
}

#[test]
fn nothing_is_said_or_heard_before_hello_and_sync() {
    let (mut proxy, mut backend) = pair(100);
    let id = session(&mut proxy, &mut backend);
    let asked = proxy.open(opening()).expect("a number");
    exchange(&mut proxy, &mut backend, Profile::Json).expect("sound");
    for line in [&mut proxy, &mut backend] {
        line.disconnect();
        line.drain(1);
        line.connect();
    }
    assert!(proxy.handle(Frame::Message(id, 1, text("before hello"))).is_err());
    while let Some(frame @ Frame::Hello(_)) = proxy.poll() {
        backend.handle(frame).expect("sound");
    }
    backend.deny(asked, denied());
    let said: Vec<Frame> = std::iter::from_fn(|| backend.poll()).collect();
    let [hello @ Frame::Hello(_)] = &said[..] else { panic!("{said:?}") };
    proxy.handle(hello.clone()).expect("sound");
    for line in [&mut proxy, &mut backend] {
        assert!(line.handle(Frame::Message(id, 1, text("before sync"))).is_err());
    }
}

#[test]
fn a_drain_is_told_on_the_next_connection() {
    let (mut proxy, mut backend) = (proxy(100), backend(100, true));
    proxy.drain(7);
    meet(&mut proxy, &mut backend);
    assert!(events(&mut backend).contains(&Event::Drain(7)));
}

#[test]
fn a_client_that_gave_up_is_taken_back() {
    let (mut proxy, mut backend) = pair(100);
    let id = proxy.open(opening()).expect("a number");
    exchange(&mut proxy, &mut backend, Profile::Json).expect("sound");
    proxy.close(id, Closing::new(1001, "too slow"));
    exchange(&mut proxy, &mut backend, Profile::Json).expect("sound");
    assert_eq!(taken(&mut backend, id), [Notice::Closed(Closing::new(1001, "too slow"))]);
    backend.accept(id, Accepted::default());
    assert_eq!(backend.poll(), None, "no ok follows an x");
    backend.close(id, Closing::default());
    exchange(&mut proxy, &mut backend, Profile::Json).expect("sound");
    assert_eq!((proxy.sessions.len(), backend.sessions.len()), (0, 0));
}

#[test]
fn a_side_that_does_not_read_its_answers_is_not_to_be_heard() {
    let (mut proxy, _) = pair(100);
    let mut number = 0;
    while !proxy.is_choked() {
        number += 1;
        assert!(number < 10_000, "the answers pile up");
        let id = Id::new(number).expect("in range");
        proxy.handle(Frame::Message(id, 1, text("?"))).expect("the connection lives");
    }
    assert!(number > 1000, "a burst is nothing");
    proxy.poll();
    assert!(!proxy.is_choked());
}

#[test]
fn a_client_that_gave_up_before_it_was_written_is_never_heard_of() {
    let mut proxy = proxy(100);
    let id = proxy.open(opening()).expect("a number");
    proxy.close(id, Closing::default());
    assert!(proxy.is_empty());
}

#[test]
fn a_backend_that_forgot_everything_ends_every_session_with_a_reason() {
    let (mut proxy, mut first) = pair(100);
    let id = session(&mut proxy, &mut first);
    let closed = session(&mut proxy, &mut first);
    proxy.close(closed, Closing::default());
    let asked = proxy.open(opening()).expect("a number");
    let _ = std::iter::from_fn(|| proxy.poll()).count();
    proxy.disconnect();
    let mut second = backend(100, true);
    meet(&mut proxy, &mut second);
    assert_eq!(
        taken(&mut proxy, id),
        [Notice::Closed(Closing::new(1012, "the backend has lost the session"))]
    );
    assert!(!proxy.sessions.contains_key(&closed));
    assert!(events(&mut second).contains(&Event::Asked(asked, Box::new(opening()))), "asked again");
}

#[test]
fn a_session_that_waits_too_long_for_an_x_is_forgotten() {
    let (mut proxy, mut backend) = pair(100);
    let id = session(&mut proxy, &mut backend);
    let start = now();
    proxy.close(id, Closing::default());
    proxy.tidy(start);
    proxy.tidy(start + std::time::Duration::from_secs(59));
    assert_eq!(proxy.sessions.len(), 1);
    proxy.tidy(start + std::time::Duration::from_mins(1));
    assert_eq!(proxy.sessions.len(), 0);
}

#[test]
fn a_session_that_was_severed_is_forgotten_too_however_long_its_client_takes() {
    let (mut proxy, mut backend) = pair(100);
    let id = session(&mut proxy, &mut backend);
    let start = now();
    proxy.send(id, Message::text("x".repeat(10_001)));
    let minutes = |count| start + std::time::Duration::from_mins(count);
    proxy.tidy(start);
    proxy.tidy(minutes(1));
    assert_eq!(proxy.take(id), Some(Notice::Closed(Closing::new(1009, "message too large"))));
    proxy.close(id, Closing::default());
    proxy.tidy(minutes(2));
    assert_eq!(proxy.sessions.len(), 0);
}

#[test]
fn a_long_list_is_told_in_parts() {
    let (mut proxy, mut backend) = pair(100);
    for _ in 0..5000 {
        session_quietly(&mut proxy, &mut backend);
    }
    proxy.disconnect();
    backend.disconnect();
    proxy.connect();
    let parts =
        std::iter::from_fn(|| proxy.poll()).filter(|frame| matches!(frame, Frame::Sync { .. })).count();
    assert_eq!(parts, 2);
    proxy.disconnect();
    meet(&mut proxy, &mut backend);
    assert_eq!(proxy.sessions.values().filter(|stream| stream.is_open()).count(), 5000);
}

fn session_quietly(proxy: &mut Line, backend: &mut Line) {
    let id = proxy.open(opening()).expect("a number");
    while let Some(frame) = proxy.poll() {
        backend.handle(frame).expect("sound");
    }
    backend.accept(id, Accepted::default());
    while let Some(frame) = backend.poll() {
        proxy.handle(frame).expect("sound");
    }
}

#[test]
fn an_end_that_was_meant_is_told_to_those_who_know_that_word() {
    let goodbye = Closing { by_packet: true, ..Closing::new(1000, "") };
    for profile in [Profile::Json, Profile::Binary] {
        for (from, knows) in
            [(Side::Proxy, true), (Side::Backend, true), (Side::Proxy, false), (Side::Backend, false)]
        {
            let (mut proxy, mut backend) = (proxy(100), backend(100, false));
            proxy.hello.close_packets = knows;
            backend.hello.close_packets = knows;
            meet(&mut proxy, &mut backend);
            let id = session(&mut proxy, &mut backend);
            let ends = [&mut proxy, &mut backend];
            let [ours, theirs] = if from == Side::Proxy {
                ends
            } else {
                let [proxy, backend] = ends;
                [backend, proxy]
            };
            ours.close(id, goodbye.clone());
            while let Some(frame) = ours.poll() {
                theirs
                    .handle(profile.decode(profile.encode(&frame)).expect("it can be read"))
                    .expect("sound");
            }
            let heard = Closing { by_packet: knows, ..goodbye.clone() };
            assert_eq!(taken(theirs, id), [Notice::Closed(heard)], "{profile:?} from {from:?}");
        }
    }
}

//! Where two rules meet: what is sent first, what crosses with an end, and exact counts.

use super::*;
use crate::packet::Transport;

fn all(line: &mut Line) -> Vec<Frame> {
    std::iter::from_fn(|| line.poll()).collect()
}

fn id(number: u64) -> Id {
    Id::new(number).expect("in range")
}

/// Returns a proxy's line with this hello from the backend, and a session on it.
fn facing(mut proxy: Line, credit: u64, resume: bool) -> (Line, Id) {
    proxy.connect();
    proxy.handle(Frame::Hello(Hello { credit, resume, ..Hello::default() })).expect("sound");
    let id = proxy.open(opening()).expect("a number");
    proxy.handle(Frame::Ok(id, Box::default())).expect("sound");
    all(&mut proxy);
    (proxy, id)
}

fn hear(line: &mut Line, id: Id, seq: u64, message: &str) {
    line.handle(Frame::Message(id, seq, text(message))).expect("the connection lives");
}

#[test]
fn sessions_take_turns() {
    let (mut proxy, mut backend) = pair(100);
    let both = [session(&mut proxy, &mut backend), session(&mut proxy, &mut backend)];
    for word in ["a", "b"] {
        for id in both {
            backend.send(id, text(word));
        }
    }
    let said: Vec<_> = all(&mut backend)
        .into_iter()
        .filter_map(|frame| if let Frame::Message(id, seq, _) = frame { Some((id, seq)) } else { None })
        .collect();
    assert_eq!(said, [(both[0], 1), (both[1], 1), (both[0], 2), (both[1], 2)]);
}

#[test]
fn nothing_follows_an_x() {
    let (mut proxy, id) = facing(proxy(100), 100, true);
    proxy.close(id, Closing::default());
    assert_eq!(all(&mut proxy), [Frame::Close(id, 0, Closing::default())]);
    proxy.move_to(id, Transport::WebSocket);
    assert_eq!(all(&mut proxy), []);
}

#[test]
fn what_waits_is_dropped_behind_the_other_sides_x() {
    let (mut proxy, id) = facing(proxy(100), 100, true);
    proxy.send(id, text("nobody wants it"));
    proxy.handle(Frame::Close(id, 0, Closing::new(4000, "enough"))).expect("sound");
    assert!(matches!(all(&mut proxy)[..], [Frame::Close(closed, 0, _)] if closed == id));
    assert!(proxy.handle(Frame::Message(id, 1, text("?"))).is_err(), "a message behind its x");
}

#[test]
fn a_closed_session_takes_nothing_and_hands_on_nothing() {
    let (mut proxy, id) = facing(proxy(100), 100, true);
    hear(&mut proxy, id, 1, "before");
    proxy.close(id, Closing::default());
    hear(&mut proxy, id, 2, "crossed");
    assert_eq!(proxy.take(id), None);
    proxy.handle(Frame::Close(id, 2, Closing::default())).expect("both have arrived");
}

#[test]
fn a_limit_is_counted_to_the_byte() {
    for (first, second) in [("nine b...", None), ("ten bytes.", Some(Closing::new(1008, "over its credit")))]
    {
        let (mut proxy, id) = facing(proxy(10), 10, true);
        hear(&mut proxy, id, 1, first);
        hear(&mut proxy, id, 2, "x");
        let end = taken(&mut proxy, id).into_iter().find_map(|notice| match notice {
            Notice::Closed(closing) => Some(closing),
            Notice::Message(_) => None,
        });
        assert_eq!(end, second, "after {first}");
    }
}

#[test]
fn a_message_may_be_as_large_as_was_said() {
    let (mut proxy, id) = facing(proxy(100), 100, true);
    let most = "x".repeat(10_000);
    hear(&mut proxy, id, 1, &most);
    assert_eq!(taken(&mut proxy, id), [Notice::Message(text(&most))]);
}

#[test]
fn what_came_before_a_fault_is_handed_on_and_nothing_behind_it() {
    for (fault, code) in [("x".repeat(10_001), 1009), ("over".to_owned(), 1008)] {
        let (mut proxy, id) = facing(proxy(10), 10, true);
        hear(&mut proxy, id, 1, "ten bytes.");
        hear(&mut proxy, id, 2, &fault);
        hear(&mut proxy, id, 3, "behind");
        let [Notice::Message(first), Notice::Closed(end)] = &taken(&mut proxy, id)[..] else { panic!() };
        assert_eq!((first, end.code), (&text("ten bytes."), Some(code)));
    }
}

#[test]
fn empty_messages_are_bounded_in_both_directions() {
    let (mut proxy, id) = facing(proxy(100), 100, true);
    let mut sent = 0;
    while proxy.poll_room(id) {
        proxy.send(id, text(""));
        sent += 1;
        assert!(sent <= 1 << 16);
    }
    for seq in 1..=(1 << 16) + 1 {
        hear(&mut proxy, id, seq, "");
    }
    let last = taken(&mut proxy, id).pop();
    assert_eq!(last, Some(Notice::Closed(Closing::new(1008, "over its credit"))));
}

#[test]
fn what_came_is_acknowledged_before_anybody_takes_it_but_nobody_waits_for_that() {
    let (mut proxy, id) = facing(proxy(100), 100, true);
    for seq in 1..=2 {
        hear(&mut proxy, id, seq, "a word");
        assert_eq!(proxy.wants_acks(), Some(false));
        assert_eq!(proxy.acks(), Some(Frame::Acks(vec![Ack { id, seq, limit: 100 }])));
    }
    hear(&mut proxy, id, 3, &"x".repeat(60));
    while proxy.take(id).is_some() {}
    assert_eq!(proxy.wants_acks(), Some(true), "more than half is free again");
    assert!(proxy.acks().is_some());
    hear(&mut proxy, id, 4, "a word");
    assert_eq!(proxy.wants_acks(), Some(false));
}

#[test]
fn without_resume_only_a_raised_limit_is_news() {
    let (mut proxy, id) = facing(proxy(10), 100, false);
    hear(&mut proxy, id, 1, "ten bytes.");
    assert_eq!(proxy.wants_acks(), None);
    proxy.take(id);
    assert_eq!(proxy.wants_acks(), Some(true));
}

#[test]
fn either_side_turns_credit_and_resume_off() {
    let without = |resume_ms| {
        let hello = Hello { credit: 100, resume_ms, epoch: "epoch".to_owned(), ..Hello::default() };
        Line::new(Side::Proxy, hello, Budget::default())
    };
    let (line, _) = facing(proxy(0), 5, true);
    assert!(!line.resumes(), "no credit of ours");
    let (mut line, id) = facing(Line::new(Side::Proxy, Hello::default(), Budget::default()), 1, false);
    line.terms.window = 100;
    for _ in 0..2 {
        assert!(line.poll_room(id), "credit is off");
        line.send(id, text("two words"));
    }
    assert!(facing(without(1), 5, true).0.resumes());
    assert!(!facing(without(0), 5, true).0.resumes(), "the proxy never comes back");
    let mut backend = backend(100, true);
    let hello = Hello { epoch: "epoch".to_owned(), credit: 100, ..Hello::default() };
    backend.handle(Frame::Hello(hello)).expect("sound");
    assert!(!backend.resumes(), "its proxy never comes back");
}

#[test]
fn a_client_that_was_early_has_the_credit_of_the_first_hello() {
    let mut proxy = proxy(100);
    let id = proxy.open(opening()).expect("a number");
    proxy.connect();
    proxy.handle(Frame::Hello(Hello { credit: 4, ..Hello::default() })).expect("sound");
    proxy.handle(Frame::Ok(id, Box::default())).expect("sound");
    assert!(proxy.poll_room(id));
    proxy.send(id, text("four"));
    assert!(!proxy.poll_room(id));
}

#[test]
fn a_lower_limit_is_ignored() {
    let (mut proxy, id) = facing(proxy(100), 5, true);
    proxy.handle(Frame::Acks(vec![Ack { id, seq: 0, limit: 3 }])).expect("sound");
    proxy.send(id, text("four"));
    assert!(proxy.poll_room(id), "five were granted");
}

#[test]
fn a_question_that_comes_twice_has_its_answer_twice() {
    let (mut proxy, mut backend) = pair(100);
    let id = session(&mut proxy, &mut backend);
    backend.handle(Frame::Open(id, Box::new(opening()))).expect("sound");
    assert_eq!(all(&mut backend), [Frame::Ok(id, Box::default())]);
    assert_eq!(events(&mut backend), [], "it opens nothing");
}

#[test]
fn only_the_first_answer_counts() {
    let (mut proxy, id) = facing(proxy(100), 100, true);
    events(&mut proxy);
    proxy.handle(Frame::Deny(id, Box::new(denied()))).expect("sound");
    proxy.handle(Frame::Ok(id, Box::default())).expect("sound");
    assert!(events(&mut proxy).is_empty() && proxy.is_open(id));
}

#[test]
fn an_ok_for_a_stranger_is_answered_and_a_deny_is_not() {
    let (mut proxy, _) = facing(proxy(100), 100, true);
    proxy.handle(Frame::Ok(id(70), Box::default())).expect("sound");
    proxy.handle(Frame::Deny(id(71), Box::new(denied()))).expect("sound");
    assert_eq!(all(&mut proxy), [Frame::Close(id(70), 0, Closing::new(1001, "unknown session"))]);
}

#[test]
fn an_x_instead_of_an_answer_is_one() {
    let (mut proxy, _) = facing(proxy(100), 100, true);
    let asked = proxy.open(opening()).expect("a number");
    all(&mut proxy);
    events(&mut proxy);
    let closing = Closing::new(1011, "broken");
    proxy.handle(Frame::Close(asked, 0, closing.clone())).expect("sound");
    assert!(events(&mut proxy).contains(&Event::Unanswered(asked, closing)));
}

#[test]
fn only_questions_that_were_never_written_are_given_up_early() {
    let (mut proxy, _) = facing(proxy(100), 100, true);
    proxy.open(opening()).expect("a number");
    all(&mut proxy);
    let unwritten = proxy.open(opening()).expect("a number");
    events(&mut proxy);
    proxy.fail_unwritten(&Closing::default());
    let given_up: Vec<_> = events(&mut proxy)
        .into_iter()
        .filter_map(|event| if let Event::Unsent(id) = event { Some(id) } else { None })
        .collect();
    assert_eq!(given_up, [unwritten]);
}

#[test]
fn a_question_that_the_backend_has_forgotten_counts_as_not_asked() {
    let (mut proxy, _) = facing(proxy(100), 100, true);
    let asked = proxy.open(opening()).expect("a number");
    all(&mut proxy);
    proxy.connect();
    proxy.handle(Frame::Hello(Hello { credit: 100, resume: true, ..Hello::default() })).expect("sound");
    proxy.handle(Frame::Sync { epoch: None, sessions: Vec::new(), more: false }).expect("sound");
    events(&mut proxy);
    proxy.fail(&Closing::default());
    assert!(events(&mut proxy).contains(&Event::Unsent(asked)));
}

//! Receivers that want no more than so much: how long they wait, and what they take.

use super::*;

/// As a client has it that says how far it has come.
fn rig() -> Rig {
    let attendance = Attendance { beat: 15_000 * MS, absence: 60_000 * MS, is_heard: true };
    let policy = Policy {
        second: Second::Replaces,
        acks: Acks::OnCursor,
        pinger: Pinger::Nobody(attendance),
        goodbye_late: &[Packet::Close(None)],
        ..policy(HangUp::Returns)
    };
    let start = tokio::time::Instant::now().into_std();
    let pace = Heartbeat { interval: 25_000 * MS, timeout: 20_000 * MS };
    let settings = Arc::new(Settings::default());
    let session = Session::new(policy, settings, Transport::Polling, pace, KEEP_ALIVE, None, start);
    Rig { session, start, now: start }
}

fn waiting(ms: u32) -> Terms {
    Terms { wait: Some(ms * MS), beats: false, ..Terms::default() }
}

#[test]
fn a_poll_with_an_end_of_its_own_is_answered_with_nothing_then() {
    let mut rig = rig();
    assert_eq!(rig.session.handle_poll_on(waiting(25_000), rig.now), Ok(()));
    assert_eq!(rig.events(), []);
    assert_eq!(rig.pass(25_000 * MS - MS), [], "not even a ping");
    assert_eq!(rig.pass(MS), [answer(&[])]);
    assert!(!rig.session.is_parked());
    assert_eq!(rig.pass(59_000 * MS), [], "its client may come back");
}

#[test]
fn a_look_waits_for_nothing_not_even_for_an_echo() {
    let mut rig = rig();
    assert_eq!(rig.session.handle_poll_on(waiting(0), rig.now), Ok(()));
    assert_eq!(rig.events(), [answer(&[])]);
    rig.push(messages(&["a"]));
    rig.taken();
    assert_eq!(rig.events(), [ACCEPTED]);
    assert_eq!(rig.session.handle_poll_on(waiting(0), rig.now), Ok(()));
    rig.session.handle_upstream(Message::text("b"), rig.now);
    assert_eq!(rig.events(), [answer(&messages(&["b"]))]);
}

#[test]
fn a_poll_takes_no_more_messages_and_bytes_than_it_wants() {
    let mut rig = rig();
    for text in ["1234", "5678", "9", "0"] {
        rig.say(text);
    }
    let mut fetch = |messages, bytes, after| {
        assert_eq!(rig.session.handle_cursor(Some(after), rig.now), Ok(()));
        let terms = Terms { messages, bytes, ..waiting(0) };
        assert_eq!(rig.session.handle_poll_on(terms, rig.now), Ok(()));
        let mut events = rig.events();
        let Event::Answer(batch) = events.remove(0) else { panic!("an answer was due") };
        batch
    };
    assert_eq!(fetch(2, usize::MAX, 0), messages(&["1234", "5678"]));
    assert_eq!(fetch(usize::MAX, 1, 0), messages(&["1234"]), "one comes in any case");
    assert_eq!(fetch(usize::MAX, 7, 1), messages(&["5678"]));
    assert_eq!(fetch(usize::MAX, 8, 1), messages(&["5678", "9"]));
    assert_eq!(fetch(9, 99, 3), messages(&["0"]));
}

#[test]
fn a_stream_ends_when_it_has_had_the_messages_that_it_wants_or_has_waited_long_enough() {
    let mut rig = rig();
    let terms = Terms { messages: 2, ..Terms::default() };
    assert_eq!(rig.session.handle_stream(terms, rig.now), Ok(()));
    assert_eq!(rig.say("a"), [Event::Part(messages(&["a"]))]);
    assert_eq!(rig.pass(15_000 * MS), [Event::Part(vec![ping()])]);
    assert_eq!(rig.say("b"), [answer(&messages(&["b"]))]);
    assert_eq!(rig.session.handle_cursor(Some(2), rig.now), Ok(()));
    assert_eq!(rig.session.handle_stream(waiting(20_000), rig.now), Ok(()));
    assert_eq!(rig.say("c"), [Event::Part(messages(&["c"]))]);
    assert_eq!(rig.pass(20_000 * MS), [answer(&[])]);
}

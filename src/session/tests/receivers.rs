//! Receivers with limits on how long they wait and how much they accept.

use super::*;

/// The policy for a client that acknowledges messages.
fn rig() -> Rig {
    let liveness = Liveness { beat: 15_000 * MS, absence: 60_000 * MS, is_heard: true };
    let policy = Policy {
        second: Second::Replaces,
        acks: Acks::OnCursor,
        pinger: Pinger::Nobody(liveness),
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

/// The policy for a client without heartbeats, which must accept a batch before it gets the next.
fn unpinged(beat: Duration) -> Rig {
    let liveness = Liveness { beat, absence: 5_000 * MS, is_heard: false };
    let policy = Policy {
        second: Second::Refused,
        pinger: Pinger::Nobody(liveness),
        goodbye_late: &[Packet::Close(None)],
        ..policy(HangUp::Ends)
    };
    let settings = Settings { stall_timeout: 30_000 * MS, ..Settings::default() };
    let mut rig = Rig::begin_with(policy, settings, Transport::Polling);
    assert_eq!(rig.fetch(), [open()]);
    rig
}

fn stream(rig: &mut Rig) {
    assert_eq!(rig.session.handle_stream(Terms::default(), rig.now), Ok(()));
    assert_eq!(rig.events(), []);
}

#[test]
fn a_client_that_takes_nothing_of_its_stream_or_of_its_poll_is_given_up() {
    let mut streams = unpinged(25_000 * MS);
    stream(&mut streams);
    assert_eq!(streams.say("a"), [Event::Part(messages(&["a"]))]);
    assert_eq!(streams.pass(30_000 * MS - MS), [], "it may be slow, and gets no ping meanwhile");
    let events = streams.pass(MS);
    assert_eq!(events[1..], [Event::Ended(End::Stalled), closes_link(End::Stalled)]);

    let mut polls = unpinged(25_000 * MS);
    polls.poll();
    assert_eq!(polls.say("a"), [answer(&messages(&["a"]))]);
    assert_eq!(polls.pass(30_000 * MS), [Event::Ended(End::Stalled), closes_link(End::Stalled)]);
}

#[test]
fn a_client_that_takes_what_it_is_given_may_be_slow() {
    let mut rig = unpinged(25_000 * MS);
    stream(&mut rig);
    for _ in 0..3 {
        assert_eq!(rig.say("a"), [Event::Part(messages(&["a"]))]);
        assert_eq!(rig.pass(26_000 * MS), [], "one that is being given something needs no ping");
        rig.session.handle_delivered();
    }
}

#[test]
fn a_beat_that_no_client_was_told_of_is_not_kept_for_the_next() {
    let mut rig = unpinged(25_000 * MS);
    for _ in 0..3 {
        assert_eq!(rig.poll(), []);
        assert_eq!(rig.pass(25_000 * MS), [answer(&[ping()])]);
        rig.session.handle_untold(vec![ping()], rig.now);
    }
    assert_eq!(rig.poll(), []);
    assert_eq!(rig.say("a"), [answer(&messages(&["a"]))]);
}

#[test]
fn no_beat_comes_before_what_is_due_however_late_the_timer_is() {
    let liveness = Liveness { beat: 25_000 * MS, absence: 5_000 * MS, is_heard: false };
    let policy = Policy { pinger: Pinger::Nobody(liveness), ..policy(HangUp::Ends) };
    let mut rig = Rig::begin_with(policy, Settings::default(), Transport::Polling);
    rig.push(messages(&["a"]));
    rig.taken();
    assert_eq!(rig.events(), [ACCEPTED]);
    // The greeting waits for the backend's answer to that, and nobody looks at the clock meanwhile.
    assert_eq!(rig.poll(), []);
    rig.now += 26_000 * MS;
    rig.session.handle_timeout(rig.now);
    assert_eq!(rig.events(), [answer(&[open()])]);
}

#[test]
fn a_beat_of_zero_is_none() {
    let mut rig = unpinged(Duration::ZERO);
    rig.poll();
    assert_eq!(rig.session.poll_timeout(), None, "its connection alone shows whether it lives");
    assert_eq!(rig.pass(3_600_000 * MS), []);
    rig.session.handle_poll_gone(rig.now);
    assert_eq!(rig.events(), [Event::Ended(End::ClientGone), closes_link(End::ClientGone)]);
}

#[test]
fn a_stream_that_takes_nothing_is_given_up_unless_its_client_comes_again() {
    let mut gone = rig();
    let stall = Settings::default().stall_timeout;
    assert_eq!(gone.session.handle_stream(Terms::default(), gone.now), Ok(()));
    assert_eq!(gone.say("a"), [Event::Part(messages(&["a"]))]);
    let events = gone.pass(stall);
    assert!(events.contains(&Event::Ended(End::Stalled)), "{events:?}");

    let mut back = rig();
    assert_eq!(back.session.handle_stream(Terms::default(), back.now), Ok(()));
    assert_eq!(back.say("a"), [Event::Part(messages(&["a"]))]);
    assert_eq!(back.session.handle_cursor(Some(0), back.now), Ok(()));
    assert_eq!(back.session.handle_stream(Terms::default(), back.now), Ok(()));
    assert_eq!(back.events(), [answer(&[]), Event::Part(messages(&["a"]))]);
    back.session.handle_delivered();
    let events = back.pass(stall);
    assert!(!events.iter().any(|event| matches!(event, Event::Ended(_))), "{events:?}");
}

#[test]
fn what_no_connection_took_is_counted_as_lost_where_a_drain_ends_without_its_client() {
    for (unread, end) in [(None, End::Drained), (Some(0), End::Cut)] {
        let mut rig = rig();
        assert_eq!(rig.session.handle_poll_on(waiting(25_000), rig.now), Ok(()));
        assert_eq!(rig.say("a"), [answer(&messages(&["a"]))]);
        if let Some(number) = unread {
            rig.session.handle_unread(number);
            rig.session.handle_lost(messages(&["a"]), rig.now);
        }
        rig.session.handle_drain(1000 * MS, rig.now);
        let events = rig.pass(1000 * MS);
        assert!(events.contains(&Event::Ended(end)), "{events:?}");
    }
}

#[test]
fn a_late_loss_disturbs_no_client_that_has_asked_again() {
    let mut rig = rig();
    assert_eq!(rig.session.handle_poll_on(waiting(25_000), rig.now), Ok(()));
    assert_eq!(rig.say("a"), [answer(&messages(&["a"]))]);
    assert_eq!(rig.session.handle_cursor(Some(1), rig.now), Ok(()));
    assert_eq!(rig.session.handle_poll_on(waiting(25_000), rig.now), Ok(()));
    rig.session.handle_unread(0);
    rig.session.handle_lost(messages(&["a"]), rig.now);
    assert_eq!(rig.say("b"), [answer(&messages(&["b"]))]);
}

//! How a session reports its end to its client, and afterwards.

use super::*;

#[test]
fn a_goodbye_says_why_where_the_dialect_can() {
    let begin = || {
        let policy = Policy { why: Some(End::reason), ..policy(HangUp::Ends) };
        let mut rig = Rig::begin_with(policy, Settings::default(), Transport::Polling);
        assert_eq!(rig.fetch(), [open()]);
        rig
    };
    let says = |closing: &Closing| Packet::Close(Some(Box::new(closing.clone())));
    let closing = Closing::new(4001, "enough");

    let mut waiting = begin();
    waiting.poll();
    waiting.session.handle_upstream_closed(closing.clone(), waiting.now);
    assert_eq!(waiting.events(), [answer(&[says(&closing)]), Event::Ended(End::UpstreamClosed)]);

    let mut late = begin();
    late.say("a");
    late.session.handle_upstream_closed(closing.clone(), late.now);
    assert_eq!(late.fetch(), [message("a")]);
    assert_eq!(late.poll(), [answer(&[Packet::Noop, says(&closing)]), Event::Ended(End::UpstreamClosed)]);

    let mut drained = begin();
    drained.poll();
    drained.session.handle_drain(KEEP_ALIVE, drained.now);
    assert_eq!(drained.events()[0], answer(&[says(&End::Drained.closing())]));
}

#[test]
fn a_session_that_its_client_never_heard_of_is_forgotten_at_its_end() {
    let policy = Policy { why: Some(End::reason), remembered: MS, ..policy(HangUp::Ends) };
    let begin = || Rig::begin_with(policy, Settings::default(), Transport::Polling);
    let mut gone = begin();
    gone.poll();
    gone.session.handle_lost(vec![open()], gone.now);
    assert_eq!(gone.session.ending().unwrap().closing, End::ClientGone.closing());
    assert_eq!(gone.session.remembered(), None, "its client may come again under the same id");

    let mut told = begin();
    assert_eq!(told.fetch(), [open()]);
    told.poll();
    told.session.handle_poll_gone(told.now);
    assert_eq!(told.session.ending().unwrap().closing, End::ClientGone.closing());
    assert_eq!(told.session.remembered(), Some(MS));
}

#[test]
fn a_session_that_goes_on_at_another_node_tells_its_client_of_no_end() {
    let beat = Pinger::Nobody(Liveness { beat: MS, absence: MS, is_heard: true });
    for (pinger, nothing) in [(Pinger::Server, Packet::Noop), (beat, ping())] {
        let why: fn(End, &Closing) -> Closing = End::reason;
        let policy = Policy { why: Some(why), remembered: MS, pinger, ..policy(HangUp::Ends) };
        let mut rig = Rig::begin_with(policy, Settings::default(), Transport::Polling);
        assert_eq!(rig.fetch(), [open()]);
        rig.poll();
        rig.session.handle_ended(End::TakenOver, rig.now);
        let ended = [answer(&[nothing]), Event::Ended(End::TakenOver), closes_link(End::TakenOver)];
        assert_eq!(rig.events(), ended);
        assert_eq!(rig.session.ending(), None, "nothing is remembered of it");
        rig.session.handle_ended(End::TakenOver, rig.now);
        assert_eq!(rig.events(), []);
    }
}

#[test]
fn where_clients_have_text_alone_what_is_binary_becomes_text_or_is_the_end() {
    let policy = Policy { binary: Binary::AsText, why: Some(End::reason), ..policy(HangUp::Ends) };
    let mut rig = Rig::begin_with(policy, Settings::default(), Transport::Polling);
    assert_eq!(rig.fetch(), [open()]);
    let says = |rig: &mut Rig, bytes: &'static [u8]| {
        rig.session.handle_upstream(Message::Binary(bytes.into()), rig.now);
        rig.events()
    };
    assert_eq!(says(&mut rig, "é".as_bytes()), []);
    let closing = Closing::new(1003, "binary data");
    assert_eq!(says(&mut rig, b"\xff"), [Event::CloseLink(closing.clone())]);
    assert!(!rig.session.wants_upstream());
    assert_eq!(rig.fetch(), [message("é")], "what came before it arrives");
    let why = Packet::Close(Some(Box::new(closing)));
    assert_eq!(rig.poll(), [answer(&[Packet::Noop, why]), Event::Ended(End::UpstreamClosed)]);
    assert!(rig.session.is_over(), "its backend is not let go twice");
}

/// Returns a session whose ending is remembered, and whose client acknowledges messages if `acks` demands it.
fn remembered(acks: Acks) -> Rig {
    let liveness = Liveness { beat: 15_000 * MS, absence: 5_000 * MS, is_heard: true };
    let policy = Policy {
        acks,
        pinger: Pinger::Nobody(liveness),
        why: Some(End::reason),
        remembered: 5_000 * MS,
        goodbye_late: &[Packet::Close(None)],
        ..policy(HangUp::Returns)
    };
    let mut rig = Rig::begin_with(policy, Settings::default(), Transport::Polling);
    if acks == Acks::OnWrite {
        assert_eq!(rig.fetch(), [open()]);
        assert_eq!(rig.events(), []);
        return rig;
    }
    let pace = Heartbeat { interval: 25_000 * MS, timeout: 20_000 * MS };
    let settings = Arc::new(Settings::default());
    rig.session = Session::new(policy, settings, Transport::Polling, pace, KEEP_ALIVE, None, rig.now);
    rig
}

#[test]
fn a_closed_session_that_has_nothing_left_holds_no_place() {
    for acks in [Acks::OnWrite, Acks::OnCursor] {
        let mut rig = remembered(acks);
        rig.session.handle_upstream_closed(Closing::new(4001, "enough"), rig.now);
        assert_eq!(rig.events(), [Event::Ended(End::UpstreamClosed)], "{acks:?}");
        assert!(rig.session.is_over());
        assert_eq!(rig.session.ending().unwrap().closing, Closing::new(4001, "enough"));
    }
    // One that is still greeting its client is not known to it.
    let policy = Policy { why: Some(End::reason), remembered: 5_000 * MS, ..policy(HangUp::Ends) };
    let mut fresh = Rig::begin_with(policy, Settings::default(), Transport::Polling);
    fresh.session.handle_upstream_closed(Closing::default(), fresh.now);
    assert_eq!(fresh.events(), []);
    assert_eq!(fresh.fetch(), [open()]);
    fresh.session.handle_timeout(fresh.now);
    assert_eq!(fresh.events(), [Event::Ended(End::UpstreamClosed)], "now it is");
}

#[test]
fn a_closed_session_holds_its_place_until_its_last_message_was_written() {
    let mut rig = remembered(Acks::OnWrite);
    rig.say("a");
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.poll(), [answer(&messages(&["a"]))]);
    assert_eq!(rig.pass(MS), [], "it may be lost yet");
    rig.session.handle_delivered();
    assert_eq!(rig.pass(Duration::ZERO), [Event::Ended(End::UpstreamClosed)]);
}

#[test]
fn a_closed_session_keeps_what_is_not_acknowledged_as_long_as_its_client_may_be_absent() {
    let mut rig = remembered(Acks::OnCursor);
    assert!(rig.session.settings.close_timeout > 5_000 * MS);
    rig.say("a");
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    assert_eq!(rig.fetch(), messages(&["a"]));
    assert_eq!(rig.pass(5_000 * MS - MS), []);
    assert_eq!(rig.pass(MS), [Event::Ended(End::UpstreamClosed)]);
    assert_eq!(rig.session.ending().unwrap().unacknowledged, 1);
}

#[test]
fn a_drain_waits_for_what_was_not_handed_over_and_but_a_moment_for_a_client_that_has_everything() {
    for acks in [Acks::OnWrite, Acks::OnCursor] {
        let mut idle = remembered(acks);
        idle.session.handle_drain(4_000 * MS, idle.now);
        assert_eq!(idle.pass(1_000 * MS - MS), [], "{acks:?}: its client may be on its way");
        assert_eq!(idle.pass(MS), [Event::Ended(End::Drained), closes_link(End::Drained)]);

        let mut taken = remembered(acks);
        taken.say("a");
        assert_eq!(taken.fetch(), messages(&["a"]));
        assert_eq!(taken.events(), []);
        taken.session.handle_drain(4_000 * MS, taken.now);
        assert_eq!(taken.pass(1_000 * MS), [Event::Ended(End::Drained), closes_link(End::Drained)]);

        let mut left = remembered(acks);
        left.say("a");
        left.session.handle_drain(4_000 * MS, left.now);
        assert_eq!(left.pass(4_000 * MS - MS), []);
        assert_eq!(left.pass(MS), [Event::Ended(End::Cut), closes_link(End::Cut)]);

        // One whose backend had closed, and whose client comes late.
        let mut closed = remembered(acks);
        closed.say("a");
        closed.session.handle_upstream_closed(Closing::default(), closed.now);
        closed.session.handle_drain(4_000 * MS, closed.now);
        assert_eq!(closed.pass(3_000 * MS), []);
        assert_eq!(closed.fetch(), messages(&["a"]));
        let ends = |rig: &mut Rig| {
            rig.session.handle_timeout(rig.now);
            rig.events()
        };
        if acks == Acks::OnCursor {
            assert_eq!(ends(&mut closed), [], "its client may come to say that it has it");
            closed.now += 1_000 * MS;
        }
        assert_eq!(ends(&mut closed), [Event::Ended(End::Drained)]);

        // A POST that the backend has not taken is waited for.
        let mut sending = remembered(acks);
        sending.push(messages(&["a"]));
        sending.session.handle_drain(4_000 * MS, sending.now);
        assert_eq!(sending.pass(2_000 * MS), []);
        assert_eq!(sending.taken(), messages(&["a"]));
        assert_eq!(sending.events(), [ACCEPTED]);
        assert_eq!(sending.pass(1_000 * MS), [Event::Ended(End::Drained), closes_link(End::Drained)]);
    }
}

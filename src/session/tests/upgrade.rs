//! The move from polling to a WebSocket (protocol 4, "Upgrade"), and what happens if it fails.

use super::*;

#[test]
fn the_probe_is_answered_on_the_candidate() {
    let mut rig = Rig::polling();
    rig.probe();
    assert_eq!(rig.session.transport(), Transport::Polling);
}

#[test]
fn every_poll_of_the_window_is_released_not_only_the_first() {
    let mut rig = Rig::polling();
    rig.probe();
    for _ in 0..5 {
        assert_eq!(rig.poll(), []);
        assert_eq!(rig.pass(100 * MS - MS), []);
        assert_eq!(rig.pass(MS), [answer(&[Packet::Noop])]);
        rig.session.handle_delivered();
    }
}

#[test]
fn nothing_is_released_before_the_probe() {
    let mut rig = Rig::polling();
    rig.poll();
    assert_eq!(rig.session.handle_probe_opened(rig.now), Ok(()));
    assert_eq!(rig.pass(1000 * MS), []);
}

#[test]
fn a_poll_that_is_held_is_released_with_its_echoes() {
    let mut rig = Rig::polling();
    rig.probe();
    assert_eq!(rig.pass(99 * MS), []);
    rig.push(messages(&["hello"]));
    rig.taken();
    assert_eq!(rig.events(), [ACCEPTED]);
    rig.poll();
    rig.say("a");
    assert_eq!(rig.pass(MS), [answer(&messages(&["a"]))]);
}

#[test]
fn messages_go_on_by_poll_until_the_client_has_moved() {
    let mut rig = Rig::polling();
    rig.probe();
    rig.poll();
    assert_eq!(rig.say("a"), [answer(&messages(&["a"]))]);
    rig.session.handle_delivered();
    assert_eq!(rig.push(vec![pong()]), [ACCEPTED]);
}

#[test]
fn nothing_is_written_on_the_candidate_before_the_client_has_moved() {
    let mut rig = Rig::polling();
    rig.probe();
    rig.say("a");
    rig.say("b");
    assert!(!rig.session.has_for_socket());
    assert_eq!(rig.session.next_for_socket(rig.now), None);
    rig.session.handle_probe_packet(&Packet::Upgrade, rig.now);
    assert_eq!(rig.events(), [Event::Adopt]);
    assert_eq!(rig.written(), messages(&["a", "b"]));
    assert_eq!(rig.session.transport(), Transport::WebSocket);
    assert_eq!(rig.session.handle_poll(rig.now), Err(PollRefused::WrongTransport));
    assert_eq!(rig.session.handle_push_begun(rig.now), Err(PushRefused::WrongTransport));
    rig.say("c");
    assert_eq!(rig.written(), messages(&["c"]));
}

#[test]
fn the_move_waits_for_a_batch_that_is_on_its_way() {
    let mut rig = Rig::polling_with(HangUp::Returns, Settings::default());
    rig.probe();
    rig.poll();
    rig.say("a");
    rig.say("b");
    rig.session.handle_probe_packet(&Packet::Upgrade, rig.now);
    assert_eq!(rig.events(), [Event::Adopt]);
    assert!(!rig.session.has_for_socket(), "a may come home");
    rig.session.handle_lost(messages(&["a"]), rig.now);
    assert_eq!(rig.written(), messages(&["a", "b"]));
}

#[test]
fn an_upgrade_without_a_probe_is_taken() {
    let mut rig = Rig::polling();
    assert_eq!(rig.session.handle_probe_opened(rig.now), Ok(()));
    rig.session.handle_probe_packet(&Packet::Upgrade, rig.now);
    assert_eq!(rig.events(), [Event::Adopt]);
}

#[test]
fn a_poll_that_is_parked_when_the_client_moves_gets_a_goodbye() {
    let mut rig = Rig::polling();
    rig.poll();
    rig.probe();
    rig.session.handle_probe_packet(&Packet::Upgrade, rig.now);
    assert_eq!(rig.events(), [answer(&[Packet::Close(None)]), Event::Adopt]);
    assert!(!rig.session.is_ended());
}

#[test]
fn a_client_that_moves_may_drop_its_parked_poll() {
    for hang_up in [HangUp::Ends, HangUp::Returns] {
        let mut rig = Rig::polling_with(hang_up, Settings::default());
        rig.poll();
        rig.probe();
        rig.session.handle_probe_packet(&Packet::Upgrade, rig.now);
        assert_eq!(rig.events(), [answer(&[Packet::Close(None)]), Event::Adopt]);
        rig.say("a");
        rig.session.handle_lost(vec![Packet::Close(None)], rig.now);
        assert_eq!(rig.events(), []);
        assert_eq!(rig.written(), messages(&["a"]), "a goodbye to a poll is none to the socket");
    }
}

#[test]
fn a_goodbye_that_is_written_says_nothing_of_the_batch_before_it() {
    let mut rig = Rig::polling_with(HangUp::Returns, Settings::default());
    rig.probe();
    rig.poll();
    assert_eq!(rig.say("a"), [answer(&messages(&["a"]))]);
    rig.poll();
    rig.say("b");
    rig.session.handle_probe_packet(&Packet::Upgrade, rig.now);
    assert_eq!(rig.events(), [answer(&[Packet::Close(None)]), Event::Adopt]);
    rig.session.handle_delivered();
    assert!(!rig.session.has_for_socket(), "a may come home");
    rig.session.handle_lost(messages(&["a"]), rig.now);
    assert_eq!(rig.written(), messages(&["a", "b"]));
}

#[test]
fn a_post_that_is_being_read_when_the_client_moves_is_destroyed() {
    let mut rig = Rig::polling();
    rig.probe();
    assert_eq!(rig.session.handle_push_begun(rig.now), Ok(()));
    rig.session.handle_probe_packet(&Packet::Upgrade, rig.now);
    assert_eq!(rig.events(), [DESTROYED, Event::Adopt]);
}

#[test]
fn a_post_that_waits_when_the_client_moves_stays_in_front() {
    let mut rig = Rig::polling();
    rig.probe();
    rig.push(messages(&["a", "b"]));
    rig.session.handle_probe_packet(&Packet::Upgrade, rig.now);
    assert_eq!(rig.events(), [Event::Adopt]);
    assert!(!rig.session.wants_client());
    assert_eq!(rig.taken(), messages(&["a", "b"]));
    assert_eq!(rig.events(), [ACCEPTED]);
    assert!(rig.session.wants_client());
}

#[test]
fn a_goodbye_in_a_post_counts_though_the_client_has_moved_since() {
    let mut rig = Rig::polling();
    rig.probe();
    rig.push(vec![message("a"), Packet::Close(None), message("b")]);
    rig.session.handle_probe_packet(&Packet::Upgrade, rig.now);
    assert_eq!(rig.events(), [Event::Adopt]);
    assert_eq!(rig.taken(), messages(&["a"]));
    assert_eq!(
        rig.events(),
        [
            Event::CloseSocket(End::ClientClosed, Closing::default()),
            Event::Ended(End::ClientClosed),
            ACCEPTED,
            closes_link(End::ClientClosed)
        ]
    );
}

#[test]
fn a_wrong_packet_closes_the_candidate_and_polling_goes_on() {
    let wrong = [
        message("a"),
        Packet::Close(None),
        Packet::Noop,
        pong(),
        ping(),
        Packet::Ping("prob".into()),
        open(),
    ];
    for packet in wrong {
        for probed in [false, true] {
            let mut rig = Rig::polling();
            rig.poll();
            if probed {
                rig.probe();
            } else {
                assert_eq!(rig.session.handle_probe_opened(rig.now), Ok(()));
            }
            rig.session.handle_probe_packet(&packet, rig.now);
            assert_eq!(rig.events(), [Event::CloseProbe], "{packet:?}");
            assert_eq!(rig.pass(1000 * MS), [], "nothing is released any more");
            assert_eq!(rig.say("a"), [answer(&messages(&["a"]))]);
            rig.session.handle_delivered();
            rig.probe();
        }
    }
}

#[test]
fn a_candidate_that_is_gone_leaves_polling_alone() {
    let mut rig = Rig::polling();
    rig.poll();
    rig.probe();
    rig.session.handle_probe_gone();
    assert_eq!(rig.events(), [Event::CloseProbe]);
    assert_eq!(rig.say("a"), [answer(&messages(&["a"]))]);
}

#[test]
fn a_second_candidate_is_refused() {
    let mut rig = Rig::polling();
    rig.probe();
    assert_eq!(rig.session.handle_probe_opened(rig.now), Err(ProbeRefused));
    assert_eq!(rig.events(), []);
    rig.session.handle_probe_packet(&Packet::Upgrade, rig.now);
    assert_eq!(rig.events(), [Event::Adopt]);
    assert_eq!(rig.session.handle_probe_opened(rig.now), Err(ProbeRefused), "the client has moved");
}

#[test]
fn a_session_that_began_on_a_web_socket_takes_no_candidate() {
    let mut rig = Rig::web_socket();
    assert_eq!(rig.session.handle_probe_opened(rig.now), Err(ProbeRefused));
}

#[test]
fn a_candidate_is_let_go_after_upgrade_timeout() {
    let mut rig = Rig::polling();
    assert_eq!(rig.session.handle_probe_opened(rig.now), Ok(()));
    assert_eq!(rig.pass(5000 * MS), []);
    rig.session.handle_probe_packet(&Packet::Ping("probe".into()), rig.now);
    rig.events();
    assert_eq!(rig.pass(5000 * MS - MS), []);
    assert_eq!(rig.pass(MS), [Event::CloseProbe]);
    rig.session.handle_probe_packet(&Packet::Upgrade, rig.now);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.session.transport(), Transport::Polling);
}

#[test]
fn the_end_takes_the_candidate_along() {
    let mut rig = Rig::polling();
    rig.poll();
    rig.probe();
    rig.session.handle_poll_gone(rig.now);
    assert_eq!(
        rig.events(),
        [Event::CloseProbe, Event::Ended(End::ClientGone), closes_link(End::ClientGone)]
    );
}

#[test]
fn a_pong_that_crossed_with_the_move_gets_time_to_arrive() {
    let mut rig = Rig::polling_with(
        HangUp::Ends,
        Settings { ping_interval: Some(300 * MS), ping_timeout: Some(200 * MS), ..Settings::default() },
    );
    assert_eq!(rig.pass(300 * MS), []);
    assert_eq!(rig.fetch(), [ping()]);
    assert_eq!(rig.session.handle_probe_opened(rig.now), Ok(()));
    assert_eq!(rig.pass(199 * MS), []);
    rig.session.handle_probe_packet(&Packet::Upgrade, rig.now);
    assert_eq!(rig.events(), [Event::Adopt]);
    assert_eq!(rig.pass(199 * MS), []);
    rig.session.handle_packet(pong(), rig.now);
    assert_eq!(rig.session.poll_timeout(), Some(rig.time(998)));
}

#[test]
fn a_client_may_move_while_its_session_is_closing() {
    let mut rig = Rig::polling();
    rig.probe();
    rig.say("a");
    rig.session.handle_upstream_closed(Closing::new(4001, "over"), rig.now);
    rig.session.handle_probe_packet(&Packet::Upgrade, rig.now);
    assert_eq!(rig.events(), [Event::Adopt]);
    assert_eq!(rig.written(), messages(&["a"]));
    let closing = Closing::new(4001, "over");
    assert_eq!(
        rig.events(),
        [Event::CloseSocket(End::UpstreamClosed, closing), Event::Ended(End::UpstreamClosed)]
    );
}

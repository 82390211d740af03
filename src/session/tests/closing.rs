//! Every way in which a session ends, and what each side learns of it.

use super::*;

fn goodbye(end: End) -> [Event; 2] {
    [answer(&[Packet::Close(None)]), Event::Ended(end)]
}

#[test]
fn a_client_that_says_goodbye_has_its_poll_ended_by_a_noop() {
    let mut rig = Rig::polling();
    rig.poll();
    let events = rig.push(vec![Packet::Close(None)]);
    assert_eq!(
        events,
        [answer(&[Packet::Noop]), Event::Ended(End::ClientClosed), ACCEPTED, closes_link(End::ClientClosed)]
    );
    assert!(rig.session.is_over());
}

#[test]
fn messages_before_a_goodbye_are_handed_over_and_those_behind_it_are_not() {
    let mut rig = Rig::polling();
    rig.push(vec![message("a"), message("b"), Packet::Close(None), message("c")]);
    assert_eq!(rig.taken(), messages(&["a", "b"]));
    assert!(!rig.session.has_for_link());
    assert_eq!(rig.pass(2 * MS), [], "a poll may have been sent before it");
    assert_eq!(rig.pass(MS), [Event::Ended(End::ClientClosed), ACCEPTED, closes_link(End::ClientClosed)]);
}

#[test]
fn a_goodbye_that_overtook_its_clients_poll_is_judged_behind_it() {
    let mut rig = Rig::polling();
    assert_eq!(rig.push(vec![Packet::Close(None)]), []);
    let gone =
        [answer(&[Packet::Noop]), Event::Ended(End::ClientClosed), ACCEPTED, closes_link(End::ClientClosed)];
    assert_eq!(rig.poll(), gone, "as if the poll had come first");
    assert!(rig.session.is_over());
    // This holds however late the clock is read: the process may have been suspended.
    let mut rig = Rig::polling();
    rig.push(vec![Packet::Close(None)]);
    rig.now += 1000 * MS;
    assert_eq!(rig.poll(), gone);
}

#[test]
fn nothing_else_waits_with_a_goodbye() {
    for next in ["a POST", "a probe", "the backend's end", "a broken link", "a drain"] {
        let mut rig = Rig::polling();
        rig.push(vec![Packet::Close(None)]);
        match next {
            "a POST" => assert_eq!(rig.session.handle_push_begun(rig.now), Err(PushRefused::Over)),
            "a probe" => assert_eq!(rig.session.handle_probe_opened(rig.now), Err(ProbeRefused)),
            "the backend's end" => rig.session.handle_upstream_closed(Closing::default(), rig.now),
            "a broken link" => {
                rig.session.handle_link_broken(rig.now);
                rig.session.handle_upstream_closed(Closing::default(), rig.now);
            }
            _ => rig.session.handle_drain(5000 * MS, rig.now),
        }
        assert!(rig.events().contains(&Event::Ended(End::ClientClosed)), "{next}");
        assert!(rig.session.is_over(), "{next}");
    }
}

#[test]
fn what_follows_a_goodbye_is_not_heard_when_the_client_is_gone_already() {
    let mut rig = Rig::polling();
    rig.poll();
    rig.push(vec![message("a"), Packet::Close(None), message("b")]);
    rig.session.handle_poll_gone(rig.now);
    assert_eq!(rig.events(), [Event::Ended(End::ClientGone)]);
    assert_eq!(rig.taken(), messages(&["a"]));
    assert_eq!(rig.events(), [ACCEPTED, closes_link(End::ClientGone)]);
}

#[test]
fn a_client_that_is_gone_is_told_of_at_once_but_behind_what_it_had_sent() {
    let mut rig = Rig::polling();
    rig.poll();
    rig.push(messages(&["a", "b"]));
    rig.session.handle_poll_gone(rig.now);
    assert_eq!(rig.events(), [Event::Ended(End::ClientGone)]);
    assert_eq!(rig.taken(), messages(&["a", "b"]));
    assert_eq!(rig.events(), [ACCEPTED, closes_link(End::ClientGone)]);
}

#[test]
fn nonsense_is_answered_ok_and_ends_the_session() {
    let mut rig = Rig::polling();
    rig.poll();
    let body = engineio::Payload::new("4a\x1ex\x1e4b".into());
    assert_eq!(rig.push_raw(Box::new(body)), []);
    assert_eq!(rig.taken(), messages(&["a"]));
    let [goodbye, ended] = goodbye(End::ParseError);
    assert_eq!(rig.events(), [goodbye, ended, ACCEPTED, closes_link(End::ParseError)]);
    assert!(rig.session.is_over());
}

#[test]
fn a_ping_from_a_client_is_nonsense() {
    let mut rig = Rig::polling();
    rig.poll();
    let [goodbye, ended] = goodbye(End::ParseError);
    assert_eq!(
        rig.push(vec![ping(), message("a")]),
        [goodbye, ended, ACCEPTED, closes_link(End::ParseError)]
    );
}

#[test]
fn a_parked_poll_hears_at_once_that_the_backend_is_gone() {
    let mut rig = Rig::polling();
    rig.poll();
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    assert_eq!(rig.events(), goodbye(End::UpstreamClosed));
    assert!(rig.session.is_over());
}

#[test]
fn the_next_poll_hears_that_the_backend_is_gone() {
    let mut rig = Rig::polling();
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.poll(), [answer(&[Packet::Noop, Packet::Close(None)]), Event::Ended(End::UpstreamClosed)]);
    assert!(rig.session.is_over());
}

#[test]
fn what_the_backend_said_last_comes_before_its_goodbye() {
    let mut rig = Rig::polling();
    rig.say("a");
    rig.say("b");
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    assert_eq!(rig.fetch(), messages(&["a", "b"]));
    assert_eq!(rig.poll(), [answer(&[Packet::Noop, Packet::Close(None)]), Event::Ended(End::UpstreamClosed)]);
}

#[test]
fn the_goodbye_waits_for_a_batch_that_is_on_its_way() {
    let mut rig = Rig::polling_with(HangUp::Returns, Settings::default());
    rig.poll();
    rig.say("a");
    assert_eq!(rig.poll(), []);
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    assert_eq!(rig.events(), []);
    rig.session.handle_lost(messages(&["a"]), rig.now);
    assert_eq!(rig.events(), [answer(&messages(&["a"]))]);
}

#[test]
fn a_closed_session_waits_close_timeout_for_its_client() {
    let mut rig = Rig::polling();
    rig.say("a");
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    assert_eq!(rig.pass(30_000 * MS - MS), []);
    assert_eq!(rig.pass(MS), [Event::Ended(End::UpstreamClosed)]);
    assert!(rig.session.is_over());
}

#[test]
fn a_post_without_messages_to_a_closing_session_is_answered_ok_and_ignored() {
    let mut rig = Rig::polling();
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    assert_eq!(rig.push(vec![pong(), Packet::Close(None)]), [ACCEPTED]);
    assert!(!rig.session.is_ended());
}

#[test]
fn a_message_that_nobody_takes_is_refused_when_the_client_knows_of_the_end() {
    let mut rig = Rig::polling();
    rig.say("a");
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    assert_eq!(rig.push(vec![message("b")]), [], "a refusal now would cost the client what is left for it");
    assert_eq!(rig.fetch(), messages(&["a"]));
    let late = answer(&[Packet::Noop, Packet::Close(None)]);
    assert_eq!(rig.poll(), [late, REFUSED, Event::Ended(End::UpstreamClosed)]);
    assert!(!rig.session.has_for_link());
    // A client that fetches nothing before its POST is answered does not wait for long, and one that has nothing to
    // fetch does not wait at all.
    let mut rig = Rig::polling();
    rig.say("a");
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    assert_eq!(rig.push(vec![message("b")]), []);
    assert_eq!(rig.pass(1000 * MS), [REFUSED]);
    assert_eq!(rig.fetch(), messages(&["a"]));
    assert_eq!(rig.push(vec![message("b")]), [REFUSED]);
    assert!(!rig.session.is_ended());
}

#[test]
fn a_post_that_a_gone_backend_has_not_taken_is_refused() {
    let mut rig = Rig::polling();
    rig.push(messages(&["a", "b"]));
    assert!(rig.session.next_for_link(rig.now).is_some());
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    assert_eq!(rig.events(), [REFUSED]);
    assert!(!rig.session.has_for_link());
}

#[test]
fn a_post_whose_last_message_broke_the_link_is_refused() {
    let mut rig = Rig::polling();
    rig.push(messages(&["a"]));
    assert_eq!(rig.taken(), messages(&["a"]));
    rig.session.handle_link_broken(rig.now);
    assert_eq!(rig.events(), [REFUSED]);
}

#[test]
fn a_broken_link_does_not_stop_the_heartbeat() {
    let mut rig = Rig::polling();
    rig.push(messages(&["a"]));
    assert_eq!(rig.pass(1000 * MS), []);
    rig.session.handle_link_broken(rig.now);
    assert_eq!(rig.events(), [REFUSED]);
    assert_eq!(rig.session.poll_timeout(), Some(rig.time(26_000)));
}

#[test]
fn the_backend_may_close_while_it_is_given_the_last_of_a_gone_client() {
    let mut rig = Rig::polling();
    rig.poll();
    rig.push(messages(&["a"]));
    rig.session.handle_poll_gone(rig.now);
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    assert_eq!(rig.events(), [Event::Ended(End::ClientGone), REFUSED]);
    assert!(rig.session.is_over());
}

#[test]
fn a_gone_clients_messages_are_given_up_after_stall_timeout() {
    let mut rig = Rig::polling();
    rig.push(messages(&["a"]));
    assert_eq!(rig.pass(40_000 * MS), []);
    rig.poll();
    rig.session.handle_poll_gone(rig.now);
    assert_eq!(rig.events(), [Event::Ended(End::ClientGone)]);
    // Passing the time at which the POST has waited for `stall_timeout` must not spin.
    assert_eq!(rig.pass(60_000 * MS), [REFUSED, closes_link(End::ClientGone)]);
    assert!(rig.session.is_over());
}

#[test]
fn a_drain_lets_the_client_fetch_what_is_left_and_then_the_backend_go() {
    let mut rig = Rig::polling();
    rig.say("a");
    rig.session.handle_drain(5000 * MS, rig.now);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.fetch(), messages(&["a"]));
    assert_eq!(rig.pass(70 * MS), []);
    let late = answer(&[Packet::Noop, Packet::Close(None)]);
    assert_eq!(rig.poll(), [late, Event::Ended(End::Drained), closes_link(End::Drained)]);
    assert!(rig.session.is_over());
}

#[test]
fn a_drain_ends_a_parked_poll_at_once() {
    let mut rig = Rig::polling();
    rig.poll();
    rig.session.handle_drain(5000 * MS, rig.now);
    let [told, ended] = goodbye(End::Drained);
    assert_eq!(rig.events(), [told, ended, closes_link(End::Drained)]);
}

#[test]
fn a_drain_passes_on_what_either_side_says_until_both_are_quiet() {
    let mut rig = Rig::polling();
    rig.push(messages(&["a"]));
    rig.poll();
    rig.session.handle_drain(5000 * MS, rig.now);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.taken(), messages(&["a"]), "it was on its way when the drain began");
    assert_eq!(rig.events(), [ACCEPTED]);
    assert_eq!(rig.pass(20 * MS), []);
    assert_eq!(rig.say("echo"), [answer(&messages(&["echo"]))]);
    rig.session.handle_delivered();
    // Accepted during the drain, and delivered.
    assert_eq!(rig.push(messages(&["b"])), []);
    assert_eq!(rig.taken(), messages(&["b"]));
    assert_eq!(rig.events(), [ACCEPTED]);
    assert_eq!(rig.poll(), []);
    assert_eq!(rig.pass(69 * MS), []);
    let late = answer(&[Packet::Noop, Packet::Close(None)]);
    assert_eq!(rig.pass(MS), [late, Event::Ended(End::Drained), closes_link(End::Drained)]);
}

#[test]
fn a_drain_waits_half_its_patience_for_quiet() {
    let mut rig = Rig::polling();
    rig.say("0");
    rig.session.handle_drain(1000 * MS, rig.now);
    for _ in 0..25 {
        rig.fetch();
        assert_eq!(rig.pass(20 * MS), []);
        if rig.session.wants_upstream() {
            rig.say("more");
        }
    }
    assert!(!rig.session.wants_upstream(), "a backend that never stops is not read for ever");
    let late = answer(&[Packet::Noop, Packet::Close(None)]);
    assert_eq!(rig.poll(), [late, Event::Ended(End::Drained), closes_link(End::Drained)]);
}

#[test]
fn a_drain_has_no_more_patience_than_it_says() {
    let mut rig = Rig::polling();
    rig.session.handle_drain(5000 * MS, rig.now);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.pass(4999 * MS), []);
    assert_eq!(rig.pass(MS), [Event::Ended(End::Drained), closes_link(End::Drained)]);

    let mut rig = Rig::polling();
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    rig.session.handle_drain(5000 * MS, rig.now);
    assert_eq!(rig.pass(5000 * MS), [Event::Ended(End::UpstreamClosed)]);
}

#[test]
fn what_a_drain_drops_in_either_direction_is_cut() {
    let mut rig = Rig::polling();
    rig.say("never fetched");
    rig.session.handle_drain(5000 * MS, rig.now);
    assert_eq!(rig.pass(5000 * MS), [Event::Ended(End::Cut), closes_link(End::Cut)]);
    // The backend was gone before, and the drain leaves less time to fetch its last messages.
    let mut rig = Rig::polling();
    rig.say("never fetched");
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    rig.session.handle_drain(5000 * MS, rig.now);
    assert_eq!(rig.pass(5000 * MS), [Event::Ended(End::Cut)]);
    // The backend accepts nothing.
    let mut rig = Rig::web_socket();
    rig.session.handle_packet(message("never taken"), rig.now);
    rig.session.handle_drain(5000 * MS, rig.now);
    let events = rig.pass(5000 * MS);
    assert!(events.contains(&Event::Ended(End::Cut)), "{events:?}");
}

#[test]
fn a_backend_that_goes_in_a_drain_has_its_last_words_fetched() {
    let mut rig = Rig::polling();
    rig.say("a");
    rig.session.handle_drain(5000 * MS, rig.now);
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    assert_eq!(rig.push(vec![message("b")]), []);
    assert_eq!(rig.fetch(), messages(&["a"]));
    let late = answer(&[Packet::Noop, Packet::Close(None)]);
    assert_eq!(rig.poll(), [late, REFUSED, Event::Ended(End::Drained)]);
    assert!(rig.session.is_over());
}

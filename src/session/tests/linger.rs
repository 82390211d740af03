//! A poll after a POST is held for a moment, so that it returns all the echoes.

use super::*;

/// Returns a session whose link has accepted a POST, and whose client polled right after it.
fn held() -> Rig {
    let mut rig = Rig::polling();
    assert_eq!(rig.push(messages(&["hello"])), []);
    assert_eq!(rig.taken(), messages(&["hello"]));
    assert_eq!(rig.events(), [ACCEPTED]);
    assert_eq!(rig.poll(), []);
    rig
}

#[test]
fn a_poll_behind_a_post_brings_back_all_the_echoes() {
    let mut rig = held();
    assert_eq!(rig.pass(MS / 2), []);
    assert_eq!(rig.say("a"), []);
    assert_eq!(rig.pass(MS / 2), []);
    assert_eq!(rig.say("b"), []);
    assert_eq!(rig.pass(MS - MS / 100), [], "the backend has not been quiet for long enough");
    assert_eq!(rig.pass(MS / 100), [answer(&messages(&["a", "b"]))]);
}

#[test]
fn a_backend_that_goes_on_speaking_holds_a_poll_no_longer_than_the_window() {
    let mut rig = held();
    let mut texts = Vec::new();
    for text in ["a", "b", "c", "d", "e"] {
        assert_eq!(rig.pass(MS / 2), []);
        assert_eq!(rig.say(text), []);
        texts.push(text);
    }
    assert_eq!(rig.pass(MS / 2), [answer(&messages(&texts))]);
}

#[test]
fn a_poll_stays_parked_when_its_window_closes_on_silence() {
    let mut rig = held();
    assert_eq!(rig.pass(50 * MS), []);
    assert!(rig.session.is_parked());
    let next = rig.session.poll_timeout();
    assert_eq!(next, Some(rig.time(25_000)), "nothing is due but the ping");
    assert_eq!(rig.say("a"), [answer(&messages(&["a"]))]);
}

#[test]
fn an_echo_that_an_earlier_poll_brought_does_not_keep_the_clock_busy() {
    let mut rig = Rig::polling();
    rig.push(messages(&["hello"]));
    rig.taken();
    rig.events();
    rig.say("a");
    rig.now += 2 * MS;
    assert_eq!(rig.fetch(), messages(&["a"]), "the backend has fallen quiet already");
    assert_eq!(rig.poll(), []);
    assert_eq!(rig.pass(MS / 2), []);
    assert_eq!(rig.session.poll_timeout(), Some(rig.time(25_000)));
}

#[test]
fn a_poll_that_was_parked_before_the_post_is_not_held() {
    let mut rig = Rig::polling();
    assert_eq!(rig.poll(), []);
    rig.push(messages(&["hello"]));
    rig.taken();
    assert_eq!(rig.events(), [ACCEPTED]);
    assert_eq!(rig.say("a"), [answer(&messages(&["a"]))]);
}

#[test]
fn a_poll_long_after_the_post_is_not_held() {
    let mut rig = Rig::polling();
    rig.push(messages(&["hello"]));
    rig.taken();
    rig.events();
    rig.say("a");
    assert_eq!(rig.pass(3 * MS), []);
    assert_eq!(rig.poll(), [answer(&messages(&["a"]))]);
}

#[test]
fn a_linger_of_zero_holds_nothing() {
    let mut rig = Rig::polling_with(HangUp::Ends, Settings { linger: Duration::ZERO, ..Settings::default() });
    rig.push(messages(&["hello"]));
    rig.taken();
    rig.events();
    rig.say("a");
    assert_eq!(rig.poll(), [answer(&messages(&["a"]))]);
}

#[test]
fn a_goodbye_is_not_held() {
    let mut rig = held();
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    assert_eq!(rig.events(), [answer(&[Packet::Close(None)]), Event::Ended(End::UpstreamClosed)]);
}

#[test]
fn what_came_before_the_goodbye_is_not_held_either() {
    let mut rig = held();
    rig.say("a");
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    assert_eq!(rig.events(), [answer(&messages(&["a"]))]);
}

/// Returns a client of Socket.IO 2, whose handshake waits for the `0` that connects it.
fn greeting(linger: Duration) -> Rig {
    let piggyback = Piggyback { is_it: |packet| *packet == message("0"), patience: 50 * MS };
    let policy = Policy { pinger: Pinger::Client, piggyback: Some(piggyback), ..policy(HangUp::Ends) };
    Rig::begin_with(policy, Settings { linger, ..Settings::default() }, Transport::Polling)
}

#[test]
fn a_handshake_is_answered_with_the_open_packet_alone() {
    let mut rig = Rig::begin(HangUp::Ends, Settings::default(), Transport::Polling);
    rig.say("0");
    rig.say("a");
    assert_eq!(rig.fetch(), [open()], "a client may read no further than the first packet");
    assert_eq!(rig.fetch(), messages(&["0", "a"]));
}

#[test]
fn an_old_clients_handshake_carries_what_connects_it_and_nothing_else() {
    let mut rig = greeting(3 * MS);
    rig.say("0");
    rig.say("a");
    assert_eq!(rig.fetch(), [open(), message("0")]);
    assert_eq!(rig.fetch(), messages(&["a"]));
    let mut rig = greeting(3 * MS);
    rig.say("a");
    rig.say("0");
    assert_eq!(rig.fetch(), [open()], "what comes before it stays before it");
    assert_eq!(rig.fetch(), messages(&["a", "0"]));
}

#[test]
fn a_handshake_waits_for_the_backends_first_words_and_no_longer() {
    for (first, batch) in [("0", vec![open(), message("0")]), ("a", vec![open()])] {
        let mut rig = greeting(3 * MS);
        assert_eq!(rig.poll(), []);
        assert_eq!(rig.pass(30 * MS), []);
        assert_eq!(rig.say(first), [answer(&batch)]);
    }
    let mut rig = greeting(3 * MS);
    rig.say("0");
    assert_eq!(rig.fetch(), [open(), message("0")]);
    assert_eq!(rig.poll(), []);
    assert_eq!(rig.say("a"), [answer(&messages(&["a"]))], "only the first is held");
}

#[test]
fn a_backend_that_says_nothing_does_not_hold_the_handshake_for_long() {
    let mut rig = greeting(3 * MS);
    assert_eq!(rig.poll(), []);
    assert_eq!(rig.pass(49 * MS), []);
    assert_eq!(rig.pass(2 * MS), [answer(&[open()])]);
    let mut rig = greeting(Duration::ZERO);
    assert_eq!(rig.poll(), [answer(&[open()])], "without linger nothing is held");
}

#[test]
fn the_heartbeats_clock_starts_when_the_handshakes_answer_leaves() {
    let mut rig = greeting(3 * MS);
    rig.poll();
    assert_eq!(rig.pass(51 * MS), [answer(&[open()])]);
    rig.session.handle_delivered();
    assert_eq!(rig.session.poll_timeout(), Some(rig.time(50 + 45_000)), "25 s and 20 s behind the answer");
    let mut rig = Rig::begin(HangUp::Ends, Settings::default(), Transport::WebSocket);
    rig.now += 70 * MS;
    assert_eq!(rig.written(), [open()]);
    assert_eq!(rig.session.poll_timeout(), Some(rig.time(70 + 25_000)));
}

#[test]
fn a_poll_waits_longer_for_the_echoes_of_a_busy_backend_where_the_dialect_wants_it() {
    let policy = Policy { echoes: 50 * MS, ..policy(HangUp::Ends) };
    let mut rig = Rig::begin_with(policy, Settings::default(), Transport::Polling);
    rig.fetch();
    rig.push(messages(&["1", "2"]));
    rig.taken();
    rig.events();
    assert_eq!(rig.poll(), []);
    assert_eq!(rig.pass(10 * MS), []);
    assert_eq!(rig.say("a"), []);
    assert_eq!(rig.pass(20 * MS), [], "one is not there");
    assert_eq!(rig.say("b"), []);
    assert_eq!(rig.pass(MS), [answer(&messages(&["a", "b"]))], "and then it need not wait");
    rig.session.handle_delivered();
    // A backend that answers fewer messages is waited for no longer than that.
    rig.push(messages(&["3", "4"]));
    rig.taken();
    rig.events();
    assert_eq!(rig.poll(), []);
    assert_eq!(rig.say("c"), []);
    assert_eq!(rig.pass(49 * MS), []);
    assert_eq!(rig.pass(MS), [answer(&messages(&["c"]))]);
}

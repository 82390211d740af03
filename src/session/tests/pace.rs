//! A client that sends too fast waits: nothing of what it has sent is lost, and it is not taken for dead.

use super::super::Rate;
use super::*;

/// Ten messages a second, or a thousand bytes.
fn slow() -> Settings {
    let rate = Rate { messages: Some(10), bytes: Some(1000) };
    let [ping_interval, ping_timeout] = [300, 200].map(|ms| Some(ms * MS));
    Settings { rate, ping_interval, ping_timeout, stall_timeout: 400 * MS, ..Settings::default() }
}

fn messages(numbers: std::ops::RangeInclusive<u32>) -> Vec<Packet> {
    numbers.map(|number| Packet::Message(Message::text(number.to_string()))).collect()
}

#[test]
fn a_post_with_too_many_messages_is_answered_once_the_last_has_gone() {
    let mut rig = Rig::polling_with(HangUp::Ends, slow());
    assert_eq!(rig.push(messages(1..=25)), []);
    let mut went = rig.taken();
    assert_eq!(went, messages(1..=10), "what comes in a second goes at once");
    for _ in 0..15 {
        assert!(!rig.session.has_for_link());
        assert_eq!(rig.pass(100 * MS - MS), []);
        assert!(!rig.session.has_for_link());
        assert_eq!(rig.pass(MS), []);
        went.extend(rig.taken());
    }
    assert_eq!(went, messages(1..=25));
    assert_eq!(rig.events(), [ACCEPTED]);
}

#[test]
fn a_websocket_with_too_long_a_message_is_not_read_and_its_client_lives() {
    let mut rig = Rig::web_socket_with(slow());
    let long = || Packet::Message(Message::text("x".repeat(3000)));
    for _ in 0..2 {
        assert!(rig.session.wants_client());
        rig.session.handle_packet(long(), rig.now);
        assert_eq!(rig.events(), []);
        if rig.session.has_for_link() && rig.taken().is_empty() {
            // Longer than a client may be silent, and a backend may be stalled.
            assert_eq!(rig.pass(3000 * MS - MS), []);
            assert!(!rig.session.wants_client() && !rig.session.has_for_link());
            assert_eq!(rig.pass(MS), []);
            assert_eq!(rig.taken(), [long()]);
        }
    }
    assert!(rig.session.wants_client());
    assert_eq!(rig.now, rig.time(3000), "the first went at once");
    assert!(rig.pass(300 * MS).is_empty(), "the time until the next ping begins again");
    assert_eq!(rig.written(), [Packet::Ping(Text::default())]);
}

#[test]
fn a_backend_that_takes_nothing_afterwards_is_stalled_from_then_on() {
    let mut rig = Rig::polling_with(HangUp::Ends, slow());
    assert_eq!(rig.push(messages(1..=11)), []);
    assert_eq!(rig.taken().len(), 10);
    assert_eq!(rig.pass(100 * MS + 400 * MS - MS), []);
    assert_eq!(rig.pass(MS), [REFUSED, Event::Ended(End::Stalled), closes_link(End::Stalled)]);
}

#[test]
fn what_was_accepted_before_a_drain_goes_at_once() {
    let mut rig = Rig::polling_with(HangUp::Ends, slow());
    assert_eq!(rig.push(messages(1..=25)), []);
    assert_eq!(rig.taken().len(), 10);
    rig.session.handle_drain(10_000 * MS, rig.now);
    assert!(rig.session.has_for_link());
    assert_eq!(rig.taken(), messages(11..=25));
    assert_eq!(rig.events(), [ACCEPTED]);
}

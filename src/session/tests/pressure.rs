//! A side that stops reading stops the other, and nothing waits for ever.

use super::*;

/// Room for two messages of a thousand bytes.
fn narrow() -> Settings {
    Settings { outbox_max: 2000, ..Settings::default() }
}

fn full(mut rig: Rig) -> Rig {
    rig.say(&"x".repeat(1000));
    rig.say(&"x".repeat(1000));
    assert!(!rig.session.wants_upstream());
    rig
}

#[test]
fn a_backend_is_not_read_while_its_client_has_too_much_to_fetch() {
    let mut rig = full(Rig::polling_with(HangUp::Ends, narrow()));
    assert_eq!(rig.fetch().len(), 2);
    assert!(rig.session.wants_upstream());
}

#[test]
fn a_backend_that_is_not_read_is_shown_that_its_client_lives() {
    let mut rig = full(Rig::polling_with(HangUp::Ends, narrow()));
    for _ in 0..2 {
        assert_eq!(rig.pass(KEEP_ALIVE - MS), []);
        assert_eq!(rig.pass(MS), [Event::KeepAlive]);
    }
    rig.fetch();
    assert_eq!(rig.pass(KEEP_ALIVE / 3), [], "it is read again");
}

#[test]
fn a_client_that_fetches_nothing_for_stall_timeout_is_let_go() {
    let mut rig = full(Rig::polling_with(HangUp::Ends, narrow()));
    for _ in 0..3 {
        rig.pass(19_000 * MS);
        assert_eq!(rig.push(vec![pong()]), [ACCEPTED], "it is alive all the time");
    }
    rig.pass(3000 * MS - MS);
    assert!(!rig.session.is_ended());
    assert_eq!(rig.pass(MS), [Event::Ended(End::Stalled), closes_link(End::Stalled)]);
}

#[test]
fn a_client_that_pings_and_fetches_no_pong_is_let_go() {
    let policy = Policy { pinger: Pinger::Client, ..policy(HangUp::Ends) };
    let mut rig = Rig::begin_with(policy, narrow(), Transport::Polling);
    assert_eq!(rig.fetch(), [open()]);
    rig.push(vec![ping(); 5000]);
    assert!(!rig.session.wants_upstream());
    assert!(rig.session.outbox.cost() < 2 * narrow().outbox_max);
    for _ in 0..3 {
        rig.pass(19_000 * MS);
        assert_eq!(rig.push(vec![ping(); 100]), [ACCEPTED], "it is alive all the time");
    }
    assert_eq!(rig.pass(3000 * MS), [Event::Ended(End::Stalled), closes_link(End::Stalled)]);
}

#[test]
fn a_batch_takes_no_more_than_may_wait_while_others_need_memory() {
    let settings = Settings { linger: Duration::ZERO, ..Settings::default() };
    let mut rig = Rig::polling_with(HangUp::Ends, settings);
    for _ in 0..10 {
        rig.say(&"x".repeat(1000));
    }
    for (room, messages) in [(2500, 2), (0, 1), (usize::MAX, 7)] {
        rig.session.handle_room(room, room, rig.now);
        assert_eq!(rig.fetch().len(), messages, "{room}");
    }
}

/// A policy under which each byte of a message is written as six.
fn escaping() -> Policy {
    Policy { encoded_len: |packet| 6 * packet.len() + 2, ..policy(HangUp::Ends) }
}

#[test]
fn a_message_that_grows_waits_until_there_is_memory_for_it() {
    for transport in [Transport::Polling, Transport::WebSocket] {
        let settings = Settings { linger: Duration::ZERO, ..Settings::default() };
        let mut rig = Rig::begin_with(escaping(), settings, transport);
        let written = |rig: &mut Rig, longest| {
            rig.session.handle_room(2500, longest, rig.now);
            rig.pass(100 * MS);
            match transport {
                Transport::WebSocket => rig.written().len(),
                Transport::Polling | Transport::Streaming if rig.session.is_parked() => 0,
                Transport::Polling | Transport::Streaming => {
                    let events = rig.poll();
                    let [Event::Answer(batch)] = &events[..] else { return 0 };
                    rig.session.handle_delivered();
                    batch.len()
                }
            }
        };
        assert_eq!(written(&mut rig, 0), 1, "the open packet");
        rig.say(&"x".repeat(400));
        assert_eq!(written(&mut rig, 0), 1, "it has room for so much");
        rig.say(&"x".repeat(1000));
        rig.say(&"x".repeat(1000));
        assert_eq!(written(&mut rig, 6001), 0, "{transport:?}");
        assert!(rig.session.is_held_back());
        rig.session.handle_room(2500, 6002, rig.now);
        assert!(!rig.session.is_held_back());
        let rest = match transport {
            Transport::WebSocket => rig.written().len(),
            Transport::Polling | Transport::Streaming => {
                let events = rig.events();
                rig.session.handle_delivered();
                let [Event::Answer(batch)] = &events[..] else { panic!("{events:?}") };
                assert_eq!(rig.session.take_handed_len(), 6003, "with a separator");
                batch.len() + rig.fetch().len()
            }
        };
        assert_eq!(rest, 2, "one after the other");
    }
}

#[test]
fn a_message_that_stays_as_long_as_it_is_waits_for_nothing() {
    let mut rig = Rig::polling();
    rig.say(&"x".repeat(1000));
    rig.session.handle_room(1, 1, rig.now);
    assert_eq!(rig.fetch().len(), 1);
}

#[test]
fn a_receiver_whose_framing_escapes_more_takes_less() {
    let mut rig = Rig::polling();
    for _ in 0..4 {
        rig.say(&"x".repeat(100));
    }
    let terms = Terms { growth: 6, ..Terms::default() };
    rig.session.handle_room(1400, 1400, rig.now);
    assert_eq!(rig.session.handle_poll_on(terms, rig.now), Ok(()));
    let events = rig.events();
    assert!(matches!(&events[..], [Event::Answer(batch)] if batch.len() == 2), "{events:?}");
}

#[test]
fn a_message_that_waits_for_memory_for_stall_timeout_ends_its_session() {
    let settings = Settings { linger: Duration::ZERO, ..Settings::default() };
    let mut rig = Rig::begin_with(escaping(), settings, Transport::Polling);
    assert_eq!(rig.fetch(), [open()]);
    rig.session.handle_room(2500, 0, rig.now);
    rig.say(&"x".repeat(1000));
    assert_eq!(rig.poll(), []);
    for _ in 0..3 {
        rig.pass(19_000 * MS);
        assert_eq!(rig.push(vec![pong()]), [ACCEPTED], "it is alive all the time");
    }
    assert!(!rig.session.is_ended());
    assert_eq!(
        rig.pass(3200 * MS),
        [answer(&[Packet::Close(None)]), Event::Ended(End::Memory), closes_link(End::Memory)]
    );
}

#[test]
fn a_client_that_fetches_slowly_is_not_stalled() {
    let settings = Settings { batch_max: 1000, linger: Duration::ZERO, ..narrow() };
    let mut rig = full(Rig::polling_with(HangUp::Ends, settings));
    rig.say_more(1000);
    for _ in 0..3 {
        for _ in 0..2 {
            rig.pass(20_000 * MS);
            assert_eq!(rig.push(vec![pong()]), [ACCEPTED]);
        }
        assert_eq!(rig.fetch().len(), 1);
        rig.say_more(1000);
    }
}

#[test]
fn a_backend_that_takes_nothing_for_stall_timeout_ends_the_session() {
    let mut rig = Rig::polling();
    rig.poll();
    rig.push(messages(&["a", "b"]));
    rig.pass(50_000 * MS);
    assert!(rig.session.next_for_link(rig.now).is_some());
    assert_eq!(rig.pass(60_000 * MS - MS), []);
    assert_eq!(
        rig.pass(MS),
        [REFUSED, answer(&[Packet::Close(None)]), Event::Ended(End::Stalled), closes_link(End::Stalled)]
    );
    assert!(rig.session.is_over());
}

#[test]
fn a_web_socket_is_not_read_while_its_last_message_waits() {
    let mut rig = Rig::web_socket();
    assert!(rig.session.wants_client());
    rig.session.handle_packet(message("a"), rig.now);
    assert!(!rig.session.wants_client());
    assert_eq!(rig.taken(), messages(&["a"]));
    assert!(rig.session.wants_client());
}

#[test]
fn a_web_socket_that_takes_nothing_for_stall_timeout_is_let_go() {
    let mut rig = full(Rig::web_socket_with(narrow()));
    for _ in 0..3 {
        rig.pass(19_000 * MS);
        rig.session.handle_packet(pong(), rig.now);
    }
    assert_eq!(
        rig.pass(3000 * MS),
        [
            Event::CloseSocket(End::Stalled, Closing::default()),
            Event::Ended(End::Stalled),
            closes_link(End::Stalled)
        ]
    );
}

#[test]
fn a_batch_that_comes_home_counts_again() {
    let mut rig = full(Rig::polling_with(HangUp::Returns, narrow()));
    let events = rig.poll();
    let [Event::Answer(batch)] = &events[..] else { panic!("an answer was due, not {events:?}") };
    assert!(rig.session.wants_upstream());
    rig.session.handle_lost(batch.clone(), rig.now);
    assert!(!rig.session.wants_upstream());
    assert_eq!(rig.pass(KEEP_ALIVE), [Event::KeepAlive]);
}

#[test]
fn a_client_that_takes_one_long_message_slowly_is_not_stalled() {
    let settings = Settings { ping_interval: Some(3600 * KEEP_ALIVE), ..narrow() };
    let stall = settings.stall_timeout;
    let mut rig = Rig::polling_with(HangUp::Ends, settings);
    rig.say(&"x".repeat(9000));
    assert!(matches!(rig.poll()[..], [Event::Answer(_)]));
    assert!(!rig.session.wants_upstream(), "it may come back");
    let shown = rig.pass(3 * stall);
    assert!(!shown.is_empty() && shown.iter().all(|event| *event == Event::KeepAlive), "{shown:?}");
    rig.session.handle_delivered();
    assert!(rig.session.wants_upstream());
}

impl Rig {
    /// Sends as many messages from the backend as there is room for.
    fn say_more(&mut self, len: usize) {
        while self.session.wants_upstream() {
            self.session.handle_upstream(Message::text("x".repeat(len)), self.now);
        }
    }
}

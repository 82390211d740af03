//! A client that is on a WebSocket from the start.

use super::*;

fn gone(end: End) -> [Event; 3] {
    [Event::CloseSocket(end, Closing::default()), Event::Ended(end), closes_link(end)]
}

#[test]
fn messages_cross_in_both_directions() {
    let mut rig = Rig::web_socket();
    rig.say("a");
    rig.say("b");
    assert_eq!(rig.written(), messages(&["a", "b"]));
    rig.session.handle_packet(message("c"), rig.now);
    assert_eq!(rig.taken(), messages(&["c"]));
    assert_eq!(rig.events(), []);
}

#[test]
fn a_close_packet_is_ignored() {
    let mut rig = Rig::web_socket();
    rig.session.handle_packet(Packet::Close(None), rig.now);
    assert_eq!(rig.events(), []);
    assert!(rig.session.wants_client());
}

#[test]
fn a_ping_from_the_client_ends_the_session() {
    let mut rig = Rig::web_socket();
    rig.session.handle_packet(ping(), rig.now);
    assert_eq!(rig.events(), gone(End::ParseError));
}

#[test]
fn polls_and_posts_have_no_place_there() {
    let mut rig = Rig::web_socket();
    assert_eq!(rig.session.handle_poll(rig.now), Err(PollRefused::WrongTransport));
    assert_eq!(rig.session.handle_push_begun(rig.now), Err(PushRefused::WrongTransport));
    assert!(!rig.session.is_ended());
}

#[test]
fn the_backend_hears_the_code_and_reason_that_the_client_gave() {
    let mut rig = Rig::web_socket();
    let closing = Closing::new(4000, "bye");
    rig.session.handle_socket_end(End::ClientClosed, Some(closing.clone()), rig.now);
    assert_eq!(
        rig.events(),
        [
            Event::CloseSocket(End::ClientClosed, Closing::default()),
            Event::Ended(End::ClientClosed),
            Event::CloseLink(closing)
        ]
    );
}

#[test]
fn the_backend_hears_why_where_the_client_said_nothing() {
    for end in [End::ClientGone, End::TooLarge, End::ParseError] {
        let mut rig = Rig::web_socket();
        rig.session.handle_socket_end(end, None, rig.now);
        assert_eq!(rig.events(), gone(end));
    }
}

#[test]
fn the_client_gets_all_the_backend_said_and_then_its_code_and_reason() {
    let mut rig = Rig::web_socket();
    rig.say("a");
    rig.session.handle_upstream_closed(Closing::new(4001, "over"), rig.now);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.written(), messages(&["a"]));
    let closing = Closing::new(4001, "over");
    assert_eq!(
        rig.events(),
        [Event::CloseSocket(End::UpstreamClosed, closing), Event::Ended(End::UpstreamClosed)]
    );
    assert!(rig.session.is_over());
}

#[test]
fn a_socket_that_takes_nothing_is_closed_after_close_timeout() {
    let mut rig = Rig::web_socket();
    rig.say("a");
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    assert_eq!(rig.pass(30_000 * MS - MS), []);
    assert_eq!(
        rig.pass(MS),
        [Event::CloseSocket(End::UpstreamClosed, Closing::default()), Event::Ended(End::UpstreamClosed)]
    );
}

#[test]
fn what_the_client_says_to_a_closing_session_is_read_and_ignored() {
    let mut rig = Rig::web_socket();
    rig.say("a");
    rig.session.handle_upstream_closed(Closing::default(), rig.now);
    assert!(rig.session.wants_client());
    rig.session.handle_packet(message("b"), rig.now);
    assert!(!rig.session.has_for_link());
    assert!(rig.session.wants_client());
}

#[test]
fn a_drain_flushes_and_closes_when_both_sides_are_quiet() {
    let mut rig = Rig::web_socket();
    rig.say("a");
    rig.session.handle_drain(5000 * MS, rig.now);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.written(), messages(&["a"]));
    assert_eq!(rig.pass(30 * MS), []);
    rig.session.handle_packet(message("b"), rig.now);
    assert_eq!(rig.taken(), messages(&["b"]));
    assert_eq!(rig.pass(69 * MS), []);
    let closing = End::Drained.closing();
    assert_eq!(
        rig.pass(MS),
        [Event::CloseSocket(End::Drained, closing), Event::Ended(End::Drained), closes_link(End::Drained)]
    );
}

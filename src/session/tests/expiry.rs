//! The end of a session whose client's permission expires, in every state.

use super::*;

/// Returns the session with a permission for a second.
fn permitted(mut rig: Rig) -> Rig {
    rig.session.expire_at(rig.time(1000));
    rig
}

fn goodbye() -> [Event; 3] {
    [answer(&[Packet::Close(None)]), Event::Ended(End::Expired), closes_link(End::Expired)]
}

#[test]
fn a_parked_poll_is_ended_when_the_permission_expires() {
    let mut rig = permitted(Rig::polling());
    rig.poll();
    assert_eq!(rig.pass(999 * MS), []);
    assert_eq!(rig.pass(MS), goodbye());
    assert!(rig.session.is_over());
    assert_eq!(rig.session.poll_timeout(), None);
}

#[test]
fn a_session_without_a_poll_and_one_on_a_web_socket_end_as_well() {
    let mut absent = permitted(Rig::polling());
    assert_eq!(absent.pass(1000 * MS), [Event::Ended(End::Expired), closes_link(End::Expired)]);

    let mut socket = permitted(Rig::web_socket());
    let closes = Event::CloseSocket(End::Expired, Closing::default());
    assert_eq!(socket.pass(1000 * MS), [closes, Event::Ended(End::Expired), closes_link(End::Expired)]);
}

#[test]
fn what_the_client_had_sent_still_reaches_its_backend() {
    let mut rig = permitted(Rig::polling());
    rig.push(messages(&["a"]));
    assert_eq!(rig.pass(1000 * MS), [Event::Ended(End::Expired)]);
    assert_eq!(rig.taken(), messages(&["a"]));
    assert_eq!(rig.events(), [ACCEPTED, closes_link(End::Expired)]);
}

#[test]
fn a_drain_and_an_end_of_the_backend_prolong_no_permission() {
    let mut drained = permitted(Rig::polling());
    drained.push(messages(&["a"]));
    drained.poll();
    drained.session.handle_drain(5000 * MS, drained.now);
    assert_eq!(drained.pass(999 * MS), []);
    assert_eq!(drained.pass(MS), goodbye()[..2]);

    let mut closed = permitted(Rig::polling());
    closed.say("a");
    closed.session.handle_upstream_closed(Closing::default(), closed.now);
    assert_eq!(closed.pass(999 * MS), []);
    assert_eq!(closed.pass(MS), [Event::Ended(End::Expired)], "nobody fetches the rest");
}

#[test]
fn a_session_that_has_ended_before_does_not_end_again() {
    let mut rig = permitted(Rig::polling());
    rig.push(messages(&["a"]));
    rig.poll();
    rig.session.handle_poll_gone(rig.now);
    assert_eq!(rig.events(), [Event::Ended(End::ClientGone)]);
    assert_eq!(rig.pass(2000 * MS), []);
    assert_eq!(rig.taken(), messages(&["a"]));
    assert_eq!(rig.events(), [ACCEPTED, closes_link(End::ClientGone)]);
}

#[test]
fn its_client_is_told_why_where_the_dialect_can() {
    let policy = Policy { why: Some(End::reason), ..policy(HangUp::Ends) };
    let mut rig = permitted(Rig::begin_with(policy, Settings::default(), Transport::Polling));
    assert_eq!(rig.fetch(), [open()]);
    rig.poll();
    let why = Packet::Close(Some(Box::new(Closing::new(1008, "expired"))));
    assert_eq!(rig.pass(1000 * MS)[0], answer(&[why]));
}

//! Whether the client is alive (protocol 4, "Heartbeat").

use super::*;

fn beating() -> Rig {
    Rig::polling_with(HangUp::Ends, beat())
}

fn beat() -> Settings {
    Settings { ping_interval: Some(300 * MS), ping_timeout: Some(200 * MS), ..Settings::default() }
}

#[test]
fn a_ping_answers_the_parked_poll_at_the_interval() {
    let mut rig = beating();
    rig.poll();
    assert_eq!(rig.pass(299 * MS), []);
    assert_eq!(rig.pass(MS), [answer(&[ping()])]);
}

#[test]
fn the_interval_restarts_when_the_pong_comes() {
    let mut rig = beating();
    assert_eq!(rig.pass(300 * MS), []);
    assert_eq!(rig.fetch(), [ping()]);
    assert_eq!(rig.pass(100 * MS), []);
    assert_eq!(rig.push(vec![pong()]), [ACCEPTED]);
    assert_eq!(rig.poll(), []);
    assert_eq!(rig.pass(299 * MS), []);
    assert_eq!(rig.pass(MS), [answer(&[ping()])]);
}

#[test]
fn a_client_that_sleeps_exactly_as_long_as_it_may_is_dead() {
    let mut rig = beating();
    rig.now += 500 * MS;
    // No timer has fired yet: the request alone must notice the deadline.
    assert_eq!(rig.session.handle_poll(rig.now), Err(PollRefused::Over));
    assert_eq!(rig.events(), [Event::Ended(End::PingTimeout), closes_link(End::PingTimeout)]);
}

#[test]
fn a_client_that_wakes_a_moment_earlier_is_alive() {
    let mut rig = beating();
    rig.now += 500 * MS - MS;
    assert_eq!(rig.push(vec![pong()]), [ACCEPTED]);
    assert_eq!(rig.session.poll_timeout(), Some(rig.time(799)));
}

#[test]
fn a_parked_poll_gets_a_goodbye_when_the_pong_is_overdue() {
    let mut rig = beating();
    rig.pass(300 * MS);
    assert_eq!(rig.fetch(), [ping()]);
    assert_eq!(rig.poll(), []);
    assert_eq!(
        rig.pass(200 * MS),
        [answer(&[Packet::Close(None)]), Event::Ended(End::PingTimeout), closes_link(End::PingTimeout)]
    );
    assert!(rig.session.is_over());
}

#[test]
fn a_ping_is_due_even_when_no_poll_is_there_to_carry_it() {
    let mut rig = beating();
    assert_eq!(rig.pass(499 * MS), []);
    assert_eq!(rig.pass(MS), [Event::Ended(End::PingTimeout), closes_link(End::PingTimeout)]);
}

#[test]
fn the_clients_clock_stands_still_while_its_post_waits_for_the_backend() {
    let mut rig = beating();
    rig.pass(300 * MS);
    assert_eq!(rig.fetch(), [ping()]);
    rig.pass(50 * MS);
    // The first other packet after a ping extends the deadline by the whole timeout.
    assert_eq!(rig.push(vec![message("a"), pong()]), []);
    assert_eq!(rig.pass(10_000 * MS), []);
    assert_eq!(rig.taken(), messages(&["a"]));
    assert_eq!(rig.events(), [ACCEPTED]);
    assert_eq!(rig.session.poll_timeout(), Some(rig.now + 300 * MS));
}

#[test]
fn a_clock_that_stood_still_goes_on_where_it_was() {
    let mut rig = beating();
    rig.pass(100 * MS);
    assert_eq!(rig.push(messages(&["a", "b"])), []);
    assert_eq!(rig.pass(10_000 * MS), []);
    assert_eq!(rig.taken(), messages(&["a", "b"]));
    assert_eq!(rig.session.poll_timeout(), Some(rig.now + 200 * MS));
}

#[test]
fn the_same_holds_on_a_web_socket() {
    let mut rig = Rig::web_socket_with(beat());
    rig.pass(100 * MS);
    rig.session.handle_packet(message("a"), rig.now);
    assert_eq!(rig.pass(10_000 * MS), []);
    assert_eq!(rig.taken(), messages(&["a"]));
    assert_eq!(rig.session.poll_timeout(), Some(rig.now + 200 * MS));
    assert_eq!(rig.pass(200 * MS), []);
    assert_eq!(rig.written(), [ping()]);
    assert_eq!(
        rig.pass(200 * MS),
        [
            Event::CloseSocket(End::PingTimeout, Closing::default()),
            Event::Ended(End::PingTimeout),
            closes_link(End::PingTimeout)
        ]
    );
}

//! What is counted, and for which client.

use super::*;

fn limits(settings: Settings, trusted: &[&str]) -> Limits {
    let trusted: Vec<_> = trusted.iter().map(|one| one.parse().unwrap()).collect();
    Limits::new(settings, &trusted, Limited::default())
}

#[expect(clippy::unnecessary_wraps, reason = "limits take it so")]
fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn a_private_address_counts_only_if_it_is_known_whose_it_is() {
    let private = Settings { count_private: true, ..Settings::default() };
    for (settings, trusted, address, counts) in [
        (Settings::default(), &[][..], ip("10.0.0.1"), false),
        (Settings::default(), &[], None, false),
        (Settings::default(), &[], ip("192.0.2.1"), true),
        (private, &[], ip("10.0.0.1"), true),
        (private, &[], None, true),
        (Settings::default(), &["10.0.0.1"], ip("10.0.0.2"), true),
        (Settings::default(), &["10.0.0.1"], None, true),
        // A proxy that tells nothing: many clients are behind it.
        (private, &["10.0.0.1"], ip("10.0.0.1"), false),
        (Settings::default(), &["192.0.2.0/24"], ip("192.0.2.1"), false),
        (private, &["unix"], None, false),
    ] {
        let client = limits(settings, trusted).client(address);
        assert_eq!(client.is_some(), counts, "{address:?} {trusted:?} {settings:?}");
    }
}

#[test]
fn one_clients_preflights_leave_room_for_the_others() {
    let limits = limits(Settings::default(), &[]);
    let preflight = |address: &str| limits.preflight(limits.client(ip(address)), 2);
    let held = [0, 1].map(|_| preflight("192.0.2.1").unwrap());
    assert!(preflight("192.0.2.1").is_none(), "it has two");
    assert!(preflight("192.0.2.2").is_some());
    assert!((0..3).all(|_| preflight("10.0.0.1").is_some()), "nobody knows whose they are");
    drop(held);
    assert!(preflight("192.0.2.1").is_some());
}

#[test]
fn what_is_dropped_counts_no_more() {
    let settings = Settings { max_connections: 3, client_connections: 2, ..Settings::default() };
    let limits = limits(settings, &[]);
    let connect = |client: &str| {
        let mut held = limits.connect()?;
        let peer = RemoteAddress::Ip(format!("{client}:1").parse().unwrap());
        limits.connected(&mut held, peer).ok().map(|()| held)
    };
    let mut held: Vec<_> = [0, 1].map(|_| connect("192.0.2.1").unwrap()).into();
    assert!(connect("192.0.2.1").is_none(), "the client has two");
    held.push(connect("192.0.2.2").unwrap());
    assert!(connect("192.0.2.3").is_none(), "there are three");
    held.remove(0);
    held.push(connect("192.0.2.1").unwrap());
    drop(held);
    assert!(connect("192.0.2.1").is_some());
}

#[test]
fn a_client_takes_its_share_of_the_sessions_and_a_reload_changes_it_at_once() {
    let settings = Settings { client_sessions: 2, ..Settings::default() };
    let limits = limits(settings, &[]);
    let (one, other) = (limits.client(ip("192.0.2.1")), limits.client(ip("192.0.2.2")));
    let held = [one, one, other].map(|client| limits.begin(client).unwrap());
    assert_eq!(limits.begin(one).unwrap_err(), one.unwrap());
    limits.set(Settings { client_sessions: 3, ..settings }, &[]);
    let third = limits.begin(one).unwrap();
    limits.set(settings, &[]);
    drop(third);
    assert!(limits.begin(one).is_err());
    drop(held);
    assert!(limits.begin(one).is_ok() && limits.begin(None).is_ok());
}

#[test]
fn a_client_that_comes_too_often_waits_and_takes_nothing_from_the_others() {
    let settings =
        Settings { handshakes_per_second: 10, client_handshakes_per_second: 1, ..Settings::default() };
    let limits = limits(settings, &[]);
    let (one, other) = (limits.client(ip("192.0.2.1")), limits.client(ip("192.0.2.2")));
    let now = tokio::time::Instant::now().into_std();
    let shake = |client, now| limits.shake(client, now).map_err(|early| early.wait);
    // Ten seconds' worth at once.
    assert!((0..10).all(|_| shake(one, now).is_ok()));
    assert!((0..1000).all(|_| shake(one, now) == Err(SECOND)));
    assert!((0..10).all(|_| shake(other, now).is_ok()));
    assert_eq!(shake(one, now + SECOND), Ok(()));
    assert_eq!(shake(one, now + SECOND), Err(SECOND));
    // Those who are not counted by their addresses count together.
    assert!((0..89).all(|_| shake(None, now + SECOND).is_ok()));
    assert_eq!(shake(None, now + SECOND), Err(SECOND / 10));
}

#[test]
fn a_handshake_that_all_the_others_leave_no_room_for_costs_its_client_nothing() {
    let settings =
        Settings { handshakes_per_second: 10, client_handshakes_per_second: 1, ..Settings::default() };
    let limits = limits(settings, &[]);
    let now = tokio::time::Instant::now().into_std();
    assert!((0..100).all(|_| limits.shake(None, now).is_ok()));
    let one = limits.client(ip("192.0.2.1"));
    assert!((0..100).all(|_| limits.shake(one, now).is_err()));
    // It has all of its ten.
    assert!((0..10).all(|_| limits.shake(one, now + SECOND).is_ok()));
}

#[test]
fn clients_without_number_take_a_bounded_memory() {
    let settings = Settings { client_sessions: 1, ..Settings::default() };
    let limits = limits(settings, &[]);
    let count = u32::try_from(CLIENTS_MAX + CLIENTS_MAX / 10).unwrap();
    for number in 0..count {
        let address = IpAddr::V4((0xc000_0000 + number).into());
        assert!(limits.begin(limits.client(Some(address))).is_ok());
    }
    limits.0.clients.run_pending_tasks();
    assert!(limits.0.clients.entry_count() <= CLIENTS_MAX);
}

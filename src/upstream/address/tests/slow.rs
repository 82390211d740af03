//! How slowly an address comes back.

use super::*;
use crate::upstream::HashBy;

/// Returns how many of `clients` each of two addresses gets, of which the second one came back `after` ago.
fn shared(balance: Balance, after: Duration, clients: u32) -> (u32, u32) {
    let (start, slow_start) = (Instant::now(), Duration::from_secs(30));
    let mut set = Set::new(balance, slow_start, [endpoint_at(1), endpoint_at(2)]);
    set.failed(endpoint_at(2), false, start);
    set.count(start);
    assert!(set.reached(endpoint_at(2)));
    set.count(start);
    let mut counts = (0, 0);
    for client in 0..clients {
        let key = HashBy::Query("u".to_owned()).key(&http::HeaderMap::new(), &format!("u={client}"), LOCAL);
        let key = key.filter(|_| balance == Balance::Hash);
        let chosen = set.choose(Among::All, Wish { key, ..ANY }, start + after).unwrap();
        *(if chosen == endpoint_at(1) { &mut counts.0 } else { &mut counts.1 }) += 1;
    }
    counts
}

fn endpoint_at(number: u8) -> Endpoint {
    Endpoint { server: 0, address: Some(address(number).into()) }
}

const LOCAL: Option<std::net::IpAddr> = Some(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_share_of_an_address_that_is_back_grows_to_that_of_the_others(
        balance in prop_oneof![Just(Balance::Least), Just(Balance::RoundRobin), Just(Balance::Hash)],
        earlier in 0..40_000_u32,
        between in 0..10_000_u32,
    ) {
        let clients = 2000;
        let at = |ms: u32| shared(balance, Duration::from_millis(ms.into()), clients);
        let ((_, before), (_, after)) = (at(earlier), at(earlier + between));
        // Its share of what the other one has; a hash gives the two no equal shares to begin with.
        let full = f64::from(at(30_000).1);
        let expected = |ms: u32| {
            let share = (f64::from(ms) / 30_000.0).clamp(0.05, 1.0);
            if balance == Balance::Hash { full * share } else { f64::from(clients) * share / (1.0 + share) }
        };
        prop_assert!((f64::from(before) - expected(earlier)).abs() < 80.0, "{before} at {earlier}");
        // One of equals may have one more.
        prop_assert!(before <= after + 1, "{before} at {earlier}, {after} {between} ms later");
    }
}

#[test]
fn clients_of_an_address_that_is_back_return_to_it_and_stay() {
    let start = Instant::now();
    let mut set = Set::new(Balance::Hash, Duration::from_secs(30), [endpoint_at(1), endpoint_at(2)]);
    set.failed(endpoint_at(2), false, start);
    set.count(start);
    set.reached(endpoint_at(2));
    set.count(start);
    for client in 0..200 {
        let key = HashBy::Query("u".to_owned()).key(&http::HeaderMap::new(), &format!("u={client}"), LOCAL);
        let at = |second| start + Duration::from_secs(second);
        let chosen = (0..=31).map(|second| set.choose(Among::All, Wish { key, ..ANY }, at(second)));
        let chosen = chosen.collect::<Vec<_>>();
        let turns = chosen.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(turns <= 1, "{chosen:?}");
    }
}

#[test]
fn an_address_is_new_only_beside_others_that_its_name_had_before() {
    let start = Instant::now();
    let mut set = Set::new(Balance::Least, Duration::from_secs(30), [Endpoint { server: 0, address: None }]);
    set.resolved(0, &[address(1), address(2)], start);
    set.count(start);
    let chosen = |set: &mut Set, clients| {
        let all = (0..clients).map(|_| set.choose(Among::All, ANY, start).unwrap());
        all.filter(|chosen| *chosen == endpoint_at(3)).count()
    };
    assert_eq!(chosen(&mut set, 20), 0);
    set.resolved(0, &[address(1), address(2), address(3)], start);
    set.count(start);
    // Without a slow start it would get all ten.
    assert_eq!(chosen(&mut set, 10), 0);
}

//! What is counted, and as what.

use super::*;

fn stats() -> (Stats, Instant) {
    let now = Instant::now();
    (Stats::new(now, Duration::ZERO), now)
}

#[test]
fn batches_are_sorted_by_powers_of_two() {
    let at: Vec<_> = [0, 1, 2, 3, 4, 5, 8, 9, 4096, u64::MAX].into_iter().map(batch_of).collect();
    let sizes = [None, Some(0), Some(1), Some(2), Some(2), Some(3), Some(3), Some(4), Some(12), Some(12)];
    assert_eq!(at, sizes);
}

#[test]
fn an_answer_that_comes_twice_counts_once() {
    let (mut stats, now) = stats();
    let took = Duration::from_millis(3);
    for arrival in [Arrival::InOrder(1), Arrival::Duplicated, Arrival::Reordered] {
        stats.handle_answer(Kind::Polling, now, took, arrival);
    }
    let tally = stats.of(Kind::Polling);
    assert_eq!((tally.answered, tally.duplicated, tally.reordered, tally.lost), (2, 1, 1, 0));
    assert_eq!(tally.latency.len(), 2);
    assert_eq!(tally.seconds, [Second { answered: 2, bytes: 0 }]);
    assert!(tally.has_disorder());
}

#[test]
fn what_is_skipped_is_lost_before_its_session_ends() {
    let (mut stats, now) = stats();
    stats.handle_answer(Kind::Polling, now, Duration::ZERO, Arrival::InOrder(3));
    assert_eq!(stats.all().lost, 3);
    stats.handle_answer(Kind::Polling, now, Duration::ZERO, Arrival::Reordered);
    assert_eq!(stats.all().lost, 2);
    stats.handle_end(Kind::Polling, true, None, 10, 4);
    stats.handle_end(Kind::WebSocket, true, Some(&Fault::Refused), 10, 1);
    let all = stats.all();
    assert_eq!((all.lost, all.lost_by_disconnect), (7, 1));
}

#[test]
fn the_connect_is_not_charged_to_the_messages() {
    let (mut stats, now) = stats();
    stats.handle_cost(Kind::Polling, now, false, Cost::get(0, 1000));
    stats.handle_cost(Kind::Polling, now, true, Cost::post(2, 600));
    stats.handle_cost(Kind::Polling, now, true, Cost::get(2, 400));
    stats.handle_cost(Kind::Polling, now, true, Cost::get(0, 100));
    for _ in 0..2 {
        stats.handle_answer(Kind::Polling, now, Duration::ZERO, Arrival::InOrder(0));
    }
    let tally = stats.of(Kind::Polling);
    assert_eq!((tally.connect_requests, tally.connect_bytes), (1, 1000));
    assert_eq!((tally.requests_per_message(), tally.bytes_per_message()), (Some(1.5), Some(550.0)));
    assert_eq!(tally.posts[1], Batch { requests: 1, messages: 2, bytes: 600 });
    assert_eq!(tally.polls[1], Batch { requests: 1, messages: 2, bytes: 400 });
}

#[test]
fn a_session_that_fails_is_told_from_one_that_breaks() {
    let (mut stats, _) = stats();
    stats.handle_end(Kind::WebSocket, false, Some(&Fault::Refused), 0, 0);
    stats.handle_end(Kind::WebSocket, true, Some(&Fault::Refused), 5, 2);
    stats.handle_end(Kind::WebSocket, true, None, 5, 0);
    let tally = stats.of(Kind::WebSocket);
    assert_eq!((tally.failed, tally.disconnected, tally.sent, tally.lost), (1, 1, 10, 2));
    assert_eq!(tally.errors[&Fault::Refused.kind()].count, 2);
}

#[test]
fn all_is_the_sum_of_the_kinds() {
    let (mut stats, now) = stats();
    for (kind, seconds) in [(Kind::Polling, 0), (Kind::Upgrade, 2)] {
        let now = now + Duration::from_secs(seconds);
        stats.handle_begin(kind);
        stats.handle_connect(kind, Duration::from_millis(1));
        stats.handle_answer(kind, now, Duration::from_millis(1), Arrival::InOrder(0));
        stats.handle_cost(kind, now, true, Cost::get(1, 10));
        stats.handle_end(kind, true, Some(&Fault::Refused), 1, 0);
    }
    let all = stats.all();
    assert_eq!((all.begun, all.connected, all.sent, all.answered, all.bytes), (2, 2, 2, 2, 20));
    assert_eq!((all.latency.len(), all.connects.len(), all.polls[0].requests), (2, 2, 2));
    assert_eq!(all.errors[&Fault::Refused.kind()].count, 2);
    assert_eq!(all.seconds.iter().map(|second| second.answered).collect::<Vec<_>>(), [1, 0, 1]);
}

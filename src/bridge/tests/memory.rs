//! What sessions hold is counted against one budget, and what happens to them as it fills.

use std::task::{Context, Poll, Waker};

use super::*;
use crate::budget::{Budget, Charge};
use crate::limited::Limited;

/// A stage for a few sessions with a budget, and what others take of it.
fn stage(max: usize) -> (Stage, Budget, Charge) {
    let budget = Budget::new(Some(max));
    let registry = Registry::of_node(100, None, budget.clone());
    TaskTracker::new().spawn(registry.clone().run_relief(Limited::default()));
    let charge = budget.charge();
    (Stage { registry, ..Stage::new(HangUp::Ends) }, budget, charge)
}

fn long(len: usize) -> LinkEvent {
    says(&"x".repeat(len))
}

/// Lets everything happen that can.
async fn settle() {
    tokio::time::sleep(MS).await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_poll_counts_until_it_is_written() {
    let (mut stage, budget, _) = stage(1_000_000);
    let (bridge, link) = stage.polling();
    assert_eq!(fetch(&bridge).await, [open()]);
    assert_eq!(budget.used(), 0);
    link.send(long(1000));
    settle().await;
    assert_eq!(budget.used(), 1064);
    let delivery = bridge.poll().unwrap().await.unwrap();
    assert_eq!(budget.used(), 1064 + 1002, "its packet, and the response made of it");
    delivery.settle();
    assert_eq!(budget.used(), 0);
}

/// The policy of a dialect in which each byte may be written as six.
fn escaping() -> Policy {
    Policy { encoded_len: |packet| 6 * packet.len(), ..policy(HangUp::Ends) }
}

#[tokio::test(start_paused = true)]
async fn a_response_counts_as_long_as_it_is_written() {
    let (stage, budget, _) = stage(1_000_000);
    let mut stage = Stage { policy: escaping(), ..stage };
    let (bridge, link) = stage.polling();
    fetch(&bridge).await;
    link.send(long(1000));
    let delivery = bridge.poll().unwrap().await.unwrap();
    assert_eq!(budget.used(), 1064 + 6001);
    // Its framing escapes the quotes, too.
    let receipt = delivery.into_receipt(8000);
    assert_eq!(budget.used(), 1064 + 8000);
    receipt.settle();
    assert_eq!(budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_grows_is_written_once_there_is_memory_for_it() {
    let (stage, budget, mut others) = stage(1_000_000);
    let mut stage = Stage { policy: escaping(), ..stage };
    let (_bridge, link, client) = stage.web_socket();
    let _idle: Vec<_> = (0..99).map(|_| stage.web_socket()).collect();
    assert_eq!(client.next().await, Some(open()));
    others.set(900_000);
    link.send(long(20_000));
    settle().await;
    assert_eq!((client.arrived().len(), budget.held_back()), (0, 1));
    // Not so little that sessions are woken: it looks by itself.
    others.set(740_000);
    tokio::time::sleep(100 * MS).await;
    assert_eq!((client.arrived().len(), budget.held_back()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_web_socket_or_in_it_counts() {
    let (mut stage, budget, _) = stage(1_000_000);
    let (_bridge, link, client) = stage.web_socket();
    assert_eq!(client.next().await, Some(open()));
    client.freeze();
    for _ in 0..5 {
        link.send(long(100));
    }
    settle().await;
    assert_eq!(budget.used(), 2 * 100 + 3 * 164, "two lie in the socket's buffer");
    client.thaw();
    settle().await;
    assert_eq!(budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_backend_counts() {
    let (mut stage, budget, _) = stage(1_000_000);
    let (bridge, link) = stage.polling();
    link.freeze();
    let body = ["a", "b", "c", "d"].map(|text| Ok(message(text)));
    let push = bridge.push().unwrap().send(Box::new(body.into_iter()), 1000);
    let ((), _) = tokio::join!(
        async {
            settle().await;
            assert_eq!(
                budget.used() - 2 - 64 - 2,
                998,
                "two messages, the open packet, and the rest of the body"
            );
            link.thaw();
        },
        push
    );
    settle().await;
    assert_eq!(budget.used(), 64 + 2);
}

#[tokio::test(start_paused = true)]
async fn a_session_beyond_its_share_is_held_back_and_the_others_are_not() {
    let (mut stage, budget, mut others) = stage(1_000_000);
    let (_bridge, link, client) = stage.web_socket();
    let (_other_bridge, other_link, other_client) = stage.web_socket();
    let _idle: Vec<_> = (0..98).map(|_| stage.web_socket()).collect();
    client.freeze();
    others.set(800_000);
    for _ in 0..100 {
        link.send(long(1000));
        other_link.send(long(1000));
    }
    settle().await;
    assert_eq!(budget.held_back(), 1);
    assert_eq!(link.unread(), 100 - 10, "an equal share is a hundredth");
    assert_eq!(other_link.unread(), 0);
    assert_eq!(other_client.next().await, Some(open()));

    // Nobody has read anything, and yet it goes on at once.
    let before = Instant::now();
    others.set(0);
    settle().await;
    assert_eq!((budget.held_back(), link.unread()), (0, 0));
    assert!(before.elapsed() < 2 * MS);
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_holds_most_ends_as_any_session() {
    let (stage, budget, mut others) = stage(1_000_000);
    let relays = [600_000, 20_000].map(|held| {
        let reservation = stage.registry.reserve_fresh(&route()).unwrap();
        let handle = Arc::new(relayed(&budget));
        reservation.enter(Entry::Relay(Arc::clone(&handle)));
        handle.burden.set(held);
        (handle, reservation)
    });
    let wished =
        || relays.each_ref().map(|(handle, _)| handle.wishes.poll(&Context::from_waker(Waker::noop())));
    assert_eq!((budget.used(), relays[0].0.burden.room()), (620_000, usize::MAX));
    others.set(200_000);
    assert_eq!(relays[0].0.burden.room(), 500_000, "an equal share");
    settle().await;
    assert_eq!(wished(), [Poll::Pending; 2]);
    others.set(380_000);
    settle().await;
    assert_eq!(wished(), [Poll::Ready(End::Memory), Poll::Pending]);
    relays[0].0.burden.set(0);
    assert_eq!((budget.used(), budget.share()), (400_000, 1_000_000), "it has no share any more");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_held_back_goes_on_as_its_client_reads() {
    let (mut stage, budget, mut others) = stage(1_000_000);
    let (_bridge, link, client) = stage.web_socket();
    let _idle: Vec<_> = (0..99).map(|_| stage.web_socket()).collect();
    assert_eq!(client.next().await, Some(open()));
    client.freeze();
    others.set(900_000);
    for _ in 0..100 {
        link.send(long(1000));
    }
    settle().await;
    assert_eq!((budget.held_back(), link.unread()), (1, 90));
    client.thaw();
    for _ in 0..100 {
        assert_eq!(client.next().await, Some(message(&"x".repeat(1000))));
    }
    assert_eq!(budget.held_back(), 0);
}

#[tokio::test(start_paused = true)]
async fn those_that_hold_most_end_once_all_is_used_and_both_sides_are_told() {
    let (mut stage, budget, mut others) = stage(1_000_000);
    let (_heavy_bridge, heavy, heavy_client) = stage.web_socket();
    let (_light_bridge, light, light_client) = stage.web_socket();
    let _idle: Vec<_> = (0..98).map(|_| stage.web_socket()).collect();
    for client in [&heavy_client, &light_client] {
        assert_eq!(client.next().await, Some(open()));
        client.freeze();
    }
    (0..500).for_each(|_| heavy.send(long(1000)));
    (0..5).for_each(|_| light.send(long(1000)));
    settle().await;
    assert_eq!(stage.registry.taken(), 100);
    others.set(500_000);
    settle().await;
    assert_eq!(stage.registry.taken(), 99);
    assert!(budget.used() < 510_000, "{} are left", budget.used());
    assert_eq!(heavy.goodbye(), Some(Closing::new(1001, "memory")));
    light_client.thaw();
    assert_eq!(light_client.next().await, Some(message(&"x".repeat(1000))));
    let rendered = stage.metrics.render();
    let ended = rendered.lines().filter(|line| line.contains("reason=\"memory\"") && line.ends_with(" 1"));
    assert_eq!(ended.count(), 1, "{rendered}");
}

#[tokio::test(start_paused = true)]
async fn nobody_within_his_share_ends_though_others_use_all() {
    let (mut stage, budget, mut others) = stage(1_000_000);
    let (_bridge, link, client) = stage.web_socket();
    let _idle: Vec<_> = (0..99).map(|_| stage.web_socket()).collect();
    client.freeze();
    link.send(long(1000));
    settle().await;
    others.set(2_000_000);
    tokio::time::sleep(SECOND).await;
    assert_eq!((stage.registry.taken(), budget.excess()), (100, budget.used() - 950_000));
}

/// Runs 2,000 sessions, whose backends send messages at a steady pace, for a while; those of so many clients, which read
/// nothing, send as much as they can. Returns how many messages the other clients got.
async fn crowd(flooders: usize) -> usize {
    const SESSIONS: usize = 2_000;
    const MAX: usize = 8_000_000;
    const LEN: usize = 2_000;
    let (mut stage, budget, _) = stage(MAX);
    stage.registry.set_max(SESSIONS);
    let text = Message::text("x".repeat(LEN));
    let mut flooding = Vec::new();
    for number in 0..flooders {
        let (bridge, link, client) = if number % 2 == 0 {
            let (bridge, link, client) = stage.web_socket();
            client.freeze();
            (bridge, link, Some(client))
        } else {
            // It does not even fetch its open packet.
            let (bridge, link) = stage.polling();
            (bridge, link, None)
        };
        (0..500).for_each(|_| link.send(LinkEvent::Message(text.clone())));
        flooding.push((bridge, link, client));
    }
    let steady: Vec<_> = (flooders..SESSIONS).map(|_| stage.web_socket()).collect();
    let mut got = 0;
    for round in 0..30 {
        for (_, link, _) in &steady {
            link.send(LinkEvent::Message(text.clone()));
        }
        tokio::time::sleep(10 * MS).await;
        let ended = SESSIONS - stage.registry.taken();
        let most = MAX + (ended + 1) * (LEN + 64);
        assert!(budget.used() <= most, "{} bytes are held in round {round}", budget.used());
        got += steady.iter().map(|(_, _, client)| client.arrived().len()).sum::<usize>();
    }
    if flooders > 0 {
        assert!(
            budget.held_back() > 0 && budget.used() > MAX / 2,
            "{budget:?}, {} held back",
            budget.held_back()
        );
    }
    got
}

#[tokio::test(start_paused = true)]
async fn a_tenth_that_reads_nothing_takes_nothing_from_the_others() {
    let (alone, beside) = (crowd(0).await, crowd(200).await);
    // They are 1,800 of 2,000.
    assert!(beside * 2_000 >= alone * 1_800 * 8 / 10, "{beside} messages beside {alone}");
}

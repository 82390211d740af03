//! Everything that arrives wakes the task that waits for it.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_message_answers_the_parked_poll_at_once() {
    let (bridge, link) = Stage::new(HangUp::Ends).polling();
    let began = Instant::now();
    assert_eq!(fetch(&bridge).await, [open()]);
    let poll = bridge.poll().unwrap();
    tokio::join!(
        async {
            tokio::time::sleep(SECOND).await;
            link.send(says("a"));
        },
        async {
            let delivery = poll.await.unwrap();
            assert_eq!(delivery.packets(), [message("a")]);
            delivery.settle();
        }
    );
    assert_eq!(began.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_came_before_the_first_poll_of_the_task_is_not_forgotten() {
    let (bridge, link) = Stage::new(HangUp::Ends).polling();
    // Parked before the session's task first ran: what is polled now has no waker yet.
    let poll = bridge.poll().unwrap();
    link.send(says("a"));
    poll.await.unwrap().settle();
    assert_eq!(fetch(&bridge).await, [message("a")]);
}

#[tokio::test(start_paused = true)]
async fn a_post_is_answered_when_the_link_has_room() {
    let (bridge, link) = Stage::new(HangUp::Ends).polling();
    link.freeze();
    let began = Instant::now();
    let packets = ["a", "b", "c", "d", "e"].map(message).to_vec();
    let (outcome, ()) = tokio::join!(post(&bridge, packets.clone()), async {
        tokio::time::sleep(SECOND).await;
        link.thaw();
    });
    assert_eq!(outcome, PushOutcome::Accepted);
    assert_eq!(began.elapsed(), SECOND);
    for packet in packets {
        assert_eq!(link.next().await.map(Packet::Message), Some(packet));
    }
    assert_eq!(began.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_post_that_is_given_up_while_it_waits_reaches_the_backend_all_the_same() {
    let (bridge, link) = Stage::new(HangUp::Ends).polling();
    link.freeze();
    let packets = ["a", "b", "c", "d"].map(message).to_vec();
    assert!(tokio::time::timeout(SECOND, post(&bridge, packets)).await.is_err());
    link.thaw();
    for text in ["a", "b", "c", "d"] {
        assert_eq!(link.next().await, Some(Message::text(text)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_is_read_again_when_its_client_has_fetched() {
    let mut stage = Stage::with(
        HangUp::Ends,
        Settings { outbox_max: 100, linger: Duration::ZERO, ..Settings::default() },
    );
    let (bridge, link) = stage.polling();
    assert_eq!(fetch(&bridge).await, [open()]);
    for text in ["a", "b", "c", "d"] {
        link.send(says(text));
    }
    tokio::time::sleep(MS).await;
    assert_eq!(link.unread(), 2);
    assert_eq!(fetch(&bridge).await, [message("a"), message("b")]);
    tokio::time::sleep(MS).await;
    assert_eq!(link.unread(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_web_socket_is_read_again_when_the_link_has_room() {
    let (_bridge, link, client) = Stage::new(HangUp::Ends).web_socket();
    link.freeze();
    for text in ["a", "b", "c", "d", "e"] {
        client.send(Ok(message(text)));
    }
    tokio::time::sleep(MS).await;
    assert_eq!(client.unread(), 2, "two lie in the link's buffer, one waits in the session");
    link.thaw();
    for text in ["a", "b", "c", "d", "e"] {
        assert_eq!(link.next().await, Some(Message::text(text)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_is_read_again_when_the_clients_socket_has_room() {
    let mut stage = Stage::with(HangUp::Ends, Settings { outbox_max: 100, ..Settings::default() });
    let (_bridge, link, client) = stage.web_socket();
    assert_eq!(client.next().await, Some(open()));
    client.freeze();
    for text in ["a", "b", "c", "d", "e", "f"] {
        link.send(says(text));
    }
    tokio::time::sleep(MS).await;
    assert_eq!(link.unread(), 2);
    client.thaw();
    for text in ["a", "b", "c", "d", "e", "f"] {
        assert_eq!(client.next().await, Some(message(text)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_waits_is_answered_as_soon_as_the_batch_before_it_is_written() {
    let (bridge, link) = Stage::new(HangUp::Ends).polling();
    let first = bridge.poll().unwrap().await.unwrap();
    let second = bridge.poll().unwrap();
    link.send(says("a"));
    tokio::time::sleep(MS).await;
    let began = Instant::now();
    first.settle();
    assert_eq!(second.await.unwrap().packets(), [message("a")]);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_was_due_goes_to_the_poll_that_waited_for_it_and_not_to_the_next() {
    let (bridge, _link) = Stage::new(HangUp::Ends).polling();
    assert_eq!(fetch(&bridge).await, [open()]);
    let first = bridge.poll().unwrap();
    late(25 * SECOND).await;
    let _second = bridge.poll().unwrap();
    assert_eq!(first.await.unwrap().packets(), [Packet::Ping(Text::default())]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_was_dropped_on_its_way_goes_to_the_poll_that_waits() {
    let (bridge, link) = Stage::new(HangUp::Returns).polling();
    let first = bridge.poll().unwrap().await.unwrap();
    let second = bridge.poll().unwrap();
    link.send(says("a"));
    tokio::time::sleep(MS).await;
    drop(first);
    let began = Instant::now();
    assert_eq!(second.await.unwrap().packets(), [open()]);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_poll_was_dropped_before_it_looked_comes_home() {
    let (bridge, link) = Stage::new(HangUp::Returns).polling();
    let answered = bridge.poll().unwrap();
    let parked = bridge.poll().unwrap();
    link.send(says("a"));
    tokio::time::sleep(MS).await;
    // Its own batch is in it, not yet taken, and another poll is parked.
    drop(answered);
    assert_eq!(parked.await.unwrap().packets(), [open()]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_is_dropped_leaves_its_place_to_the_next() {
    let (bridge, link) = Stage::new(HangUp::Returns).polling();
    assert_eq!(fetch(&bridge).await, [open()]);
    for _ in 0..3 {
        drop(bridge.poll().unwrap());
    }
    let poll = bridge.poll().unwrap();
    assert_eq!(bridge.poll().unwrap_err(), PollRefused::Overlap);
    assert_eq!(poll.await.unwrap().packets(), [Packet::Close(None)]);
    assert!(link.is_gone() || link.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_is_held_comes_back_with_its_echoes() {
    let (bridge, link) = Stage::with(HangUp::Ends, Settings::default()).polling();
    assert_eq!(fetch(&bridge).await, [open()]);
    assert_eq!(post(&bridge, vec![message("hello")]).await, PushOutcome::Accepted);
    let poll = bridge.poll().unwrap();
    link.send(says("a"));
    tokio::task::yield_now().await;
    link.send(says("b"));
    let delivery = poll.await.unwrap();
    assert_eq!(delivery.packets(), [message("a"), message("b")]);
    delivery.settle();
    // Held, and nothing arrives in its window: it waits for the ping like any other.
    assert_eq!(post(&bridge, vec![message("hello")]).await, PushOutcome::Accepted);
    assert_eq!(fetch(&bridge).await, [Packet::Ping(Text::default())]);
}

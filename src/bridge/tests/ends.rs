//! However a session ends, nothing is left of it.

use super::*;

async fn begun(stage: &mut Stage) -> (Arc<Bridge>, LinkWire) {
    let (bridge, link) = stage.polling();
    assert_eq!(fetch(&bridge).await, [open()]);
    (bridge, link)
}

#[tokio::test(start_paused = true)]
async fn a_hang_up_lets_the_backend_go_at_once() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, link) = begun(&mut stage).await;
    let began = Instant::now();
    drop(bridge.poll().unwrap());
    assert!(stage.registry.is_empty());
    assert_eq!(bridge.poll().unwrap_err(), PollRefused::Over);
    link.gone().await;
    assert_eq!(link.goodbye(), Some(End::ClientGone.closing()));
    stage.clear(&bridge, MS).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_was_dropped_on_its_way_ends_the_session() {
    for seen in [true, false] {
        let mut stage = Stage::new(HangUp::Ends);
        let (bridge, link) = begun(&mut stage).await;
        let poll = bridge.poll().unwrap();
        link.send(says("a"));
        tokio::time::sleep(MS).await;
        if seen {
            drop(poll.await);
        } else {
            drop(poll);
        }
        link.gone().await;
        assert_eq!(link.goodbye(), Some(End::ClientGone.closing()));
        stage.clear(&bridge, MS).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_client_is_let_go_exactly_when_its_pong_is_overdue() {
    let settings =
        Settings { ping_interval: Some(300 * MS), ping_timeout: Some(200 * MS), ..Settings::default() };
    let mut stage = Stage::with(HangUp::Ends, settings);
    let began = Instant::now();
    let (bridge, link) = begun(&mut stage).await;
    assert_eq!(fetch(&bridge).await, [Packet::Ping(Text::default())]);
    assert_eq!(began.elapsed(), 300 * MS);
    assert_eq!(fetch(&bridge).await, [Packet::Close(None)]);
    assert_eq!(began.elapsed(), 500 * MS);
    link.gone().await;
    stage.clear(&bridge, MS).await;
    assert_eq!(began.elapsed(), 500 * MS);
}

#[tokio::test(start_paused = true)]
async fn a_request_at_the_very_deadline_finds_no_session() {
    let settings =
        Settings { ping_interval: Some(300 * MS), ping_timeout: Some(200 * MS), ..Settings::default() };
    let mut stage = Stage::with(HangUp::Ends, settings);
    let (bridge, _link) = begun(&mut stage).await;
    tokio::time::sleep(300 * MS).await;
    late(200 * MS).await;
    assert_eq!(bridge.push().unwrap_err(), PollRefused::Over);
    stage.clear(&bridge, MS).await;
}

#[tokio::test(start_paused = true)]
async fn a_post_that_is_cut_off_ends_the_session() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, link) = begun(&mut stage).await;
    let poll = bridge.poll().unwrap();
    drop(bridge.push().unwrap());
    assert!(poll.await.is_none());
    link.gone().await;
    stage.clear(&bridge, MS).await;
}

#[tokio::test(start_paused = true)]
async fn a_post_that_was_never_begun_to_be_sent_breaks_off_too() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, link) = begun(&mut stage).await;
    drop(bridge.push().unwrap().send(Box::new(std::iter::empty()), 0));
    link.gone().await;
    stage.clear(&bridge, MS).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_post_interrupts_the_first() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, link) = begun(&mut stage).await;
    let poll = bridge.poll().unwrap();
    let mut first = bridge.push().unwrap();
    assert_eq!(bridge.push().unwrap_err(), PollRefused::Overlap);
    first.interrupted().await;
    assert_eq!(poll.await.unwrap().packets(), [Packet::Close(None)]);
    drop(first);
    link.gone().await;
    stage.clear(&bridge, MS).await;
}

#[tokio::test(start_paused = true)]
async fn a_post_that_is_too_large_or_was_taken_leaves_room_for_the_next() {
    let (bridge, _link) = Stage::new(HangUp::Ends).polling();
    bridge.push().unwrap().withdraw();
    assert_eq!(post(&bridge, vec![message("a")]).await, PushOutcome::Accepted);
    assert_eq!(post(&bridge, vec![message("b")]).await, PushOutcome::Accepted);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_closes_is_answered_and_the_client_hears_of_it() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, link) = begun(&mut stage).await;
    link.send(says("a"));
    link.send(LinkEvent::Closed(Closing::new(4001, "over")));
    link.gone().await;
    assert_eq!(fetch(&bridge).await, [message("a")]);
    assert_eq!(fetch(&bridge).await, [Packet::Noop, Packet::Close(None)]);
    stage.clear(&bridge, MS).await;
}

#[tokio::test(start_paused = true)]
async fn a_post_is_refused_when_the_link_breaks_over_it() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, link) = begun(&mut stage).await;
    link.reset();
    link.send(says("a"));
    link.send(LinkEvent::Closed(Closing::new(1006, "")));
    assert_eq!(post(&bridge, vec![message("b")]).await, PushOutcome::Refused);
    assert_eq!(fetch(&bridge).await, [message("a")]);
    assert_eq!(fetch(&bridge).await, [Packet::Noop, Packet::Close(None)]);
    stage.clear(&bridge, MS).await;
}

#[tokio::test(start_paused = true)]
async fn a_frozen_backend_holds_nothing_up_for_longer_than_stall_timeout() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, link) = begun(&mut stage).await;
    link.freeze();
    let began = Instant::now();
    let poll = bridge.poll().unwrap();
    let packets = ["a", "b", "c"].map(message).to_vec();
    assert_eq!(post(&bridge, packets).await, PushOutcome::Refused);
    assert_eq!(began.elapsed(), stage.settings.stall_timeout);
    assert_eq!(poll.await.unwrap().packets(), [Packet::Close(None)]);
    // It does not answer the goodbye either.
    stage.clear(&bridge, 6 * SECOND).await;
    assert!(link.is_gone());
}

#[tokio::test(start_paused = true)]
async fn what_a_gone_client_left_is_given_up_after_stall_timeout() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, link) = begun(&mut stage).await;
    link.freeze();
    let poll = bridge.poll().unwrap();
    let packets = ["a", "b", "c"].map(message).to_vec();
    let patience = stage.settings.stall_timeout / 2;
    assert!(tokio::time::timeout(patience, post(&bridge, packets)).await.is_err());
    drop(poll);
    assert!(stage.registry.is_empty(), "the client's place is free at once");
    assert!(!stage.registry.is_settled(), "a drain waits for what was accepted from it");
    stage.clear(&bridge, stage.settings.stall_timeout + 6 * SECOND).await;
    assert!(stage.registry.is_settled());
    assert!(link.is_gone());
}

#[tokio::test(start_paused = true)]
async fn a_drain_lets_both_sides_finish_and_then_closes_the_link() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, link) = begun(&mut stage).await;
    link.send(says("a"));
    tokio::time::sleep(MS).await;
    bridge.drain(10 * SECOND);
    assert_eq!(fetch(&bridge).await, [message("a")]);
    assert_eq!(post(&bridge, vec![message("b")]).await, PushOutcome::Accepted);
    assert_eq!(link.next().await, Some(Message::text("b")), "what is accepted in a drain is passed on");
    tokio::time::sleep(SECOND).await;
    assert_eq!(fetch(&bridge).await, [Packet::Noop, Packet::Close(None)]);
    link.gone().await;
    assert_eq!(link.goodbye(), Some(End::Drained.closing()));
    stage.clear(&bridge, MS).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_a_client_that_never_comes() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, _link) = begun(&mut stage).await;
    bridge.drain(10 * SECOND);
    stage.clear(&bridge, 10 * SECOND + MS).await;
}

#[tokio::test(start_paused = true)]
async fn a_web_socket_that_is_gone_lets_the_backend_go() {
    for frozen in [false, true] {
        let mut stage = Stage::new(HangUp::Ends);
        let (bridge, link, client) = stage.web_socket();
        assert_eq!(client.next().await, Some(open()));
        client.send(Ok(message("a")));
        let closing = Some(Closing::new(4000, "bye"));
        client.send(Err(SocketEnd { end: End::ClientClosed, closing: closing.clone() }));
        tokio::time::sleep(MS).await;
        if frozen {
            client.freeze();
        }
        link.gone().await;
        assert_eq!(link.arrived(), [Message::text("a")]);
        assert_eq!(link.goodbye(), closing);
        // A client that does not answer the goodbye is waited for until it is given up.
        stage.clear(&bridge, 6 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_web_socket_that_breaks_under_a_write_ends_the_session() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, link, client) = stage.web_socket();
    assert_eq!(client.next().await, Some(open()));
    client.reset();
    link.send(says("a"));
    link.gone().await;
    assert_eq!(link.goodbye(), Some(End::ClientGone.closing()));
    stage.clear(&bridge, MS).await;
}

#[tokio::test(start_paused = true)]
async fn a_web_socket_gets_everything_before_its_goodbye() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, link, client) = stage.web_socket();
    client.freeze();
    let closing = Closing::new(4001, "over");
    for text in ["a", "b", "c"] {
        link.send(says(text));
    }
    link.send(LinkEvent::Closed(closing.clone()));
    tokio::time::sleep(SECOND).await;
    assert_eq!(client.goodbye(), None);
    client.thaw();
    client.gone().await;
    assert_eq!(client.arrived(), [open(), message("a"), message("b"), message("c")]);
    assert_eq!(client.goodbye(), Some(closing));
    stage.clear(&bridge, MS).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_posts_turn_ends_its_session() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, link) = stage.polling();
    assert_eq!(fetch(&bridge).await, [open()]);
    let poll = bridge.poll().unwrap();
    let waits = bridge.push().unwrap();
    link.panic_next();
    let posting = stage.tracker.spawn(waits.send(Box::new([Ok(message("lost"))].into_iter()), 0));
    assert!(posting.await.unwrap_err().is_panic());
    assert!(poll.await.is_none(), "nobody answers it any more");
    link.gone().await;
    assert_eq!(link.arrived(), []);
    assert_eq!(bridge.push().unwrap_err(), PollRefused::Over);
    assert_eq!(bridge.poll().unwrap_err(), PollRefused::Over);
    stage.clear(&bridge, SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_sessions_task_ends_it() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, link) = stage.polling();
    assert_eq!(fetch(&bridge).await, [open()]);
    link.freeze();
    let pushed = stage.tracker.spawn(
        bridge.push().unwrap().send(Box::new(["a", "b", "c"].into_iter().map(|text| Ok(message(text)))), 0),
    );
    tokio::time::sleep(MS).await;
    link.panic_next();
    link.thaw();
    assert_eq!(pushed.await.unwrap(), PushOutcome::Refused);
    link.gone().await;
    assert_eq!(bridge.push().unwrap_err(), PollRefused::Over);
    stage.clear(&bridge, SECOND).await;
}

//! A WebSocket that is a candidate to replace polling.

use super::*;
use crate::meter::Direction;
use crate::tally::Moved;

fn probe() -> Packet {
    Packet::Ping("probe".into())
}

fn probed() -> Packet {
    Packet::Pong("probe".into())
}

/// Returns a session whose client polls, and a candidate that has sent nothing.
async fn candidate(stage: &mut Stage) -> (Arc<Bridge>, LinkWire, SocketWire) {
    let (bridge, link) = stage.polling();
    assert_eq!(fetch(&bridge).await, [open()]);
    let client = offer(&bridge);
    (bridge, link, client)
}

fn offer(bridge: &Bridge) -> SocketWire {
    let (client, bridge_end) = wire();
    assert!(bridge.probe(bridge_end).is_ok());
    client
}

#[tokio::test(start_paused = true)]
async fn a_client_moves_without_losing_a_message() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, link, client) = candidate(&mut stage).await;
    let began = Instant::now();
    client.send(Ok(probe()));
    assert_eq!(client.next().await, Some(probed()));
    link.send(says("a"));
    link.send(says("b"));
    tokio::time::sleep(MS).await;
    assert_eq!(client.arrived(), []);
    client.send(Ok(Packet::Upgrade));
    client.send(Ok(message("c")));
    assert_eq!(client.next().await, Some(message("a")));
    assert_eq!(client.next().await, Some(message("b")));
    assert_eq!(link.next().await, Some(Message::text("c")));
    assert_eq!(bridge.transport(), Transport::WebSocket);
    assert_eq!(bridge.poll().unwrap_err(), PollRefused::WrongTransport);
    assert_eq!(began.elapsed(), MS);
    client.send(Err(SocketEnd { end: End::ClientClosed, closing: None }));
    stage.clear(&bridge, MS).await;
}

#[tokio::test(start_paused = true)]
async fn every_poll_of_the_window_is_released() {
    let (bridge, _link, client) = candidate(&mut Stage::new(HangUp::Ends)).await;
    client.send(Ok(probe()));
    let began = Instant::now();
    for count in 1..4 {
        assert_eq!(fetch(&bridge).await, [Packet::Noop]);
        assert_eq!(began.elapsed(), count * 100 * MS);
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_is_judged_behind_the_upgrade_that_came_before_it() {
    let (bridge, _link, client) = candidate(&mut Stage::new(HangUp::Ends)).await;
    client.send(Ok(probe()));
    assert_eq!(client.next().await, Some(probed()));
    client.send(Ok(Packet::Upgrade));
    // The session's task has not run yet.
    assert_eq!(bridge.poll().unwrap_err(), PollRefused::WrongTransport);
    assert_eq!(bridge.transport(), Transport::WebSocket);
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_probe_comes_as_soon_as_there_is_room() {
    let (_bridge, _link, client) = candidate(&mut Stage::new(HangUp::Ends)).await;
    client.jam();
    client.send(Ok(probe()));
    tokio::time::sleep(SECOND).await;
    let began = Instant::now();
    client.thaw();
    assert_eq!(client.next().await, Some(probed()));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_reads_no_answers_is_not_read() {
    let (_bridge, _link, client) = candidate(&mut Stage::new(HangUp::Ends)).await;
    client.jam();
    for _ in 0..10 {
        client.send(Ok(probe()));
    }
    tokio::time::sleep(MS).await;
    assert_eq!(client.unread(), 8, "no more answers wait than the socket's buffer takes");
    client.thaw();
    for _ in 0..10 {
        assert_eq!(client.next().await, Some(probed()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_candidate_is_given_back() {
    let (bridge, _link, first) = candidate(&mut Stage::new(HangUp::Ends)).await;
    let (second, bridge_end) = wire();
    let refused = bridge.probe(bridge_end).expect_err("one candidate at a time");
    turn_away(refused).await;
    assert_eq!(second.goodbye(), Some(Closing::default()));
    first.send(Ok(probe()));
    assert_eq!(first.next().await, Some(probed()));
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_fails_leaves_polling_alone() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, link, client) = candidate(&mut stage).await;
    let poll = bridge.poll().unwrap();
    client.send(Ok(message("too early")));
    client.gone().await;
    let next = offer(&bridge);
    next.send(Err(SocketEnd { end: End::ClientGone, closing: None }));
    next.gone().await;
    link.send(says("a"));
    poll.await.unwrap().settle();
    assert_eq!(link.arrived(), []);
    drop(bridge.poll());
    stage.clear(&bridge, MS).await;
}

#[tokio::test(start_paused = true)]
async fn a_candidate_is_not_closed_in_the_place_of_one_whose_time_is_over() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, _link, first) = candidate(&mut stage).await;
    late(stage.settings.upgrade_timeout).await;
    let second = offer(&bridge);
    second.send(Ok(probe()));
    assert_eq!(second.next().await, Some(probed()));
    first.gone().await;
    assert!(!second.is_gone());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_moves_may_drop_its_parked_poll() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, link, client) = candidate(&mut stage).await;
    let poll = bridge.poll().unwrap();
    client.send(Ok(probe()));
    client.send(Ok(Packet::Upgrade));
    assert_eq!(client.next().await, Some(probed()));
    tokio::time::sleep(MS).await;
    drop(poll);
    link.send(says("a"));
    assert_eq!(client.next().await, Some(message("a")));
}

#[tokio::test(start_paused = true)]
async fn the_socket_goes_on_as_soon_as_the_last_batch_is_written_or_home() {
    for written in [true, false] {
        let mut stage = Stage::new(HangUp::Returns);
        let (bridge, link, client) = candidate(&mut stage).await;
        link.send(says("a"));
        let delivery = bridge.poll().unwrap().await.unwrap();
        client.send(Ok(Packet::Upgrade));
        link.send(says("b"));
        tokio::time::sleep(MS).await;
        assert_eq!(client.arrived(), []);
        let began = Instant::now();
        if written {
            delivery.settle();
        } else {
            drop(delivery);
            assert_eq!(client.next().await, Some(message("a")));
        }
        assert_eq!(client.next().await, Some(message("b")));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_takes_its_candidate_along() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, _link, client) = candidate(&mut stage).await;
    drop(bridge.poll().unwrap());
    client.gone().await;
    let (late, bridge_end) = wire();
    let refused = bridge.probe(bridge_end).expect_err("the session is over");
    turn_away(refused).await;
    assert!(late.is_gone());
    stage.clear(&bridge, MS).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_session_moves_is_counted_on_each_of_its_transports() {
    let mut stage = Stage::new(HangUp::Ends);
    let (bridge, link) = stage.polling();
    let moved = |direction| bridge.info().tally.moved(direction);
    assert_eq!(fetch(&bridge).await, [open()]);
    assert_eq!(moved(Direction::ToClient), Moved::default(), "a packet of ours is no message");
    link.send(says("by a poll"));
    assert_eq!(fetch(&bridge).await, [message("by a poll")]);
    assert_eq!(post(&bridge, vec![message("a"), message("POST")]).await, PushOutcome::Accepted);
    assert_eq!(moved(Direction::FromClient), Moved { messages: 2, bytes: 5 });
    let client = offer(&bridge);
    client.send(Ok(probe()));
    assert_eq!(client.next().await, Some(probed()));
    client.send(Ok(Packet::Upgrade));
    client.send(Ok(message("frame")));
    link.send(says("back"));
    assert_eq!(client.next().await, Some(message("back")));
    for _ in 0..3 {
        link.next().await;
    }
    assert_eq!(moved(Direction::FromClient), Moved { messages: 3, bytes: 10 });
    assert_eq!(moved(Direction::ToClient), Moved { messages: 2, bytes: 13 });
}

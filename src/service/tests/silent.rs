//! A node that falls silent or dies: the requests that wait there are answered once that shows, and it shows without requests, too.

use std::time::Duration;

use tokio::time::{Instant, advance, sleep};

use super::backend::Backend;
use super::pair::{Pair, settle, target};
use crate::meter::PeerState;
use crate::session;

/// Sends a request that waits at the owner of a new session, and returns the status of its response and when it came.
async fn wait(pair: &Pair) -> (u16, Instant) {
    let sid = pair.owner.begin(&Backend::default());
    let (status, _) = pair.asker.get(&target(&sid)).await;
    (status, Instant::now())
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_while_its_node_falls_silent_does_not_wait_for_the_next_dial_too() {
    let pair = Pair::start(session::Settings::default()).await;
    let waiting = wait(&pair);
    let fall_silent = async {
        settle().await;
        pair.net.dials();
        pair.net.silence("a:1", true);
        pair.net.freeze("b:1", "a:1");
    };
    let ((status, answered), ()) = tokio::join!(waiting, fall_silent);
    // The silence has ended the connection, and the node is dialled to learn whether it lives.
    let (dialled, ..) = pair.net.dials().into_iter().find(|(_, from, _)| from == "b:1").unwrap();
    assert_eq!((status, answered), (502, dialled));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_stopped_itself_does_not_take_others_for_silent() {
    let pair = Pair::start(session::Settings::default()).await;
    let waiting = wait(&pair);
    let stop = async {
        settle().await;
        pair.net.silence("a:1", true);
        pair.net.freeze("b:1", "a:1");
        // The other one was asked whether it is there when this process stops.
        sleep(Duration::from_secs(25)).await;
        advance(Duration::from_mins(2)).await;
        Instant::now()
    };
    let ((status, answered), goes_on) = tokio::join!(waiting, stop);
    assert_eq!(status, 502);
    let waited = answered - goes_on;
    assert!(waited > Duration::from_secs(10), "it has {waited:?} to answer from then on");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_after_a_long_rest_is_down() {
    let pair = Pair::start(session::Settings::default()).await;
    let backend = Backend::default();
    let sid = pair.owner.begin(&backend);
    backend.say("hi");
    assert_eq!(pair.asker.get(&target(&sid)).await.0, 200);
    let state = || pair.asker.cluster.sights(0)[1].state;
    for _ in 0..3 {
        sleep(Duration::from_mins(4)).await;
        assert_eq!(state(), PeerState::Up);
    }
    pair.net.leave("a:1");
    pair.owner.kill();
    settle().await;
    assert_eq!(state(), PeerState::Down);
}

#[tokio::test(start_paused = true)]
async fn a_node_tells_its_sessions_also_while_it_is_asked_nothing() {
    let pair = Pair::start(session::Settings::default()).await;
    let told = || pair.asker.cluster.sights(0)[1].sessions;
    assert_eq!(told(), Some(0), "from the start");
    for count in 1..=3 {
        pair.owner.begin(&Backend::default());
        sleep(Duration::from_millis(4100)).await;
        assert_eq!(told(), Some(count));
    }
}

#[tokio::test(start_paused = true)]
async fn two_polls_at_nodes_that_live_overlap_soon() {
    let pair = Pair::start(session::Settings::default()).await;
    let target = target(&pair.owner.begin(&Backend::default()));
    let second = async {
        settle().await;
        let since = Instant::now();
        let (status, _) = pair.owner.get(&target).await;
        (status, since.elapsed())
    };
    let ((first, _), (second, took)) = tokio::join!(pair.asker.get(&target), second);
    assert_eq!((first, second), (200, 400));
    assert!(took >= Duration::from_millis(100) && took < Duration::from_millis(120), "{took:?}");
}

//! Receivers with habits other than those of Engine.IO's polls: streams, a second one that is refused or replaces the
//! first, and a client that acknowledges messages.

use std::future::poll_fn;

use tokio::time::{sleep, timeout};

use super::actors::{Client, Faults, backend};
use super::dice::Dice;
use super::random::{PATIENCE, SLOW, first, seeds, settings};
use super::*;
use crate::bridge::{ParkedStream, ReceiverRefused};
use crate::session::{CursorRefused, Joined, Liveness, Terms};

/// Returns the policy of a browser that falls back to streams, or, with a cursor, of `curl` in a loop.
fn streaming(has_cursor: bool) -> Policy {
    let liveness = Liveness { beat: 25 * SECOND, absence: 5 * SECOND, is_heard: has_cursor };
    let own = Policy {
        pinger: Pinger::Nobody(liveness),
        goodbye_late: &[Packet::Close(None)],
        ..policy(HangUp::Ends)
    };
    if has_cursor {
        Policy {
            hang_up: HangUp::Returns,
            second: Second::Replaces,
            acks: Acks::OnCursor,
            pushes: Pushes::Queued,
            ..own
        }
    } else {
        Policy { second: Second::Refused, ..own }
    }
}

fn quick() -> Settings {
    Settings { linger: Duration::ZERO, ..Settings::default() }
}

/// Returns terms of this many bytes, for a client that has received this much.
fn up_to(bytes: usize, after: Option<u64>) -> Terms {
    Terms { after, bytes, ..Terms::default() }
}

/// Returns the next batch of a stream.
async fn part(stream: &mut ParkedStream) -> Option<Vec<Packet>> {
    let delivery = poll_fn(|cx| stream.poll_next(cx)).await?;
    let packets = delivery.packets().to_vec();
    delivery.settle();
    Some(packets)
}

#[tokio::test(start_paused = true)]
async fn a_stream_takes_one_batch_after_another_until_its_budget_is_used() {
    let (bridge, link) = Stage::of(streaming(false), quick()).polling();
    let mut stream = bridge.stream(up_to(10, None)).unwrap();
    assert_eq!(part(&mut stream).await, Some(vec![open()]));
    for text in ["a", "b", "c", "d"] {
        link.send(says(text));
        assert_eq!(part(&mut stream).await, Some(vec![message(text)]));
    }
    link.send(says("e"));
    assert_eq!(part(&mut stream).await, None, "the budget is used");
    assert_eq!(fetch(&bridge).await, [message("e")]);
}

#[tokio::test(start_paused = true)]
async fn a_second_receiver_is_refused_and_the_first_goes_on() {
    let (bridge, link) = Stage::of(streaming(false), quick()).polling();
    let mut stream = bridge.stream(up_to(1000, None)).unwrap();
    assert_eq!(part(&mut stream).await, Some(vec![open()]));
    assert_eq!(bridge.poll().unwrap_err(), PollRefused::Occupied);
    assert_eq!(bridge.stream(up_to(1, None)).unwrap_err(), ReceiverRefused::Poll(PollRefused::Occupied));
    link.send(says("a"));
    assert_eq!(part(&mut stream).await, Some(vec![message("a")]));
}

#[tokio::test(start_paused = true)]
async fn a_newer_receiver_replaces_the_one_before_and_brings_what_that_did_not() {
    let (bridge, link) = Stage::of(streaming(true), quick()).polling();
    let mut first = bridge.stream(up_to(1000, None)).unwrap();
    link.send(says("a"));
    assert_eq!(part(&mut first).await, Some(vec![message("a")]));
    link.send(says("b"));
    sleep(MS).await;
    let second = bridge.poll_on(up_to(usize::MAX, Some(1))).unwrap();
    let second = second.await.unwrap();
    assert_eq!((second.packets(), second.last()), (&[message("b")][..], 2), "though it lies in the first");
    assert_eq!(part(&mut first).await, Some(vec![message("b")]));
    assert_eq!(part(&mut first).await, Some(vec![]), "replaced");
    assert_eq!(part(&mut first).await, None);
    for after in [0, 3] {
        let refused = CursorRefused { acknowledged: 1, sent: 2 };
        assert_eq!(
            bridge.poll_on(up_to(usize::MAX, Some(after))).unwrap_err(),
            ReceiverRefused::Cursor(refused)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_is_given_a_beat_and_a_client_without_one_is_gone() {
    let mut stage = Stage::of(streaming(false), quick());
    let (bridge, link) = stage.polling();
    let mut stream = bridge.stream(up_to(1000, None)).unwrap();
    assert_eq!(part(&mut stream).await, Some(vec![open()]));
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(part(&mut stream).await, Some(vec![Packet::Ping(Text::default())]));
    }
    assert_eq!(began.elapsed(), 75 * SECOND);
    let polled = Instant::now();
    drop(stream);
    link.gone().await;
    assert_eq!((polled.elapsed(), link.goodbye()), (Duration::ZERO, Some(End::ClientGone.closing())));
    stage.clear(&bridge, MS).await;

    let mut stage = Stage::of(streaming(false), quick());
    let (bridge, link) = stage.polling();
    assert_eq!(fetch(&bridge).await, [open()]);
    let fetched = Instant::now();
    link.gone().await;
    assert_eq!((fetched.elapsed(), link.goodbye()), (5 * SECOND, Some(End::ClientGone.closing())));
    stage.clear(&bridge, MS).await;
}

/// Polls and streams in turn, until the session is over.
async fn receive(client: &Client, bridge: &Arc<Bridge>, faults: Faults, has_cursor: bool, mut dice: Dice) {
    loop {
        sleep(dice.up_to_ms(2)).await;
        let after = has_cursor.then(|| client.got.borrow().len() as u64);
        let mut stream = match bridge.stream(up_to(1 + usize::try_from(dice.below(500)).unwrap(), after)) {
            Ok(stream) => stream,
            Err(ReceiverRefused::Poll(_)) => return,
            Err(refused @ ReceiverRefused::Cursor(_)) => panic!("what was got was sent: {refused:?}"),
        };
        if dice.chance(faults.overlaps) {
            // Only if the newer one is admitted.
            let Ok(newer) = bridge.stream(up_to(200, after)) else { return };
            drop(std::mem::replace(&mut stream, newer));
        }
        loop {
            let next = poll_fn(|cx| stream.poll_next(cx));
            let next = if dice.chance(faults.hangs_up) {
                tokio::select! {
                    biased;
                    () = sleep(dice.up_to_ms(3)) => break,
                    next = next => next,
                }
            } else {
                next.await
            };
            let Some(delivery) = next else { break };
            sleep(dice.up_to_ms(2)).await;
            if dice.chance(faults.loses) {
                drop(delivery.into_receipt(0));
                break;
            }
            client.take(delivery.packets());
            let over = delivery.packets().contains(&Packet::Close(None));
            delivery.settle();
            if over {
                return;
            }
        }
    }
}

/// Sends each message until it receives the acceptance, which it may forget.
async fn send_again(bridge: &Bridge, says: u32, mut dice: Dice) {
    for number in 1..=says {
        loop {
            sleep(dice.up_to_ms(3)).await;
            let place = bridge.push_place().await;
            let packets = std::iter::once(Ok(Packet::Message(Message::text(number.to_string()))));
            let outcome = match bridge.join(Some(number.into()), Box::new(packets), 0, place) {
                Ok(verdict) => timeout(dice.up_to_ms(6), verdict).await.ok().map(Result::unwrap),
                Err(Joined::Taken(())) => Some(PushOutcome::Accepted),
                Err(refused) => panic!("nothing was left out, and the link is there: {refused:?}"),
            };
            match outcome {
                Some(PushOutcome::Accepted) if dice.chance(70) => break,
                Some(PushOutcome::Accepted) | None => {}
                Some(refused) => panic!("the link takes everything: {refused:?}"),
            }
        }
    }
}

async fn play(seed: u64, has_cursor: bool, faults: Faults) {
    let mut dice = Dice::new(seed);
    let mut stage = Stage::of(streaming(has_cursor), settings(SLOW, &mut dice));
    let says = (u32::try_from(dice.below(30)).unwrap(), u32::try_from(dice.below(30)).unwrap());
    let (bridge, link) = stage.polling();
    stage.blow(&link, dice.split());
    let client = Client::new(Arc::clone(&bridge), Faults::default());
    let (receives, posts) = (dice.split(), dice.split());
    let act = async {
        let receive = receive(&client, &bridge, faults, has_cursor, receives);
        if has_cursor {
            tokio::join!(receive, send_again(&bridge, says.1, posts));
        } else {
            tokio::join!(receive, client.post(says.1, posts));
        }
    };
    let play = async { tokio::join!(backend(&link, says.0, says.1, Dice::new(seed + 1)), act).0 };
    let heard = timeout(PATIENCE, play).await.expect("somebody waits for ever");
    stage.clear(&bridge, PATIENCE).await;
    assert_eq!(*client.got.borrow(), first(says.0 as usize), "the client");
    assert_eq!(heard, first(says.1 as usize), "the backend");
}

#[tokio::test(start_paused = true)]
async fn a_patient_client_of_streams_gets_and_says_everything() {
    for seed in seeds() {
        play(seed.0, false, Faults::default()).await;
        play(seed.0, true, Faults::default()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn impatience_costs_nothing_where_a_client_says_how_far_it_has_come() {
    let faults = Faults { hangs_up: 40, loses: 30, overlaps: 30, ..Faults::default() };
    for seed in seeds() {
        play(seed.0, true, faults).await;
    }
}

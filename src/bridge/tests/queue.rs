//! POSTs of a client that sends several at once, without numbers.

use std::cell::{Cell, RefCell};

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::actors::number;
use super::dice::Dice;
use super::random::{PATIENCE, SLOW, first, seeds, settings};
use super::*;

/// What several POSTs have sent.
#[derive(Debug, Default)]
struct Posts {
    /// The last number that was queued.
    joined: Cell<u32>,
    /// The numbers whose POSTs were accepted.
    accepted: RefCell<Vec<u32>>,
}

/// Sends one POST, whose body takes time and may be aborted, and whose client may not wait for the response.
async fn post(bridge: &Bridge, sent: &Posts, mut dice: Dice) {
    sleep(dice.up_to_ms(20)).await;
    let place = bridge.push_place().await;
    sleep(dice.up_to_ms(5)).await;
    if dice.chance(20) {
        return;
    }
    let from = sent.joined.get();
    let numbers = from + 1..=from + u32::try_from(dice.below(4)).unwrap();
    sent.joined.set(*numbers.end());
    let packets = numbers.clone().map(|number| Ok(Packet::Message(Message::text(number.to_string()))));
    let packets = packets.collect::<Vec<_>>().into_iter();
    let verdict = bridge.join(None, Box::new(packets), 0, place).expect("what has no number leaves none out");
    let patience = if dice.chance(20) { dice.up_to_ms(3) } else { PATIENCE };
    if let Ok(outcome) = timeout(patience, verdict).await {
        assert_eq!(outcome, Ok(PushOutcome::Accepted), "the link takes everything");
        sent.accepted.borrow_mut().extend(numbers);
    }
}

#[tokio::test(start_paused = true)]
async fn posts_at_once_arrive_whole_and_in_the_order_in_which_they_came_whole() {
    for seed in seeds() {
        let mut dice = Dice::new(seed.0);
        let policy = Policy { pushes: Pushes::Queued, ..policy(HangUp::Ends) };
        let mut stage = Stage::of(policy, settings(SLOW, &mut dice));
        let (bridge, link) = stage.polling();
        stage.blow(&link, dice.split());
        assert_eq!(fetch(&bridge).await, [open()]);
        let sent = Posts::default();
        // More than may be in progress at once.
        let posts = join_all((0..20).map(|_| post(&bridge, &sent, dice.split())));
        let heard = RefCell::new(Vec::new());
        let hear = async {
            while let Some(message) = link.next().await {
                heard.borrow_mut().push(number(&message));
            }
        };
        let play = async {
            tokio::select! {
                () = hear => panic!("the session goes on"),
                _ = posts => {}
            }
            // What was queued goes to the link, whether its client waits or not.
            while heard.borrow().len() < sent.joined.get() as usize {
                let message = link.next().await.expect("the session goes on");
                heard.borrow_mut().push(number(&message));
            }
        };
        timeout(PATIENCE, play).await.expect("somebody waits for ever");
        assert_eq!(*heard.borrow(), first(sent.joined.get() as usize), "in order, none twice");
        assert!(sent.accepted.borrow().iter().all(|number| heard.borrow().contains(number)));
        bridge.leave().unwrap();
        stage.clear(&bridge, PATIENCE).await;
    }
}

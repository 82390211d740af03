//! A backend, and clients with different faults, for [`random`](super::random), on its paused clock.

use std::cell::{Cell, RefCell};

use tokio::time::{sleep, timeout};

use super::dice::Dice;
use super::*;

/// How a client misbehaves, each in percent of the occasions.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Faults {
    /// A parked poll is dropped.
    pub(super) hangs_up: u64,
    /// A parked poll gives its place back, because the node that has its client is gone.
    pub(super) withdraws: u64,
    /// A batch is dropped instead of written.
    pub(super) loses: u64,
    /// A POST is aborted before its body is complete.
    pub(super) aborts: u64,
    /// A POST whose body is complete is dropped before its response.
    pub(super) gives_up: u64,
    /// The client moves without waiting for its poll and its POST.
    pub(super) overlaps: u64,
}

/// Returns a message of random length that contains its number.
fn numbered(number: u32, dice: &mut Dice) -> Message {
    let len = usize::try_from(dice.below(200)).unwrap();
    Message::text(format!("{number:<len$}"))
}

pub(super) fn number(message: &Message) -> u32 {
    match message {
        Message::Text(text) => text.as_str().trim_end().parse().unwrap(),
        Message::Binary(_) => panic!("only text was sent"),
    }
}

/// Sends its messages, receives the client's, and closes when it has received enough.
pub(super) async fn backend(link: &LinkWire, says: u32, awaits: u32, mut dice: Dice) -> Vec<u32> {
    let speak = async {
        let mut dice = dice.split();
        for next in 1..=says {
            if dice.chance(40) {
                sleep(dice.up_to_ms(8)).await;
            }
            link.send(LinkEvent::Message(numbered(next, &mut dice)));
        }
    };
    let listen = async {
        let mut taken = Vec::new();
        while taken.len() < awaits as usize
            && let Some(message) = link.next().await
        {
            taken.push(number(&message));
        }
        taken
    };
    let ((), mut taken) = tokio::join!(speak, listen);
    link.send(LinkEvent::Closed(Closing::new(1000, "")));
    while let Some(message) = link.next().await {
        taken.push(number(&message));
    }
    taken
}

/// What a client has sent and received.
#[derive(Debug)]
pub(super) struct Client {
    bridge: Arc<Bridge>,
    faults: Faults,
    pub(super) got: RefCell<Vec<u32>>,
    /// The last number that it sent, or may have sent.
    pub(super) said: Cell<u32>,
    /// The last number of a POST that was accepted.
    pub(super) accepted: Cell<u32>,
    /// Whether it is about to move: then it starts no further poll or POST.
    moves: Cell<bool>,
}

impl Client {
    pub(super) fn new(bridge: Arc<Bridge>, faults: Faults) -> Self {
        Self {
            bridge,
            faults,
            got: RefCell::default(),
            said: Cell::new(0),
            accepted: Cell::new(0),
            moves: Cell::new(false),
        }
    }

    /// Polls and posts until the session is over.
    pub(super) async fn poll_and_post(&self, says: u32, mut dice: Dice) {
        let (pollings, postings) = (dice.split(), dice.split());
        tokio::join!(self.poll(pollings), self.post(says, postings));
    }

    async fn poll(&self, mut dice: Dice) {
        while !self.moves.get() {
            sleep(dice.up_to_ms(2)).await;
            let Ok(parked) = self.bridge.poll() else { return };
            if dice.chance(self.faults.withdraws) {
                // Perhaps with a batch that it has not taken.
                sleep(dice.up_to_ms(3)).await;
                parked.withdraw();
                continue;
            }
            let answer = if dice.chance(self.faults.hangs_up) {
                // Biased, so that a poll may be dropped with its batch inside.
                tokio::select! {
                    biased;
                    () = sleep(dice.up_to_ms(3)) => continue,
                    answer = parked => answer,
                }
            } else {
                parked.await
            };
            let Some(delivery) = answer else { return };
            sleep(dice.up_to_ms(2)).await;
            if dice.chance(self.faults.loses) {
                if dice.chance(50) {
                    // A receipt is lost with its bytes.
                    let receipt = delivery.into_receipt(0);
                    sleep(dice.up_to_ms(2)).await;
                    drop(receipt);
                }
                continue;
            }
            self.take(delivery.packets());
            let over = delivery.packets().contains(&Packet::Close(None));
            delivery.settle();
            if over {
                return;
            }
        }
    }

    pub(super) fn take(&self, packets: &[Packet]) {
        for packet in packets {
            if let Packet::Message(message) = packet {
                self.got.borrow_mut().push(number(message));
            }
        }
    }

    pub(super) async fn post(&self, says: u32, mut dice: Dice) {
        while self.said.get() < says && !self.moves.get() {
            sleep(dice.up_to_ms(4)).await;
            let Ok(push) = self.bridge.push() else { return };
            sleep(dice.up_to_ms(2)).await;
            if dice.chance(self.faults.aborts) {
                return;
            }
            let before = self.said.get();
            let last = says.min(before + 1 + u32::try_from(dice.below(4)).unwrap());
            let packets: Vec<_> =
                (before + 1..=last).map(|next| Ok(Packet::Message(numbered(next, &mut dice)))).collect();
            self.said.set(last);
            let sent = push.send(Box::new(packets.into_iter()), 0);
            let outcome = if dice.chance(self.faults.gives_up) {
                timeout(dice.up_to_ms(3), sent).await.ok()
            } else {
                Some(sent.await)
            };
            match outcome {
                Some(PushOutcome::Accepted) => self.accepted.set(last),
                // Destroyed by the move before its outcome was received.
                Some(PushOutcome::Destroyed) => return self.said.set(before),
                Some(PushOutcome::Refused) | None => return,
            }
        }
    }

    /// Moves from polling to `socket` at some time, then uses that until the session is over.
    pub(super) async fn move_to(
        &self,
        bridge_end: Box<dyn ClientSocket>,
        socket: &SocketWire,
        says: u32,
        mut dice: Dice,
    ) {
        let polling = self.poll_and_post(says, dice.split());
        let overlaps = dice.chance(self.faults.overlaps);
        let moving = async {
            sleep(dice.up_to_ms(40)).await;
            if self.bridge.probe(bridge_end).is_err() {
                return;
            }
            socket.send(Ok(Packet::Ping("probe".into())));
            assert!(matches!(socket.next().await, Some(Packet::Pong(_)) | None));
            self.moves.set(true);
            if overlaps {
                socket.send(Ok(Packet::Upgrade));
            }
        };
        tokio::join!(polling, moving);
        if !overlaps {
            socket.send(Ok(Packet::Upgrade));
        }
        self.talk(socket, says, dice).await;
    }

    /// Sends and receives on a WebSocket until the session is over.
    pub(super) async fn talk(&self, socket: &SocketWire, says: u32, mut dice: Dice) {
        let speak = async {
            while self.said.get() < says {
                sleep(dice.up_to_ms(4)).await;
                self.said.set(self.said.get() + 1);
                socket.send(Ok(Packet::Message(numbered(self.said.get(), &mut dice))));
            }
        };
        let listen = async {
            while let Some(packet) = socket.next().await {
                self.take(&[packet]);
            }
        };
        tokio::join!(speak, listen);
    }
}

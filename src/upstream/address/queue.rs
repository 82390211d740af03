//! Sessions that wait for a place at an upstream whose addresses are full, in order. Pure: time is passed in.

use std::collections::VecDeque;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::entry::Endpoint;
use super::set::{Among, Purpose, Set, Unchosen, Wish};
use crate::upstream::affinity::Key;

/// Who waits, the first in line first.
#[derive(Default, Debug)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    /// The number of the last one that has joined.
    last: u64,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    purpose: Purpose,
    tried: Vec<Endpoint>,
    key: Option<Key>,
    turn: oneshot::Sender<Turn>,
}

/// The end of a wait: a place at this address, or `None` if no address is left to wait for.
pub(super) type Turn = Option<Endpoint>;

/// What one that wants to wait meets.
#[derive(Debug)]
pub(super) enum Entered {
    /// No wait.
    Turn(Turn),
    /// A place in line, with its number, and what learns of its turn.
    Waits(u64, oneshot::Receiver<Turn>),
    /// A line that is too long.
    Refused,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes the last place in line, unless there are so many before it or there is no need to wait.
    pub(super) fn enter(&mut self, set: &mut Set, wish: Wish<'_>, longest: usize, now: Instant) -> Entered {
        match set.choose(Among::Working, wish, now) {
            Ok(endpoint) => return Entered::Turn(Some(endpoint)),
            Err(Unchosen::None) => return Entered::Turn(None),
            Err(Unchosen::Full) if self.len() >= longest => return Entered::Refused,
            Err(Unchosen::Full) => {}
        }
        let (turn, learns) = oneshot::channel();
        self.last += 1;
        let Wish { purpose, tried, key } = wish;
        self.waiting.push_back(Waiting { number: self.last, purpose, tried: tried.to_vec(), key, turn });
        Entered::Waits(self.last, learns)
    }

    /// Gives a place in line up. Returns whether it had not had its turn.
    pub(super) fn leave(&mut self, number: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|one| one.number != number);
        self.waiting.len() < before
    }

    /// Gives places at addresses to those that wait, in their order.
    pub(super) fn serve(&mut self, set: &mut Set, now: Instant) {
        let mut index = 0;
        while let Some(Waiting { purpose, tried, key, .. }) = self.waiting.get(index) {
            let (purpose, wish) = (*purpose, Wish { purpose: *purpose, tried, key: *key });
            let turn = match set.choose(Among::Working, wish, now) {
                Ok(endpoint) => Some(endpoint),
                Err(Unchosen::None) => None,
                // Nobody else may use more addresses.
                Err(Unchosen::Full) if tried.is_empty() => return,
                Err(Unchosen::Full) => {
                    index += 1;
                    continue;
                }
            };
            let Some(Waiting { turn: sender, .. }) = self.waiting.remove(index) else { return };
            if let Err(Some(endpoint)) = sender.send(turn) {
                set.leave(endpoint, purpose);
            }
        }
    }
}

//! Several nodes that claim one id of a server in memory, whose commands and answers are delivered in any order that connections
//! allow.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::route_id::RouteId;
use crate::sid::Tag;

/// What a node sends to the server, in order.
#[derive(Clone, Copy, Debug)]
enum Command {
    Subscribe(usize),
    Unsubscribe(usize),
    Ask { round: usize, question: Question },
    Answer { to: usize, round: usize, heard: Heard },
}

/// What the server sends to a node, in order.
#[derive(Clone, Copy, Debug)]
enum Event {
    Asked { subscription: usize, by: usize, round: usize, question: Question },
    Answered { round: usize, heard: Heard },
}

#[derive(Debug)]
struct Claimant {
    claims: Claims<()>,
    commands: VecDeque<Command>,
    events: VecDeque<Event>,
    /// Its subscriptions, as the server has them.
    subscribed: Vec<usize>,
    /// The last one that it made, and those that it has ended.
    subscription: usize,
    ended: Vec<usize>,
    /// Its last question.
    round: usize,
    verdict: Option<Verdict>,
}

struct Site {
    id: Id,
    all: Vec<Claimant>,
}

impl Site {
    fn new(count: u8) -> Self {
        let claimant = |at: u8| Claimant {
            claims: Claims::new(Node::from_random(Tag::of_name("n").unwrap(), [0, at])),
            commands: VecDeque::new(),
            events: VecDeque::new(),
            subscribed: Vec::new(),
            subscription: 0,
            ended: Vec::new(),
            round: 0,
            verdict: None,
        };
        Self { id: Id::of(&RouteId::new(None, "/"), "one"), all: (0..count).map(claimant).collect() }
    }

    /// A node asks, behind its subscription.
    fn ask(&mut self, at: usize) {
        let node = &mut self.all[at];
        if !node.claims.is_begun(self.id) {
            node.subscription += 1;
            node.commands.push_back(Command::Subscribe(node.subscription));
            node.claims.begin(self.id, ());
        }
        node.round += 1;
        let question = Question::Claim { by: node.claims.me, instead_of: None };
        node.commands.push_back(Command::Ask { round: node.round, question });
    }

    fn end_subscription(&mut self, at: usize, subscription: usize) {
        if !self.all[at].ended.contains(&subscription) {
            self.all[at].ended.push(subscription);
            self.all[at].commands.push_back(Command::Unsubscribe(subscription));
        }
    }

    /// The server takes a node's next command.
    fn serve(&mut self, at: usize) -> bool {
        let Some(command) = self.all[at].commands.pop_front() else { return false };
        match command {
            Command::Subscribe(subscription) => self.all[at].subscribed.push(subscription),
            Command::Unsubscribe(subscription) => self.all[at].subscribed.retain(|one| *one != subscription),
            Command::Ask { round, question } => {
                let mut is_asked = false;
                for (_, other) in self.all.iter_mut().enumerate().filter(|(other, _)| *other != at) {
                    for subscription in other.subscribed.clone() {
                        is_asked = true;
                        other.events.push_back(Event::Asked { subscription, by: at, round, question });
                    }
                }
                if !is_asked {
                    self.all[at].events.push_back(Event::Answered { round, heard: Heard::Nobody });
                }
            }
            Command::Answer { to, round, heard } => {
                self.all[to].events.push_back(Event::Answered { round, heard });
            }
        }
        true
    }

    /// A node takes the server's next message.
    fn hear(&mut self, at: usize) -> bool {
        let Some(event) = self.all[at].events.pop_front() else { return false };
        match event {
            Event::Asked { subscription, by, round, question } => {
                let node = &mut self.all[at];
                let is_over = node.ended.contains(&subscription);
                let heard = if is_over { Heard::NoMore } else { node.claims.hear(self.id, question) };
                if heard == Heard::NoMore {
                    self.end_subscription(at, subscription);
                }
                self.all[at].commands.push_back(Command::Answer { to: by, round, heard });
            }
            Event::Answered { round, heard } => {
                let node = &mut self.all[at];
                // Only the first answer to a question counts.
                if round != node.round || node.verdict.is_some() {
                    return true;
                }
                match node.claims.settle(self.id, heard) {
                    None => self.ask(at),
                    Some(verdict) => {
                        node.verdict = Some(verdict);
                        if !node.claims.is_begun(self.id) {
                            let subscription = node.subscription;
                            self.end_subscription(at, subscription);
                        }
                    }
                }
            }
        }
        true
    }

    fn winners(&self) -> Vec<usize> {
        (0..self.all.len()).filter(|at| self.all[*at].claims.is_won(self.id)).collect()
    }
}

#[test]
fn nodes_that_take_turns_do_not_claim_for_ever() {
    one_wins(4, vec![63, 12, 63, 21, 21, 57, 53, 51, 42, 12, 11, 57, 0, 45, 6, 15, 5, 30]).unwrap();
}

proptest! {
    /// In whatever order things happen, one node wins, all others hear so, and it does not take forever.
    #[test]
    fn one_node_wins_in_any_order(count in 2..5u8, order in proptest::collection::vec(0..64usize, 0..300)) {
        one_wins(count, order)?;
    }
}

fn one_wins(count: u8, order: Vec<usize>) -> Result<(), TestCaseError> {
    let mut site = Site::new(count);
    let count = usize::from(count);
    let mut unasked: Vec<usize> = (0..count).collect();
    let end = (0..4000).map(|turn| turn % 8 * 8 + turn / 8 % 8);
    for step in order.into_iter().chain(end) {
        let (what, at) = (step % 3, step / 3 % count);
        match what {
            0 if unasked.contains(&at) => {
                unasked.retain(|one| *one != at);
                site.ask(at);
            }
            0 | 1 => {
                site.serve(at);
            }
            _ => {
                site.hear(at);
            }
        }
        prop_assert!(site.winners().len() <= 1, "{:?}", site.winners());
    }
    prop_assert_eq!(unasked.len(), 0);
    let winners = site.winners();
    prop_assert_eq!(winners.len(), 1);
    for node in &site.all {
        prop_assert!(matches!(node.verdict, Some(Verdict::Of(_))), "{:?}", node);
    }
    let winner = site.all[winners[0]].claims.me;
    prop_assert_eq!(site.all[winners[0]].verdict, Some(Verdict::Of(winner)));
    Ok(())
}

#[test]
fn a_node_that_has_an_id_keeps_it_unless_it_is_known_not_to() {
    let node = |at| Node::from_random(Tag::of_name("n").unwrap(), [0, at]);
    let id = Id::of(&RouteId::new(None, "/"), "one");
    let mut claims = Claims::new(node(1));
    let claim = |by, instead_of| Question::Claim { by, instead_of };
    assert_eq!(claims.hear(id, Question::Find), Heard::NoMore);
    claims.begin(id, ());
    assert_eq!(claims.hear(id, Question::Find), Heard::Of(node(1)));
    assert_eq!(claims.settle(id, Heard::Silence), Some(Verdict::Unsure));
    assert_eq!(claims.settle(id, Heard::Nobody), Some(Verdict::Of(node(1))));
    assert_eq!(claims.hear(id, claim(node(0), None)), Heard::Of(node(1)));
    assert_eq!(claims.hear(id, claim(node(0), Some(node(2)))), Heard::Of(node(1)));
    assert_eq!(
        claims.settle(id, Heard::Of(node(0))),
        Some(Verdict::Of(node(1))),
        "an older question's answer"
    );
    assert_eq!(claims.hear(id, claim(node(2), Some(node(1)))), Heard::NoMore);
    assert!(!claims.is_begun(id));
}

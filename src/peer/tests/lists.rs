//! A model of one body: whatever the order of pieces, TOOKs and ends, its bytes come in order and whole, and a receipt is
//! returned only once the client has all of its piece.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{Receiving, Sending, Sent, Violation, WINDOW};

/// What may happen next. A step that is impossible is skipped.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The sender adds a piece of this length, with or without a receipt.
    Add(usize, bool),
    /// The sender sends what is next.
    Send,
    /// The oldest thing on the wire arrives.
    Arrive,
    /// The client's connection is handed a piece.
    Read,
    /// The client's connection takes a part of what it was handed.
    Take(usize),
    /// What was taken is told.
    Tell,
    /// What was told arrives.
    Told,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (prop_oneof![0_usize..100, 0_usize..40_000], any::<bool>())
            .prop_map(|(len, has)| Step::Add(len, has)),
        Just(Step::Send),
        Just(Step::Arrive),
        Just(Step::Read),
        (1_usize..100_000).prop_map(Step::Take),
        Just(Step::Tell),
        Just(Step::Told),
    ]
}

#[derive(Default)]
struct Simulation {
    sending: Sending<usize>,
    receiving: Receiving,
    wire: std::collections::VecDeque<Sent>,
    tooks: std::collections::VecDeque<u64>,
    added: Vec<u8>,
    ends: Vec<usize>,
    handed: Vec<u8>,
    taken: usize,
    settled: usize,
    is_len_known: bool,
}

impl Simulation {
    fn step(&mut self, step: Step) {
        match step {
            Step::Add(len, has_receipt) => {
                let start = self.added.len();
                let bytes: Vec<u8> = (0_u8..251).cycle().skip(start % 251).take(len).collect();
                self.added.extend_from_slice(&bytes);
                let receipt = has_receipt.then(|| {
                    self.ends.push(self.added.len());
                    self.ends.len() - 1
                });
                if let Some(receipt) = self.sending.push(bytes.into(), receipt) {
                    self.settle(receipt);
                }
            }
            Step::Send => {
                let sent = self.sending.pop();
                assert!(!(self.is_len_known && sent == Some(Sent::End)), "the length says so");
                self.wire.extend(sent);
            }
            Step::Arrive => match self.wire.pop_front() {
                Some(Sent::Piece(bytes)) => self.receiving.push(bytes).expect("within the window"),
                Some(Sent::End) => self.receiving.end(),
                None => {}
            },
            Step::Read => {
                if let Some(piece) = self.receiving.pop() {
                    self.handed.extend_from_slice(&piece);
                }
            }
            Step::Take(len) => {
                let len = len.min(self.handed.len() - self.taken);
                self.taken += len;
                self.receiving.take(len as u64);
            }
            Step::Tell => self.tooks.extend(self.receiving.tell(1)),
            Step::Told => {
                let Some(count) = self.tooks.pop_front() else { return };
                for receipt in self.sending.took(count).expect("it was sent") {
                    self.settle(receipt);
                }
            }
        }
        if matches!(step, Step::Read) {
            assert!(self.added.starts_with(&self.handed));
        }
    }

    fn settle(&mut self, receipt: usize) {
        assert_eq!(receipt, self.settled, "in order, and once");
        assert!(self.ends[receipt] <= self.taken, "the client does not have it");
        self.settled += 1;
    }

    fn is_over(&self) -> bool {
        self.sending.is_over() && self.receiving.is_over()
    }
}

proptest! {
    #[test]
    fn a_piece_is_settled_once_the_client_has_it_and_each_body_ends(
        steps in vec(step(), 0..100),
        is_len_known in any::<bool>(),
    ) {
        let mut simulation = Simulation::default();
        let added = |step: &Step| if let Step::Add(len, _) = step { *len as u64 } else { 0 };
        if is_len_known {
            simulation.is_len_known = true;
            let len = steps.iter().map(added).sum();
            simulation.sending.expect(len);
            simulation.receiving.expect(len);
        }
        for step in steps {
            simulation.step(step);
            prop_assert!(is_len_known || !simulation.is_over());
        }
        simulation.sending.end();
        let all = [Step::Send, Step::Arrive, Step::Read, Step::Take(usize::MAX), Step::Tell, Step::Told];
        for _ in 0..10_000 {
            for step in all {
                simulation.step(step);
            }
            if simulation.is_over() {
                break;
            }
        }
        prop_assert!(simulation.is_over());
        prop_assert_eq!(&simulation.handed, &simulation.added);
        prop_assert_eq!(simulation.settled, simulation.ends.len());
        prop_assert_eq!(simulation.sending.pop(), None);
    }
}

#[test]
fn a_receiver_that_takes_nothing_is_sent_a_window_and_no_more() {
    let mut sending = Sending::<()>::default();
    assert_eq!(sending.push(Bytes::from(vec![0; 1 << 20]), None), None);
    let mut sent = 0;
    while let Some(Sent::Piece(bytes)) = sending.pop() {
        sent += bytes.len() as u64;
    }
    assert_eq!(sent, WINDOW);
    assert!(!sending.is_ready() && !sending.wants_more());
    assert_eq!(sending.took(1), Ok(vec![]));
    assert_eq!(sending.pop(), Some(Sent::Piece(Bytes::from_static(&[0]))));
}

#[test]
fn what_the_protocol_rules_out_is_a_violation() {
    let mut sending = Sending::<()>::default();
    assert_eq!(sending.push(Bytes::from_static(b"abc"), None), None);
    assert!(sending.took(1).is_err(), "nothing was sent");
    sending.pop();
    assert_eq!(sending.took(2), Ok(vec![]));
    assert!(sending.took(1).is_err(), "less than before");
    let mut receiving = Receiving::default();
    assert_eq!(receiving.push(Bytes::from(vec![0; 64 << 10])), Ok(()));
    assert_eq!(receiving.push(Bytes::from_static(b"x")), Err(Violation("a piece beyond the window")));
    let mut receiving = Receiving::default();
    receiving.expect(1);
    assert_eq!(receiving.push(Bytes::from_static(b"xy")), Err(Violation("a piece beyond the length")));
    let mut receiving = Receiving::default();
    receiving.end();
    assert_eq!(receiving.push(Bytes::new()), Err(Violation("a piece behind the end")));
}

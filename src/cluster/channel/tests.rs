//! Numbers that come again, and what counts of the bodies that wait.

use std::sync::Arc;

use super::super::question::{Prepared, Question};
use super::*;
use crate::address::RemoteAddress;
use crate::budget::Budget;
use crate::duplex::Settle;
use crate::meter::Metrics;
use crate::peer::{Known, Lines, Read};
use crate::sid::Tag;

#[test]
fn a_number_that_comes_again_is_not_that_of_a_request_which_goes_on() {
    let node = Node::from_random(Tag::of_name("a").unwrap(), [0; 2]);
    let channel = Channel::new(Side::Asker, node, Traffic::default());
    let ask = || channel.ask(None, |_, _| {}).unwrap();
    assert_eq!((ask(), ask()), (Number(1), Number(2)));
    channel.forget(Number(2));
    channel.lock().next = Number(u32::MAX);
    assert_eq!((ask(), ask(), ask()), (Number(u32::MAX), Number(2), Number(3)));
}

#[test]
fn only_a_node_that_takes_it_is_told_what_was_read() {
    let node = Node::from_random(Tag::of_name("a").unwrap(), [0; 2]);
    let target = "/?sid=abc";
    let read = Read::new(7, 8, target, &target[6..]);
    let (head, ()) = http::Request::get(target).body(()).unwrap().into_parts();
    let known = Known { read, ..Known::default() };
    let prepared = Prepared::new(&head, RemoteAddress::Unix, known, &Content::Nothing).unwrap();
    for takes_read in [true, false] {
        let channel = Arc::new(Channel::to_owner(node, Traffic::default(), takes_read));
        let _question = Question::ask(&channel, &prepared, None).unwrap();
        let mut wire = std::mem::take(&mut channel.lock().control);
        let Ok(Some(Frame::Ask(_, ask))) = Frame::read(&mut wire, &mut Lines::default()) else {
            panic!("no request")
        };
        assert_eq!((ask.known.read, &*ask.target), (read.filter(|_| takes_read), target.as_bytes()));
    }
}

/// Returns a channel at `side`, and what counts what waits there.
fn counted(side: Side) -> (Channel, Budget) {
    let budget = Budget::new(Some(1 << 30));
    let node = Node::from_random(Tag::of_name("a").unwrap(), [0; 2]);
    (Channel::new(side, node, Metrics::of(budget.clone()).cluster().traffic()), budget)
}

fn say(channel: &Channel, frame: Frame) {
    assert!(channel.handle(frame, Load::default()).unwrap().is_none());
}

#[test]
fn what_a_client_has_not_taken_of_a_response_counts_until_it_has() {
    let (channel, budget) = counted(Side::Asker);
    let number = channel.ask(None, |_, _| {}).unwrap();
    let head =
        |content| Head { status: http::StatusCode::OK, headers: http::HeaderMap::new().into(), content };
    say(&channel, Frame::Head(number, Box::new(head(Content::Pieces(None)))));
    assert_eq!(budget.used(), 0);
    say(&channel, Frame::Body(number, Bytes::from_static(&[7; 1000])));
    let cx = Context::from_waker(Waker::noop());
    assert!(channel.poll_piece(number, &cx).is_ready());
    assert_eq!(budget.used(), 1000, "the connection to the client has it");
    channel.took(number, 600, 1);
    assert_eq!(budget.used(), 400);
    channel.stop(number, Stop::Gone);
    assert_eq!(budget.used(), 0);
    let awaited = channel.ask(None, |_, _| {}).unwrap();
    say(&channel, Frame::Head(awaited, Box::new(head(Content::Awaited(Bytes::from_static(&[7; 500]))))));
    assert_eq!(budget.used(), 500);
    channel.fail();
    assert_eq!(budget.used(), 0);
}

#[test]
fn what_waits_to_be_sent_counts_unless_a_receipt_does() {
    let (channel, budget) = counted(Side::Asker);
    let number = channel.ask(Some(70_000), |_, _| {}).unwrap();
    channel.send(number, Bytes::from(vec![7; 70_000]), None);
    assert_eq!(budget.used(), 70_000);
    channel.fill(&mut BytesMut::new());
    assert!(budget.used() < 70_000, "a part is on its way: {budget:?}");
    channel.stop(number, Stop::Gone);
    assert_eq!(budget.used(), 0);
    let delivered = channel.ask(None, |_, _| {}).unwrap();
    let receipt = Receipt::new(Arc::new(Nobody), 0);
    channel.send(delivered, Bytes::from_static(&[7; 1000]), Some(receipt));
    assert_eq!(budget.used(), 0, "its session counts it");
}

/// Who waits for a receipt.
struct Nobody;

impl Settle for Nobody {
    fn settled(&self, _number: u32) {}

    fn lost(&self, _number: u32) {}
}

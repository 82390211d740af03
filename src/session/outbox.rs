//! The queue of packets for the client, limited by size.

use std::time::Instant;

use super::policy::Acks;
use crate::packet::Packet;
use crate::window::Window;

/// Packets on their way to the client.
///
/// Each costs its payload plus a fixed sum for its place in the queue, so that a flood of empty messages is limited
/// too.
#[derive(Debug)]
pub(crate) struct Outbox {
    packets: Window<Waiting>,
    cost: usize,
    acks: Acks,
    /// The highest number that was ever handed out.
    sent: u64,
}

#[derive(Debug)]
struct Waiting {
    packet: Packet,
    /// When it arrived from the backend, if it did.
    since: Option<Instant>,
}

impl Outbox {
    pub(crate) fn new(acks: Acks) -> Self {
        // Usually there is one at a time; the first push would reserve space for four.
        Self { packets: Window::with_capacity(1), cost: 0, acks, sent: 0 }
    }

    /// Adds a packet of the proxy's own.
    pub(crate) fn push(&mut self, packet: Packet) {
        self.put(Waiting { packet, since: None });
    }

    /// Adds a packet from the backend.
    pub(crate) fn push_from_upstream(&mut self, packet: Packet, now: Instant) {
        self.put(Waiting { packet, since: Some(now) });
    }

    fn put(&mut self, waiting: Waiting) {
        self.cost += self.cost_of(&waiting.packet);
        self.packets.push(waiting);
    }

    /// Returns when the oldest packet from the backend arrived.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.packets.waiting().find_map(|waiting| waiting.since)
    }

    /// Puts a batch that was not delivered back at the front.
    pub(crate) fn restore(&mut self, batch: Vec<Packet>) {
        for packet in batch.into_iter().rev() {
            self.cost += self.cost_of(&packet);
            self.packets.put_back(Waiting { packet, since: None });
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Packet> {
        let Waiting { packet, .. } = self.packets.take()?;
        self.cost -= self.cost_of(&packet);
        self.packets.shrink(ROOM_KEPT);
        Some(packet)
    }

    /// Takes packets from the front, at most `count_max` of them and `encoded_max` bytes; at least one, so that a
    /// message that alone exceeds the limit is not stuck. Returns them with their length as they are written.
    pub(crate) fn take_batch(
        &mut self,
        encoded_max: usize,
        count_max: usize,
        encoded_len: fn(&Packet) -> usize,
    ) -> (Vec<Packet>, usize) {
        let (mut count, mut encoded) = (0, 0);
        for Waiting { packet, .. } in self.packets.waiting().take(count_max.max(1)) {
            // One byte per packet for the separator.
            let longer = encoded + encoded_len(packet) + 1;
            if count > 0 && longer > encoded_max.saturating_add(1) {
                break;
            }
            (count, encoded) = (count + 1, longer);
        }
        let mut batch = Vec::with_capacity(count);
        if self.acks == Acks::OnCursor {
            // The packets are kept until the client acknowledges them.
            batch.extend((0..count).filter_map(|_| Some(self.packets.hand_out()?.1.packet.clone())));
            self.sent = self.sent.max(self.packets.handed_out());
            return (batch, encoded);
        }
        let taken = std::iter::from_fn(|| self.packets.take()).take(count);
        batch.extend(taken.map(|waiting| waiting.packet));
        self.cost -= batch.iter().map(|packet| self.cost_of(packet)).sum::<usize>();
        self.packets.shrink(ROOM_KEPT);
        (batch, encoded)
    }

    /// Returns the next packet that was not handed out.
    pub(crate) fn next(&self) -> Option<&Packet> {
        self.packets.waiting().next().map(|waiting| &waiting.packet)
    }

    /// Returns whether the next packet is the open packet.
    pub(crate) fn opens_next(&self) -> bool {
        matches!(self.next(), Some(Packet::Open(_)))
    }

    /// Takes the open packet, and the packet of its [`Piggyback`](super::Piggyback) if that follows directly.
    pub(crate) fn take_greeting(&mut self, piggyback: Option<fn(&Packet) -> bool>) -> Vec<Packet> {
        let mut greeting = Vec::from_iter(self.pop());
        let is_piggyback = |is_it: fn(&Packet) -> bool| self.next().is_some_and(is_it);
        if piggyback.is_some_and(is_piggyback) {
            greeting.extend(self.pop());
        }
        greeting
    }

    /// Handles the client's acknowledgement: forgets the messages up to this number, and hands out again what follows
    /// it.
    ///
    /// # Errors
    /// Returns an error if the client cannot have received as much, or had acknowledged more before.
    pub(crate) fn acknowledge(&mut self, through: u64) -> Result<(), CursorRefused> {
        let acknowledged = self.packets.forgotten();
        if through < acknowledged || through > self.sent {
            return Err(CursorRefused { acknowledged, sent: self.sent });
        }
        let place = self.place();
        let forgotten = self.packets.forget_through(through).map(|waiting| waiting.packet.len() + place);
        self.cost -= forgotten.sum::<usize>();
        self.packets.rewind(through);
        self.packets.shrink(ROOM_KEPT);
        Ok(())
    }

    /// Hands out again everything after this number, which was not delivered.
    pub(crate) fn rewind_to(&mut self, number: u64) {
        self.packets.rewind(number);
    }

    /// Hands out again everything that is kept, because the client does not say what it has received.
    pub(crate) fn rewind(&mut self) {
        self.packets.rewind(self.packets.forgotten());
    }

    /// Returns the number of the last message that the client has acknowledged.
    pub(crate) const fn acknowledged(&self) -> u64 {
        self.packets.forgotten()
    }

    /// Returns the number of the last message that was handed out.
    pub(crate) const fn handed_out(&self) -> u64 {
        self.packets.handed_out()
    }

    /// Returns the highest number that was ever handed out to a client that acknowledges messages.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.packets.drop_waiting();
        self.packets.forget_through(self.packets.handed_out()).for_each(drop);
        self.packets.shrink(ROOM_KEPT);
        self.cost = 0;
    }

    /// Returns whether there are packets that were not handed out.
    pub(crate) fn has_waiting(&self) -> bool {
        self.packets.has_waiting()
    }

    /// Returns how many messages were not handed out.
    pub(crate) fn messages_waiting(&self) -> usize {
        self.packets.waiting().filter(|waiting| matches!(waiting.packet, Packet::Message(_))).count()
    }

    /// Returns whether the client has received everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.packets.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }

    /// Returns the payload of all packets that it holds, in bytes.
    pub(crate) fn payload(&self) -> usize {
        self.cost - self.place() * self.packets.len()
    }

    /// Returns what a packet takes here, in bytes.
    fn cost_of(&self, packet: &Packet) -> usize {
        packet.len() + self.place()
    }

    /// Returns what a packet's place takes.
    const fn place(&self) -> usize {
        match self.acks {
            Acks::OnWrite => PACKET_COST,
            Acks::OnCursor => KEPT_COST,
        }
    }

    /// Returns the number of bytes that count against `outbox_max`.
    pub(crate) fn cost(&self) -> usize {
        self.cost
    }

    /// Checks that the counts match the contents.
    pub(crate) fn check(&self) {
        debug_assert_eq!(
            self.cost,
            self.packets.kept().map(|waiting| self.cost_of(&waiting.packet)).sum::<usize>(),
            "what waits is counted wrongly"
        );
    }
}

/// A client acknowledged a number that is impossible: before its last acknowledgement, or after what it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CursorRefused {
    /// The number of the last message that it has acknowledged.
    pub acknowledged: u64,
    /// The number of the last message that it was sent.
    pub sent: u64,
}

/// Returns what a packet takes, in bytes.
pub fn cost(packet: &Packet) -> usize {
    packet.len() + PACKET_COST
}

/// The cost of a packet's place in the queue, in bytes: about the size of [`Packet`] and the header of a shared buffer.
const PACKET_COST: usize = 64;
/// The same for a packet that is kept after it was handed out, and shared with the batch that it is in: with its time, the
/// count of who shares it, and the room that a long queue has to spare.
const KEPT_COST: usize = 128;
/// An idle session keeps no room from an earlier burst.
const ROOM_KEPT: usize = 8;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::packet::Message;

    fn outbox(lengths: &[usize]) -> Outbox {
        let mut outbox = Outbox::new(Acks::OnWrite);
        for len in lengths {
            outbox.push(Packet::Message(Message::text("x".repeat(*len))));
        }
        outbox
    }

    fn lengths(batch: &[Packet]) -> Vec<usize> {
        batch.iter().map(Packet::len).collect()
    }

    #[test]
    fn a_batch_is_cut_where_it_would_grow_too_long() {
        let mut outbox = outbox(&[9, 9, 9, 100, 1]);
        let mut take = || lengths(&outbox.take_batch(21, usize::MAX, |packet| packet.len() + 1).0);
        assert_eq!(take(), [9, 9]);
        assert_eq!(take(), [9]);
        assert_eq!(take(), [100], "a larger single message goes alone");
        assert_eq!(take(), [1]);
        assert_eq!(outbox.cost(), 0);
    }

    #[test]
    fn a_batch_that_comes_home_stands_in_front() {
        let mut outbox = outbox(&[1, 2, 3]);
        let before = outbox.cost();
        let (batch, encoded) = outbox.take_batch(7, usize::MAX, |packet| packet.len() + 1);
        assert_eq!((lengths(&batch), encoded), (vec![1, 2], 7));
        outbox.restore(batch);
        assert_eq!(outbox.cost(), before);
        assert_eq!(lengths(&outbox.take_batch(1000, usize::MAX, Packet::len).0), [1, 2, 3]);
    }

    #[test]
    fn the_oldest_packet_of_the_backend_is_known_behind_ours() {
        let first = tokio::time::Instant::now().into_std();
        let second = first + Duration::from_millis(1);
        let mut outbox = outbox(&[1]);
        assert_eq!(outbox.oldest(), None);
        outbox.push_from_upstream(Packet::Message(Message::text("x")), first);
        outbox.push_from_upstream(Packet::Message(Message::text("y")), second);
        assert_eq!(outbox.oldest(), Some(first));
        outbox.take_batch(5, usize::MAX, |packet| packet.len() + 1);
        assert_eq!(outbox.oldest(), Some(second));
    }

    #[test]
    fn what_is_kept_for_a_cursor_counts_with_all_that_keeps_it() {
        // As large as a queue that has just grown, with a buffer and its count of owners for each.
        let place = 2 * size_of::<Waiting>();
        let mut outbox = Outbox::new(Acks::OnCursor);
        (0..3).for_each(|_| outbox.push(Packet::Message(Message::text("x"))));
        assert_eq!((outbox.cost(), outbox.payload()), (3 * (1 + KEPT_COST), 3));
        assert!(KEPT_COST >= place, "{place}");
        outbox.take_batch(usize::MAX, usize::MAX, Packet::len);
        outbox.acknowledge(2).unwrap();
        assert_eq!((outbox.cost(), outbox.payload()), (1 + KEPT_COST, 1));
    }

    #[test]
    fn empty_messages_are_not_free() {
        assert_eq!(outbox(&[0, 0]).cost(), 2 * PACKET_COST);
    }
}

//! The client's part of the world.

use super::super::script::Manners;
use super::*;

impl World {
    pub(super) fn poll(&mut self, manners: Manners) {
        if manners == Manners::Polite && self.parked {
            return;
        }
        match self.session.handle_poll(self.now) {
            Ok(()) => {
                assert!(!self.parked, "two polls are parked");
                self.parked = true;
            }
            Err(PollRefused::Overlap) => assert!(self.parked),
            Err(PollRefused::WrongTransport) => assert!(self.socket),
            Err(PollRefused::Over) => assert!(self.ended.is_some()),
        }
    }

    pub(super) fn hang_up(&mut self) {
        if std::mem::take(&mut self.parked) {
            self.session.handle_poll_gone(self.now);
            assert_eq!(self.session.is_ended(), self.hang_up == HangUp::Ends);
        }
    }

    pub(super) fn answer(&mut self, batch: Vec<Packet>) {
        assert!(std::mem::take(&mut self.parked), "there was no poll to answer");
        assert!(!batch.is_empty(), "an answer must say something");
        let encoded: usize = batch.iter().map(encoded_len).sum::<usize>() + batch.len() - 1;
        assert!(batch.len() == 1 || encoded <= self.settings.batch_max, "a batch of {encoded} bytes");
        assert!(batch.len() == 1 || !batch.contains(&open()), "the open packet goes alone");
        let goodbye = numbers(&batch).next().is_none();
        assert!(self.deliveries.is_empty() || goodbye, "a batch overtook another");
        self.deliveries.push_back(batch);
    }

    fn take_delivery(&mut self, which: Which) -> Option<Vec<Packet>> {
        match which {
            Which::Oldest => self.deliveries.pop_front(),
            Which::Newest => self.deliveries.pop_back(),
        }
    }

    pub(super) fn settle(&mut self, which: Which) {
        if let Some(batch) = self.take_delivery(which) {
            self.ledger.got.extend(numbers(&batch));
            self.session.handle_delivered();
        }
    }

    pub(super) fn lose(&mut self, which: Which) {
        if let Some(batch) = self.take_delivery(which) {
            let loss = numbers(&batch).next().is_some() && self.hang_up == HangUp::Ends;
            self.session.handle_lost(batch, self.now);
            assert!(!loss || self.session.is_ended(), "a loss was passed over in silence");
        }
    }

    pub(super) fn begin_push(&mut self, manners: Manners) {
        if manners == Manners::Polite && self.push != Push::None {
            return;
        }
        match self.session.handle_push_begun(self.now) {
            Ok(()) => {
                assert_eq!(self.push, Push::None, "two POSTs are under way");
                self.push = Push::Reading;
            }
            Err(PushRefused::Overlap) => assert_ne!(self.push, Push::None),
            Err(PushRefused::WrongTransport) => assert!(self.socket),
            // It may end a session whose goodbye waits for a poll.
            Err(PushRefused::Over) => assert!(self.session.is_ended()),
        }
    }

    pub(super) fn end_push(&mut self, says: Vec<Said>) {
        if self.push != Push::Reading {
            return;
        }
        let packets: Vec<_> = says.into_iter().map(|said| self.packet(said)).collect();
        let before = self.ledger.said.len();
        if self.is_linked() {
            let heard = packets.iter().map_while(|packet| packet.as_ref().ok());
            let heard = heard.take_while(|packet| !matches!(packet, Packet::Close | Packet::Ping(_)));
            self.ledger.said.extend(heard.flat_map(|packet| numbers(std::slice::from_ref(packet))));
        }
        let count = self.ledger.said.len();
        let lost = || packets.iter().flatten().any(|packet| matches!(packet, Packet::Message(_)));
        self.push = match () {
            () if count > before => Push::Waiting(count),
            // Nobody takes what is said to a closing session.
            () if !self.is_linked() && lost() => Push::Waiting(usize::MAX),
            () => Push::Waiting(0),
        };
        self.session.handle_push(Box::new(packets.into_iter()), self.now);
    }

    pub(super) fn finish_push(&mut self, outcome: PushOutcome) {
        match (self.push, outcome) {
            (Push::Waiting(count), PushOutcome::Accepted) => {
                assert!(self.ledger.taken.len() >= count, "a POST was accepted that nobody took");
            }
            (Push::Waiting(_), PushOutcome::Refused | PushOutcome::Destroyed)
            | (Push::Reading, PushOutcome::Destroyed) => {}
            (push, outcome) => panic!("{outcome:?} came for {push:?}"),
        }
        self.push = Push::None;
    }

    pub(super) fn break_push(&mut self) {
        if self.push == Push::Reading {
            self.push = Push::None;
            self.session.handle_push_broken(self.now);
        }
    }

    pub(super) fn refuse_push(&mut self) {
        if self.push == Push::Reading {
            self.push = Push::None;
            self.session.handle_push_too_large();
        }
    }

    pub(super) fn refuse_push_kind(&mut self) {
        if self.push == Push::Reading {
            self.push = Push::None;
            self.session.handle_push_invalid(self.now);
        }
    }

    pub(super) fn candidate(&mut self) {
        if self.session.handle_probe_opened(self.now).is_ok() {
            assert!(!self.candidate && !self.socket && self.ended.is_none());
            self.candidate = true;
        }
    }

    /// The client speaks on its socket, but is heard when the session listens.
    pub(super) fn say(&mut self, says: Vec<Said>) {
        if self.socket && self.inbound.len() < 10 {
            let packets: Vec<_> = says.into_iter().map(|said| self.packet(said)).collect();
            let packets = packets.into_iter().map(|packet| packet.map_err(|Malformed| End::ParseError));
            self.inbound.extend(packets);
        }
    }

    pub(super) fn read_socket(&mut self) -> bool {
        let mut moved = false;
        while self.socket && self.session.wants_client() && !self.session.is_ended() {
            match self.inbound.pop_front() {
                None => break,
                Some(Ok(packet)) => {
                    if self.is_linked() {
                        self.ledger.said.extend(numbers(std::slice::from_ref(&packet)));
                    }
                    self.session.handle_packet(packet, self.now);
                }
                Some(Err(end)) => self.session.handle_socket_end(end, None, self.now),
            }
            moved = true;
            self.feed_link();
        }
        moved
    }

    fn packet(&mut self, said: Said) -> Result<Packet, Malformed> {
        match said {
            Said::Message(len) => Ok(Packet::Message(self.fresh(len))),
            Said::Other(packet) => Ok(packet),
            Said::Nonsense => Err(Malformed),
        }
    }

    /// The backend closes, and the client fetches all there is: then it must have all there was.
    pub(in super::super) fn say_goodbye(mut self) {
        let good = self.ended.is_none() && self.deadline.is_none();
        self.backend_closed = true;
        for _ in 0..300 {
            (self.link_room, self.socket_room) = (1000, 1000);
            self.drive();
            if self.ended.is_some() {
                break;
            }
            self.settle(Which::Oldest);
            self.poll(Manners::Polite);
            if self.push == Push::None {
                self.begin_push(Manners::Polite);
            }
            self.end_push(vec![Said::Other(pong())]);
            self.say(vec![Said::Other(pong())]);
            self.drive();
            self.now += MS;
        }
        let (end, _) = self.ended.expect("a session outlives its goodbye");
        while !self.deliveries.is_empty() {
            self.settle(Which::Oldest);
        }
        self.ledger.check();
        if good && end == End::UpstreamClosed {
            assert!(self.backend.is_empty());
            assert_eq!(self.ledger.got, self.ledger.fed);
        }
        self.fall_silent();
    }
}

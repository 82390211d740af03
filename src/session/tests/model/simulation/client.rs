//! The part of the simulation that is the client.

use super::super::script::Overlap;
use super::*;

impl Simulation {
    pub(super) fn poll(&mut self, overlap: Overlap) {
        if (overlap == Overlap::Never && self.parked) || !self.say_how_far() {
            return;
        }
        let numbered = self.kind == Kind::Cursor;
        let terms = Terms {
            wait: numbered.then_some(WAIT),
            messages: if numbered { 2 } else { usize::MAX },
            beats: !numbered,
            ..Terms::default()
        };
        let came = self.session.handle_poll_on(terms, self.now);
        self.polled = self.now;
        self.receive(came, false);
    }

    pub(super) fn stream(&mut self, overlap: Overlap, budget: usize) {
        if (overlap == Overlap::Never && self.parked) || !self.say_how_far() {
            return;
        }
        let came = self.session.handle_stream(Terms { bytes: budget, ..Terms::default() }, self.now);
        self.receive(came, true);
    }

    fn receive(&mut self, came: Result<(), PollRefused>, streams: bool) {
        match came {
            Ok(()) => {
                let replaces = self.kind.policy().second == Second::Replaces;
                // Deadlines that passed before it arrived may have ended the one before.
                assert!(!self.parked || replaces, "two polls are parked");
                self.replaced = self.parked;
                (self.parked, self.streams) = (true, streams);
            }
            Err(PollRefused::Overlap) => assert!(self.parked && self.kind.policy().second == Second::Ends),
            Err(PollRefused::Occupied) => {
                assert!(self.parked && self.kind.policy().second == Second::Refused);
            }
            Err(PollRefused::WrongTransport) => assert!(self.socket),
            // It may end a session that has nothing left for its client.
            Err(PollRefused::Over) => assert!(self.session.is_ended()),
        }
    }

    /// Acknowledges messages, for a client with a cursor. Returns whether its receiver is admitted.
    fn say_how_far(&mut self) -> bool {
        if self.kind != Kind::Cursor {
            return true;
        }
        let here = self.ledger.got.len();
        let after = match self.cursor.take() {
            None => Some(here),
            Some(Cursor::Silent) => None,
            Some(Cursor::Back(count)) => Some(here.saturating_sub(count)),
            Some(Cursor::Ahead) => Some(self.ledger.fed.len() + 1),
        };
        let told = self.session.handle_cursor(after.map(|after| after as u64), self.now);
        match (told, after) {
            (Ok(()), None) => {}
            (Ok(()), Some(after)) => {
                assert!(after >= self.acknowledged && after <= self.ledger.fed.len());
                // What was acknowledged is gone; what the client has forgotten may be delivered again.
                self.acknowledged = after;
                self.ledger.got.truncate(after);
            }
            (Err(refused), Some(after)) => {
                let (acknowledged, sent) = (self.acknowledged as u64, self.ledger.fed.len() as u64);
                assert_eq!(refused.acknowledged, acknowledged);
                assert!(refused.sent <= sent);
                assert!((after as u64) < acknowledged || after as u64 > refused.sent);
                return false;
            }
            (Err(_), None) => panic!("who says nothing says nothing wrong"),
        }
        true
    }

    pub(super) fn hang_up(&mut self) {
        if std::mem::take(&mut self.parked) {
            self.session.handle_poll_gone(self.now);
            assert_eq!(self.session.is_ended(), self.kind.policy().hang_up == HangUp::Ends);
        }
    }

    pub(super) fn answer(&mut self, batch: Vec<Packet>) {
        if std::mem::take(&mut self.replaced) {
            assert_eq!(batch, [], "one that is replaced is told so");
        } else {
            assert!(std::mem::take(&mut self.parked), "there was no poll to answer");
            let has_waited = self.now >= self.polled + WAIT;
            let may_be_empty = self.kind == Kind::Cursor && (self.streams || has_waited);
            assert!(may_be_empty || !batch.is_empty(), "an answer must say something");
        }
        self.deliver(batch);
    }

    pub(super) fn part(&mut self, batch: Vec<Packet>) {
        assert!(self.parked && self.streams && !self.replaced, "there was no stream");
        assert!(!batch.is_empty(), "a part must say something");
        self.deliver(batch);
    }

    fn deliver(&mut self, batch: Vec<Packet>) {
        let encoded: usize = batch.iter().map(encoded_len).sum::<usize>() + batch.len().saturating_sub(1);
        assert!(batch.len() <= 1 || encoded <= self.settings.batch_max, "a batch of {encoded} bytes");
        assert!(batch.len() == 1 || !batch.contains(&open()), "the open packet goes alone");
        let goodbye = numbers(&batch).next().is_none();
        let in_order = self.kind == Kind::Cursor || self.deliveries.is_empty() || goodbye;
        assert!(in_order, "a batch overtook another");
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
            if self.kind == Kind::Cursor {
                self.take_numbered(&batch);
            } else {
                self.ledger.got.extend(numbers(&batch));
            }
            self.known = true;
            self.session.handle_delivered();
        }
    }

    /// Takes a batch for a client with a cursor, which ignores what it has and what arrives too early.
    fn take_numbered(&mut self, batch: &[Packet]) {
        for number in numbers(batch) {
            let at = self.ledger.fed.iter().position(|fed| *fed == number).expect("it was sent");
            if at == self.ledger.got.len() {
                self.ledger.got.push(number);
            }
        }
    }

    pub(super) fn lose(&mut self, which: Which) {
        if let Some(batch) = self.take_delivery(which) {
            let loss = numbers(&batch).next().is_some() && self.kind.policy().hang_up == HangUp::Ends;
            self.session.handle_lost(batch, self.now);
            assert!(!loss || self.session.is_ended(), "a loss was passed over in silence");
        }
    }

    pub(super) fn give_back(&mut self) {
        if !self.streams && std::mem::take(&mut self.parked) {
            self.session.handle_receiver_done();
        }
        // A receiver that acknowledges messages is asked for them again by what follows its number.
        if self.kind != Kind::Cursor
            && let Some(batch) = self.deliveries.pop_back()
        {
            let was_ended = self.session.is_ended();
            self.session.handle_untold(batch, self.now);
            assert_eq!(self.session.is_ended(), was_ended, "a batch that comes back ends nothing");
        }
    }

    pub(super) fn begin_push(&mut self, overlap: Overlap) {
        if overlap == Overlap::Never && self.push != Push::None {
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
            Err(PushRefused::Occupied) => panic!("no POST stands in another's way so"),
        }
    }

    pub(super) fn end_push(&mut self, says: Vec<Sent>) {
        if self.push != Push::Reading {
            return;
        }
        let packets: Vec<_> = says.into_iter().map(|said| self.packet(said)).collect();
        let before = self.ledger.said.len();
        if self.is_linked() {
            let heard = packets.iter().map_while(|packet| packet.as_ref().ok());
            let pinged = self.kind.policy().pinger == Pinger::Server;
            let heard = heard.take_while(|packet| match packet {
                Packet::Close(_) => false,
                Packet::Ping(_) => !pinged,
                Packet::Open(_) | Packet::Pong(_) | Packet::Message(_) | Packet::Upgrade | Packet::Noop => {
                    true
                }
            });
            self.ledger.said.extend(heard.flat_map(|packet| numbers(std::slice::from_ref(packet))));
        }
        let count = self.ledger.said.len();
        let lost = || packets.iter().flatten().any(|packet| matches!(packet, Packet::Message(_)));
        self.push = match () {
            () if count > before => Push::Waiting(count),
            // What is sent to a closing session is not delivered.
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

    /// Sends on the client's socket, which the session reads later.
    pub(super) fn say(&mut self, says: Vec<Sent>) {
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

    fn packet(&mut self, said: Sent) -> Result<Packet, Malformed> {
        match said {
            Sent::Message(len) => Ok(Packet::Message(self.fresh(len))),
            Sent::Other(packet) => Ok(packet),
            Sent::Nonsense => Err(Malformed),
        }
    }

    /// Closes the backend and lets the client fetch everything: it must then have received everything.
    pub(in super::super) fn say_goodbye(mut self) {
        let is_text = self.backend.iter().all(|message| number_of_any(message).is_some());
        let good = self.ended.is_none() && self.deadline.is_none() && is_text;
        self.backend_closed = true;
        for _ in 0..300 {
            (self.link_room, self.socket_room) = (1000, 1000);
            self.drive();
            if self.ended.is_some() {
                break;
            }
            self.settle(Which::Oldest);
            // A client that asks again before it has read what is on its way is sent that again, without end.
            while self.kind == Kind::Cursor && !self.deliveries.is_empty() {
                self.settle(Which::Oldest);
            }
            self.poll(Overlap::Never);
            if self.push == Push::None {
                self.begin_push(Overlap::Never);
            }
            self.end_push(vec![Sent::Other(pong())]);
            self.say(vec![Sent::Other(pong())]);
            self.drive();
            self.now += MS;
        }
        let (end, _) = self.ended.unwrap_or_else(|| {
            panic!(
                "a session outlives its goodbye: {:?} {:?} {:?} {:?}",
                self.session, self.ledger, self.deliveries, self.acknowledged
            )
        });
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

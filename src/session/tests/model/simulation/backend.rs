//! The part of the simulation that is the backend and its link.

use super::*;

impl Simulation {
    pub(super) fn read_link(&mut self) -> bool {
        let mut moved = false;
        while self.link != LinkState::Gone
            && (self.session.wants_upstream() || self.link == LinkState::Broken)
        {
            if let Some(message) = self.backend.pop_front() {
                let number = number_of_any(&message).filter(|_| self.is_linked());
                self.ledger.fed.extend(number);
                let refuses = number.is_none() && self.is_linked();
                self.session.handle_upstream(message, self.now);
                if refuses {
                    self.refuses = true;
                    self.closing = Closing::new(1003, "binary data");
                    self.lose_backend();
                }
            } else if self.backend_closed {
                self.link = LinkState::Gone;
                self.session.handle_upstream_closed(Closing::default(), self.now);
                self.lose_backend();
            } else {
                break;
            }
            moved = true;
        }
        moved
    }

    /// Handles the end of the backend's side, which limits the time that the client has to fetch what is left.
    fn lose_backend(&mut self) {
        self.draining = false;
        if self.ended.is_none() && !self.session.is_ended() {
            // A client with a cursor may be absent for longer than that.
            let patience = if self.kind == Kind::Cursor { 500 * MS } else { self.settings.close_timeout };
            self.deadline.get_or_insert(self.now + patience);
        }
    }

    pub(super) fn feed_link(&mut self) -> bool {
        let mut moved = false;
        while self.link_room > 0
            && matches!(self.link, LinkState::Open | LinkState::Choking)
            && let Some(message) = self.session.next_for_link(self.now)
        {
            if self.link == LinkState::Choking {
                self.break_link();
            } else {
                self.link_room -= 1;
                self.ledger.taken.push(number(&message));
            }
            moved = true;
        }
        moved
    }

    pub(super) fn break_link(&mut self) {
        self.link = LinkState::Broken;
        self.broke = true;
        self.session.handle_link_broken(self.now);
    }

    pub(super) fn close_link(&mut self) {
        if std::mem::take(&mut self.refuses) {
            self.link = LinkState::Gone;
            return;
        }
        assert_ne!(self.link, LinkState::Gone, "the link was closed twice");
        let in_order = self.ended.is_some_and(|(end, at)| {
            !matches!(end, End::Stalled | End::Memory) && self.now < at + self.settings.stall_timeout
        });
        if in_order && self.link != LinkState::Broken && !self.choked() {
            assert_eq!(self.ledger.taken, self.ledger.said, "the backend was let go too early");
        }
        self.link = LinkState::Gone;
    }

    fn choked(&self) -> bool {
        self.link == LinkState::Choking && self.ledger.taken.len() < self.ledger.said.len()
    }

    pub(super) fn drain(&mut self, patience: Duration) {
        if self.ended.is_some() {
            return;
        }
        self.draining |= self.deadline.is_none();
        self.session.handle_drain(patience, self.now);
        let deadline = self.deadline.get_or_insert(self.now + self.settings.close_timeout);
        *deadline = (*deadline).min(self.now + patience);
    }

    /// Returns whether what each side sends is passed on.
    pub(super) fn is_linked(&self) -> bool {
        self.ended.is_none() && (self.deadline.is_none() || self.draining)
    }
}

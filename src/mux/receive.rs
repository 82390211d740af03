//! The effect of each frame of the other side.

use super::frame::{Accepted, Denied, Frame, Hello, Id, Open, Violation};
use super::line::{Event, Line, Side};
use super::stream::{Stage, Stream};
use crate::packet::{Closing, Message};

impl Line {
    /// Handles a received frame.
    ///
    /// # Errors
    /// The connection must be closed with 1002; the caller decides about the sessions.
    pub fn handle(&mut self, frame: Frame) -> Result<(), Violation> {
        let parts = self.sync.take();
        match (frame, self.side()) {
            (Frame::Hello(hello), _) => self.handle_hello(hello)?,
            _ if !self.greeted => return Err(Violation("the first frame is no hello")),
            (Frame::Sync { epoch, .. }, side) if epoch.as_deref() != self.their_epoch(side) => {
                return Err(Violation("a sync of another epoch"));
            }
            (Frame::Sync { sessions, more, .. }, _) => {
                let parts = parts.ok_or(Violation("a sync without a break"))?;
                self.handle_sync(parts, sessions, more)?;
            }
            _ if !self.flowing || parts.is_some_and(|parts| !parts.is_empty()) => {
                return Err(Violation("a frame before its sync"));
            }
            (Frame::Open(id, open), Side::Backend) => self.handle_open(id, open),
            (Frame::Ok(id, accepted), Side::Proxy) => self.handle_answer(id, Ok(accepted)),
            (Frame::Deny(id, denied), Side::Proxy) => self.handle_answer(id, Err(denied)),
            (Frame::Message(id, seq, message), _) => self.handle_message(id, seq, message)?,
            (Frame::Acks(acks), _) => {
                for ack in acks {
                    if let Some(stream) = self.sessions.get_mut(&ack.id) {
                        stream.acknowledge(ack.seq, ack.limit)?;
                        self.feed(ack.id);
                    }
                }
            }
            (Frame::Close(id, seq, closing), _) => self.handle_close(id, seq, closing)?,
            (Frame::Transport(id, word), Side::Backend) => self.events.push_back(Event::Transport(id, word)),
            (Frame::Drain(seconds), _) => self.events.push_back(Event::Drain(seconds)),
            (Frame::Open(..) | Frame::Transport(..), Side::Proxy)
            | (Frame::Ok(..) | Frame::Deny(..), Side::Backend) => {
                return Err(Violation("a verb of the other side"));
            }
        }
        Ok(())
    }

    fn handle_hello(&mut self, hello: Hello) -> Result<(), Violation> {
        if self.greeted {
            return Err(Violation("a second hello"));
        }
        if self.side() == Side::Backend && !hello.names_an_epoch() {
            return Err(Violation("a hello without an epoch"));
        }
        // What is left from before a break waits for a sync.
        let fresh = match self.side() {
            Side::Proxy => self.theirs.is_none(),
            Side::Backend => self.sessions.is_empty(),
        };
        self.terms.credit = hello.credit > 0 && self.hello.credit > 0;
        self.terms.granted = hello.credit;
        self.terms.close_packets = hello.close_packets;
        let resumes = match self.side() {
            Side::Proxy => hello.resume && self.hello.resume_ms > 0,
            Side::Backend => self.hello.resume && hello.resume_ms > 0,
        };
        // Without acknowledgements, nothing can be kept.
        self.terms.keeps = resumes && self.terms.credit;
        if self.side() == Side::Proxy && !fresh && !self.terms.keeps {
            return Err(Violation("it resumes no more"));
        }
        if self.side() == Side::Backend {
            self.greeting.push_back(Frame::Hello(self.hello.clone()));
        }
        if self.side() == Side::Proxy && fresh {
            // They were opened before any credit was granted.
            for stream in self.sessions.values_mut() {
                stream.regrant(&self.terms);
            }
        }
        self.theirs = Some(hello);
        self.greeted = true;
        self.flowing = fresh;
        // It can't be sent to a proxy without an earlier epoch; a backend never knows.
        self.sync = (self.side() == Side::Backend || !fresh).then(Vec::new);
        self.events.push_back(Event::Hello);
        Ok(())
    }

    /// Returns the epoch that the other side's sync must name.
    fn their_epoch(&self, side: Side) -> Option<&str> {
        self.theirs.as_ref().filter(|_| side == Side::Backend).map(|theirs| theirs.epoch.as_str())
    }

    fn handle_open(&mut self, id: Id, open: Box<Open>) {
        match self.sessions.get_mut(&id) {
            None => {
                self.sessions.insert(id, Stream::new(Stage::Asked, &self.terms, self.budget.charge()).into());
                self.events.push_back(Event::Asked(id, open));
            }
            Some(stream) => {
                stream.stage_due = matches!(stream.stage, Stage::Answered(_));
                self.queue(id);
            }
        }
    }

    fn handle_answer(&mut self, id: Id, answer: Result<Box<Accepted>, Box<Denied>>) {
        let Some(stream) = self.sessions.get_mut(&id) else {
            if answer.is_ok() {
                self.refuse(id);
            }
            return;
        };
        // Possibly the answer to an `open` that was sent twice.
        if !matches!(stream.stage, Stage::Asking(_)) {
            return;
        }
        if answer.is_ok() {
            stream.stage = Stage::Open;
            stream.stage_due = false;
        } else {
            self.sessions.remove(&id);
        }
        self.events.push_back(Event::Answered(id, answer));
    }

    fn handle_message(&mut self, id: Id, seq: u64, message: Message) -> Result<(), Violation> {
        let Some(stream) = self.sessions.get_mut(&id) else {
            self.refuse(id);
            return Ok(());
        };
        if matches!(stream.stage, Stage::Asking(_) | Stage::Asked) && stream.closing.is_none() {
            return Err(Violation("a message before its ok"));
        }
        if stream.heard_end {
            return Err(Violation("a message behind its x"));
        }
        match stream.handle_message(seq, message, self.hello.max_message, &self.terms)? {
            Some(fault) => self.close_both(id, &fault),
            None => self.events.push_back(Event::Readable(id)),
        }
        self.note_pending_ack(id);
        Ok(())
    }

    fn handle_close(&mut self, id: Id, seq: u64, closing: Closing) -> Result<(), Violation> {
        let Some(stream) = self.sessions.get_mut(&id) else { return Ok(()) };
        if seq > stream.last_received() {
            return Err(Violation("an x for messages that never came"));
        }
        if matches!(stream.stage, Stage::Asking(_)) && stream.held {
            self.events.push_back(Event::Unanswered(id, closing.clone()));
        }
        stream.handle_end(closing);
        // Our sync answers theirs; no other follows.
        if stream.closing.is_none() {
            stream.closing = Some(Closing::new(1000, "").into());
            self.queue(id);
        }
        self.events.push_back(Event::Readable(id));
        self.forget_if_over(id);
        Ok(())
    }
}

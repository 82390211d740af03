//! How sessions end: by either side, by a fault, or because the other side is gone.

use std::time::{Duration, Instant};

use super::frame::{Frame, Id};
use super::line::{Event, Line};
use super::stream::{Stage, Stream};
use crate::packet::Closing;

impl Line {
    /// Ends every session: there will be no resume.
    pub fn fail(&mut self, closing: &Closing) {
        self.disconnect();
        let ids: Vec<Id> = self.sessions.keys().copied().collect();
        for id in ids {
            self.lose(id, closing.clone());
        }
    }

    /// Gives up the `open`s that were never written.
    pub fn fail_unwritten(&mut self, closing: &Closing) {
        let unwritten = |stream: &Stream| stream.stage_due && matches!(stream.stage, Stage::Asking(_));
        let ids: Vec<Id> =
            self.sessions.iter().filter(|(_, stream)| unwritten(stream)).map(|(&id, _)| id).collect();
        for id in ids {
            self.lose(id, closing.clone());
        }
    }

    /// Closes a session that is no longer used here; the other side is told why, after everything that was sent.
    pub fn close(&mut self, id: Id, closing: Closing) {
        let Some(stream) = self.sessions.get_mut(&id) else { return };
        if matches!(stream.stage, Stage::Asking(_)) && stream.stage_due {
            // The other side has never known it, or has lost it.
            self.sessions.remove(&id);
            return;
        }
        stream.held = false;
        stream.forget_incoming();
        if stream.closing.is_none() {
            stream.closing = Some(closing.into());
            self.closed.push_back((None, id));
            self.queue(id);
        }
        self.forget_if_over(id);
    }

    /// Forgets sessions for which the other side never sent `x`; to be called from time to time. A session's timeout
    /// starts with the first call, so that no message has to read the clock.
    pub fn tidy(&mut self, now: Instant) {
        for (since, _) in self.closed.iter_mut().rev().take_while(|(since, _)| since.is_none()) {
            *since = Some(now);
        }
        while let Some((since, id)) = self.closed.front().copied() {
            if since.is_some_and(|since| now.saturating_duration_since(since) < CLOSE_TIMEOUT) {
                break;
            }
            self.closed.pop_front();
            match self.sessions.get(&id) {
                // Its user has not yet taken what came before the end.
                Some(stream) if stream.held => self.closed.push_back((Some(now), id)),
                Some(_) => drop(self.sessions.remove(&id)),
                None => {}
            }
        }
    }

    /// Ends a session from the middle: both sides are told why.
    pub(super) fn close_both(&mut self, id: Id, closing: &Closing) {
        let Some(stream) = self.sessions.get_mut(&id) else { return };
        stream.end = Some(closing.clone().into());
        if stream.closing.is_none() {
            stream.closing = Some(closing.clone().into());
            self.closed.push_back((None, id));
            self.queue(id);
        }
        self.events.push_back(Event::Readable(id));
    }

    /// Ends a session that the other side has lost: there is nobody to tell.
    pub(super) fn lose(&mut self, id: Id, closing: Closing) {
        let Some(stream) = self.sessions.get_mut(&id) else { return };
        if matches!(stream.stage, Stage::Asking(_)) {
            let is_unsent = stream.stage_due;
            let unanswered = || Event::Unanswered(id, closing.clone());
            self.events.push_back(if is_unsent { Event::Unsent(id) } else { unanswered() });
        }
        stream.handle_end(closing.clone());
        stream.closing.get_or_insert_with(|| closing.into());
        stream.close_written = true;
        self.events.push_back(Event::Readable(id));
        self.forget_if_over(id);
    }

    /// Refuses a session that is unknown here.
    pub(super) fn refuse(&mut self, id: Id) {
        let frame = unknown(id);
        // Once is enough for everything in transit; there may be thousands that the other side does not read.
        if !self.urgent.iter().rev().take(RECENT).any(|recent| *recent == frame) {
            self.urgent.push_back(frame);
        }
    }

    pub(super) fn forget_if_over(&mut self, id: Id) {
        if self.sessions.get(&id).is_some_and(|stream| stream.is_over() && !stream.held) {
            self.sessions.remove(&id);
        }
    }
}

/// Returns the answer for a session that is unknown here.
pub(super) const fn unknown(id: Id) -> Frame {
    Frame::Close(id, 0, Closing::new(1001, "unknown session"))
}

/// How many answers are looked through for the same one.
const RECENT: usize = 32;
/// How long a session that we have closed waits for the other side's `x`.
const CLOSE_TIMEOUT: Duration = Duration::from_mins(1);

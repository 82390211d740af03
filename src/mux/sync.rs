//! After a break: both sides list what they still have, and each session resumes from where the other side is.

use std::collections::HashMap;

use super::bounds::PART;
use super::ends::unknown;
use super::frame::{Frame, Held, Id, Violation};
use super::line::{Line, Side};
use super::stream::Stage;
use crate::packet::Closing;

impl Line {
    /// Lists what this side still has, in parts of a bounded size.
    pub(super) fn offer_sync(&mut self) {
        let terms = self.terms;
        let living = self.sessions.iter_mut().filter(|(_, stream)| !stream.is_over());
        let all: Vec<Held> = living.map(|(&id, stream)| stream.held(id, &terms)).collect();
        let epoch = (self.side() == Side::Proxy).then(|| self.epoch().to_owned());
        let mut parts: Vec<&[Held]> = all.chunks(PART).collect();
        let last = parts.pop().unwrap_or_default();
        for (part, more) in parts.into_iter().map(|part| (part, true)).chain([(last, false)]) {
            self.greeting.push_back(Frame::Sync { epoch: epoch.clone(), sessions: part.to_vec(), more });
        }
    }

    /// Handles the other side's list, or a part of it.
    pub(super) fn handle_sync(
        &mut self,
        mut parts: Vec<Held>,
        sessions: Vec<Held>,
        more: bool,
    ) -> Result<(), Violation> {
        parts.extend(sessions);
        if parts.len() > self.sessions.len() + SYNC_MAX {
            return Err(Violation("a sync without an end"));
        }
        if more {
            self.sync = Some(parts);
            return Ok(());
        }
        let theirs: HashMap<Id, Held> = parts.into_iter().map(|held| (held.id, held)).collect();
        if self.side() == Side::Backend {
            self.offer_sync();
        }
        let ours: Vec<Id> = self.sessions.keys().copied().collect();
        for id in ours {
            self.take_up(id, theirs.get(&id))?;
        }
        if self.side() == Side::Proxy {
            let unknown_here = theirs.into_keys().filter(|id| !self.sessions.contains_key(id));
            self.urgent.extend(unknown_here.map(unknown));
        }
        self.flowing = true;
        Ok(())
    }

    fn take_up(&mut self, id: Id, theirs: Option<&Held>) -> Result<(), Violation> {
        let (side, terms) = (self.side(), self.terms);
        let Some(stream) = self.sessions.get_mut(&id).filter(|stream| !stream.is_over()) else {
            return Ok(());
        };
        match theirs {
            Some(held) => {
                stream.resume(held.seq.unwrap_or_default(), held.limit, &terms)?;
                // A session without an answer gets it again; one that was answered need not.
                stream.stage_due = held.seq.is_none() && matches!(stream.stage, Stage::Answered(_));
            }
            None if stream.closing.is_some() => {
                self.lose(id, Closing::default());
                return Ok(());
            }
            None if matches!(stream.stage, Stage::Asking(_)) => {
                stream.stage_due = true;
                stream.regrant(&terms);
            }
            None => {
                self.lose(id, if side == Side::Proxy { FORGOTTEN } else { GONE });
                return Ok(());
            }
        }
        self.queue(id);
        self.feed(id);
        Ok(())
    }
}

/// How many sessions the other side may have that this side has forgotten.
const SYNC_MAX: usize = 1 << 16;
/// The backend has lost a session.
const FORGOTTEN: Closing = Closing::new(1012, "the backend has lost the session");
/// The proxy has.
const GONE: Closing = Closing::new(1006, "the proxy has lost the session");

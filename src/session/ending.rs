//! How a session ended, for requests that arrive after its end.

use std::time::Duration;

use super::End;
use super::state::{Phase, Session};
use crate::packet::{Closing, Text};

/// How a session ended, which requests for its id are told for as long as its dialect wants.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Ending {
    /// Why it ended.
    pub closing: Closing,
    /// The number of the last message that its client has acknowledged, for clients that acknowledge messages.
    pub acknowledged: u64,
    /// The number of the last message that it was sent.
    pub sent: u64,
    /// How many later messages were kept for it. Nobody can fetch them once the session has left.
    pub unacknowledged: usize,
}

impl Ending {
    /// Returns a copy in memory of its own: a reason shares the buffer that it was read into, which may be much longer.
    #[must_use]
    pub fn detached(&self) -> Self {
        let reason = Text::from(self.closing.reason.as_str());
        Self { closing: Closing { reason, ..self.closing }, ..*self }
    }
}

impl Session {
    /// Returns how the session ended, once it or its backend has. Returns `None` if its dialect reports no endings.
    pub fn ending(&self) -> Option<Ending> {
        let closing = match (&self.phase, self.farewell.as_deref()) {
            (_, Some(closing)) => closing.clone(),
            (Phase::Closing { end, .. }, None) => self.reason(*end)?,
            (_, None) => return None,
        };
        let (acknowledged, unacknowledged) = (self.outbox.acknowledged(), self.outbox.len());
        Some(Ending { closing, acknowledged, sent: self.outbox.sent(), unacknowledged })
    }

    /// Returns how long the ending is remembered under the session's id, if at all.
    pub fn remembered(&self) -> Option<Duration> {
        Some(self.policy.remembered).filter(|lasts| self.is_known && !lasts.is_zero())
    }

    /// Returns how many messages have not been handed to either side; those of a POST that is still being decoded do not
    /// count.
    pub fn undelivered(&self) -> usize {
        self.outbox.messages_waiting() + usize::from(self.inbox.ahead.is_some())
    }

    /// Returns the reason for an end, if the dialect reports it and the session does not go on elsewhere.
    pub(super) fn reason(&self, end: End) -> Option<Closing> {
        let why = self.policy.why.filter(|_| end != End::TakenOver)?;
        Some(match &self.phase {
            Phase::Closing { closing, .. } => why(end, closing),
            Phase::Open | Phase::Draining { .. } | Phase::Departed { .. } | Phase::Over => {
                why(end, &Closing::default())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn what_is_remembered_keeps_no_buffer_alive() {
        let buffer = Bytes::from(vec![b'x'; 4096]);
        let reason = Text::new(buffer.slice(..6)).unwrap();
        let closing = Closing { code: Some(1000), reason, by_packet: false };
        let ending = Ending { closing, acknowledged: 7, sent: 8, unacknowledged: 1 };
        let kept = ending.detached();
        assert_eq!(kept, ending);
        drop(ending);
        assert!(buffer.is_unique());
    }
}

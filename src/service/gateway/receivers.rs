//! A receiver that is not let in at once: one of a session that has one, or that has ended.

use std::sync::Arc;
use std::time::Duration;

use crate::bridge::{Bridge, ReceiverRefused};
use crate::dialect::{Framing, Refusal};
use crate::service::Response;
use crate::session::{PollRefused, Terms};
use crate::transport::polling::{self, AnswerPoll, Asker};

/// Looks again and again whether a receiver is the only one, and answers it when it is, or has waited long enough.
pub(super) async fn once_alone(
    bridge: &Arc<Bridge>,
    framing: Arc<dyn Framing>,
    terms: Terms,
    asker: Asker,
) -> Response {
    for look in 1.. {
        tokio::time::sleep(LOOK).await;
        let refused = if framing.streams() {
            match bridge.stream(terms) {
                Ok(parked) => return polling::answer_stream(parked, asker, framing),
                Err(refused) => refused,
            }
        } else {
            match bridge.poll_on(terms) {
                Ok(parked) => return AnswerPoll::new(parked, asker, framing).await,
                Err(refused) => refused,
            }
        };
        if refused != OCCUPIED || look == LOOKS {
            return refuse(&*framing, refused, bridge);
        }
    }
    polling::refuse(&*framing, Refusal::Overlap)
}

/// Another receiver is there.
pub(super) const OCCUPIED: ReceiverRefused = ReceiverRefused::Poll(PollRefused::Occupied);
/// The other's end is seen in one of these, however busy the machine is.
const LOOKS: usize = 25;
const LOOK: Duration = Duration::from_millis(1);

/// Refuses a receiver.
pub(super) fn refuse(framing: &dyn Framing, refused: ReceiverRefused, bridge: &Bridge) -> Response {
    match refused {
        ReceiverRefused::Poll(refused) => refuse_poll(framing, refused, bridge),
        ReceiverRefused::Cursor(refused) => polling::respond(framing.refuse_cursor(refused)),
    }
}

/// Refuses a request of a session's.
pub(super) fn refuse_poll(framing: &dyn Framing, refused: PollRefused, bridge: &Bridge) -> Response {
    let (refusal, ending) = match refused {
        // The dialect says what a second one hears: its policy has judged it.
        PollRefused::Overlap | PollRefused::Occupied => (Refusal::Overlap, None),
        PollRefused::WrongTransport => (Refusal::WrongTransport, None),
        PollRefused::Over => (Refusal::Over, bridge.ending()),
    };
    if let Some(closing) = framing.turn_down(refusal, ending.as_ref()) {
        return polling::tell(framing, closing);
    }
    if refusal == Refusal::Over {
        return polling::refuse_ended(framing, bridge);
    }
    polling::refuse(framing, refusal)
}

//! What the directory of all nodes asks of the sessions that are here.

use super::entry::Entry;
use super::key::Asked;
use super::registry::{Located, Registry};
use crate::directory::{Key, Loss, Sessions};
use crate::end::End;

impl Sessions for Registry {
    fn is_known(&self, key: &Key) -> bool {
        !matches!(self.find(&key.route, &key.sid), Located::Nowhere)
    }

    fn give_way(&self, key: &Key, loss: Loss) {
        let Key { route, sid } = key;
        let end = match loss {
            Loss::Taken => End::TakenOver,
            // Its client has begun it twice, and knows this one.
            Loss::Contested => End::Overlap,
        };
        // A relayed session's id is its backend's, which gives it to no other.
        if let Located::Here(Entry::Bridge(bridge)) = self.find(route, sid) {
            bridge.end(end);
        }
        if loss == Loss::Taken {
            self.forget(&Asked { route, sid });
        }
    }
}

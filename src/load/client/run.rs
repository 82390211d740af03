//! One session from its beginning to its end, on its transport.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::{Common, Session, Start, lock, polling, upgrade, websocket};
use crate::load::conversation::Conversation;
use crate::load::mix::Kind;

impl Session {
    /// Waits for the session's start time, then runs the session until it is stopped or fails.
    pub(in crate::load) async fn run(common: Arc<Common>, start: Start) {
        let Start { kind, source, share, begin } = start;
        let stop = common.stop.clone();
        if stop.run_until_cancelled(sleep_until(begin)).await.is_none() {
            return;
        }
        let conversation = Conversation::new(&common.terms, share);
        let mut session = Self { common, kind, source, conversation, began: Instant::now(), greeted: false };
        session.stats().handle_begin(kind);
        let ended = match kind {
            Kind::Polling | Kind::Streaming => match session.common.protocol.requests(kind) {
                Ok(requests) => polling::run(&mut session, requests).await,
                Err(fault) => Err(fault),
            },
            Kind::WebSocket => websocket::run(&mut session).await,
            Kind::Upgrade => upgrade::run(&mut session).await,
        };
        let Self { common, conversation, greeted, .. } = session;
        lock(&common.stats).handle_end(
            kind,
            greeted,
            ended.err().as_ref(),
            conversation.written(),
            conversation.unanswered(),
        );
    }
}

//! What all clients and the backend know: the nodes, the schedule, and all sessions.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::plan::Kind;
use crate::schedule::{Hop, Odds, Schedule};
use crate::session::Session;

/// What all clients and the backend know.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) schedule: Arc<Schedule>,
    pub(crate) nodes: [SocketAddr; 2],
    sessions: Mutex<HashMap<u64, Arc<Session>>>,
    /// Tells all connections of the backend that it restarts.
    pub(crate) restarts: Notify,
    is_down: AtomicBool,
}

impl World {
    pub(crate) fn new(schedule: &Arc<Schedule>, nodes: [SocketAddr; 2]) -> Self {
        let (schedule, sessions) = (Arc::clone(schedule), Mutex::default());
        Self { schedule, nodes, sessions, restarts: Notify::new(), is_down: AtomicBool::new(false) }
    }

    pub(crate) fn session(&self, id: u64) -> Option<Arc<Session>> {
        self.sessions.lock().expect("nobody panics with it").get(&id).cloned()
    }

    pub(crate) fn add(&self, session: &Arc<Session>) {
        session.is_disturbed.store(self.is_down.load(Ordering::Relaxed), Ordering::Relaxed);
        self.sessions.lock().expect("nobody panics with it").insert(session.id, Arc::clone(session));
    }

    /// Notes that what happens now may end any of the sessions.
    pub(crate) fn disturb(&self) {
        for session in self.sessions.lock().expect("nobody panics with it").values() {
            session.is_disturbed.store(true, Ordering::Relaxed);
        }
    }

    /// Notes whether a process is missing, which may end any session of this time.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
        self.disturb();
    }

    pub(crate) fn remove(&self, id: u64) {
        self.sessions.lock().expect("nobody panics with it").remove(&id);
    }

    /// Returns how likely a connection of a session is cut. Most sessions end by their first cut, so that there is about one for each.
    pub(crate) fn odds(hop: Hop, kind: Kind) -> Odds {
        match (hop, kind) {
            (Hop::Backend, _) => Odds { percent: 15, bits: 14 },
            (_, _) if kind.acknowledges() => Odds { percent: 80, bits: 13 },
            (_, Kind::EngineWebSocket(_) | Kind::SockJsWebSocket | Kind::WebSocket) => {
                Odds { percent: 60, bits: 14 }
            }
            (_, _) => Odds { percent: 45, bits: 15 },
        }
    }
}

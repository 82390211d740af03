//! A peer: an Engine.IO server on engineioxide.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use engineioxide::config::EngineIoConfig;
use engineioxide::handler::EngineIoHandler;
use engineioxide::service::EngineIoService;
use engineioxide::{DisconnectReason, Socket, Str};

use crate::serve::{commands, connections};
use crate::words::{Answering, GROUP, MESSAGE, number_in};

/// Serves until it is killed.
pub(crate) async fn run(
    address: SocketAddr,
    control: SocketAddr,
    answering: Answering,
) -> anyhow::Result<()> {
    let sessions = Arc::new(Sessions { answering, all: Mutex::default() });
    let config =
        EngineIoConfig::builder().req_path("/socket.io").ping_interval(PATIENCE).ping_timeout(PATIENCE);
    let service = EngineIoService::with_config(Arc::clone(&sessions), config.build());
    let pushes = commands(control, move |group| sessions.push(group)).await?;
    connections(address, service).await?;
    pushes.await?
}

struct Sessions {
    answering: Answering,
    /// By their numbers.
    all: Mutex<Vec<Option<Arc<Socket<()>>>>>,
}

impl Sessions {
    fn push(&self, group: usize) {
        for socket in self.all()[group * GROUP..(group + 1) * GROUP].iter().flatten() {
            // The client notices a session that gets no message.
            drop(socket.emit(MESSAGE));
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Option<Arc<Socket<()>>>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

impl EngineIoHandler for Sessions {
    type Data = ();

    fn on_connect(self: Arc<Self>, socket: Arc<Socket<()>>) {
        let query = socket.req_parts.uri.query().unwrap_or_default();
        let Some(number) = number_in(query) else { return };
        let mut all = self.all();
        if all.len() <= number {
            all.resize_with((number / GROUP + 1) * GROUP, || None);
        }
        all[number] = Some(socket);
    }

    fn on_disconnect(&self, _: Arc<Socket<()>>, _: DisconnectReason) {}

    fn on_message(self: &Arc<Self>, message: Str, socket: Arc<Socket<()>>) {
        if self.answering == Answering::Echo {
            drop(socket.emit(message));
        }
    }

    fn on_binary(self: &Arc<Self>, _: Bytes, _: Arc<Socket<()>>) {}
}

const PATIENCE: Duration = Duration::from_mins(10);

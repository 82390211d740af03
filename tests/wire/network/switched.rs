//! A network that is switched in the middle of sessions, whose ends are told nothing of it.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::relay_with_faults::reset;

/// What a network does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Passes,
    /// Nothing passes until it does again, and no connection ends.
    Silent,
    /// The connections of before were reset, and those that come lead nowhere.
    Parted,
}

/// A network to one address, which ends with it.
pub(super) struct Switched {
    pub(super) address: SocketAddr,
    state: watch::Sender<State>,
    _runtime: Runtime,
}

impl Switched {
    pub(super) fn to(target: SocketAddr) -> Self {
        let (state, seen) = watch::channel(State::Passes);
        let (address, runtime) = lead(move |client| pass(client, target, seen.clone()));
        Self { address, state, _runtime: runtime }
    }

    pub(super) fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}

/// A network on which everything comes late, in both directions; it ends with it.
pub(super) struct Late {
    pub(super) address: SocketAddr,
    _runtime: Runtime,
}

impl Late {
    pub(super) fn to(target: SocketAddr, by: Duration) -> Self {
        let (address, runtime) = lead(move |client| pass_late(client, target, by));
        Self { address, _runtime: runtime }
    }
}

/// Returns an address whose connections are handled so, and what does that.
fn lead<F>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> (SocketAddr, Runtime)
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    // So that it soon holds all that it can while nothing passes. Accepted sockets inherit it.
    SockRef::from(&listener).set_recv_buffer_size(16 << 10).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(handle(client));
        }
    });
    (address, runtime)
}

async fn pass(mut client: TcpStream, target: SocketAddr, mut state: watch::Receiver<State>) {
    if *state.borrow() != State::Passes {
        return until(&mut state, State::Passes).await;
    }
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    loop {
        // What is under way when it falls silent may be lost: the tests wait until nothing is.
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            () = until_not(&mut state, State::Passes) => {}
        }
        until_not(&mut state, State::Silent).await;
        if *state.borrow() == State::Parted {
            reset(Some(&client));
            reset(Some(&server));
            return;
        }
    }
}

async fn until(state: &mut watch::Receiver<State>, wanted: State) {
    let _ = state.wait_for(|state| *state == wanted).await;
}

async fn until_not(state: &mut watch::Receiver<State>, unwanted: State) {
    let _ = state.wait_for(|state| *state != unwanted).await;
}

async fn pass_late(client: TcpStream, target: SocketAddr, by: Duration) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::join!(carry(from_client, to_server, by), carry(from_server, to_client, by));
}

/// Carries what comes, and the end behind it.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, by: Duration) {
    let (on_its_way, mut arrives) = mpsc::channel(1024);
    let departs = async move {
        let mut room = vec![0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut room).await {
            if on_its_way.send((Instant::now() + by, room[..count].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let arrives = async move {
        while let Some((when, bytes)) = arrives.recv().await {
            sleep_until(when).await; // It is late.
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(departs, arrives);
}

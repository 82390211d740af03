//! A network with faults: it leads to an address, and does to each connection what its fault says.
//!
//! The tests of `tests/wire` use it too.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What happens to a connection, and when.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    /// Whether the bytes are counted that the side receives which connected (or the test's end of it), or those that it sends.
    pub(crate) counts: Counts,
    /// How many of them pass before that.
    pub(crate) after: u64,
    pub(crate) manner: Manner,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Counts {
    Received,
    Sent,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Manner {
    /// Both ends get a reset.
    Reset,
    /// Both ends get an end of the stream.
    Close,
    /// Nothing passes any more, and nobody is told.
    Silence,
    /// What follows passes byte by byte, in both directions.
    Trickle,
}

/// Leads to an address, and returns the one where it begins. `cut` says what happens to which connection, counted from
/// 0, and `note` is called when it does.
pub(crate) async fn lead_to(
    target: SocketAddr,
    cut: impl Fn(u64) -> Option<Cut> + Send + 'static,
    note: impl Fn() + Clone + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(async move {
        for connection in 0.. {
            let Ok((client, _)) = listener.accept().await else { return };
            tokio::spawn(pass(client, target, cut(connection), note.clone()));
        }
    });
    address
}

async fn pass(mut client: TcpStream, target: SocketAddr, cut: Option<Cut>, note: impl Fn()) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut sent, mut received) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    let mut passed = 0;
    loop {
        if let Some(cut) = cut.as_ref().filter(|cut| passed >= cut.after) {
            note();
            return act(cut.manner, client, server).await;
        }
        let (counts, count) = tokio::select! {
            count = client.read(&mut sent) => (Counts::Sent, count),
            count = server.read(&mut received) => (Counts::Received, count),
        };
        let Ok(count @ 1..) = count else { return };
        let counted = cut.as_ref().filter(|cut| cut.counts == counts);
        let left =
            counted.map_or(count, |cut| count.min(usize::try_from(cut.after - passed).unwrap_or(count)));
        let written = match counts {
            Counts::Sent => server.write_all(&sent[..left]).await,
            Counts::Received => client.write_all(&received[..left]).await,
        };
        if written.is_err() {
            return;
        }
        if counted.is_some() {
            passed += left as u64;
        }
    }
}

async fn act(manner: Manner, mut client: TcpStream, mut server: TcpStream) {
    match manner {
        Manner::Reset => {
            reset(Some(&client));
            reset(Some(&server));
        }
        Manner::Close => {}
        // Longer than any test.
        Manner::Silence => tokio::time::sleep(Duration::from_hours(1)).await,
        Manner::Trickle => {
            let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
            // The first end ends both.
            tokio::select! {
                () = trickle(from_client, to_server) => {}
                () = trickle(from_server, to_client) => {}
            }
        }
    }
}

async fn trickle(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    while let Ok(byte) = from.read_u8().await {
        if to.write_u8(byte).await.is_err() {
            return;
        }
        // The other side may read it alone.
        tokio::task::yield_now().await;
    }
}

/// Makes the end of a stream a reset.
pub(crate) fn reset(stream: Option<&TcpStream>) {
    if let Some(stream) = stream {
        let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    }
}

//! The network between two proxies, each of whose connections is cut where the schedule says.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::schedule::{Counts, Hop, Manner, Odds, Schedule};
use crate::wire::reset;

/// Leads to an address, and returns the one where it begins.
pub(crate) async fn lead_to(
    target: SocketAddr,
    hop: Hop,
    number: u64,
    odds: Odds,
    schedule: Arc<Schedule>,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(async move {
        for connection in 0.. {
            let Ok((client, _)) = listener.accept().await else { return };
            tokio::spawn(pass(client, target, hop, number, connection, odds, Arc::clone(&schedule)));
        }
    });
    address
}

async fn pass(
    mut client: TcpStream,
    target: SocketAddr,
    hop: Hop,
    number: u64,
    connection: u64,
    odds: Odds,
    schedule: Arc<Schedule>,
) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let cut = schedule.cut(hop, number, connection, odds);
    let (mut sent, mut received) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    let mut passed = 0;
    loop {
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
        if let Some(cut) = counted {
            passed += left as u64;
            if passed >= cut.after {
                schedule.note(hop);
                if cut.manner == Manner::Reset {
                    reset(Some(&client));
                    reset(Some(&server));
                }
                return;
            }
        }
    }
}

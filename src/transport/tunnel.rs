//! A tunnel between two upgraded connections: bytes are copied in both directions and not interpreted.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::time::Instant;

use super::ClientUpgrade;
use crate::chain::Chain;
use crate::duplex::Stalled;
use crate::meter::{Broken, Meter};

/// Joins a client's connection to a backend's once both have switched protocols. Returns when both have ended or one
/// has broken.
///
/// Silence has no time limit, but a side that stops reading is disconnected after its
/// [patience](crate::duplex::Patience). At `expires_at` both are disconnected.
pub async fn run(client: ClientUpgrade, backend: OnUpgrade, meter: Meter, expires_at: Option<Instant>) {
    // If the client disconnects before it gets its 101, the backend's connection is dropped too.
    let (Ok((client, read)), Ok(backend)) = tokio::join!(client.stream(), backend) else { return };
    let (mut client, mut backend) = (client.behind(read), TokioIo::new(backend));
    let copying = copy_bidirectional_with_sizes(&mut client, &mut backend, BUFFER_LEN, BUFFER_LEN);
    let copied = match expires_at {
        Some(at) => tokio::time::timeout_at(at, copying).await,
        None => Ok(copying.await),
    };
    match copied {
        Ok(Ok((up, down))) => tracing::debug!(up, down, "a tunnel ended"),
        Err(_) => meter.forward_broke(Broken::Expired),
        Ok(Err(error)) => {
            if Stalled::among(&error).is_some() {
                meter.forward_broke(Broken::Stalled);
            }
            tracing::debug!(error = %Chain(&error), "a tunnel broke");
        }
    }
}

/// The size of the buffer that each direction keeps while the tunnel is open.
const BUFFER_LEN: usize = 8 << 10;

//! A tunnel between two upgraded connections: bytes are copied in both directions and not interpreted.

use http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional_with_sizes;

use crate::chain::Chain;
use crate::duplex::Stalled;
use crate::meter::{Broken, Meter};

/// Joins a client's connection to a backend's once both have switched protocols. Returns when both have ended or one
/// has broken.
///
/// Silence has no time limit, but a side that stops reading is disconnected after its
/// [patience](crate::duplex::Patience).
pub async fn run(client: OnUpgrade, backend: OnUpgrade, meter: Meter) {
    // If the client disconnects before it gets its 101, the backend's connection is dropped too.
    let Ok((client, backend)) = tokio::try_join!(client, backend) else { return };
    let (mut client, mut backend) = (TokioIo::new(client), TokioIo::new(backend));
    match copy_bidirectional_with_sizes(&mut client, &mut backend, BUFFER_LEN, BUFFER_LEN).await {
        Ok((up, down)) => tracing::debug!(up, down, "a tunnel ended"),
        Err(error) => {
            if Stalled::among(&error).is_some() {
                meter.forward_broke(Broken::Stalled);
            }
            tracing::debug!(error = %Chain(&error), "a tunnel broke");
        }
    }
}

/// Takes the handle to the connection that is about to be upgraded out of a request. The request's other extensions are
/// dropped.
pub fn take_upgrade(head: &mut Parts) -> OnUpgrade {
    let mut request = http::Request::new(());
    std::mem::swap(request.extensions_mut(), &mut head.extensions);
    hyper::upgrade::on(&mut request)
}

/// The size of the buffer that each direction keeps while the tunnel is open.
const BUFFER_LEN: usize = 8 << 10;

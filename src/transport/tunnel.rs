//! Two upgraded connections as one: bytes cross as they come, whatever they mean.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional_with_sizes;

/// Joins a client's connection to a backend's once both have switched protocols; ready when both have ended, or one
/// has broken.
pub async fn run(client: OnUpgrade, backend: OnUpgrade) {
    // A client that is gone before it got its 101 takes the backend's connection with it.
    let Ok((client, backend)) = tokio::try_join!(client, backend) else { return };
    let (mut client, mut backend) = (TokioIo::new(client), TokioIo::new(backend));
    match copy_bidirectional_with_sizes(&mut client, &mut backend, BUFFER_LEN, BUFFER_LEN).await {
        Ok((up, down)) => tracing::debug!(up, down, "a tunnel ended"),
        Err(error) => tracing::debug!(%error, "a tunnel broke"),
    }
}

/// For each direction, as long as the tunnel lives.
const BUFFER_LEN: usize = 8 << 10;

//! What a connection can bring, without a listener: its first bytes, and all of it over a pipe.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use proxy_header::{ParseConfig, ProxyHeader};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::UnixStream;

use super::caller::{BoxError, Serve};
use super::connection::Connecting;
use super::http1::Http;
use super::{ConnectInfo, Settings, proxied};
use crate::duplex::{Duplex, Socket};
use crate::upstream::Pinned;

/// Panics if more is taken from a connection than its PROXY header.
pub(crate) fn check_proxy_header(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(4096)];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (is_header, rest) = runtime.block_on(async {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(bytes).await.unwrap();
        theirs.shutdown().await.unwrap();
        let (mut ours, mut rest) = (Socket::from(ours), Vec::new());
        let header = proxied::read(&mut ours).await;
        ours.read_to_end(&mut rest).await.unwrap();
        (header.is_ok(), rest)
    });
    assert!(bytes.ends_with(&rest));
    if is_header {
        let header = &bytes[..bytes.len() - rest.len()];
        let parsed = ProxyHeader::parse(header, ParseConfig::default());
        assert!(parsed.is_ok_and(|(_, len)| len == header.len()), "it is all of the header and no more");
    }
}

/// Serves a connection of HTTP/1.1 at the first listener to its end.
///
/// # Errors
/// It broke.
pub(crate) async fn serve_pipe<S: Serve>(
    pipe: DuplexStream,
    settings: &Settings,
    make: impl FnOnce(ConnectInfo) -> S,
) -> Result<(), BoxError> {
    let listener = settings.listeners.first().ok_or_else(|| io::Error::other("there is no listener"))?;
    let connecting = Connecting::new(listener, None, settings);
    let peer = SocketAddr::from(([127, 0, 0, 1], 1)).into();
    let info = connecting.http.connect_info(peer, None, Pinned::default());
    let (stream, raw_headers) = (Duplex::from(pipe), info.raw_headers.clone());
    let stream = stream.with_patience(Some(info.patience.clone()));
    Http::new(Arc::clone(&connecting.http), stream, make(info), raw_headers).await
}

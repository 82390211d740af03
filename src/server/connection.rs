//! One connection: TLS where the listener speaks it, then HTTP/1.1 until it ends, is upgraded or is told to end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsStream};
use tracing::debug;

use super::caller::Serve;
use super::ending::Ending;
use super::http1::Http;
use super::settings::Settings;
use crate::duplex::{Duplex, Heads, Patience};
use crate::hop;
use crate::meter::Connections;

/// What a connection tells about itself before its first request.
#[derive(Clone, Debug)]
pub struct ConnectInfo {
    /// The other end of the socket: the client, or a proxy in front.
    pub peer: SocketAddr,
    /// Whether TLS ends here.
    pub secure: bool,
    /// How long the client may stop reading. A service that knows better sets it.
    pub patience: Patience,
    /// Shows the head of the request with which the service is called.
    pub heads: Heads,
}

/// What all connections of a server have in common.
#[derive(Clone, Debug)]
pub(super) struct Connecting {
    tls: Option<Arc<ServerConfig>>,
    http: http1::Builder,
    rest_after: Duration,
    half_close_timeout: Duration,
}

impl Connecting {
    pub(super) fn new(tls: Option<Arc<ServerConfig>>, settings: &Settings) -> Self {
        let mut http = http1::Builder::new();
        // The one time limit covers the wait for a first request, a slow header and the wait for the next request.
        http.timer(TokioTimer::new()).header_read_timeout(settings.idle_timeout);
        // Whether a client is gone that has ended its side is not hyper's to say: it looks only where nothing lies unread.
        http.half_close(true);
        // More is answered 431 by hyper. Room for more lines than it has by itself would cost each request 11 instructions a
        // line, whether it has them or not, so it is given where it is needed (`Http`).
        http.max_header_size(hop::HEADER_MAX).max_buf_size(hop::HEADER_MAX);
        Self { tls, http, rest_after: settings.rest_after, half_close_timeout: settings.half_close_timeout }
    }
}

/// Serves one connection to its end.
pub(super) async fn run<M, S>(
    connecting: Arc<Connecting>,
    stream: TcpStream,
    peer: SocketAddr,
    make: Arc<M>,
    ending: Ending,
    connections: Connections,
) where
    M: Fn(ConnectInfo) -> S,
    S: Serve,
{
    let _open = connections.opened();
    let heads = Heads::default();
    let (io, info) = match open(&connecting, stream, peer, &ending, &connections, &heads).await {
        Ok(opened) => opened,
        Err(error) => return debug!(%peer, %error, "connection setup failed"),
    };
    let mut http = Http::new(connecting.http.clone(), connecting.rest_after, io, make(info), heads);
    drop((connecting, make));

    if let Err(error) = ending.around(&mut http, Http::end).await {
        debug!(%peer, error = &*error as &dyn std::error::Error, "a connection broke");
    }
}

/// Makes the socket ready for HTTP.
async fn open(
    connecting: &Connecting,
    stream: TcpStream,
    peer: SocketAddr,
    ending: &Ending,
    connections: &Connections,
    heads: &Heads,
) -> io::Result<(Duplex, ConnectInfo)> {
    // Polls are short answers that somebody waits for.
    stream.set_nodelay(true)?;
    let patience = Patience::new(STALL_TIMEOUT);
    patience.set_half_close(connecting.half_close_timeout);
    let info = ConnectInfo {
        peer,
        secure: connecting.tls.is_some(),
        patience: patience.clone(),
        heads: heads.clone(),
    };
    let with_patience = |stream: Duplex| stream.with_patience(Some(patience));
    let Some(tls) = &connecting.tls else { return Ok((with_patience(stream.into()), info)) };
    // Boxed, so that a connection is not kept larger by what its handshake needed.
    let handshake = Box::pin(timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(Arc::clone(tls)).accept(stream)));
    let shaken = tokio::select! {
        shaken = handshake => shaken.map_err(io::Error::from).flatten(),
        () = ending.told() => return Err(io::Error::other("the server ends")),
    };
    match shaken {
        Ok(stream) => Ok((with_patience(TlsStream::from(stream).into()), info)),
        Err(error) => {
            connections.tls_failed();
            Err(error)
        }
    }
}

/// How long a client may take nothing of an answer, until its request's route has its say.
const STALL_TIMEOUT: Duration = Duration::from_mins(1);
/// Long enough for a distant client with a lost packet or two.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
